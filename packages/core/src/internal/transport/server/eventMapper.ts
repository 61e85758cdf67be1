import type { ProviderRetry, RunEvent } from "../../../RunEvent.js"
import * as decode from "../../opencode/decode.js"
import * as providerErrors from "../../opencode/providerErrors.js"
import type { RetryCount } from "../../opencode/retryCount.js"
import * as json from "../../util/json.js"
import { isNullish, isObject, number, string } from "../../util/object.js"
import type { WireObject } from "../../util/object.js"
import type * as protocol from "./protocol.js"

/**
 * Turns a server's events of one prompt into the events that `opencode run` would print, in the same order and shape
 * (1.18.33). Each part is emitted once, whether it arrived as an event or in the list of messages.
 */
export interface Mapper {
  /** Maps an event of the session. Returns nothing, except errors, before the prompt's own message has arrived. */
  readonly event: (event: protocol.Event, now: number) => RunEvent | undefined
  /** Maps an event of a sub-agent's session, of which only provider failures matter to the run. */
  readonly child: (event: protocol.Event) => RunEvent | undefined
  /** Returns the events that are in the session's messages but were not received. */
  readonly repair: (messages: ReadonlyArray<protocol.Message>, now: number) => ReadonlyArray<RunEvent>
  /** The messages that follow the prompt's own; `undefined` if that is missing. */
  readonly turn: (messages: ReadonlyArray<protocol.Message>) => ReadonlyArray<protocol.Message> | undefined
}

export interface Options {
  readonly sessionId: string
  /** True to emit reasoning. */
  readonly thinking: boolean
  /** The server's time, in milliseconds, after which messages are new. */
  readonly since: number | undefined
  /** Numbers the failed attempts at the provider. */
  readonly retries: RetryCount
}

/** The type of the line that `opencode run` prints for a part. */
const types = new Map<string, string>([
  ["step-start", "step_start"],
  ["text", "text"],
  ["reasoning", "reasoning"],
  ["tool", "tool_use"],
  ["step-finish", "step_finish"]
])

const field = decode.field

const timeOf = (part: protocol.Part): unknown => part["time"] ?? field(part["state"], "time")

/** The end time of a part, in milliseconds. */
const endOf = (part: protocol.Part): number | undefined => number(field(timeOf(part), "end"))

const isEnded = (part: protocol.Part): boolean => {
  const time = timeOf(part)
  switch (part.type) {
    case "text":
    case "reasoning":
      // A part that is still streaming has no final text.
      return isNullish(time) || isObject(time) ? !isNullish(field(time, "end")) : part["text"] !== ""
    case "tool": {
      const status = field(part["state"], "status")
      return status === "completed" || status === "error" ||
        (status !== "pending" && status !== "running" && !isNullish(field(time, "end")))
    }
    default:
      return true
  }
}

/** Orders parts by their end within a step, because its tool calls run in parallel. */
const inOrder = (parts: ReadonlyArray<protocol.Part>): ReadonlyArray<protocol.Part> => {
  const steps: Array<Array<protocol.Part>> = [[]]
  for (const part of parts) {
    const isBoundary = part.type === "step-start" || part.type === "step-finish"
    if (isBoundary) steps.push([part], [])
    else steps[steps.length - 1]!.push(part)
  }
  return steps.flatMap((step) => step.sort((a, b) => (endOf(a) ?? Infinity) - (endOf(b) ?? Infinity) || 0))
}

const isUnknown = (error: unknown): boolean => field(error, "name") === "UnknownError"

/** True for a compaction's own message; on a user message the field is an object. */
export const isSummary = (info: object): boolean => field(info, "summary") === true

const messageOf = (part: protocol.Part): string => string(part["messageID"]) ?? ""

/** The part's id, or its content if it has none. */
const idOf = (part: protocol.Part): string => string(part["id"]) ?? json.stringify(part)

export const make = ({ retries, sessionId, since, thinking }: Options): Mapper => {
  const emitted = new Set<string>()
  const errors = new Set<string>()
  const users = new Set<string>()
  /** Messages with a summary of the conversation, which OpenCode keeps for itself. */
  const summaries = new Set<string>()
  /** The streaming parts, which deltas name by id only. */
  const saying = new Map<string, "text" | "reasoning">()
  let prompt: string | undefined
  const models = new Map<string, Pick<ProviderRetry, "provider" | "model">>()
  const lastRetries = new Map<string, string>()
  /** True if the last emitted event is an error. */
  let hasFailed = false
  /** From here on every step is marked as a compaction or not; otherwise the next one would count as one. */
  let hasOverflowed = false

  const line = (type: string, now: number, rest: WireObject): RunEvent =>
    decode.fromWire({ type, timestamp: now, sessionID: sessionId, ...rest })

  const isPrompt = ({ role, time }: protocol.MessageInfo): boolean =>
    role === "user" && (since === undefined || typeof time?.created !== "number" || time.created > since)

  const hearModel = ({ modelID, providerID, sessionID }: protocol.MessageInfo): void => {
    models.set(sessionID, { provider: providerID ?? undefined, model: modelID ?? undefined })
  }

  const observe = (info: protocol.MessageInfo): void => {
    if (info.role === "user") {
      if (prompt === undefined && isPrompt(info)) prompt = info.id
      users.add(info.id)
    } else if (info.role === "assistant") {
      if (isSummary(info)) summaries.add(info.id)
      hearModel(info)
    }
  }

  /** Neither a compaction's text in the user's name nor a summary counts as an answer. */
  const marks = (part: protocol.Part): WireObject | undefined => {
    const messageId = messageOf(part)
    return users.has(messageId) || summaries.has(messageId)
      ? decode.marked(true)
      : hasOverflowed
      ? decode.marked(false)
      : undefined
  }

  const emit = (part: protocol.Part, now: number): RunEvent | undefined => {
    const type = types.get(part.type)
    const id = idOf(part)
    if (type === undefined || emitted.has(id)) return undefined
    if (!isEnded(part)) {
      const messageId = messageOf(part)
      const isAnswer = !users.has(messageId) && !summaries.has(messageId)
      if (isAnswer && (part.type === "text" || part.type === "reasoning")) saying.set(id, part.type)
      return undefined
    }
    emitted.add(id)
    saying.delete(id)
    hasFailed = false
    return part.type === "reasoning" && !thinking ? undefined : line(type, now, { part, ...marks(part) })
  }

  const fail = (error: unknown, now: number): RunEvent | undefined => {
    // OpenCode reports an unexpected error a second time as its stack trace.
    if (hasFailed && isUnknown(error)) return undefined
    hasFailed = true
    hasOverflowed ||= field(error, "name") === "ContextOverflowError"
    errors.add(json.stringify(error))
    return line("error", now, { error })
  }

  const retry = (of: string, { attempt, message, next, type }: protocol.Status): RunEvent | undefined => {
    const key = `${attempt} ${next}`
    if (type !== "retry" || key === lastRetries.get(of)) return undefined
    lastRetries.set(of, key)
    const reason = message ?? "the provider failed"
    return {
      _tag: "ProviderRetry",
      attempt: retries.next(of),
      kind: providerErrors.kindOfText(reason),
      reason,
      ...models.get(of),
      sessionId: of
    }
  }

  const child: Mapper["child"] = (event) => {
    switch (event.type) {
      case "message.updated":
        if (event.properties.info.role === "assistant") hearModel(event.properties.info)
        return undefined
      case "session.status":
        return retry(event.properties.sessionID, event.properties.status)
      default:
        return undefined
    }
  }

  const event: Mapper["event"] = (event, now) => {
    switch (event.type) {
      case "message.updated":
        observe(event.properties.info)
        return undefined
      case "message.part.updated":
        return prompt === undefined ? undefined : emit(event.properties.part as protocol.Part, now)
      case "message.part.delta": {
        const { delta, field, messageID, partID } = event.properties
        const kind = saying.get(partID)
        return kind === undefined || field !== "text" || (kind === "reasoning" && !thinking)
          ? undefined
          : { _tag: "TextDelta", sessionId, messageId: messageID, partId: partID, kind, text: delta }
      }
      case "session.status":
        return retry(sessionId, event.properties.status)
      case "session.error":
        return fail(event.properties.error, now)
      default:
        return undefined
    }
  }

  const turn: Mapper["turn"] = (messages) => {
    const at = messages.findIndex(({ info }) => prompt === undefined ? isPrompt(info) : info.id === prompt)
    return at === -1 ? undefined : messages.slice(at + 1)
  }

  return {
    event,
    child,
    repair: (messages, now) => {
      for (const { info } of messages) observe(info)
      const missing: Array<RunEvent> = []
      const push = (event: RunEvent | undefined): void => {
        if (event !== undefined) missing.push(event)
      }
      for (const { info, parts } of turn(messages) ?? []) {
        for (const part of inOrder(parts)) push(emit(part, now))
        if (!isNullish(info.error) && !errors.has(json.stringify(info.error))) push(fail(info.error, now))
      }
      return missing
    },
    turn
  }
}
