/** What a cost limit does if OpenCode does not know what a step costs. */
import * as Effect from "effect/Effect"
import type * as FleetBudget from "../../FleetBudget.js"
import * as budgets from "../opencode/budget.js"
import type { Plan } from "./plan.js"
import type { Unpriced } from "./watchdog.js"

type Settled = Pick<Plan, "budget" | "options" | "runId" | "unpriced">

/** Returns the limit that ends a run with an unknown cost: its own, or its fleet's. */
export const limitOf = (
  { budget, unpriced }: Settled,
  fleet: FleetBudget.Service | undefined
): Unpriced | undefined =>
  unpriced === "error"
    ? { scope: "run", max: budget.cost }
    : fleet?.unpriced?.policy === "error"
    ? { scope: "fleet", max: fleet.unpriced.max }
    : undefined

const money = (max: number): string => budgets.figures("cost", 0, max)[1]

const price = (model: string | undefined): string => {
  const slash = model?.indexOf("/") ?? -1
  return model === undefined || slash < 1
    ? "<id>.models.<id>.cost"
    : `${model.slice(0, slash)}.models.${model.slice(slash + 1)}.cost`
}

/** Warns once per model of a fleet; without a fleet it is called once per run. */
export const warn = (
  { budget, options: { model }, runId, unpriced }: Settled,
  fleet: FleetBudget.Service | undefined
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const ofFleet = fleet?.unpriced
    const limits = [
      ...(unpriced === "warn" ? [`the run's budget of ${money(budget.cost)}`] : []),
      ...(ofFleet?.policy === "warn" ? [`the fleet's budget of ${money(ofFleet.max)}`] : [])
    ]
    if (limits.length === 0 || (ofFleet !== undefined && !(yield* ofFleet.isNews(model)))) return
    yield* Effect.logWarning(
      `The cost of run ${runId} is unknown: OpenCode reports a cost of 0 for tokens of ${
        model ?? "its model"
      }, for which it has no price, so ${limits.join(" and ")} cannot be enforced. Give the model a price in ` +
        `\`configOverrides.provider.${
          price(model)
        }\` (0 if it is free), limit \`tokens\` instead, or set the budget's ` +
        "`unpriced` to \"error\" or \"allow\"."
    )
  })
