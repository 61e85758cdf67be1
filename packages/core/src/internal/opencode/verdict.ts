/**
 * Decides how a run ended, in one place. OpenCode's exit code does not: 0 is also the code of a rejected permission, of
 * a conversation that lost its end and, before 1.15, of a provider's error; 1 is also the code of a run that recovered
 * from an error and finished.
 */
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import {
  OpenCodeBudgetError,
  OpenCodeCancelledError,
  OpenCodeConfigError,
  OpenCodeIncompleteError,
  OpenCodePermissionError,
  OpenCodeProcessError,
  OpenCodeServerError,
  OpenCodeSessionError,
  OpenCodeSqliteError,
  OpenCodeTimeoutError
} from "../../OpenCodeError.js"
import type { RunError, RunSnapshot } from "../../OpenCodeError.js"
import type { ProviderRetry, SessionError } from "../../RunEvent.js"
import * as json from "../util/json.js"
import { isObject } from "../util/object.js"
import { unchecked } from "../util/unchecked.js"
import * as check from "./check.js"
import type { CrashTexts } from "./dialect.js"
import * as providerErrors from "./providerErrors.js"
import type { Evidence } from "./summary.js"

/** How the process or the server's prompt of the run ended. */
export type Exit =
  | { readonly _tag: "Code"; readonly code: number }
  /** Without a name if only the exit code reports a signal. */
  | { readonly _tag: "Signal"; readonly signal: string | undefined }
  /** The prompt has ended on a server, which keeps running. */
  | { readonly _tag: "Settled" }
  /** The server could not be reached, or is gone. */
  | { readonly _tag: "Server"; readonly error: OpenCodeServerError }
  /** The prompt was not sent, for this reason. */
  | { readonly _tag: "Refused"; readonly error: RunError }
  /** The ending is unknown. */
  | { readonly _tag: "Lost" }

/** The guard that ended the run, if one did. */
export type Guard =
  | { readonly _tag: "Timeout"; readonly phase: "startup" | "idle" | "total"; readonly limit: Duration.Duration }
  | {
    readonly _tag: "Budget"
    readonly limit: "steps" | "cost" | "tokens" | "toolCalls"
    readonly max: number
    readonly reached: number
    /** The owner of the limit, if the spending is unknown. */
    readonly unpriced?: "run" | "fleet" | undefined
  }
  /** OpenCode would have used its default agent instead of the requested one. */
  | { readonly _tag: "AgentFallback"; readonly agent: string; readonly reason: "unknown" | "subagent" }
  /** An attempt at the provider failed: the last allowed one, or one that retrying cannot fix (`isHopeless`). */
  | { readonly _tag: "ProviderRetries"; readonly retry: ProviderRetry; readonly isHopeless?: boolean | undefined }
  /** The conversation had finished, the process did not exit. */
  | { readonly _tag: "ExitGrace" }

/** The facts from which a verdict is made. */
export interface Facts {
  readonly evidence: Evidence
  readonly exit: Exit
  readonly guard: Guard | undefined
  /** The snapshot that an error carries. */
  readonly partial: RunSnapshot
  /**
   * The part of stderr that the verdict reads: OpenCode's own lines, without the texts of rejected commands. Default:
   * the `stderr` of `partial`.
   */
  readonly ownStderr?: string | undefined
  readonly crashTexts: CrashTexts
  /** Masks secrets in provider texts. */
  readonly redact: (text: string) => string
}

/** The conversation finished. */
export interface Finished {
  readonly finishReason: string
  readonly exitCode: number | undefined
  /** True if the process had to be ended after that. */
  readonly forced: boolean
}

const stderrOf = ({ ownStderr, partial }: Facts): string => ownStderr ?? partial.stderr

const fromGuard = (guard: Exclude<Guard, { readonly _tag: "ExitGrace" }>, facts: Facts): RunError => {
  const { partial } = facts
  switch (guard._tag) {
    case "Timeout":
      return unchecked(OpenCodeTimeoutError, { phase: guard.phase, limit: guard.limit, partial })
    case "Budget":
      return unchecked(OpenCodeBudgetError, {
        scope: guard.unpriced ?? "run",
        limit: guard.limit,
        max: guard.max,
        reached: guard.reached,
        ...(guard.unpriced === undefined ? {} : { unpriced: true }),
        partial
      })
    case "AgentFallback":
      return new OpenCodeConfigError(check.agentFallback(guard))
    case "ProviderRetries": {
      // OpenCode has reported it itself meanwhile, with more details.
      const said = facts.evidence.pendingError
      if (guard.isHopeless === true && said !== undefined && said.kind !== "aborted") {
        return fromSessionError(said, facts)
      }
      const why = guard.isHopeless === true
        ? "OpenCode would retry, which cannot succeed"
        : `the last of ${guard.retry.attempt} failed attempts, \`maxProviderRetries\``
      return unchecked(OpenCodeSessionError, {
        kind: guard.retry.kind,
        errorName: guard.isHopeless === true ? "ProviderRefusal" : "ProviderRetryLimit",
        reason: `${facts.redact(guard.retry.reason)} (${why})`,
        retryable: guard.isHopeless !== true,
        providerRetries: guard.retry.attempt,
        error: undefined,
        partial
      })
    }
  }
}

const markOf = (event: SessionError): unknown => {
  const error = event.raw["error"]
  const data = isObject(error) ? error["data"] : undefined
  return isObject(data) ? data["ref"] : undefined
}

const fromSessionError = (event: SessionError, facts: Facts): RunError => {
  const { evidence, partial, redact } = facts
  if (event.kind === "aborted") return unchecked(OpenCodeCancelledError, { partial })
  // "Unexpected server error. Check server logs": the log is on stderr.
  const logged = event.kind === "other" ? facts.crashTexts.missingModel(stderrOf(facts), markOf(event)) : undefined
  return unchecked(OpenCodeSessionError, {
    kind: logged === undefined ? event.kind : "model-not-found",
    errorName: redact(event.name),
    reason: redact(logged ?? event.message),
    statusCode: event.statusCode,
    retryable: event.retryable,
    retryAfter: event.retryAfter,
    providerRetries: evidence.retries,
    error: json.bounded(providerErrors.sanitize(event.raw["error"], redact)),
    partial
  })
}

/** Signals that ask a program to stop; a SIGKILL can also come from the kernel, out of memory. */
const cancelling = new Set(["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])

const fromExit = (facts: Facts): RunError | undefined => {
  const { evidence, exit, guard, partial } = facts
  // We sent the signal, so it says nothing about the run.
  if (guard?._tag === "ExitGrace" && (evidence.finished || exit._tag === "Signal")) return undefined
  switch (exit._tag) {
    case "Settled":
      return undefined
    case "Refused":
      return exit.error
    case "Server":
      return unchecked(OpenCodeServerError, { ...exit.error, partial })
    case "Lost":
      return unchecked(OpenCodeProcessError, { partial })
    case "Signal":
      return exit.signal === undefined || cancelling.has(exit.signal)
        ? unchecked(OpenCodeCancelledError, { signal: exit.signal, partial })
        : unchecked(OpenCodeProcessError, { signal: exit.signal, partial })
    case "Code":
      return exit.code === 0 || (evidence.finished && evidence.recovered)
        ? undefined
        : unchecked(OpenCodeProcessError, {
          exitCode: exit.code,
          hint: facts.crashTexts.hint(stderrOf(facts)),
          partial
        })
  }
}

const codeOf = (exit: Exit): number | undefined => exit._tag === "Code" ? exit.code : undefined

/**
 * Decides how a run ended: exactly one outcome for any facts, in this order.
 *
 * 1. A guard fired: its error. The prompt was refused before it was sent: that error.
 * 2. No event and a known SQLite crash on stderr: `OpenCodeSqliteError`.
 * 3. An `error` event that no finished step followed: `OpenCodeSessionError` (or `OpenCodeCancelledError`).
 * 4. A rejected permission and nothing finished after it: `OpenCodePermissionError`.
 * 5. A signal or a code other than 0: `OpenCodeCancelledError` or `OpenCodeProcessError`, unless the conversation
 *    finished after a recovered error, or finished and the signal was ours. A server that is gone: `OpenCodeServerError`.
 * 6. The last step did not end the conversation, or its text is lost: `OpenCodeIncompleteError`.
 * 7. Processes that could not be ended: `OpenCodeProcessError`.
 * 8. Success.
 */
export const decide = (facts: Facts): Either.Either<Finished, RunError> => {
  const { evidence, exit, guard, partial } = facts
  if (guard !== undefined && guard._tag !== "ExitGrace") return Either.left(fromGuard(guard, facts))
  if (exit._tag === "Refused") return Either.left(exit.error)
  // The crash exits with a code; after a signal from outside, another start is not wanted.
  if (evidence.eventCount === 0 && evidence.retries === 0 && exit._tag !== "Signal") {
    const signature = facts.crashTexts.sqlite(stderrOf(facts))
    if (signature !== undefined && !(exit._tag === "Code" && exit.code === 0)) {
      return Either.left(unchecked(OpenCodeSqliteError, { signature, exitCode: codeOf(exit), partial }))
    }
  }
  if (evidence.pendingError !== undefined) return Either.left(fromSessionError(evidence.pendingError, facts))
  if (evidence.rejection !== undefined && !evidence.finished) {
    const { patterns, permission } = evidence.rejection
    return Either.left(
      unchecked(OpenCodePermissionError, {
        permission: facts.redact(permission),
        patterns: patterns.map(facts.redact),
        partial
      })
    )
  }
  const ended = fromExit(facts)
  if (ended !== undefined) return Either.left(ended)
  if (!evidence.finished || evidence.finishReason === undefined || evidence.answerLost === true) {
    return Either.left(
      unchecked(OpenCodeIncompleteError, { finishReason: evidence.finishReason, exitCode: codeOf(exit), partial })
    )
  }
  if (partial.survivors.length > 0) {
    return Either.left(unchecked(OpenCodeProcessError, { exitCode: codeOf(exit), partial }))
  }
  return Either.right({
    finishReason: evidence.finishReason,
    exitCode: codeOf(exit),
    forced: guard?._tag === "ExitGrace"
  })
}
