/**
 * The facts that OpenCode reports on stderr, for every major version; their wording is part of the dialect.
 */
import type * as RunEvent from "../../RunEvent.js"
import * as ansi from "../util/ansi.js"
import { copy } from "../util/lines.js"
import * as providerErrors from "./providerErrors.js"

/** OpenCode replaced the requested agent by its default agent. */
export interface AgentFallback {
  readonly agent: string
  readonly reason: "unknown" | "subagent"
}

/** An attempt at the provider failed. */
export interface ProviderFailure {
  readonly _tag: "ProviderFailure"
  readonly reason: string
  readonly provider?: string | undefined
  readonly model?: string | undefined
  readonly sessionId?: string | undefined
  readonly agent?: string | undefined
}

export type Fact =
  | { readonly _tag: "PermissionRejected"; readonly event: RunEvent.PermissionRejected }
  | ProviderFailure
  /** `isLate`: after the first event, when OpenCode no longer prints it. */
  | { readonly _tag: "AgentFallback"; readonly fallback: AgentFallback; readonly isLate: boolean }

/**
 * Reads the facts of one process from its stderr. OpenCode prints rejected commands verbatim, so the model can write
 * whole lines there, and so can plugins and tool servers: the meaning of a line depends on earlier ones.
 */
export interface Reader {
  /** Takes the lines of one chunk, without ANSI codes; `isFresh` if the previous chunk ended with a complete line. */
  readonly lines: (lines: ReadonlyArray<string>, isFresh: boolean) => ReadonlyArray<Fact>
  /** Takes an event from stdout and returns the facts that waited for one. */
  readonly event: (event: RunEvent.RunEvent) => ReadonlyArray<Fact>
  /** Called when stderr has ended; returns the remaining facts. */
  readonly end: () => ReadonlyArray<Fact>
  /** The last lines not written by the model: those of OpenCode and everything that runs in it. */
  readonly own: () => string
}

/** The end of a permission's patterns. A permission without patterns is on its own line. */
export const ending = "); auto-rejecting"

/** All texts of an input, as printed on stderr. */
export const stringsIn = (input: unknown): ReadonlyArray<string> =>
  typeof input === "string"
    ? [ansi.strip(input)]
    : typeof input === "object" && input !== null
    ? Object.values(input).flatMap(stringsIn)
    : []

/** True if a call with this input can have these patterns. */
export const isFrom = (patterns: ReadonlyArray<string>, input: unknown): boolean => {
  const texts = stringsIn(input)
  return patterns.length > 0 && patterns.every((pattern) => texts.some((text) => text.includes(pattern)))
}

/** More commas than this belong to a text and do not separate commands. */
const maxPieces = 256

/**
 * The patterns of a rejected call whose input is known: stderr joins them by commas and ends them by a phrase, both of
 * which they can contain.
 */
export const patternsOf = (patterns: ReadonlyArray<string>, input: unknown): ReadonlyArray<string> => {
  const joined = patterns.join(", ")
  if (joined === "") return patterns
  const texts = stringsIn(input)
  const isSaid = (text: string): boolean => texts.some((one) => one.includes(text))
  const longer = texts.find((one) => one.includes(`${joined}${ending}`))
  if (longer !== undefined) return [longer]
  if (isSaid(joined)) return [joined]
  const pieces = joined.split(", ")
  if (pieces.length > maxPieces) return patterns
  const whole: Array<string> = []
  for (const piece of pieces) {
    const longest = whole.length === 0 ? piece : `${whole[whole.length - 1]}, ${piece}`
    if (isSaid(longest)) whole.splice(-1, 1, longest)
    else if (isSaid(piece)) whole.push(piece)
    // One of them is not from the input, so the others are uncertain, too.
    else return patterns
  }
  return whole
}

/** Since 1.14, and before. */
const rejectionTexts = /rejected permission to use|^PermissionRejectedError\b/i

/** True if a tool call ended because its permission was rejected. */
export const isRejected = (event: RunEvent.ToolUse): boolean =>
  event.status === "error" && event.error !== undefined && rejectionTexts.test(event.error)

export const providerRetry = (
  { agent, model, provider, reason, sessionId }: ProviderFailure,
  attempt: number
): RunEvent.ProviderRetry => ({
  _tag: "ProviderRetry",
  attempt,
  kind: providerErrors.kindOfText(reason),
  reason: copy(reason),
  provider: provider === undefined ? undefined : copy(provider),
  model: model === undefined ? undefined : copy(model),
  ...(sessionId === undefined ? {} : { sessionId: copy(sessionId) }),
  ...(agent === undefined ? {} : { agent: copy(agent) })
})
