/**
 * One budget for many runs. Runs add their spending as it happens; once a limit is crossed, a new run fails with
 * `OpenCodeBudgetError` instead of starting. As for a single run, a limit may be reached but not exceeded. Running runs
 * continue: give each its own `budget` to bound it. Only `unpriced: "error"` ends a run, when it uses tokens at an
 * unknown cost.
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
  /** `true` if some of the cost is unknown and not in `cost`. */
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
    /** `"allow"` without a cost limit. */
    readonly policy: Unpriced
    /** The cost limit; infinite if not set. */
    readonly max: number
    /** True the first time it is called for a model, so that each is reported once. */
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
 * Creates a budget with nothing spent. Limits that are not set do not apply.
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
 * Provides one shared budget, with nothing spent, to all runs inside.
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
