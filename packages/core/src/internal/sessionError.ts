import * as Redacted from "effect/Redacted"
import type { SessionErrorKind } from "../RunEvent.js"
import * as json from "./json.js"
import * as secretNames from "./secretNames.js"
import * as walk from "./walk.js"
import type { WireObject } from "./wire.js"
import { isObject, number, string, typeOf } from "./wire.js"

export interface Description {
  readonly kind: SessionErrorKind
  readonly name: string
  readonly message: string
  readonly statusCode: number | undefined
  readonly retryable: boolean | undefined
  readonly retryAfter: number | undefined
}

/**
 * Only provider texts go through here, never a prompt or an answer, so a match is about the provider.
 * The first pattern that fits wins: a quota error often carries the words of a rate limit as well.
 */
const patterns: ReadonlyArray<readonly [RegExp, SessionErrorKind]> = [
  [/insufficient_quota|quota|billing|payment required|credit balance/i, "quota"],
  [/rate.?limit|too many requests|\b429\b|overloaded/i, "rate-limit"],
  [/context.?(length|window|overflow)|prompt is too long|maximum context|too large/i, "context-overflow"],
  [/model.?not.?found|ModelNotFound|no such model|unknown model|model .* does not exist/i, "model-not-found"],
  [/api.?key|unauthori[sz]ed|authenticat|invalid.?key|\b401\b|forbidden|\b403\b/i, "authentication"],
  [/content.?filter|content.?policy/i, "content-filter"],
  [
    /ECONNREFUSED|ECONNRESET|ENOTFOUND|unable to connect|connection reset|server_error|socket|fetch failed|service unavailable|bad gateway|internal server error|timed? ?out/i,
    "provider-unavailable"
  ]
]

export const kindOfText = (text: string): SessionErrorKind =>
  patterns.find(([pattern]) => pattern.test(text))?.[1] ?? "other"

const byName = new Map<string, SessionErrorKind>([
  ["ContextOverflowError", "context-overflow"],
  ["ContentFilterError", "content-filter"],
  ["MessageOutputLengthError", "output-length"],
  ["MessageAbortedError", "aborted"],
  ["ProviderAuthError", "authentication"],
  ["ProviderModelNotFoundError", "model-not-found"]
])

const kindOf = (name: string, statusCode: number | undefined, text: string): SessionErrorKind => {
  const named = byName.get(name)
  if (named !== undefined) return named
  const said = kindOfText(text)
  switch (statusCode) {
    case undefined:
      return said
    case 401:
    case 403:
      return "authentication"
    case 402:
      return "quota"
    case 404:
      return "model-not-found"
    case 413:
      return "context-overflow"
    case 429:
      return said === "quota" ? "quota" : "rate-limit"
    case 529:
      return "rate-limit"
  }
  return statusCode >= 500 ? "provider-unavailable" : said
}

/** `retry-after` is seconds, `retry-after-ms` milliseconds; the date form is not seen from model providers. */
const retryAfter = (headers: unknown): number | undefined => {
  if (!isObject(headers)) return undefined
  const millis = Number(headers["retry-after-ms"])
  if (headers["retry-after-ms"] !== undefined && Number.isFinite(millis)) return millis
  const seconds = Number(headers["retry-after"])
  return headers["retry-after"] !== undefined && Number.isFinite(seconds) ? seconds * 1000 : undefined
}

/** Words for an error that has none: the object itself. Uncut, because secrets are masked before anything is cut. */
const wordsOf = (error: unknown): string | undefined =>
  string(error) ?? (isObject(error) || Array.isArray(error) ? json.stringify(error) : undefined)

/** Total: an error of any shape is one. */
export const describe = (error: unknown): Description => {
  const own: WireObject = isObject(error) ? error : {}
  const data: WireObject = isObject(own["data"]) ? own["data"] : own
  const name = string(own["name"]) ?? string(own["type"])
  const message = string(data["message"]) ?? string(own["message"]) ?? string(own["data"]) ?? name ??
    wordsOf(error) ?? "no reason given"
  const statusCode = number(data["statusCode"])
  return {
    kind: kindOf(name ?? "UnknownError", statusCode, `${message} ${string(data["responseBody"]) ?? ""}`),
    name: name ?? "UnknownError",
    message,
    statusCode,
    retryable: typeof data["isRetryable"] === "boolean" ? data["isRetryable"] : undefined,
    retryAfter: retryAfter(data["responseHeaders"])
  }
}

const maxBody = 2000

/**
 * The printed error without headers that could hold secrets; names and texts cleaned, then the texts cut: the beginning
 * of a secret is one, too.
 */
export const sanitize = (error: unknown, redact: (text: string) => string): unknown =>
  walk.map(error, {
    text: (text) => {
      const clean = redact(text)
      return clean.length > maxBody ? clean.slice(0, maxBody) : clean
    },
    name: redact,
    drop: (name, under) => secretNames.isHeaders(under) && !secretNames.isHarmlessHeader(name)
  }, Redacted.isRedacted)

/** A printed `error` line, or the event of one, cleaned like the error alone; anything else as it is. */
export const sanitizeWire = (line: WireObject, redact: (text: string) => string): WireObject => {
  if (typeOf(line) !== "error") return line
  const error = sanitize(line["error"], redact)
  return error === line["error"] ? line : { ...line, error }
}
