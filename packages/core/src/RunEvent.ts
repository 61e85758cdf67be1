/**
 * The events of a run: one tagged union, decoded from the JSON lines that OpenCode prints.
 *
 * Nothing is lost: every event carries the printed object as `raw`, including fields that this library does not know;
 * an unknown type becomes an {@link Unknown}. A known event is read field by field: a field with an unexpected form is
 * left out, and named in `unread` if the library needs it. Numbers may be written as strings. An event is also found on
 * a line with other text. {@link PermissionRejected} and {@link ProviderRetry} are made from OpenCode's stderr, and a
 * {@link Diagnostic} stands for a line that is not a JSON object. {@link PermissionAsked} comes from a
 * server only (`OpenCodeServer`), {@link TextDelta} from a server and from OpenCode 2.
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
import { isObject, isPlain } from "./internal/util/object.js"
import * as portable from "./internal/util/portable.js"
import * as schemas from "./internal/util/schemas.js"
import { TokenUsage } from "./TokenUsage.js"

/**
 * A JSON object as OpenCode printed it.
 *
 * @since 0.1.0
 * @category models
 */
export type WireObject = { readonly [key: string]: unknown }

const WireObject: Schema.Schema<WireObject> = schemas.AnyObject

const fromOpenCode = {
  /** Milliseconds since the epoch, as OpenCode reported them. */
  timestamp: Schema.optional(Schema.Number),
  sessionId: Schema.optional(Schema.String),
  raw: WireObject
}

/**
 * Needed fields that are present but cannot be read, by OpenCode's names: with `cost` or `tokens.input` among them the
 * spending is unknown.
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
 * A `synthetic` text is not part of the answer: OpenCode wrote it for itself, for example to continue after a
 * compaction (1.18.33). The summary of the compaction is a `Text` before that: through a server it is `synthetic`; on
 * stdout it is unmarked, and `RunResult.fold` and `RunResult.agentTexts` recognize it by what follows.
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
   * `true` if OpenCode or a plugin wrote the text instead of the model; absent otherwise. It is not part of the answer.
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
 * `metadata.exit`. Sub-agents appear only as their parent's `task` call.
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
 * A step has ended. `reason` is `stop`, `tool-calls`, `length`, `content-filter`, `unknown` or another reason of the
 * provider's adapter; `cost` is in US dollars by the prices in OpenCode's model list.
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
  /** Those of `reason`, `cost`, `tokens` and its fields (`tokens.input`) that cannot be read; such an amount is 0. */
  unread
})

/**
 * The kind of a session error, for programs that branch on it.
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
 * OpenCode needed a permission, had nobody to ask and rejected it, as reported on stderr; or, through a server, a
 * permission request was rejected.
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
 * An attempt at the provider failed; OpenCode retries by itself unless the error is permanent (a 401, for example).
 * Made from OpenCode's error log and from repeated steps, because stdout does not show it; a server reports it.
 * `sessionId` is the conversation whose attempt failed, the run's own or a sub-agent's, and `attempt` counts the
 * failures of that conversation from 1.
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
  /** The agent whose attempt it was, if OpenCode names it. */
  agent: Schema.optional(Schema.String)
})

/**
 * A piece of an answer, or of reasoning with `thinking`, as the model produces it; the whole part follows as a {@link
 * Text} or {@link Reasoning}, unless the provider cuts it off. Only through a server or with OpenCode 2, with `stream` and
 * `onEvent`; neither in `RunResult.events` nor in a transcript.
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
 * OpenCode waits for a permission, and `onPermission` of the server's layer is asked. `sessionId` is that of the
 * sub-agent if one asks. Only through a server.
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
  /** Further details from OpenCode, the whole `command` of a shell call for example. */
  metadata: Schema.optional(Schema.Unknown)
})

/**
 * A line of stdout that is not an event, or the text around an event on its line.
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
  /** `true` if the line looks like an event, or a piece of one, that could not be read; see `RunResult.lostLines`. */
  lost: Schema.optional(Schema.Boolean)
})

/**
 * An event of an unknown type. `raw` holds all of it.
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

const objectOf = (value: unknown, otherwise: WireObject): WireObject => isPlain(value) ? value : otherwise

/**
 * The Schema of a {@link RunEvent}. Its encoded side is the JSON object that OpenCode printed (or one made by this
 * library, whose `type` begins with `effect-opencode/`), so events pass through JSON, files and RPC unchanged.
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
export const RunEvent: Schema.Schema<RunEvent, WireObject> = schemas.converted(WireObject, Decoded, {
  decode: (wire) => decode.fromWire(objectOf(portable.decode(wire), wire)),
  encode: (event) => objectOf(portable.encode(decode.toWire(event)), {})
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
 * Turns one line of stdout into an event: the JSON object that is the whole line, else the first event on it, else a
 * {@link Diagnostic}. {@link allFromLine} returns everything on a line.
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
 * Turns one line of stdout into everything that it holds, in order: events, and the text around them as {@link
 * Diagnostic}s. Within other text, an event is a complete JSON object of a known type with a session id that is not
 * inside another object.
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
 * The JSON line of an event, without a line feed: what {@link fromLine} reads. Total: a marker replaces a value that
 * cannot be written as JSON, for example because it is nested too deeply.
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
 * True if an event reports a tool call: a `ToolUse`, the `tool_call`, `tool_result` and `tool` shapes of other
 * versions, or a `step_finish` that names a tool.
 *
 * @since 0.1.0
 * @category guards
 */
export const isToolCall: (event: RunEvent) => boolean = decode.isToolCall

/** More than a line of a terminal, and short enough for a log. */
const describedLength = 200

/** A model's text must not control the terminal that shows it. */
const oneLine = (text: string): string => {
  // Cut first, because an event can carry megabytes; to more than the result, because white space is collapsed.
  const line = ansi.strip(text.trimStart().slice(0, 4 * describedLength)).replace(/[\s\p{C}]+/gu, " ").trim()
  if (line.length <= describedLength) return line
  // Do not end in half of a surrogate pair.
  return `${line.slice(0, describedLength - 1).replace(/[\uD800-\uDBFF]$/, "").trimEnd()}…`
}

const toolUse = (event: ToolUse): string => {
  if (event.status === "error") return `${event.tool} failed: ${event.error ?? "no reason given"}`
  const exit = isObject(event.metadata) ? event.metadata["exit"] : undefined
  const ending = typeof exit === "number" && exit !== 0 ? ` exited with ${exit}:` : ""
  return `${event.tool}${ending} ${event.title ?? ""}`
}

/**
 * Describes an event in one line of at most 200 characters, for logs and progress displays. Line breaks and control
 * characters become spaces.
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
        event.type === undefined ? "an event without a type" : `an event of unknown type ${event.type}`
      )
  }
}
