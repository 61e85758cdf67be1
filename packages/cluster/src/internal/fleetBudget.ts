import * as SqlClient from "@effect/sql/SqlClient"
import * as FleetBudget from "effect-opencode/FleetBudget"
import { OpenCodeConfigError } from "effect-opencode/OpenCodeError"
import type { Budget } from "effect-opencode/RunOptions"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import type { LedgerError } from "../RunLedger.js"
import * as jobs from "./jobs.js"
import * as migrations from "./migrations.js"
import * as steady from "./steady.js"

type Spent = FleetBudget.Spent

const nothing: Spent = { steps: 0, cost: 0, tokens: 0, toolCalls: 0 }

/** The sum of two; an unknown cost makes the sum unknown. */
export const plus = (one: Spent, other: Spent): Spent => ({
  steps: one.steps + other.steps,
  cost: one.cost + other.cost,
  ...(one.unpriced === true || other.unpriced === true ? { unpriced: true } : {}),
  tokens: one.tokens + other.tokens,
  toolCalls: one.toolCalls + other.toolCalls
})

/** The length of the column. */
const maxName = 200

interface Row {
  readonly steps: number | string
  readonly cost: number
  readonly tokens: number | string
  readonly tool_calls: number | string
  readonly unpriced: number
}

export const make = (
  failure: (operation: string, cause: unknown) => LedgerError,
  { name, ...budget }: Budget & { readonly name: string }
) =>
  Effect.gen(function*() {
    yield* Effect.mapError(migrations.underLock(migrations.run), (cause) => failure("migrate", cause))
    const sql = (yield* SqlClient.SqlClient).withoutTransforms()
    const pending = yield* Ref.make(nothing)
    const flushing = yield* Effect.makeSemaphore(1)
    // Only its rules are used; what is spent is in the database.
    const rules = yield* FleetBudget.make(budget)
    const problem = name !== "" && name.length <= maxName && jobs.storable(name) === name
      ? undefined
      : new OpenCodeConfigError({ path: "FleetBudget.name", reason: `must have 1 to ${maxName} characters` })

    const write = (spent: Spent) =>
      sql`
        INSERT INTO opencode_budgets (name, steps, cost, tokens, tool_calls, unpriced)
        VALUES (${name}, ${spent.steps}, ${spent.cost}, ${spent.tokens}, ${spent.toolCalls}, ${
        spent.unpriced === true ? 1 : 0
      })
        ON CONFLICT (name) DO UPDATE SET
          steps = opencode_budgets.steps + EXCLUDED.steps,
          cost = opencode_budgets.cost + EXCLUDED.cost,
          tokens = opencode_budgets.tokens + EXCLUDED.tokens,
          tool_calls = opencode_budgets.tool_calls + EXCLUDED.tool_calls,
          unpriced = CASE WHEN EXCLUDED.unpriced = 1 THEN 1 ELSE opencode_budgets.unpriced END`

    /** What cannot be written is added again: spending is not forgotten. */
    const flush = problem !== undefined ? Effect.void : flushing.withPermits(1)(Effect.uninterruptible(
      Effect.flatMap(Ref.getAndSet(pending, nothing), (spent) =>
        spent === nothing ? Effect.void : Effect.tapErrorCause(
          write(spent),
          () => Ref.update(pending, (since) => plus(spent, since))
        ))
    )).pipe(Effect.withTracerEnabled(false))

    const read = Effect.map(
      sql<Row>`SELECT steps, cost, tokens, tool_calls, unpriced FROM opencode_budgets WHERE name = ${name}`,
      ([row]): Spent =>
        row === undefined ? nothing : {
          steps: Number(row.steps),
          cost: row.cost,
          tokens: Number(row.tokens),
          toolCalls: Number(row.tool_calls),
          ...(row.unpriced === 1 ? { unpriced: true } : {})
        }
    ).pipe(Effect.withTracerEnabled(false))

    const spent = problem === undefined
      ? steady.forever(Effect.andThen(flush, read))
      : Ref.get(pending)

    yield* Effect.addFinalizer(() => steady.within(flush, 5000))
    yield* Effect.forkScoped(Effect.repeat(
      Effect.catchAll(flush, (error) => Effect.logWarning("Spending could not be stored yet", error)),
      Schedule.spaced("1 second")
    ))

    return {
      ...(rules.unpriced === undefined ? {} : { unpriced: rules.unpriced }),
      spent,
      add: (more) => Ref.update(pending, (sum) => plus(sum, more)),
      check: () =>
        Effect.gen(function*() {
          if (problem !== undefined) return yield* problem
          const judge = yield* FleetBudget.make(budget)
          yield* judge.add(yield* spent)
          yield* judge.check()
        })
    } satisfies FleetBudget.Service as FleetBudget.Service
  })
