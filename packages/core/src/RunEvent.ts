/**
 * What a run reports while it works: one tagged union, decoded from the JSON lines that OpenCode prints.
 *
 * Nothing is lost on the way: every event carries the object that was printed as `raw`, fields that this library
 * does not know included; a type that it does not know is an {@link Unknown}. An event of a known type is read field by
 * field: one that has an unexpected form is left out, and named in `unread` if the library needs it. Numbers can be
 * written as texts. An event is found on a line that has other words on it, too. {@link PermissionRejected} and {@link ProviderRetry} are made from OpenCode's stderr, and
 * {@link Diagnostic} stands for a line that is no JSON object. {@link TextDelta} and {@link PermissionAsked} are seen
 * through a server only (`OpenCodeServer`).
 *
 * Shapes as printed by OpenCode 1.14.34 to 1.18.33.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as decode from "./internal/opencode/decode.js"
import * as ansi from "./internal/util/ansi.js"
import { DurationInMillis } from "./internal/util/durationInMillis.js"
import * as json from "./internal/util/json.js"
import { isObject } from "./internal/util/object.js"
import { TokenUsage } from "./TokenUsage.js"

/**
 * A JSON object as OpenCode printed it.
 *
 * @since 0.1.0
 * @category models
 */
export type WireObject = { readonly [key: string]: unknown }

const WireObject: Schema.Schema<WireObject> = Schema.Record({ key: Schema.String, value: Schema.Unknown })

const fromOpenCode = {
  /** Milliseconds since the epoch, as OpenCode gave them. */
  timestamp: Schema.optional(Schema.Number),
  sessionId: Schema.optional(Schema.String),
  raw: WireObject
}

/**
 * Fields that are needed and are there, but cannot be read, as OpenCode names them: with `cost` or `tokens.input` in it
 * what was spent is not known.
 */
const unread = Schema.optional(Schema.Array(Schema.String))

const Span = Schema.Struct({ start: Schema.optional(Schema.Number), end: Schema.optional(Schema.Number) })

/**
 * A step (one request to the model) begins. A second `StepStart` with the same `messageId` means that OpenCode
 * asks the provider again after a cut stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface StepStart extends Schema.Schema.Type<typeof StepStart> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const StepStart = Schema.TaggedStruct("StepStart", {
  ...fromOpenCode,
  messageId: Schema.optional(Schema.String),
  snapshot: Schema.optional(Schema.String)
})

/**
 * A whole part of the answer; OpenCode prints no deltas.
 *
 * With `synthetic` it is no answer: OpenCode wrote the text for itself. After a compaction it asks itself to continue
 * that way, and works on (1.18.33). The summary of the compaction is a `Text` before that: through a server it is
 * `synthetic`, on stdout nothing marks it, and `RunResult.fold` and `RunResult.agentTexts` tell it by what follows.
 *
 * @since 0.1.0
 * @category models
 */
export interface Text extends Schema.Schema.Type<typeof Text> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Text = Schema.TaggedStruct("Text", {
  ...fromOpenCode,
  messageId: Schema.optional(Schema.String),
  /** Empty if it cannot be read. */
  text: Schema.String,
  time: Schema.optional(Span),
  /** `text`, if that cannot be read. */
  unread,
  /**
   * `true` where OpenCode or a plugin wrote the text, and not the model; absent otherwise. It is no part of the answer.
   */
  synthetic: Schema.optional(Schema.Boolean)
})

/**
 * A whole part of the model's reasoning, printed only with `thinking`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reasoning extends Schema.Schema.Type<typeof Reasoning> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Reasoning = Schema.TaggedStruct("Reasoning", {
  ...fromOpenCode,
  messageId: Schema.optional(Schema.String),
  text: Schema.String,
  time: Schema.optional(Span),
  /** `text`, if that cannot be read. */
  unread
})

/**
 * A tool call that has ended. A shell command that exits with a non-zero code is `completed`, with the code in
 * `metadata.exit`. Sub-agents show as their parent's `task` call only.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolUse extends Schema.Schema.Type<typeof ToolUse> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const ToolUse = Schema.TaggedStruct("ToolUse", {
  ...fromOpenCode,
  messageId: Schema.optional(Schema.String),
  callId: Schema.optional(Schema.String),
  /** `unknown` if it cannot be read. */
  tool: Schema.String,
  status: Schema.Literal("completed", "error"),
  input: Schema.Unknown,
  output: Schema.optional(Schema.String),
  error: Schema.optional(Schema.String),
  title: Schema.optional(Schema.String),
  metadata: Schema.optional(Schema.Unknown),
  time: Schema.optional(Span),
  /** `tool` and `state.status`, if they cannot be read. */
  unread
})

/**
 * A step has ended. `reason` is `stop`, `tool-calls`, `length`, `content-filter`, `unknown` or whatever the
 * provider's adapter said; `cost` is in US dollars by the prices in OpenCode's model list.
 *
 * @since 0.1.0
 * @category models
 */
export interface StepFinish extends Schema.Schema.Type<typeof StepFinish> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const StepFinish = Schema.TaggedStruct("StepFinish", {
  ...fromOpenCode,
  messageId: Schema.optional(Schema.String),
  reason: Schema.optional(Schema.String),
  tokens: TokenUsage,
  cost: Schema.Number,
  snapshot: Schema.optional(Schema.String),
  /** Of `reason`, `cost`, `tokens` and its fields (`tokens.input`) those that cannot be read; an amount is 0 then. */
  unread
})

/**
 * What a session error is about, for programs that branch on it.
 *
 * @since 0.1.0
 * @category models
 */
export type SessionErrorKind = typeof SessionErrorKind.Type

/**
 * @since 0.1.0
 * @category schemas
 */
export const SessionErrorKind = Schema.Literal(
  "authentication",
  "quota",
  "rate-limit",
  "context-overflow",
  "model-not-found",
  "content-filter",
  "output-length",
  "provider-unavailable",
  "aborted",
  "other"
)

/**
 * OpenCode's own `error` event. The run may still recover: the outcome of the run says whether it did.
 *
 * @since 0.1.0
 * @category models
 */
export interface SessionError extends Schema.Schema.Type<typeof SessionError> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const SessionError = Schema.TaggedStruct("SessionError", {
  ...fromOpenCode,
  kind: SessionErrorKind,
  name: Schema.String,
  message: Schema.String,
  statusCode: Schema.optional(Schema.Number),
  retryable: Schema.optional(Schema.Boolean),
  /** How long the provider asked to wait, from its `retry-after` header. */
  retryAfter: Schema.optional(DurationInMillis)
})

/**
 * OpenCode would have asked a person, found none and rejected, which it says on stderr; or, through a server, what was
 * asked was rejected.
 *
 * @since 0.1.0
 * @category models
 */
export interface PermissionRejected extends Schema.Schema.Type<typeof PermissionRejected> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const PermissionRejected = Schema.TaggedStruct("PermissionRejected", {
  permission: Schema.String,
  patterns: Schema.Array(Schema.String)
})

/**
 * An attempt at the provider failed, and OpenCode tries again by itself unless it is an error that repeats (a 401, say).
 * Made from OpenCode's error log and from steps that begin again, because it prints nothing of this on stdout; a server
 * says it. `sessionId` is the conversation whose attempt failed, the run's own or that of a sub-agent, and `attempt`
 * counts the failures of that conversation from 1.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProviderRetry extends Schema.Schema.Type<typeof ProviderRetry> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const ProviderRetry = Schema.TaggedStruct("ProviderRetry", {
  attempt: Schema.Number,
  kind: SessionErrorKind,
  reason: Schema.String,
  provider: Schema.optional(Schema.String),
  model: Schema.optional(Schema.String),
  sessionId: Schema.optional(Schema.String),
  /** The agent whose attempt it was, where OpenCode names it. */
  agent: Schema.optional(Schema.String)
})

/**
 * A piece of an answer, or of reasoning with `thinking`, as the model says it; the whole part follows as a {@link Text}
 * or {@link Reasoning}, unless the provider cuts it off. Through a server only, and only for those who watch: with
 * `stream`, but neither in `RunResult.events` nor in a transcript.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextDelta extends Schema.Schema.Type<typeof TextDelta> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const TextDelta = Schema.TaggedStruct("TextDelta", {
  sessionId: Schema.optional(Schema.String),
  messageId: Schema.optional(Schema.String),
  partId: Schema.String,
  kind: Schema.Literal("text", "reasoning"),
  text: Schema.String
})

/**
 * OpenCode waits for a permission, and `onPermission` of the server's layer is asked. `sessionId` is that of a sub-agent
 * where one asks. Through a server only.
 *
 * @since 0.1.0
 * @category models
 */
export interface PermissionAsked extends Schema.Schema.Type<typeof PermissionAsked> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const PermissionAsked = Schema.TaggedStruct("PermissionAsked", {
  sessionId: Schema.optional(Schema.String),
  requestId: Schema.String,
  permission: Schema.String,
  patterns: Schema.Array(Schema.String),
  /** The tool call that waits. */
  callId: Schema.optional(Schema.String),
  /** What OpenCode tells beyond that, the whole `command` of a shell call for example. */
  metadata: Schema.optional(Schema.Unknown)
})

/**
 * A line of stdout that is no event, or the words beside an event on its line.
 *
 * @since 0.1.0
 * @category models
 */
export interface Diagnostic extends Schema.Schema.Type<typeof Diagnostic> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Diagnostic = Schema.TaggedStruct("Diagnostic", {
  kind: Schema.Literal("empty_line", "non_object_json", "json_decode_error", "line_too_long"),
  /** The line as it was printed; empty for a line that was too long to keep. */
  line: Schema.String,
  reason: Schema.String,
  /** Whether the line looks like an event, or like a piece of one, that could not be read; see `RunResult.lostLines`. */
  lost: Schema.optional(Schema.Boolean)
})

/**
 * An event of a type that this version does not know. `raw` has all of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Unknown extends Schema.Schema.Type<typeof Unknown> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Unknown = Schema.TaggedStruct("Unknown", {
  ...fromOpenCode,
  type: Schema.optional(Schema.String)
})

/**
 * Every event of a run.
 *
 * @since 0.1.0
 * @category models
 */
export type RunEvent =
  | StepStart
  | Text
  | Reasoning
  | ToolUse
  | StepFinish
  | SessionError
  | PermissionRejected
  | ProviderRetry
  | TextDelta
  | PermissionAsked
  | Diagnostic
  | Unknown

const Decoded = Schema.typeSchema(Schema.Union(
  StepStart,
  Text,
  Reasoning,
  ToolUse,
  StepFinish,
  SessionError,
  PermissionRejected,
  ProviderRetry,
  TextDelta,
  PermissionAsked,
  Diagnostic,
  Unknown
))

/**
 * The Schema of a {@link RunEvent}. Its encoded side is the JSON object that OpenCode printed (or one of ours, whose
 * `type` begins with `effect-opencode/`), so events survive JSON, files and RPC without being written twice.
 *
 * @example
 * ```ts
 * import { RunEvent } from "effect-opencode"
 * import { Schema } from "effect"
 *
 * const event = Schema.decodeUnknownSync(RunEvent.RunEvent)({ type: "text", part: { text: "hello" } })
 * console.log(event._tag) // "Text"
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const RunEvent: Schema.Schema<RunEvent, WireObject> = Schema.transform(WireObject, Decoded, {
  strict: true,
  decode: (wire) => decode.fromWire(wire),
  encode: (event) => decode.toWire(event)
})

/**
 * Turns a parsed JSON object into an event. Total: it never throws and never loses the object.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromWire: (wire: WireObject) => RunEvent = decode.fromWire

/**
 * The JSON object of an event: what OpenCode printed, or our own for the events made by this library.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toWire: (event: RunEvent) => WireObject = decode.toWire

/**
 * Turns one line of stdout into an event: a JSON object as a whole, else the first event among the words of the line,
 * else a {@link Diagnostic}. {@link allFromLine} returns all that a line holds.
 *
 * @example
 * ```ts
 * import { RunEvent } from "effect-opencode"
 *
 * console.log(RunEvent.fromLine("not json")._tag) // "Diagnostic"
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromLine: (line: string) => RunEvent = decode.fromLine

/**
 * Turns one line of stdout into everything that it holds, in order: events, and the words beside them as
 * {@link Diagnostic}s. Among other words an event is a whole JSON object of a known type with a session id, which is no
 * part of another object.
 *
 * @example
 * ```ts
 * import { RunEvent } from "effect-opencode"
 *
 * const line = `checked. {"type":"text","sessionID":"ses_1","part":{"text":"hello"}}`
 * console.log(RunEvent.allFromLine(line).map((event) => event._tag)) // ["Diagnostic", "Text"]
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const allFromLine: (line: string) => ReadonlyArray<RunEvent> = decode.allFromSplit

/**
 * The JSON line of an event, without a line feed: what {@link fromLine} reads. Total: where a value cannot be written as
 * JSON, because it is nested too deeply for example, a mark stands in its place.
 *
 * @example
 * ```ts
 * import { RunEvent } from "effect-opencode"
 *
 * const event = RunEvent.fromWire({ type: "text", part: { text: "hello" } })
 * console.log(RunEvent.toLine(event)) // {"type":"text","part":{"text":"hello"}}
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const toLine = (event: RunEvent): string => json.stringify(decode.toWire(event))

/**
 * Narrows an event to one of its kinds.
 *
 * @example
 * ```ts
 * import { RunEvent } from "effect-opencode"
 *
 * const events = [RunEvent.fromWire({ type: "text", part: { text: "hello" } })]
 * console.log(events.filter(RunEvent.is("Text")).map((event) => event.text)) // ["hello"]
 * ```
 *
 * @since 0.1.0
 * @category guards
 */
export const is =
  <Tag extends RunEvent["_tag"]>(tag: Tag) => (event: RunEvent): event is Extract<RunEvent, { readonly _tag: Tag }> =>
    event._tag === tag

/**
 * The answer text that an event carries: `Text` that is not `synthetic`, and the `message`, `assistant` and `model`
 * shapes of other versions; an empty string for everything else.
 *
 * @since 0.1.0
 * @category getters
 */
export const textOf: (event: RunEvent) => string = decode.textOf

/**
 * Whether an event reports a tool call: a `ToolUse`, the `tool_call`, `tool_result` and `tool` shapes of other
 * versions, or a `step_finish` that names a tool.
 *
 * @since 0.1.0
 * @category guards
 */
export const isToolCall: (event: RunEvent) => boolean = decode.isToolCall

/** More than a terminal shows in a line, and little enough for a log. */
const describedLength = 200

/** A model's text must not steer the terminal that shows it. */
const oneLine = (text: string): string => {
  // Cut first: an event can carry megabytes, and each of its characters may become a space that goes.
  const line = ansi.strip(text.trimStart().slice(0, 4 * describedLength)).replace(/[\s\p{C}]+/gu, " ").trim()
  if (line.length <= describedLength) return line
  // Half of a pair of surrogates is no character.
  return `${line.slice(0, describedLength - 1).replace(/[\uD800-\uDBFF]$/, "").trimEnd()}…`
}

const toolUse = (event: ToolUse): string => {
  if (event.status === "error") return `${event.tool} failed: ${event.error ?? "no reason given"}`
  const exit = isObject(event.metadata) ? event.metadata["exit"] : undefined
  const ending = typeof exit === "number" && exit !== 0 ? ` exited with ${exit}:` : ""
  return `${event.tool}${ending} ${event.title ?? ""}`
}

/**
 * What an event says to a person who watches: one line of at most 200 characters, for logs and progress displays. Line
 * breaks and control characters are spaces in it.
 *
 * @example
 * ```ts
 * import { RunEvent } from "effect-opencode"
 *
 * const event = RunEvent.fromWire({
 *   type: "tool_use",
 *   part: { tool: "read", state: { status: "completed", input: {}, output: "", title: "src/main.ts" } }
 * })
 * console.log(RunEvent.describe(event)) // "read src/main.ts"
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const describe = (event: RunEvent): string => {
  switch (event._tag) {
    case "StepStart":
      return "asks the model"
    case "Text":
      return oneLine(event.synthetic === true ? `OpenCode notes: ${event.text}` : event.text)
    case "Reasoning":
      return oneLine(`thinks: ${event.text}`)
    case "ToolUse":
      return oneLine(toolUse(event))
    case "StepFinish":
      return oneLine(`step finished (${event.reason ?? "no reason given"}), ${event.tokens.total} tokens`)
    case "SessionError":
      return oneLine(`${event.name}: ${event.message}`)
    case "PermissionRejected":
      return oneLine(`not permitted: ${event.permission} ${event.patterns.join(", ")}`)
    case "ProviderRetry":
      return oneLine(`the provider failed (${event.attempt}): ${event.reason}`)
    case "TextDelta":
      return oneLine(event.kind === "text" ? event.text : `thinks: ${event.text}`)
    case "PermissionAsked":
      return oneLine(`asks for permission: ${event.permission} ${event.patterns.join(", ")}`)
    case "Diagnostic":
      return oneLine(`no event (${event.reason}): ${event.line}`)
    case "Unknown":
      return oneLine(
        event.type === undefined ? "an event without a type" : `an event of the unknown type ${event.type}`
      )
  }
}
