/**
 * The last line of `--json`: the outcome of the run as one JSON object.
 */
import * as OpenCodeError from "effect-opencode/OpenCodeError"
import type * as RunEvent from "effect-opencode/RunEvent"
import * as RunResult from "effect-opencode/RunResult"
import * as Schema from "effect/Schema"
import { isObject } from "../commandLine/values.js"

const type = "effect-opencode/result"

const encodeResult = Schema.encodeSync(RunResult.RunResult)

const encodeError = Schema.encodeSync(OpenCodeError.OpenCodeError)

/** Without the events, which are already printed as lines of their own. `value` is that of a run with a schema. */
export const ofSuccess = (result: RunResult.RunResult, value?: unknown): object => {
  const { events: _, ...encoded } = encodeResult(result)
  return { type, outcome: "success", ...encoded, value, filesChanged: result.filesChanged }
}

export const ofFailure = (error: OpenCodeError.OpenCodeError): object => {
  const encoded: Readonly<Record<string, unknown>> = encodeError(error)
  const { _tag, partial, ...details } = encoded
  const { events: _, ...facts } = isObject(partial) ? partial : {}
  return { type, outcome: error._tag, message: error.message, ...facts, error: details }
}

export const ofInterruption = (events: ReadonlyArray<RunEvent.RunEvent>): object => {
  const { toolCalls: _, ...summary } = RunResult.fold(events)
  return { type, outcome: "interrupted", ...summary }
}
