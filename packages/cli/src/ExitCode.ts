/**
 * The exit codes of the program, by outcome.
 *
 * | code | outcome |
 * |---|---|
 * | 0 | success |
 * | 1 | `doctor` or `conformance` found a problem; a run of a batch failed; the program itself failed |
 * | 2 | an argument, an option or an input file cannot be used (`OpenCodeConfigError`); nothing was started |
 * | 3 | OpenCode was not found, is not a supported version, or cannot be started |
 * | 4 | OpenCode's process failed (`OpenCodeProcessError`, `OpenCodeSqliteError`) |
 * | 5 | OpenCode reported an error: provider, model, context (`OpenCodeSessionError`) |
 * | 6 | a permission was asked for and nobody could answer (`OpenCodePermissionError`) |
 * | 7 | OpenCode exited, but the conversation did not finish (`OpenCodeIncompleteError`) |
 * | 8 | a time limit was reached (`OpenCodeTimeoutError`) |
 * | 9 | a budget was exceeded (`OpenCodeBudgetError`) |
 * | 10 | OpenCode was ended from outside (`OpenCodeCancelledError`) |
 * | 11 | the answer does not satisfy `--schema` (`OpenCodeOutputError`) |
 * | 12 | a shared server of OpenCode could not be used (`OpenCodeServerError`) |
 * | 129, 130, 131, 141, 143 | ended by SIGHUP, Ctrl-C, SIGQUIT, a closed output pipe, SIGTERM |
 */
import type { OpenCodeError } from "effect-opencode/OpenCodeError"
import type { Signal } from "./host/Interrupt.js"

export const success = 0

/** A check of `doctor` or `conformance`, a run of a batch, or the program itself failed. */
export const failure = 1

/** The command line or an input file cannot be used. */
export const usage = 2

const codes: { readonly [Tag in OpenCodeError["_tag"]]: number } = {
  OpenCodeConfigError: usage,
  OpenCodeBinaryNotFoundError: 3,
  OpenCodeVersionError: 3,
  OpenCodeSpawnError: 3,
  OpenCodeProcessError: 4,
  OpenCodeSqliteError: 4,
  OpenCodeSessionError: 5,
  OpenCodePermissionError: 6,
  OpenCodeIncompleteError: 7,
  OpenCodeTimeoutError: 8,
  OpenCodeBudgetError: 9,
  OpenCodeCancelledError: 10,
  OpenCodeOutputError: 11,
  OpenCodeServerError: 12
}

const signals: { readonly [Name in Signal]: number } = {
  SIGHUP: 129,
  SIGINT: 130,
  SIGQUIT: 131,
  SIGPIPE: 141,
  SIGTERM: 143
}

const isOutcome = (outcome: string): outcome is OpenCodeError["_tag"] => Object.hasOwn(codes, outcome)

/** The exit code for a run's outcome: `"success"`, `"interrupted"`, or the tag of an error. */
export const ofOutcome = (outcome: string): number =>
  outcome === "success"
    ? success
    : outcome === "interrupted"
    ? signals.SIGINT
    : isOutcome(outcome)
    ? codes[outcome]
    : failure

export const ofSignal = (signal: Signal): number => signals[signal]
