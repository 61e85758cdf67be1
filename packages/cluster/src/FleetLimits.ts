/**
 * Limits that all runners of a cluster share, in its database.
 *
 * @since 0.1.0
 */
import * as RateLimiter from "@effect/experimental/RateLimiter"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as FleetBudget from "effect-opencode/FleetBudget"
import type { Budget } from "effect-opencode/RunOptions"
import * as Layer from "effect/Layer"
import * as fleetBudget from "./internal/fleetBudget.js"
import * as rates from "./internal/rates.js"
import * as transactions from "./internal/transactions.js"
import { LedgerError } from "./RunLedger.js"

const failure = (operation: string, cause: unknown) => new LedgerError({ operation, cause })

/**
 * The budget of all agents of a cluster, under a name. A job that begins after a limit is crossed fails with
 * `OpenCodeBudgetError`; agents at work continue. Spending is added once a second: what runs at that moment can exceed
 * the limit by as much. It is never reset: a budget for a month has the month in its name.
 *
 * @example
 * ```ts
 * import { FleetLimits } from "effect-opencode-cluster"
 *
 * export const Budget = FleetLimits.layerBudget({ name: "2026-12", cost: 500 })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerBudget = (
  options: Budget & { readonly name: string }
): Layer.Layer<FleetBudget.FleetBudget, LedgerError, SqlClient.SqlClient> =>
  Layer.scoped(FleetBudget.FleetBudget, fleetBudget.make(failure, options))

/**
 * The store of the `RateLimiter` of `@effect/experimental` in the database of the cluster, which that package has for
 * memory and Redis only. Times are by the clock of the database.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRateLimiterStore: Layer.Layer<
  RateLimiter.RateLimiterStore,
  LedgerError,
  SqlClient.SqlClient
> = Layer.effect(RateLimiter.RateLimiterStore, rates.make(failure)).pipe(Layer.provide(transactions.layer))
