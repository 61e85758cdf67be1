import type * as RunEvent from "../../RunEvent.js"
import type { TokenUsage } from "../../TokenUsage.js"
import { copy } from "../util/lines.js"
import type { Line } from "../util/lines.js"
import { amount, isNullish, isObject, number, string } from "../util/object.js"
import type { WireObject } from "../util/object.js"
import { typeOf } from "./envelope.js"
import * as eventSearch from "./eventSearch.js"
import * as providerErrors from "./providerErrors.js"

const own = "effect-opencode/"

const sessionOf = (raw: WireObject): string | undefined => {
  const id = raw["sessionID"]
  if (typeof id === "string") return id
  const part = raw["part"]
  return isObject(part) ? string(part["sessionID"]) : undefined
}

const unknown = (raw: WireObject): RunEvent.Unknown => ({
  _tag: "Unknown",
  timestamp: number(raw["timestamp"]),
  sessionId: sessionOf(raw),
  raw,
  type: string(raw["type"])
})

const span = (time: unknown) => isObject(time) ? { start: number(time["start"]), end: number(time["end"]) } : undefined

const nothing: WireObject = {}

const partOf = (raw: WireObject): WireObject => isObject(raw["part"]) ? raw["part"] : nothing

/** The names of unreadable fields of an event. */
const marks = (unread: ReadonlyArray<string>): ReadonlyArray<string> | undefined =>
  unread.length === 0 ? undefined : unread

const stepStart = (raw: WireObject): RunEvent.RunEvent => {
  const part = partOf(raw)
  return {
    _tag: "StepStart",
    timestamp: number(raw["timestamp"]),
    sessionId: sessionOf(raw),
    raw,
    messageId: string(part["messageID"]),
    snapshot: string(part["snapshot"])
  }
}

const partText = (part: unknown): string =>
  typeof part === "string" ? part : isObject(part) ? string(part["text"]) ?? string(part["content"]) ?? "" : ""

/** A text, or a list of its parts. */
export const contentOf = (content: unknown): string | undefined =>
  Array.isArray(content) ? content.map(partText).join("") : string(content)

const flatText = (raw: WireObject): string | undefined =>
  string(raw["content"]) ?? string(raw["text"]) ?? string(raw["delta"]) ?? contentOf(raw["content"])

export const field = (value: unknown, name: string): unknown => isObject(value) ? value[name] : undefined

/** True for a plugin's message to the user, which the model does not see. */
export const isIgnored = (raw: WireObject): boolean => field(raw["part"], "ignored") === true

/**
 * Marks a part's line with the origin of its message, OpenCode or the agent. Lines of stdout lack it; a server and an
 * export know it for every message.
 */
export const marked = (isOwn: boolean): WireObject => ({ [`${own}synthetic`]: isOwn })

/** Reads the mark of a line, if it has one. */
export const ownMark = (raw: WireObject): boolean | undefined => {
  const mark = raw[`${own}synthetic`]
  return typeof mark === "boolean" ? mark : undefined
}

/** True if OpenCode continues by itself with this text, after a compaction. */
export const isContinuation = (raw: WireObject): boolean =>
  field(field(raw["part"], "metadata"), "compaction_continue") === true

/** True if OpenCode or a plugin wrote it instead of the model. */
const isOwn = (raw: WireObject): boolean =>
  ownMark(raw) === true || field(raw["part"], "synthetic") === true || isContinuation(raw) || isIgnored(raw)

const textual = (tag: "Text" | "Reasoning") => (raw: WireObject): RunEvent.RunEvent => {
  const part = partOf(raw)
  const text = string(part["text"]) ?? flatText(raw)
  return {
    _tag: tag,
    timestamp: number(raw["timestamp"]),
    sessionId: sessionOf(raw),
    raw,
    messageId: string(part["messageID"]),
    text: text ?? "",
    time: span(part["time"]),
    unread: text === undefined ? ["text"] : undefined
  }
}

const toolUse = (raw: WireObject): RunEvent.RunEvent => {
  const part = partOf(raw)
  const state = isObject(part["state"]) ? part["state"] : nothing
  const tool = string(part["tool"])
  const { status } = state
  const isKnown = status === "completed" || status === "error"
  const error = string(state["error"])
  const output = string(state["output"])
  const unread: Array<string> = []
  if (tool === undefined) unread.push("tool")
  if (!isKnown) unread.push("state.status")
  return {
    _tag: "ToolUse",
    timestamp: number(raw["timestamp"]),
    sessionId: sessionOf(raw),
    raw,
    messageId: string(part["messageID"]),
    callId: string(part["callID"]) ?? string(part["id"]),
    tool: tool ?? "unknown",
    // A call that is not known to be done counts as not done.
    status: isKnown ? status : error === undefined && output !== undefined ? "completed" : "error",
    input: state["input"],
    output,
    error,
    title: string(state["title"]),
    metadata: state["metadata"],
    time: span(state["time"]),
    unread: marks(unread)
  }
}

/** A missing count is 0; an unreadable one, too, and its name is recorded. */
const counted = (u: unknown, name: string, unread: Array<string>): number => {
  if (isNullish(u)) return 0
  const value = amount(u)
  if (value === undefined) unread.push(name)
  return value ?? 0
}

const usage = (tokens: unknown, unread: Array<string>): TokenUsage => {
  if (!isNullish(tokens) && !isObject(tokens)) unread.push("tokens")
  const fields = isObject(tokens) ? tokens : nothing
  const input = counted(fields["input"], "tokens.input", unread)
  const output = counted(fields["output"], "tokens.output", unread)
  const reasoning = counted(fields["reasoning"], "tokens.reasoning", unread)
  const cache = fields["cache"]
  if (!isNullish(cache) && !isObject(cache)) unread.push("tokens.cache")
  const { read, write } = isObject(cache) ? cache : nothing
  const cacheRead = counted(read, "tokens.cache.read", unread)
  const cacheWrite = counted(write, "tokens.cache.write", unread)
  const total = amount(fields["total"]) ?? input + output + reasoning + cacheRead + cacheWrite
  return { total, input, output, reasoning, cacheRead, cacheWrite }
}

const stepFinish = (raw: WireObject): RunEvent.RunEvent => {
  const part = raw["part"]
  const fields = isObject(part) ? part : raw
  const unread: Array<string> = []
  if (!isNullish(part) && !isObject(part)) {
    for (const name of ["reason", "tokens", "cost"]) if (isNullish(raw[name])) unread.push(name)
  }
  if (!isNullish(fields["reason"]) && typeof fields["reason"] !== "string") unread.push("reason")
  return {
    _tag: "StepFinish",
    timestamp: number(raw["timestamp"]),
    sessionId: sessionOf(raw),
    raw,
    messageId: string(fields["messageID"]),
    reason: string(fields["reason"]),
    tokens: usage(fields["tokens"], unread),
    cost: counted(fields["cost"], "cost", unread),
    snapshot: string(fields["snapshot"]),
    unread: marks(unread)
  }
}

/** The fields of an error besides its type. */
const besides = ({ data, message, name }: WireObject): unknown =>
  isNullish(data) && isNullish(message) && isNullish(name) ? undefined : { data, message, name }

const error = (raw: WireObject): RunEvent.RunEvent =>
  // A logger's line can also have this type.
  "error" in raw || sessionOf(raw) !== undefined
    ? {
      _tag: "SessionError",
      timestamp: number(raw["timestamp"]),
      sessionId: sessionOf(raw),
      raw,
      ...providerErrors.describe(raw["error"] ?? besides(raw))
    }
    : unknown(raw)

const permissionRejected = (raw: WireObject): RunEvent.RunEvent => {
  const permission = string(raw["permission"])
  const patterns = raw["patterns"]
  return permission !== undefined && Array.isArray(patterns)
    ? { _tag: "PermissionRejected", permission, patterns: patterns.filter((p) => typeof p === "string") }
    : unknown(raw)
}

const providerRetry = (raw: WireObject): RunEvent.RunEvent => {
  const attempt = number(raw["attempt"])
  const reason = string(raw["reason"])
  const sessionId = sessionOf(raw)
  const agent = string(raw["agent"])
  return attempt !== undefined && reason !== undefined
    ? {
      _tag: "ProviderRetry",
      attempt,
      kind: providerErrors.kindOfText(reason),
      reason,
      provider: string(raw["provider"]),
      model: string(raw["model"]),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(agent === undefined ? {} : { agent })
    }
    : unknown(raw)
}

const textDelta = (raw: WireObject): RunEvent.RunEvent => {
  const partId = string(raw["partID"])
  const text = string(raw["text"])
  const kind = raw["kind"]
  return partId !== undefined && text !== undefined && (kind === "text" || kind === "reasoning")
    ? { _tag: "TextDelta", sessionId: sessionOf(raw), messageId: string(raw["messageID"]), partId, kind, text }
    : unknown(raw)
}

const permissionAsked = (raw: WireObject): RunEvent.RunEvent => {
  const requestId = string(raw["requestID"])
  const permission = string(raw["permission"])
  const patterns = raw["patterns"]
  return requestId !== undefined && permission !== undefined && Array.isArray(patterns)
    ? {
      _tag: "PermissionAsked",
      sessionId: sessionOf(raw),
      requestId,
      permission,
      patterns: patterns.filter((p) => typeof p === "string"),
      callId: string(raw["callID"]),
      metadata: raw["metadata"]
    }
    : unknown(raw)
}

const diagnosticKinds = ["empty_line", "non_object_json", "json_decode_error", "line_too_long"] as const

const ownDiagnostic = (raw: WireObject): RunEvent.RunEvent => {
  const kind = diagnosticKinds.find((k) => k === raw["kind"])
  const line = string(raw["line"])
  const reason = string(raw["reason"])
  return kind !== undefined && line !== undefined && reason !== undefined
    ? { _tag: "Diagnostic", kind, line, reason, ...(raw["lost"] === true ? { lost: true } : {}) }
    : unknown(raw)
}

// A Map, because an object literal would match "constructor" and "__proto__".
const decoders = new Map<unknown, (raw: WireObject) => RunEvent.RunEvent>([
  ["step_start", stepStart],
  ["text", (raw) => {
    const event = textual("Text")(raw)
    return event._tag === "Text" && isOwn(raw) ? { ...event, synthetic: true } : event
  }],
  ["reasoning", textual("Reasoning")],
  ["tool_use", toolUse],
  ["step_finish", stepFinish],
  ["error", error],
  [`${own}permission_rejected`, permissionRejected],
  [`${own}provider_retry`, providerRetry],
  [`${own}text_delta`, textDelta],
  [`${own}permission_asked`, permissionAsked],
  [`${own}diagnostic`, ownDiagnostic]
])

export const fromWire = (raw: WireObject): RunEvent.RunEvent => (decoders.get(typeOf(raw)) ?? unknown)(raw)

export const toWire = (event: RunEvent.RunEvent): WireObject => {
  switch (event._tag) {
    case "PermissionRejected":
      return { type: `${own}permission_rejected`, permission: event.permission, patterns: event.patterns }
    case "ProviderRetry":
      return {
        type: `${own}provider_retry`,
        attempt: event.attempt,
        reason: event.reason,
        provider: event.provider,
        model: event.model,
        ...(event.sessionId === undefined ? {} : { sessionID: event.sessionId }),
        ...(event.agent === undefined ? {} : { agent: event.agent })
      }
    case "TextDelta":
      return {
        type: `${own}text_delta`,
        sessionID: event.sessionId,
        messageID: event.messageId,
        partID: event.partId,
        kind: event.kind,
        text: event.text
      }
    case "PermissionAsked":
      return {
        type: `${own}permission_asked`,
        sessionID: event.sessionId,
        requestID: event.requestId,
        permission: event.permission,
        patterns: event.patterns,
        callID: event.callId,
        metadata: event.metadata
      }
    case "Diagnostic":
      return {
        type: `${own}diagnostic`,
        kind: event.kind,
        line: event.line,
        reason: event.reason,
        ...(event.lost === true ? { lost: true } : {})
      }
    default:
      return event.raw
  }
}

const diagnostic = (
  kind: RunEvent.Diagnostic["kind"],
  line: string,
  reason: string,
  lost = false
): RunEvent.Diagnostic => ({ _tag: "Diagnostic", kind, line: copy(line), reason, ...(lost ? { lost } : {}) })

const firstCharacter = (line: string): number => {
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i)
    if (code !== 0x20 && code !== 0x09 && code !== 0x0d) return code
  }
  return -1
}

const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** The content of a line that is not a single event. */
interface Noisy {
  /** In the order of the line; at least one. */
  readonly events: ReadonlyArray<RunEvent.RunEvent>
  /** The well-formed beginning of an event that the line does not end. */
  readonly open: string | undefined
}

const alone = (event: RunEvent.RunEvent): Noisy => ({ events: [event], open: undefined })

const search = (line: string, reason: string, isCut: boolean): Noisy => {
  const { open, pieces } = eventSearch.find(line, isCut)
  return {
    open,
    events: pieces.map((piece) =>
      piece._tag === "Event"
        ? fromWire(piece.raw)
        : diagnostic("json_decode_error", piece.text, piece.lost ? "an event that cannot be read" : reason, piece.lost)
    )
  }
}

const read = (line: string, isCut = false): RunEvent.RunEvent | Noisy => {
  const first = firstCharacter(line)
  if (first === -1) return alone(diagnostic("empty_line", line, "the line is empty"))
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch (cause) {
    return search(line, messageOf(cause), isCut)
  }
  if (isObject(parsed)) return fromWire(parsed)
  const what = parsed === null ? "null" : Array.isArray(parsed) ? "an array" : `a ${typeof parsed}`
  const lost = Array.isArray(parsed) && parsed.some(eventSearch.isEvent)
  return alone(diagnostic("non_object_json", line, `expected a JSON object, not ${what}`, lost))
}

const tooLong = (bytes: number): RunEvent.Diagnostic =>
  diagnostic("line_too_long", "", `a line of ${bytes} bytes was dropped`, true)

/** Returns all events of a line; `tooLong` is the size of a dropped line. */
export const allFromSplit = (line: Line): ReadonlyArray<RunEvent.RunEvent> => {
  if (typeof line !== "string") return [tooLong(line.tooLong)]
  const found = read(line)
  return "events" in found ? found.events : [found]
}

/** Returns the first event of a line. */
export const fromSplit = (line: Line): RunEvent.RunEvent => {
  const events = allFromSplit(line)
  return events.find((event) => event._tag !== "Diagnostic") ?? events.find(isLost) ?? events[0]!
}

export const fromLine: (line: string) => RunEvent.RunEvent = fromSplit

/** The maximum number of lines between the beginning of an event and its rest. */
const patience = 4

/**
 * Reads the lines of one source in order. An event that other output has cut in two is joined again if that makes a
 * complete one. It is still marked as lost, because the other output can be inside its texts.
 */
export const reader = (): (line: Line, take: (event: RunEvent.RunEvent) => void) => void => {
  let open: string | undefined
  let tries = 0
  return (line, take) => {
    const found = typeof line === "string" ? read(line, open !== undefined) : alone(tooLong(line.tooLong))
    if (!("events" in found)) {
      // A logger's line can also be an object.
      if (found._tag !== "Unknown") open = undefined
      take(found)
      return
    }
    const whole = open === undefined || typeof line !== "string" ? undefined : eventSearch.complete(open, line)
    if (whole !== undefined) {
      open = undefined
      take(fromWire(whole.raw))
      if (firstCharacter(whole.rest) !== -1) allFromSplit(whole.rest).forEach(take)
      return
    }
    if (found.open !== undefined) tries = 0
    const isOver = ++tries > patience || found.events.some((event) => event._tag !== "Diagnostic")
    open = found.open ?? (isOver ? undefined : open)
    found.events.forEach(take)
  }
}

const isLost = (event: RunEvent.RunEvent): boolean => event._tag === "Diagnostic" && event.lost === true

const messageTypes = new Set<unknown>(["message", "assistant", "model"])

export const textOf = (event: RunEvent.RunEvent): string => {
  if (event._tag === "Text") return event.synthetic === true ? "" : event.text
  if (event._tag !== "Unknown" || !messageTypes.has(event.type)) return ""
  const content = event.raw["content"]
  return contentOf(content) ?? partText(content)
}

const toolTypes = new Set<unknown>(["tool_use", "tool_call", "tool_result", "tool"])

export const isToolCall = (event: RunEvent.RunEvent): boolean => {
  switch (event._tag) {
    case "ToolUse":
      return true
    case "Unknown":
      return toolTypes.has(event.type)
    case "StepFinish":
      return !isNullish(event.raw["tool"]) || !isNullish(partOf(event.raw)["tool"])
    default:
      return false
  }
}
