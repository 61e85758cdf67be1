import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import type { SessionErrorKind } from "../../RunEvent.js"
import * as json from "../util/json.js"
import type { WireObject } from "../util/object.js"
import { amount, isObject, number, string } from "../util/object.js"
import * as secretNames from "../util/secretNames.js"
import * as walk from "../util/walk.js"
import { typeOf } from "./envelope.js"

export interface Description {
  readonly kind: SessionErrorKind
  readonly name: string
  readonly message: string
  readonly statusCode: number | undefined
  readonly retryable: boolean | undefined
  readonly retryAfter: Duration.Duration | undefined
}

/**
 * Links and dotted paths are names and carry no meaning: `tools.4.input_schema.properties.api_key` is not about a key,
 * `https://console.acme.dev/settings/billing` not about money.
 */
const names = /https?:\/\/\S+|(?<![\w$.])[\w$]+(?:\[\d+\])?(?:\.[\w$]+(?:\[\d+\])?){2,}/g

/** Nor do quoted words, which name parameters or tools, unless a colon precedes them: that is a code in JSON. */
const quoted = /(?<![:\\]\s{0,3})\\?(["'`])(?!max_)[\w$.-]+\\?\1/g

/** The relevant part of a text is at its beginning. */
const readLength = 10_000

/**
 * Texts of providers, most specific first: the first matching pattern wins. Each is as narrow as its fault, because
 * texts of one kind use words of others: a per-minute limit mentions quotas, a refused prompt policies, and a refused
 * schema any word.
 */
const patterns: ReadonlyArray<readonly [SessionErrorKind, ReadonlyArray<RegExp>]> = [
  ["other", [
    /max_(?:completion_|output_)?tokens\b.{0,60}\btoo (?:large|high)/i,
    /max_(?:completion_|output_)?tokens: \d+ > \d+/i,
    /\b(?:image|file|document|pdf|audio|video|attachment)s?\b.{0,60}\b(?:too (?:large|big|many)|exceeds?)\b/i,
    /\b(?:location|country|region|territory)\b.{0,30}\bnot supported/i
  ]],
  ["quota", [
    /(?:per[ _-]?|\/ ?)(?:day|week|month)|\b(?:daily|weekly|monthly)\b.{0,20}\blimit|\blimit: 0(?![.\d])/i,
    /insufficient[_ ](?:quota|credits?|funds|balance)/i,
    /credit[_ ]balance|\bcredits? (?:are |is )?(?:required|exhausted|depleted)|(?:more|out of) credits|can only afford/i,
    /\bno credits\b(?! (?:were|was|have been))|(?:doesn.t|does not|don.t|do not) have (?:any|enough) credits|key limit exceeded/i,
    /payment[_ ](?:is )?required|no payment method|\bunpaid\b|arrearage|余额不足|requires billing/i,
    /\bsuspended\b.{0,60}\b(?:billing|balance|payment)/i,
    /billing[_ ](?:hard[_ ]limit|not[_ ]active)|check your billing details/i,
    /spend(?:ing)? (?:limit|cap)|usage[_ ]limits?\b.{0,20}\b(?:reached|exceeded)|reached your.{0,30}usage limits?/i,
    /usage_not_included|(?:free usage|prompt tokens limit) exceeded|exceeded your.{0,30}allowance|usagelimiterror/i
  ]],
  ["rate-limit", [
    /per[ _-]?(?:minute|second|min|sec)(?![a-z])|\b[rt]p[ms]\b/i,
    /\b(?:retry|try again) (?:in|after) \d/i,
    /resource has been exhausted \(e\.g\. check quota\)/i
  ]],
  ["quota", [
    /quota\b.{0,40}\b(?:exceed|exhaust|reached|used up)/i,
    /(?:exceed|exhaust|reach|out of)\w*\b.{0,40}\bquota/i,
    /quota_?exceeded/i
  ]],
  ["content-filter", [
    /content[ _-]?(?:filter|policy|management policy|exists risk)|data_?inspection_?failed|prohibited_content/i,
    /responsible_?ai_?policy|(?:usage|safety|acceptable use) (?:polic(?:y|ies)|guidelines)|safety (?:system|filter|reasons)/i,
    /requires moderation|moderation_(?:blocked|error)|inappropriate content/i,
    /\b(?:input|prompt|request|content)\b.{0,20}\b(?:was|were|been) flagged/i
  ]],
  ["context-overflow", [
    /context[ _-]?(?:length|window|limit|size|overflow)/i,
    /(?:prompt|input) (?:is )?too long|maximum (?:prompt|model|input) length|reduce the length of|request_too_large|request entity too large/i,
    /(?:input|prompt) (?:token count|length)\b.{0,40}\bexceeds?|prompt exceeds|total number of tokens\b.{0,40}\bexceed/i,
    /tokens in request more than max tokens|token limit exceeded|exceed\w* model token limit/i,
    /range of input length|\btokens \+ .{0,20}must be <=/i
  ]],
  ["model-not-found", [
    /model[ _-]?not[ _-]?(?:found|supported|available|exist)|no such model|unknown model|deployment_?not_?found/i,
    /\bmodels?\b\W.{0,120}?(?:does not exist|doesn't exist|\bnot found|has been (?:decommissioned|deprecated|retired))/i,
    /^(?:\w+: )?model: \S+(?:\s|$)|\bnot a valid model|invalid model\b|model (?:name|id|identifier)\b.{0,20}\binvalid/i,
    /on-demand throughput isn.t supported|deployment for this resource does not exist|model is not supported/i,
    /model is marked by provider as legacy|does not have access to model|no endpoints found|no allowed providers/i
  ]],
  ["authentication", [
    /\b(?:invalid|incorrect|wrong|missing|expired|revoked|no|valid|provide an)\W+(?:x-)?api[ _-]?key\b/i,
    /\bapi[ _-]?key\b(?: \w+)? (?:is |was )?(?:not valid|not found|invalid|incorrect|missing|required|expired|revoked)/i,
    /(?:in|not )valid_api_key|api_key_(?:in|not_)valid|no auth credentials|not authenticated|failed to authenticate/i,
    /\bun-?authori[sz]ed\b|\bun-?authenticated\b|authentication(?:[_ ](?:error|failed|required)|_fails)/i,
    /\binvalid[ _](?:authentication|credentials?|key)\b|invalid (?:bearer|access|oauth) token|token (?:has |is )?expired/i,
    /\b(?:access|bearer|security|oauth)\b.{0,20}\btoken\b.{0,40}\b(?:invalid|expired|revoked)/i,
    /\bforbidden\b|permission[_ ](?:error|denied)|access[_ ]?denied|don't have access to the model|not authorized/i,
    /credential is only authorized|(?:organization|account)\b.{0,60}\bhas been (?:disabled|deactivated)/i,
    /^(?:\w+: )?40[13]\b|\b(?:HTTP|status(?: code)?|error code)[ :=]*40[13]\b/i
  ]],
  ["rate-limit", [
    /rate[ _-]?limit|rate increased too quickly|too[_ ]many[_ ](?:requests|tokens)|throttl|\boverloaded/i,
    /resource[_ ](?:has been )?exhausted|at capacity|high demand|\bslow down\b|concurren\w+\b.{0,30}\blimit/i,
    /^(?:\w+: )?(?:429|529)\b|\b(?:HTTP|status(?: code)?|error code)[ :=]*(?:429|529)\b/i
  ]],
  ["provider-unavailable", [
    /ECONN\w+|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|getaddrinfo|socket|(?:unable to|cannot) connect|fetch failed/i,
    /(?:network|connection) (?:error|reset|refused|closed|lost)|timed? ?out|\bterminated\b|upstream/i,
    /server_error|server had an error|internal[_ ](?:server[_ ])?error|service[_ -]unavailable|bad gateway/i,
    /(?:temporarily|currently) unavailable/i,
    /provider returned error|^(?:\w+: )?(?:408|5\d\d)\b|\b(?:HTTP|status(?: code)?|error code)[ :=]*(?:408|5\d\d)\b/i
  ]]
]

const said = (text: string): SessionErrorKind | undefined => {
  const words = text.slice(0, readLength).replace(names, " ").replace(quoted, " ")
  return patterns.find(([, some]) => some.some((pattern) => pattern.test(words)))?.[0]
}

export const kindOfText = (text: string): SessionErrorKind => said(text) ?? "other"

/** Google uses the same text for an exhausted minute and an exhausted day. */
const isVague = (text: string): boolean => /ai\.google\.dev\S*\/rate-limits/.test(text)

/**
 * True if retrying cannot succeed. A conversation that is too long can become shorter; a missing model is sometimes
 * found at the next request, which is why OpenCode retries with OpenAI (1.18.33).
 */
export const isHopeless = (kind: SessionErrorKind, text: string, inARow: number): boolean =>
  kind === "authentication" || (kind === "quota" && !isVague(text)) || (kind === "model-not-found" && inARow > 1)

const byName = new Map<string, SessionErrorKind>([
  ["ContextOverflowError", "context-overflow"],
  ["ContentFilterError", "content-filter"],
  ["MessageOutputLengthError", "output-length"],
  ["MessageAbortedError", "aborted"],
  ["ProviderAuthError", "authentication"],
  ["ProviderModelNotFoundError", "model-not-found"],
  // 2.x
  ["provider.content-filter", "content-filter"],
  ["provider.no-route", "model-not-found"],
  ["aborted", "aborted"]
])

/** What the types of 2.x say if neither status nor text say more. */
const otherwise = new Map<string, SessionErrorKind>([
  ["provider.auth", "authentication"],
  ["provider.quota", "quota"],
  ["provider.rate-limit", "rate-limit"],
  ["provider.transport", "provider-unavailable"],
  ["provider.internal", "provider-unavailable"],
  ["provider.timeout", "provider-unavailable"]
])

/** Kinds that a failing server, or a proxy in front of it, can report although the fault is elsewhere. */
const lasting: ReadonlySet<SessionErrorKind | undefined> = new Set(
  ["quota", "content-filter", "context-overflow", "model-not-found"] as const
)

/** The types of 2.x that its own reading of the text has chosen. */
const limits: ReadonlySet<string> = new Set(["provider.quota", "provider.rate-limit"])

/** The text decides before the status, because a 403 can be about money, moderation or a key. */
const kindOf = (name: string, statusCode: number | undefined, text: string): SessionErrorKind => {
  const named = byName.get(name)
  if (named !== undefined) return named
  const words = said(text)
  // A limit per minute can mention a quota, an exhausted account a limit.
  if (limits.has(name)) return words === "quota" || words === "rate-limit" ? words : otherwise.get(name)!
  switch (statusCode) {
    case 401:
      return words === "quota" ? words : "authentication"
    case 402:
      return "quota"
    case 403:
      return words ?? "authentication"
    case 404:
      return words ?? "model-not-found"
    case 413:
      return words ?? "context-overflow"
    case 429:
      return words === "quota" ? words : "rate-limit"
    case 529:
      return "rate-limit"
  }
  return statusCode !== undefined && statusCode >= 500
    ? words !== undefined && lasting.has(words) ? words : "provider-unavailable"
    : words ?? otherwise.get(name) ?? "other"
}

/** `retry-after` is seconds, `retry-after-ms` milliseconds; model providers do not send the date form. */
const retryAfter = (headers: unknown): Duration.Duration | undefined => {
  if (!isObject(headers)) return undefined
  const seconds = amount(headers["retry-after"])
  const millis = amount(headers["retry-after-ms"]) ?? (seconds === undefined ? undefined : seconds * 1000)
  return millis === undefined ? undefined : Duration.millis(millis)
}

const isPage = (body: string): boolean => /^\s*<(?:!doctype|html)/i.test(body)

const words = (u: unknown): string | undefined => typeof u === "string" && u.trim() !== "" ? u : undefined

/**
 * The text for an error without a message: the object itself. Uncut, because secrets are masked before anything is cut.
 */
const wordsOf = (error: unknown): string | undefined =>
  words(error) ?? (isObject(error) || Array.isArray(error) ? json.stringify(error) : undefined)

/** 2.x has a status of 200 for an answer that was cut off. */
const failed = (status: number | undefined): number | undefined =>
  status !== undefined && status >= 400 ? status : undefined

/** Describes an error. Total: accepts any shape. */
export const describe = (error: unknown): Description => {
  const own: WireObject = isObject(error) ? error : {}
  const data: WireObject = isObject(own["data"]) ? own["data"] : own
  const name = string(own["name"]) ?? string(own["type"])
  const message = words(data["message"]) ?? words(own["message"]) ?? words(own["data"]) ?? words(name) ??
    wordsOf(error) ?? "no reason given"
  const statusCode = number(data["statusCode"]) ?? failed(number(own["status"]))
  const response = isObject(own["response"]) ? own["response"] : {}
  const body = string(data["responseBody"]) ?? string(response["body"]) ?? ""
  return {
    // A proxy's HTML page can mention anything, so its text does not decide.
    kind: kindOf(name ?? "UnknownError", statusCode, isPage(body) ? message : `${message}\n${body}`),
    name: name ?? "UnknownError",
    message,
    statusCode,
    retryable: typeof data["isRetryable"] === "boolean" ? data["isRetryable"] : undefined,
    retryAfter: retryAfter(data["responseHeaders"])
  }
}

const maxBody = 2000

/**
 * Returns the printed error without headers that could hold secrets, with names and texts masked and then cut; in this
 * order, because the beginning of a secret is secret, too.
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

/** Masks a printed `error` line, or its event, like the error itself; returns anything else unchanged. */
export const sanitizeWire = (line: WireObject, redact: (text: string) => string): WireObject => {
  if (typeOf(line) !== "error") return line
  const error = sanitize(line["error"], redact)
  return error === line["error"] ? line : { ...line, error }
}
