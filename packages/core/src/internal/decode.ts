import type * as RunEvent from "../RunEvent.js"
import type { TokenUsage } from "../TokenUsage.js"
import { copy } from "./lineSplitter.js"
import type { Line } from "./lineSplitter.js"
import * as sessionError from "./sessionError.js"
import * as wire from "./wire.js"
import type { WireObject } from "./wire.js"

const own = "effect-opencode/"

const string = (u: unknown): string | undefined => typeof u === "string" ? u : undefined
const number = (u: unknown): number | undefined => typeof u === "number" ? u : undefined

const timestampOf = (raw: WireObject): number | undefined => number(raw["timestamp"])
const sessionOf = (raw: WireObject): string | undefined => string(raw["sessionID"])

const unknown = (raw: WireObject): RunEvent.Unknown => ({
  _tag: "Unknown",
  timestamp: timestampOf(raw),
  sessionId: sessionOf(raw),
  raw,
  type: string(raw["type"])
})

const span = (
  time: { readonly start?: number | null | undefined; readonly end?: number | null | undefined } | null | undefined
) => time === null || time === undefined ? undefined : { start: time.start ?? undefined, end: time.end ?? undefined }

const stepStart = (raw: WireObject): RunEvent.RunEvent =>
  wire.isStepStart(raw)
    ? {
      _tag: "StepStart",
      timestamp: timestampOf(raw),
      sessionId: sessionOf(raw),
      raw,
      messageId: raw.part.messageID ?? undefined,
      snapshot: raw.part.snapshot ?? undefined
    }
    : unknown(raw)

const flatText = (raw: WireObject): string | undefined =>
  string(raw["content"]) ?? string(raw["text"]) ?? string(raw["delta"])

const textual = (tag: "Text" | "Reasoning") => (raw: WireObject): RunEvent.RunEvent => {
  if (wire.isText(raw)) {
    return {
      _tag: tag,
      timestamp: timestampOf(raw),
      sessionId: sessionOf(raw),
      raw,
      messageId: raw.part.messageID ?? undefined,
      text: raw.part.text,
      time: span(raw.part.time)
    }
  }
  const text = flatText(raw)
  return text === undefined ?
    unknown(raw) :
    {
      _tag: tag,
      timestamp: timestampOf(raw),
      sessionId: sessionOf(raw),
      raw,
      messageId: undefined,
      text,
      time: undefined
    }
}

const toolUse = (raw: WireObject): RunEvent.RunEvent => {
  if (!wire.isToolUse(raw)) return unknown(raw)
  const part = raw.part
  const state: typeof part.state & { readonly input?: unknown; readonly metadata?: unknown } = part.state
  return {
    _tag: "ToolUse",
    timestamp: timestampOf(raw),
    sessionId: sessionOf(raw),
    raw,
    messageId: part.messageID ?? undefined,
    callId: part.callID ?? part.id ?? undefined,
    tool: part.tool,
    status: state.status,
    input: state.input,
    output: state.output ?? undefined,
    error: state.error ?? undefined,
    title: state.title ?? undefined,
    metadata: state.metadata,
    time: span(state.time)
  }
}

const usage = (tokens: wire.StepFinishFields["tokens"]): TokenUsage => {
  const input = tokens?.input ?? 0
  const output = tokens?.output ?? 0
  const reasoning = tokens?.reasoning ?? 0
  const cacheRead = tokens?.cache?.read ?? 0
  const cacheWrite = tokens?.cache?.write ?? 0
  const total = tokens?.total ?? input + output + reasoning + cacheRead + cacheWrite
  return { total, input, output, reasoning, cacheRead, cacheWrite }
}

const stepFinish = (raw: WireObject): RunEvent.RunEvent => {
  const fields = raw["part"] ?? raw
  if (!wire.isStepFinish(fields)) return unknown(raw)
  return {
    _tag: "StepFinish",
    timestamp: timestampOf(raw),
    sessionId: sessionOf(raw),
    raw,
    messageId: fields.messageID ?? undefined,
    reason: fields.reason ?? undefined,
    tokens: usage(fields.tokens),
    cost: fields.cost ?? 0,
    snapshot: fields.snapshot ?? undefined
  }
}

const error = (raw: WireObject): RunEvent.RunEvent =>
  wire.isError(raw)
    ? {
      _tag: "SessionError",
      timestamp: timestampOf(raw),
      sessionId: sessionOf(raw),
      raw,
      ...sessionError.describe(raw.error)
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
      kind: sessionError.kindOfText(reason),
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
    ? { _tag: "Diagnostic", kind, line, reason }
    : unknown(raw)
}

// A Map: an object literal would answer for "constructor" and "__proto__".
const decoders = new Map<unknown, (raw: WireObject) => RunEvent.RunEvent>([
  ["step_start", stepStart],
  ["text", textual("Text")],
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

export const fromWire = (raw: WireObject): RunEvent.RunEvent => (decoders.get(raw["type"]) ?? unknown)(raw)

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
      return { type: `${own}diagnostic`, kind: event.kind, line: event.line, reason: event.reason }
    default:
      return event.raw
  }
}

const diagnostic = (kind: RunEvent.Diagnostic["kind"], line: string, reason: string): RunEvent.Diagnostic => ({
  _tag: "Diagnostic",
  kind,
  line: copy(line),
  reason
})

const firstCharacter = (line: string): number => {
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i)
    if (code !== 0x20 && code !== 0x09 && code !== 0x0d) return code
  }
  return -1
}

const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

export const fromLine = (line: string): RunEvent.RunEvent => {
  const first = firstCharacter(line)
  if (first === -1) return diagnostic("empty_line", line, "the line is empty")
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch (cause) {
    return diagnostic("json_decode_error", line, messageOf(cause))
  }
  return wire.isObject(parsed)
    ? fromWire(parsed)
    : diagnostic(
      "non_object_json",
      line,
      `a JSON object was expected, not ${
        parsed === null ? "null" : Array.isArray(parsed) ? "an array" : `a ${typeof parsed}`
      }`
    )
}

/** A line of the splitter; `tooLong` has the size of what was dropped. */
export const fromSplit = (line: Line): RunEvent.RunEvent =>
  typeof line === "string"
    ? fromLine(line)
    : diagnostic("line_too_long", "", `a line of ${line.tooLong} bytes was dropped`)

const partText = (part: unknown): string =>
  typeof part === "string" ? part : wire.isObject(part) ? string(part["text"]) ?? string(part["content"]) ?? "" : ""

const messageTypes = new Set<unknown>(["message", "assistant", "model"])

export const textOf = (event: RunEvent.RunEvent): string => {
  if (event._tag === "Text") return event.text
  if (event._tag !== "Unknown" || !messageTypes.has(event.type)) return ""
  const content = event.raw["content"]
  return Array.isArray(content) ? content.map(partText).join("") : partText(content)
}

const toolTypes = new Set<unknown>(["tool_use", "tool_call", "tool_result", "tool"])

export const isToolCall = (event: RunEvent.RunEvent): boolean => {
  switch (event._tag) {
    case "ToolUse":
      return true
    case "Unknown":
      return toolTypes.has(event.type)
    case "StepFinish": {
      const fields = event.raw["part"] ?? event.raw
      return wire.isObject(fields) && fields["tool"] !== undefined && fields["tool"] !== null
    }
    default:
      return false
  }
}
