import type * as RunEvent from "../RunEvent.js"
import { copy } from "./lineSplitter.js"
import * as sessionError from "./sessionError.js"

/** OpenCode replaced the agent that was asked for by its default agent. */
export interface AgentFallback {
  readonly agent: string
  readonly reason: "unknown" | "subagent"
}

/** What one line of stderr says. */
export type LineFact =
  | { readonly _tag: "PermissionRejected"; readonly event: RunEvent.PermissionRejected }
  | {
    readonly _tag: "ProviderFailure"
    readonly reason: string
    readonly provider?: string | undefined
    readonly model?: string | undefined
  }
  | { readonly _tag: "AgentFallback"; readonly fallback: AgentFallback }
  | { readonly _tag: "Log" }
  | { readonly _tag: "Other" }

const rejected = /^!\s+permission requested: (\S+)(?: \((.*)\))?; auto-rejecting$/
const fallback = /^!\s+agent "(.*)" (not found|is a subagent, not a primary agent)\. Falling back to default agent$/

/** Splits a logfmt line into its pairs; a quoted value is unquoted. Total: what is no pair is passed over. */
export const logfmt = (line: string): ReadonlyMap<string, string> => {
  const pairs = new Map<string, string>()
  for (const match of line.matchAll(/([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)/g)) {
    const value = match[2]!
    pairs.set(match[1]!, value.startsWith("\"") ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value)
  }
  return pairs
}

/** Lines of OpenCode's own log: logfmt on 1.17 and later, `ERROR 2026-… +3ms service=…` before. */
const isLog = (line: string): boolean =>
  /^timestamp=\S+ level=/.test(line) || /^(DEBUG|INFO|WARN|ERROR)\s+\d{4}-\d\d-\d\dT/.test(line)

const providerFailure = (line: string): LineFact => {
  const pairs = logfmt(line)
  // The title generator is another model call, which does not decide about the run.
  if (pairs.get("small") === "true") return { _tag: "Log" }
  const structured = pairs.get("message") === "stream error"
  const older = !structured && /\bstream error\b/.test(line)
  if (!structured && !older) return { _tag: "Log" }
  return {
    _tag: "ProviderFailure",
    reason: pairs.get("error.error") ?? pairs.get("error.error.message") ?? pairs.get("error") ?? "stream error",
    provider: pairs.get("providerID"),
    model: pairs.get("modelID")
  }
}

export const classify = (line: string): LineFact => {
  if (line.startsWith("!")) {
    const permission = rejected.exec(line)
    if (permission !== null) {
      const patterns = permission[2] === undefined || permission[2] === "" ? [] : permission[2].split(", ")
      return {
        _tag: "PermissionRejected",
        event: { _tag: "PermissionRejected", permission: copy(permission[1]!), patterns: patterns.map(copy) }
      }
    }
    const agent = fallback.exec(line)
    if (agent !== null) {
      return {
        _tag: "AgentFallback",
        fallback: { agent: copy(agent[1]!), reason: agent[2] === "not found" ? "unknown" : "subagent" }
      }
    }
    return { _tag: "Other" }
  }
  return isLog(line) ? providerFailure(line) : { _tag: "Other" }
}

export const providerRetry = (
  fact: Extract<LineFact, { readonly _tag: "ProviderFailure" }>,
  attempt: number
): RunEvent.ProviderRetry => ({
  _tag: "ProviderRetry",
  attempt,
  kind: sessionError.kindOfText(fact.reason),
  reason: copy(fact.reason),
  provider: fact.provider === undefined ? undefined : copy(fact.provider),
  model: fact.model === undefined ? undefined : copy(fact.model)
})
