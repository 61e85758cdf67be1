import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { OpenCodeBudgetError, OpenCodeOutputError, OpenCodeTimeoutError } from "../../OpenCodeError.js"
import type { RunError, RunSnapshot, SchemaError } from "../../OpenCodeError.js"
import type { Budget, RunOptions, SchemaOptions } from "../../RunOptions.js"
import type { RunResult } from "../../RunResult.js"
import * as StructuredOutput from "../../StructuredOutput.js"
import * as TokenUsage from "../../TokenUsage.js"
import * as budgets from "../opencode/budget.js"
import { combine } from "../opencode/combineResults.js"
import * as defaults from "../util/limits.js"
import { unchecked } from "../util/unchecked.js"

const nothing = { steps: 0, cost: 0, tokens: 0, toolCalls: 0 }

/** Counts like a run: steps that begin. */
const spentBy = (results: ReadonlyArray<RunResult>): typeof nothing =>
  results.reduce((sum, result) => ({
    steps: sum.steps + result.steps,
    cost: sum.cost + result.cost,
    tokens: sum.tokens + result.usage.total,
    toolCalls: sum.toolCalls + result.toolCalls.length
  }), nothing)

const partialOf = (result: RunResult, cwd: string): RunSnapshot => ({
  runId: result.runId,
  cwd,
  sessionId: result.sessionId,
  eventCount: result.events.length,
  text: result.text,
  usage: result.usage,
  cost: result.cost,
  ...(result.unpriced === true ? { unpriced: true } : {}),
  steps: result.steps,
  stderr: result.stderr,
  attempts: result.attempts,
  duration: result.duration,
  events: result.events,
  survivors: [],
  lostLines: result.lostLines
})

/** True for limits that every turn consumes, so that once reached no further turn can stay within them. */
const isNeeded = (limit: budgets.Limit): boolean => limit === "steps" || limit === "tokens"

/** Returns the rest of a budget, or the error of the limit that is used up. */
const remaining = (budget: Budget, results: ReadonlyArray<RunResult>, cwd: string) =>
  Effect.gen(function*() {
    const spent = spentBy(results)
    const [first, ...more] = results
    // Reported once, whichever turn it was.
    const unpriced = results.some((result) => result.unpriced) ? "allow" : budget.unpriced
    const rest: { -readonly [K in keyof Budget]: Budget[K] } = unpriced === undefined ? {} : { unpriced }
    for (const limit of budgets.limits) {
      const max = budget[limit]
      if (max === undefined) continue
      const left = max - spent[limit]
      if (first !== undefined && (budgets.isCrossed(spent[limit], max) || (left <= 0 && isNeeded(limit)))) {
        return yield* new OpenCodeBudgetError({
          scope: "run",
          limit,
          max,
          reached: spent[limit],
          partial: partialOf(combine([first, ...more]), cwd)
        })
      }
      // A reached limit still allows turns that consume nothing of it, but zero is not a valid limit.
      rest[limit] = Math.max(left, Number.MIN_VALUE)
    }
    return rest
  })

/** A later turn runs within the rest that earlier ones left; its error reports the limits as they were set. */
const ofAllTurns = (
  error: RunError,
  results: ReadonlyArray<RunResult>,
  limits: { readonly budget: Budget; readonly timeout: Duration.Duration }
): RunError => {
  const [first, ...more] = results
  if (first === undefined) return error
  const earlier = combine([first, ...more])
  const whole = (partial: RunSnapshot): RunSnapshot => ({
    ...partial,
    runId: earlier.runId,
    sessionId: partial.sessionId ?? earlier.sessionId,
    eventCount: partial.eventCount + earlier.events.length,
    usage: TokenUsage.add(earlier.usage, partial.usage),
    cost: earlier.cost + partial.cost,
    ...(earlier.unpriced === true || partial.unpriced === true ? { unpriced: true } : {}),
    steps: earlier.steps + partial.steps,
    attempts: earlier.attempts + partial.attempts,
    duration: Duration.sum(earlier.duration, partial.duration),
    events: partial.events === undefined ? undefined : [...earlier.events, ...partial.events],
    lostLines: earlier.lostLines + (partial.lostLines ?? 0)
  })
  if (error._tag === "OpenCodeTimeoutError" && error.phase === "total") {
    return unchecked(OpenCodeTimeoutError, {
      phase: "total",
      limit: limits.timeout,
      partial: whole(error.partial)
    })
  }
  if (error._tag === "OpenCodeBudgetError" && error.partial !== undefined) {
    return unchecked(OpenCodeBudgetError, {
      scope: error.scope,
      limit: error.limit,
      max: error.scope === "fleet" ? error.max : limits.budget[error.limit] ?? error.max,
      ...(error.unpriced === true ? { unpriced: true } : {}),
      reached: spentBy(results)[error.limit] + error.reached,
      partial: whole(error.partial)
    })
  }
  return error
}

/** The errors made here contain results, which are not masked because they go to the caller. */
const cleaned = (error: SchemaError, clean: <A>(value: A) => A): SchemaError => {
  switch (error._tag) {
    case "OpenCodeOutputError":
      return unchecked(OpenCodeOutputError, clean({ ...error }))
    case "OpenCodeTimeoutError":
      return unchecked(OpenCodeTimeoutError, clean({ ...error }))
    case "OpenCodeBudgetError":
      return unchecked(OpenCodeBudgetError, clean({ ...error }))
    default:
      return error
  }
}

/** Repeats turns of one session until the answer decodes, within one budget and one time limit. */
export const make = <A, I>(
  schema: Schema.Schema<A, I>,
  prompt: string,
  options: SchemaOptions,
  cwd: string,
  clean: <A>(value: A) => A,
  turn: (prompt: string, options: RunOptions) => Effect.Effect<RunResult, RunError>
): Effect.Effect<StructuredOutput.Answer<A>, SchemaError> =>
  Effect.gen(function*() {
    const { repairs, ...own } = options
    // The defaults of a run also apply to all turns together.
    const budget: Budget = { ...own.budget, steps: own.budget?.steps ?? defaults.steps }
    const timeout = own.timeout ?? defaults.timeout
    const startedAt = yield* Clock.currentTimeMillis
    const results: Array<RunResult> = []
    return yield* StructuredOutput.loop({
      schema,
      prompt,
      repairs,
      clean,
      turn: (text) =>
        Effect.gen(function*() {
          if (results.length === 0) return yield* turn(text, { ...own, budget, timeout })
          const elapsed = (yield* Clock.currentTimeMillis) - startedAt
          const left = {
            budget: yield* remaining(budget, results, cwd),
            // Expired time is a timeout of the turn, not an invalid option.
            timeout: Duration.max(Duration.subtract(timeout, elapsed), Duration.millis(1))
          }
          return yield* Effect.mapError(
            turn(text, { ...own, ...left }),
            (error) => ofAllTurns(error, results, { budget, timeout: Duration.decode(timeout) })
          )
        }).pipe(Effect.tap((result) => {
          results.push(result)
        }))
    })
  }).pipe(
    Effect.mapError((error) => cleaned(error, clean)),
    Effect.withSpan("OpenCode.runSchema")
  )
