/** What a run reports as the parts of a response. Pure. */
import type * as Response from "@effect/ai/Response"
import * as Tool from "@effect/ai/Tool"
import type * as RunEvent from "effect-opencode/RunEvent"
import * as RunResult from "effect-opencode/RunResult"
import type * as TokenUsage from "effect-opencode/TokenUsage"
import * as OpenCodeTool from "effect-opencode/Tool"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Call } from "../../HostTools.js"

type Event = RunEvent.RunEvent

/** The tools whose calls a response can name. */
export interface Tools {
  /** From OpenCode's name of a tool of the program to its name in the toolkit. */
  readonly host: ReadonlyMap<string, string>
  /** OpenCode's own, by its name. */
  readonly own: ReadonlyMap<string, Tool.AnyProviderDefined>
}

export const noTools: Tools = { host: new Map(), own: new Map() }

/** True if a tool stands for one of OpenCode's. */
export const isOwn = (tool: Tool.Any): boolean => Tool.isProviderDefined(tool) && tool.id.startsWith("opencode.")

/** OpenCode's own tools in a toolkit. */
export const ownOf = (tools: ReadonlyArray<Tool.Any>): Tools["own"] =>
  new Map(
    tools.filter(isOwn).map((tool) => {
      const defined = tool as unknown as Tool.AnyProviderDefined
      return [defined.providerName, defined]
    })
  )

/** The names of OpenCode's own tools by the kinds of their calls. */
const ownNames = new Map<OpenCodeTool.Tool["_tag"], string>([
  ["Bash", "bash"],
  ["Read", "read"],
  ["Edit", "edit"],
  ["Write", "write"],
  ["ApplyPatch", "apply_patch"],
  ["Glob", "glob"],
  ["Grep", "grep"],
  ["WebFetch", "webfetch"],
  ["Task", "task"],
  ["TodoWrite", "todowrite"],
  ["Execute", "execute"]
])

type ToolParts = readonly [Response.ToolCallPartEncoded, Response.ToolResultPartEncoded]

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

const pair = (id: string, name: string, providerName: string, params: unknown, result: unknown, isFailure: boolean) =>
  [
    { type: "tool-call", id, name, providerName, params, providerExecuted: true },
    { type: "tool-result", id, name, providerName, result, isFailure, providerExecuted: true }
  ] as const satisfies ToolParts

/** Makes the parts of tool calls, each with its result, which has been there before the event. */
export const toolParts = ({ host, own }: Tools) => {
  const taken = new Set<Call>()
  let count = 0

  /** OpenCode's text of a result is cut, so it comes from the handler. */
  const answered = (
    { callId, input }: RunEvent.ToolUse,
    name: string,
    calls: ReadonlyArray<Call>
  ): Call | undefined => {
    const open = calls.filter((call) => call.name === name && !taken.has(call))
    return open.find(({ id }) => id === callId) ?? open.find(({ params }) => isSame(params, input))
  }

  return (event: RunEvent.ToolUse, calls: ReadonlyArray<Call>): ReadonlyArray<ToolParts[number]> => {
    const id = event.callId ?? `call_${++count}`
    const name = host.get(event.tool)
    if (name !== undefined) {
      const call = answered(event, name, calls)
      // Without one the parameters were not those of the tool: the model was told, and no result has its type.
      if (call === undefined) return []
      taken.add(call)
      return pair(id, name, event.tool, call.params, call.result, call.isFailure)
    }
    // Named as OpenCode 1 does. A call with other parameters does not count.
    const read = OpenCodeTool.fromEvent(event)
    const tool = own.get(ownNames.get(read._tag) ?? "")
    if (tool === undefined) return []
    const params = Schema.encodeOption(tool.parametersSchema as Schema.Schema<unknown, unknown>)(read.input)
    if (Option.isNone(params)) return []
    const isFailure = event.status === "error"
    return pair(
      id,
      tool.name,
      event.tool,
      params.value,
      isFailure ? event.error ?? "" : event.output ?? "",
      isFailure
    )
  }
}

const reasons: ReadonlySet<string> = new Set(["stop", "length", "content-filter", "tool-calls", "error", "other"])

const reasonOf = (reason: string | undefined): Response.FinishReason =>
  reason !== undefined && reasons.has(reason) ? reason as Response.FinishReason : "unknown"

/** Cached tokens are input, and reasoning is output. */
const usageOf = ({ cacheRead, cacheWrite, input, output, reasoning, total }: TokenUsage.TokenUsage) => ({
  inputTokens: input + cacheRead + cacheWrite,
  outputTokens: output + reasoning,
  totalTokens: total,
  reasoningTokens: reasoning,
  cachedInputTokens: cacheRead
})

export interface Facts {
  readonly sessionId: string | undefined
  readonly runId: string | undefined
  readonly model: string | undefined
  readonly usage: TokenUsage.TokenUsage
  readonly cost: number
  readonly unpriced: boolean
  readonly steps: number
  readonly finishReason: string | undefined
  readonly tools: ReadonlyArray<string>
}

/** The metadata without values that are not known. */
const metadataOf = ({ cost, model, runId, sessionId, steps, tools, unpriced }: Facts) => ({
  opencode: {
    cost,
    steps,
    tools: [...tools],
    ...(unpriced ? { unpriced } : {}),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(runId === undefined ? {} : { runId }),
    ...(model === undefined ? {} : { model })
  }
})

export const finish = (facts: Facts): Response.FinishPartEncoded => ({
  type: "finish",
  reason: reasonOf(facts.finishReason),
  usage: usageOf(facts.usage),
  metadata: metadataOf(facts)
})

export const responseMetadata = (
  { model, sessionId }: Pick<Facts, "model" | "sessionId">,
  now: number
): Response.ResponseMetadataPartEncoded => ({
  type: "response-metadata",
  ...(sessionId === undefined ? {} : { id: sessionId }),
  ...(model === undefined ? {} : { modelId: model }),
  timestamp: new Date(now).toISOString()
})

/** Between the texts of an agent, as in `RunResult.text`. */
const separator = "\n\n"

/** The last message of OpenCode that has said or done something. */
export const messageOf = (events: ReadonlyArray<Event>): string | undefined =>
  [...events].reverse().find((event) => event._tag === "StepFinish")?.messageId

export const toolNames = (events: ReadonlyArray<Event>): ReadonlyArray<string> =>
  events.flatMap((event) => event._tag === "ToolUse" ? [event.tool] : [])

/** The content of a response, in the order in which the agent has worked. */
export const content = (
  events: ReadonlyArray<Event>,
  tools: Tools,
  calls: ReadonlyArray<Call>
): ReadonlyArray<Response.PartEncoded> => {
  const parts: Array<Response.PartEncoded> = []
  const agent = RunResult.agentTexts()
  const toolsOf = toolParts(tools)
  let hasSaid = false
  const say = (texts: ReadonlyArray<string>): void => {
    for (const text of texts) {
      parts.push({ type: "text", text: hasSaid ? separator + text : text })
      hasSaid = true
    }
  }
  for (const event of events) {
    say(agent.add(event))
    if (event._tag === "Reasoning" && event.text !== "") parts.push({ type: "reasoning", text: event.text })
    if (event._tag === "ToolUse") parts.push(...toolsOf(event, calls))
  }
  say(agent.end())
  return parts
}

/** Turns the events of a run into the parts of a streamed response. */
export interface Streaming {
  readonly add: (event: Event, calls: ReadonlyArray<Call>) => ReadonlyArray<Response.StreamPartEncoded>
  readonly end: () => ReadonlyArray<Response.StreamPartEncoded>
  readonly facts: () =>
    & Pick<
      Facts,
      "sessionId" | "usage" | "cost" | "unpriced" | "steps" | "finishReason" | "tools"
    >
    & { readonly messageId: string | undefined }
}

type Kind = "text" | "reasoning"

/** The id of the part that a whole text ends. */
const partIdOf = (event: RunEvent.Text | RunEvent.Reasoning): string | undefined => {
  const part = event.raw["part"]
  return typeof part === "object" && part !== null && "id" in part && typeof part.id === "string" ? part.id : undefined
}

export const streaming = (tools: Tools): Streaming => {
  const agent = RunResult.agentTexts()
  const toolsOf = toolParts(tools)
  const open = new Map<string, Kind>()
  /** Whole texts that were streamed, and not yet proven to be the agent's. */
  const streamed: Array<string> = []
  const events: Array<Event> = []
  let hasSaid = false
  let count = 0

  const start = (kind: Kind, id: string): ReadonlyArray<Response.StreamPartEncoded> => {
    open.set(id, kind)
    if (kind === "reasoning") return [{ type: "reasoning-start", id }]
    const begin: Response.StreamPartEncoded = { type: "text-start", id }
    const isLater = hasSaid
    hasSaid = true
    return isLater ? [begin, { type: "text-delta", id, delta: separator }] : [begin]
  }

  const delta = (kind: Kind, id: string, delta: string): Response.StreamPartEncoded => ({
    type: kind === "text" ? "text-delta" : "reasoning-delta",
    id,
    delta
  })

  const close = (id: string, isDiscarded: boolean): ReadonlyArray<Response.StreamPartEncoded> => {
    const kind = open.get(id)
    if (kind === undefined) return []
    open.delete(id)
    return [{
      type: kind === "text" ? "text-end" : "reasoning-end",
      id,
      ...(isDiscarded ? { metadata: { opencode: { discarded: true } } } : {})
    }]
  }

  /** Closes parts whose whole text never came: their stream was cut, and the step was repeated. */
  const closeAll = (): ReadonlyArray<Response.StreamPartEncoded> => [...open.keys()].flatMap((id) => close(id, true))

  const whole = (kind: Kind, text: string): ReadonlyArray<Response.StreamPartEncoded> => {
    const id = `${kind}_${++count}`
    return text === "" ? [] : [...start(kind, id), delta(kind, id, text), ...close(id, false)]
  }

  const say = (texts: ReadonlyArray<string>): ReadonlyArray<Response.StreamPartEncoded> =>
    texts.flatMap((text) => {
      const at = streamed.indexOf(text)
      if (at === -1) return whole("text", text)
      streamed.splice(at, 1)
      return []
    })

  return {
    add: (event, calls) => {
      if (event._tag === "TextDelta") {
        const { kind, partId, text } = event
        return [...(open.has(partId) ? [] : start(kind, partId)), delta(kind, partId, text)]
      }
      if (event._tag === "StepStart" || event._tag === "StepFinish" || event._tag === "ToolUse") {
        events.push(event)
      }
      const ended: Array<Response.StreamPartEncoded> = []
      if (event._tag === "Text" || event._tag === "Reasoning") {
        const id = partIdOf(event)
        const wasStreamed = id !== undefined && open.has(id)
        if (wasStreamed) ended.push(...close(id, false))
        if (event._tag === "Text" && wasStreamed) streamed.push(event.text)
        if (event._tag === "Reasoning" && !wasStreamed) ended.push(...whole("reasoning", event.text))
      } else if (event._tag === "ToolUse" || event._tag === "StepStart" || event._tag === "StepFinish") {
        ended.push(...closeAll())
      }
      return [
        ...ended,
        ...say(agent.add(event)),
        ...(event._tag === "ToolUse" ? toolsOf(event, calls) : [])
      ]
    },
    end: () => [...closeAll(), ...say(agent.end())],
    facts: () => {
      const { cost, finishReason, sessionId, steps, unpriced, usage } = RunResult.fold(events)
      return {
        cost,
        finishReason,
        messageId: messageOf(events),
        sessionId,
        steps,
        usage,
        unpriced: unpriced === true,
        tools: toolNames(events)
      }
    }
  }
}
