/**
 * What OpenCode says on stderr, in terms that hold for every major version; how it says it is the dialect's.
 */
import type * as RunEvent from "../../RunEvent.js"
import * as ansi from "../util/ansi.js"
import { copy } from "../util/lines.js"
import * as providerErrors from "./providerErrors.js"

/** OpenCode replaced the agent that was asked for by its default agent. */
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
  /** `isLate`: after the first event, where OpenCode says it no more. */
  | { readonly _tag: "AgentFallback"; readonly fallback: AgentFallback; readonly isLate: boolean }

/**
 * Reads the facts of one process from its stderr. OpenCode prints the commands that it rejects as they are, so that the
 * model writes whole lines of it, and plugins and tool servers print there as well: what a line says depends on those
 * before it.
 */
export interface Reader {
  /**
   * Takes the lines of one chunk without codes of a terminal; `isFresh` where the chunk before it ended with a line.
   */
  readonly lines: (lines: ReadonlyArray<string>, isFresh: boolean) => ReadonlyArray<Fact>
  /** An event has come on stdout: gives the facts that waited for one. */
  readonly event: (event: RunEvent.RunEvent) => ReadonlyArray<Fact>
  /** stderr has ended. */
  readonly end: () => ReadonlyArray<Fact>
  /** The last lines that are not the model's: those of OpenCode and whatever runs in it. */
  readonly own: () => string
}

/** Ends the patterns of a permission. One without patterns is a line of its own. */
export const ending = "); auto-rejecting"

/** All texts of an input, as stderr shows them to us. */
export const stringsIn = (input: unknown): ReadonlyArray<string> =>
  typeof input === "string"
    ? [ansi.strip(input)]
    : typeof input === "object" && input !== null
    ? Object.values(input).flatMap(stringsIn)
    : []

/** Whether these patterns can be those of a call with this input. */
export const isFrom = (patterns: ReadonlyArray<string>, input: unknown): boolean => {
  const texts = stringsIn(input)
  return patterns.length > 0 && patterns.every((pattern) => texts.some((text) => text.includes(pattern)))
}

/** More commas than that are in a text, not between commands. */
const maxPieces = 256

/**
 * The patterns of a rejected call whose input is known: stderr joins them by commas, which they can hold as well, and
 * ends them by words that they can hold as well.
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
    // One of them is not from the input, so nothing is known of the others.
    else return patterns
  }
  return whole
}

const rejectionTexts = /rejected permission to use/i

/** Whether a call of a tool ended because what it asked for was rejected. */
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
