import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { OpenCodeBudgetError } from "../OpenCodeError.js"
import type { OpenCodeError, Partial } from "../OpenCodeError.js"
import type { Budget, RunOptions, SchemaOptions } from "../RunOptions.js"
import type { RunResult } from "../RunResult.js"
import * as StructuredOutput from "../StructuredOutput.js"

const nothing = { steps: 0, cost: 0, tokens: 0, toolCalls: 0 }

const limits = ["steps", "cost", "tokens", "toolCalls"] as const

const spentBy = (results: ReadonlyArray<RunResult>): typeof nothing =>
  results.reduce((sum, result) => ({
    steps: sum.steps + result.turns,
    cost: sum.cost + result.cost,
    tokens: sum.tokens + result.usage.total,
    toolCalls: sum.toolCalls + result.toolCalls.length
  }), nothing)

const partialOf = (result: RunResult, cwd: string): Partial => ({
  runId: result.runId,
  cwd,
  sessionId: result.sessionId,
  eventCount: result.events.length,
  text: result.text,
  usage: result.usage,
  cost: result.cost,
  turns: result.turns,
  stderr: result.stderr,
  attempts: result.attempts,
  duration: result.duration,
  events: result.events,
  survivors: []
})

/** What is left of a budget, or the error of the one that is used up. */
const remaining = (budget: Budget | undefined, last: RunResult | undefined, spent: typeof nothing, cwd: string) =>
  Effect.gen(function*() {
    const left: Record<string, number> = {}
    for (const limit of limits) {
      const max = budget?.[limit]
      if (max === undefined) continue
      if (last !== undefined && spent[limit] >= max) {
        return yield* new OpenCodeBudgetError({
          scope: "run",
          limit,
          max,
          reached: spent[limit],
          partial: partialOf(last, cwd)
        })
      }
      left[limit] = max - spent[limit]
    }
    return left as Budget
  })

/** Asks until the answer decodes: turns of one session, within one budget and one time. */
export const make = <A, I>(
  schema: Schema.Schema<A, I>,
  prompt: string,
  options: SchemaOptions,
  cwd: string,
  turn: (prompt: string, options: RunOptions) => Effect.Effect<RunResult, OpenCodeError>
): Effect.Effect<StructuredOutput.Answer<A>, OpenCodeError> =>
  Effect.gen(function*() {
    const { repairs, ...own } = options
    const startedAt = yield* Clock.currentTimeMillis
    const results: Array<RunResult> = []
    return yield* StructuredOutput.loop({
      schema,
      prompt,
      repairs,
      turn: (text) =>
        Effect.gen(function*() {
          const budget = yield* remaining(own.budget, results.at(-1), spentBy(results), cwd)
          const elapsed = (yield* Clock.currentTimeMillis) - startedAt
          const timeout = own.timeout === undefined || results.length === 0
            ? own.timeout
            // A time that is over is a time-out of the turn, and not an option that cannot be used.
            : Duration.max(Duration.subtract(own.timeout, elapsed), Duration.millis(1))
          const result = yield* turn(text, { ...own, budget, timeout })
          results.push(result)
          return result
        })
    })
  }).pipe(Effect.withSpan("OpenCode.runSchema"))
