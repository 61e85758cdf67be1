/**
 * One budget for many runs. Runs add what they spend as they spend it; a run that would start when a limit is crossed
 * fails with `OpenCodeBudgetError` instead. A limit means what it means for one run: it may be reached, and what is more
 * crosses it. Runs under way go on: give each a `budget` of its own to bound them. Only with `unpriced: "error"` a run that
 * uses tokens at an unknown cost is ended.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as budgets from "./internal/opencode/budget.js"
import * as check from "./internal/opencode/check.js"
import { OpenCodeBudgetError, OpenCodeConfigError } from "./OpenCodeError.js"
import type { Budget, Unpriced } from "./RunOptions.js"

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
  /** `true` where some of the cost is unknown and not in `cost`. */
  readonly unpriced?: boolean | undefined
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
  readonly check: () => Effect.Effect<void, OpenCodeBudgetError | OpenCodeConfigError>
  /** What runs of the fleet do about an unknown cost. Default: nothing. */
  readonly unpriced?: {
    /** `"allow"` where there is no limit of cost. */
    readonly policy: Unpriced
    /** The limit of cost; infinite where there is none. */
    readonly max: number
    /** Whether this is the first time that a model is asked about, so that each is told of once. */
    readonly isNews: (model: string | undefined) => Effect.Effect<boolean>
  } | undefined
}

const nothing: Spent = { steps: 0, cost: 0, tokens: 0, toolCalls: 0 }

/**
 * No budget: nothing is counted and every run may start.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unlimited: Service = { spent: Effect.succeed(nothing), add: () => Effect.void, check: () => Effect.void }

/**
 * The budget that every run consults. Default: {@link unlimited}.
 *
 * @since 0.1.0
 * @category references
 */
export class FleetBudget extends Context.Reference<FleetBudget>()("effect-opencode/FleetBudget", {
  defaultValue: (): Service => unlimited
}) {}

/**
 * A budget that begins with nothing spent. Limits that are not set do not limit.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (budget: Budget): Effect.Effect<Service> =>
  Effect.gen(function*() {
    const spent = yield* Ref.make(nothing)
    const told = yield* Ref.make<ReadonlySet<string | undefined>>(new Set())
    const policy = budget.cost === undefined ? "allow" : budget.unpriced ?? "warn"
    return {
      unpriced: {
        policy,
        max: budget.cost ?? Number.POSITIVE_INFINITY,
        isNews: (model) => Ref.modify(told, (models) => [!models.has(model), new Set([...models, model])])
      },
      spent: Ref.get(spent),
      add: (more) =>
        Ref.update(spent, (sum) => ({
          steps: sum.steps + more.steps,
          cost: sum.cost + more.cost,
          ...(sum.unpriced === true || more.unpriced === true ? { unpriced: true } : {}),
          tokens: sum.tokens + more.tokens,
          toolCalls: sum.toolCalls + more.toolCalls
        })),
      check: Effect.fnUntraced(function*() {
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
        if (policy === "error" && sum.unpriced === true) {
          return yield* new OpenCodeBudgetError({
            scope: "fleet",
            limit: "cost",
            max: budget.cost ?? Number.POSITIVE_INFINITY,
            reached: sum.cost,
            unpriced: true
          })
        }
      })
    }
  })

/**
 * Gives all runs inside one budget, which begins with nothing spent.
 *
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
