/**
 * A whole session as `opencode export` prints it: messages with their parts, the model, tokens and cost of each.
 * Decoding is tolerant: only the fields named here are checked, all others stay in the raw objects. Shapes of OpenCode
 * 1.18.33.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as answers from "./internal/opencode/answer.js"
import * as decode from "./internal/opencode/decode.js"
import { isUnpriced } from "./internal/opencode/summary.js"
import { isObject, number, string } from "./internal/util/object.js"
import * as schemas from "./internal/util/schemas.js"
import type { RunEvent, WireObject } from "./RunEvent.js"
import * as TokenUsage from "./TokenUsage.js"

/** An optional field that is dropped, alone, if its form is unexpected. */
const side = <A>(schema: Schema.Schema<A>, read: (u: unknown) => A | undefined) =>
  Schema.optional(schemas.converted(Schema.Unknown, Schema.NullishOr(schema), {
    decode: (u) => u === null ? null : read(u),
    encode: (a) => a
  }))

const Unknowns = Schema.Record({ key: Schema.String, value: Schema.Unknown })

const Parts = schemas.converted(Schema.Array(Schema.Unknown), Schema.Array(Unknowns), {
  decode: (parts) => parts.filter(isObject),
  encode: (parts) => parts
})

/**
 * A message by the user or the agent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Message extends Schema.Schema.Type<typeof Message> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Message = Schema.Struct({
  info: Schema.Struct(
    { id: Schema.String, role: Schema.String, cost: side(Schema.Number, number), finish: side(Schema.String, string) },
    { key: Schema.String, value: Schema.Unknown }
  ),
  /** The parts as OpenCode keeps them: `text`, `tool`, `step-start`, `step-finish`, … */
  parts: Parts
})

/**
 * @since 0.1.0
 * @category models
 */
export interface Conversation extends Schema.Schema.Type<typeof Conversation> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Conversation = Schema.Struct({
  info: Schema.Struct(
    { id: Schema.String, title: side(Schema.String, string), directory: side(Schema.String, string) },
    { key: Schema.String, value: Schema.Unknown }
  ),
  messages: Schema.Array(Message)
})

/** The type of the line that `opencode run` prints for a part. */
const types = new Map<unknown, string>([
  ["step-start", "step_start"],
  ["text", "text"],
  ["reasoning", "reasoning"],
  ["tool", "tool_use"],
  ["step-finish", "step_finish"]
])

const isSummary = ({ info }: Message): boolean => info["summary"] === true

/** Of a user message, `opencode run` prints only texts that OpenCode wrote as already finished. */
const isPrinted = (message: Message, part: WireObject): boolean =>
  message.info.role !== "user" || (part["type"] === "text" && decode.field(part["time"], "end") !== undefined)

const toWire = (message: Message, sessionId: string): ReadonlyArray<WireObject> => {
  const isOwn = message.info.role === "user" || isSummary(message)
  return message.parts.flatMap((part) => {
    const type = types.get(part["type"])
    return type === undefined || !isPrinted(message, part)
      ? []
      : [{ type, sessionID: sessionId, part, ...(isOwn ? decode.marked(true) : {}) }]
  })
}

const textsOf = ({ parts }: Message): string =>
  parts.flatMap((part) => part["type"] === "text" ? [part["text"]] : []).join("\n")

/**
 * True for user messages that OpenCode wrote itself: the request to compact, the text that continues after it, or the
 * prompt repeated after a compaction that had no room for it.
 */
const goesOn = (messages: ReadonlyArray<Message>, index: number): boolean => {
  const message = messages[index]!
  const texts = message.parts.filter((part) => part["type"] === "text")
  const isCompaction = message.parts.some((part) => part["type"] === "compaction")
  if (isCompaction || (texts.length > 0 && texts.every((part) => part["synthetic"] === true))) return true
  const summary = messages[index - 1]
  if (summary === undefined || !isSummary(summary)) return false
  const earlier = Arr.findLast(
    messages.slice(0, index),
    ({ info, parts }) => info.role === "user" && parts.every((part) => part["type"] !== "compaction")
  )
  return Option.exists(earlier, (prompt) => textsOf(prompt) === textsOf(message))
}

/**
 * The events of the last turn: what the agent did since the last prompt, as `opencode run` would have printed it.
 * Messages that OpenCode writes in the user's name to continue after a compaction do not count as prompts.
 *
 * @since 0.1.0
 * @category conversions
 */
export const lastTurn = (conversation: Conversation): ReadonlyArray<RunEvent> => {
  const { messages } = conversation
  const asked = Arr.findLastIndex(
    messages,
    (message) => message.info.role === "user" && !goesOn(messages, messages.indexOf(message))
  )
  return messages.slice(Option.match(asked, { onNone: () => 0, onSome: (index) => index + 1 }))
    .flatMap((message) => toWire(message, conversation.info.id))
    .map(decode.fromWire)
}

/**
 * The text of the agent's last message, as in `RunResult.answer`. The summary of a compaction is not a message.
 *
 * @since 0.1.0
 * @category getters
 */
export const answer = (conversation: Conversation): string => {
  const message = Option.getOrUndefined(
    Arr.findLast(conversation.messages, (message) => message.info.role === "assistant" && !isSummary(message))
  )
  return answers.join(
    (message?.parts ?? []).flatMap((part) =>
      part["type"] === "text" && typeof part["text"] === "string" && part["text"] !== "" ? [part["text"]] : []
    )
  )
}

/**
 * Tokens and cost of all steps in the conversation; sub-agents have their own conversations, see {@link children}.
 *
 * @since 0.1.0
 * @category getters
 */
export const spent = (
  conversation: Conversation
): {
  readonly usage: TokenUsage.TokenUsage
  readonly cost: number
  /** `true` if a step used tokens at a cost of 0: OpenCode reports that for a model without a price. */
  readonly unpriced?: boolean | undefined
  /** Steps that began. */
  readonly steps: number
} => {
  let usage = TokenUsage.empty
  let cost = 0
  let begun = 0
  let finished = 0
  let unpriced = false
  for (const part of conversation.messages.flatMap((message) => message.parts)) {
    if (part["type"] === "step-start") begun++
    if (part["type"] !== "step-finish") continue
    const event = decode.fromWire({ type: "step_finish", part })
    if (event._tag !== "StepFinish") continue
    usage = TokenUsage.add(usage, event.tokens)
    cost += event.cost
    unpriced ||= isUnpriced(event.cost, event.tokens)
    finished++
  }
  return { usage, cost, steps: Math.max(begun, finished), ...(unpriced ? { unpriced } : {}) }
}

const childOf = (part: unknown): ReadonlyArray<string> => {
  if (!isObject(part) || !(part["tool"] === "task" || part["tool"] === "subagent") || !isObject(part["state"])) {
    return []
  }
  const metadata = part["state"]["metadata"]
  const id = isObject(metadata) ? metadata["sessionId"] ?? metadata["sessionID"] : undefined
  return typeof id === "string" ? [id] : []
}

/**
 * The sessions of the sub-agents that the conversation started.
 *
 * @since 0.1.0
 * @category getters
 */
export const children = (conversation: Conversation): ReadonlyArray<string> => [
  ...new Set(conversation.messages.flatMap((message) => message.parts.flatMap(childOf)))
]

/**
 * The session of the sub-agent that an event belongs to, or `undefined`.
 *
 * @since 0.1.0
 * @category getters
 */
export const childOfEvent = (event: RunEvent): string | undefined =>
  event._tag === "ToolUse" ? childOf(event.raw["part"])[0] : undefined
