import * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import { RunResult } from "../../RunResult.js"
import * as TokenUsage from "../../TokenUsage.js"
import * as limits from "../util/limits.js"
import * as tail from "../util/tail.js"
import { unchecked } from "../util/unchecked.js"

/**
 * Combines the results of several turns: usage, durations and events are added up; the answer and the exit are those of
 * the last turn, the ids those of the first.
 */
export const combine = (results: Arr.NonEmptyReadonlyArray<RunResult>): RunResult => {
  if (results.length === 1) return results[0]
  const sum = (of: (result: RunResult) => number): number => results.reduce((total, result) => total + of(result), 0)
  const last = Arr.lastNonEmpty(results)
  const stderr = tail.make(limits.kept)
  for (const result of results) stderr.push(result.stderr, true)
  const { model } = last
  const rawLines = results.flatMap((result) => result.rawLines ?? [])
  return unchecked(RunResult, {
    runId: results[0].runId,
    answer: last.answer,
    text: last.text,
    events: results.flatMap((result) => result.events),
    sessionId: results.find((result) => result.sessionId !== undefined)?.sessionId,
    ...(model === undefined ? {} : { model }),
    usage: results.reduce((total, result) => TokenUsage.add(total, result.usage), TokenUsage.empty),
    cost: sum((result) => result.cost),
    ...(results.some(({ unpriced }) => unpriced) ? { unpriced: true } : {}),
    steps: sum((result) => result.steps),
    finishReason: last.finishReason,
    exitCode: last.exitCode,
    forced: results.some((result) => result.forced),
    recovered: results.some((result) => result.recovered),
    lostLines: sum((result) => result.lostLines),
    stderr: stderr.read(),
    rawLines: results.some((result) => result.rawLines !== undefined) ? rawLines : undefined,
    attempts: sum((result) => result.attempts),
    duration: results.reduce((total, result) => Duration.sum(total, result.duration), Duration.zero)
  })
}
