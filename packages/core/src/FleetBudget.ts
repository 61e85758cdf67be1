/**
 * One budget for many runs. Runs add what they spend as they spend it; a run that would start when a limit is crossed
 * fails with `OpenCodeBudgetError` instead. A limit means what it means for one run: it may be reached, and what is more
 * crosses it. Runs under way go on: give each a `budget` of its own to bound them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as budgets from "./internal/budget.js"
import * as check from "./internal/check.js"
import { OpenCodeBudgetError, OpenCodeConfigError } from "./OpenCodeError.js"
import type { Budget } from "./RunOptions.js"

/**
 * What the runs of a fleet have spent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Spent {
  readonly steps: number
  /** US dollars. */
  readonly cost: number
  readonly tokens: number
  readonly toolCalls: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly spent: Effect.Effect<Spent>
  readonly add: (spent: Spent) => Effect.Effect<void>
  /** Fails when a limit is crossed. */
  readonly check: Effect.Effect<void, OpenCodeBudgetError | OpenCodeConfigError>
}

/**
 * The budget that every run consults, where it is provided.
 *
 * @since 0.1.0
 * @category tags
 */
export class FleetBudget extends Context.Tag("effect-opencode/FleetBudget")<FleetBudget, Service>() {}

const nothing: Spent = { steps: 0, cost: 0, tokens: 0, toolCalls: 0 }

/**
 * A budget that begins with nothing spent. Limits that are not set do not limit.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (budget: Budget): Effect.Effect<Service> =>
  Effect.gen(function*() {
    const spent = yield* Ref.make(nothing)
    return {
      spent: Ref.get(spent),
      add: (more) =>
        Ref.update(spent, (sum) => ({
          steps: sum.steps + more.steps,
          cost: sum.cost + more.cost,
          tokens: sum.tokens + more.tokens,
          toolCalls: sum.toolCalls + more.toolCalls
        })),
      check: Effect.gen(function*() {
        const problem = check.budget("FleetBudget", budget)
        if (Option.isSome(problem)) return yield* new OpenCodeConfigError(problem.value)
        const sum = yield* Ref.get(spent)
        const crossed = budgets.limits.find((limit) =>
          budgets.isCrossed(sum[limit], budget[limit] ?? Number.POSITIVE_INFINITY)
        )
        if (crossed !== undefined) {
          return yield* new OpenCodeBudgetError({
            scope: "fleet",
            limit: crossed,
            max: budget[crossed] ?? Number.POSITIVE_INFINITY,
            reached: sum[crossed]
          })
        }
      })
    }
  })

/**
 * @example
 * ```ts
 * import { FleetBudget, OpenCode } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const fleet = Effect.forEach(["a", "b", "c"], (task) => Effect.either(OpenCode.run(task)), {
 *   concurrency: 2
 * }).pipe(Effect.provide(FleetBudget.layer({ cost: 5 })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (budget: Budget): Layer.Layer<FleetBudget> => Layer.effect(FleetBudget, make(budget))
