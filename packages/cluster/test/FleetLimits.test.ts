import * as RateLimiter from "@effect/experimental/RateLimiter"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { assert, describe, it } from "@effect/vitest"
import * as FleetLimits from "effect-opencode-cluster/FleetLimits"
import * as FleetBudget from "effect-opencode/FleetBudget"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as rates from "../src/internal/rates.js"

const sqlite = SqliteClient.layer({ filename: ":memory:" })

const spent = { steps: 1, cost: 3, tokens: 10, toolCalls: 0 }

describe("a budget that runners share", () => {
  it.live("counts what all of them spend, and refuses when a limit is crossed", () =>
    Effect.gen(function*() {
      const open = Effect.map(
        Layer.build(FleetLimits.layerBudget({ name: "december", cost: 5 })),
        (context) => FleetBudget.FleetBudget.pipe(Effect.provide(context))
      )
      const one = yield* Effect.flatten(open)
      const other = yield* Effect.flatten(open)
      yield* one.add(spent)
      yield* one.check()
      yield* other.check()
      yield* other.add(spent)
      const error = yield* Effect.flip(other.check())
      assert.strictEqual(error._tag, "OpenCodeBudgetError")
      assert.deepStrictEqual(yield* one.spent, { steps: 2, cost: 6, tokens: 20, toolCalls: 0 })
      yield* Effect.flip(one.check())
      const next = yield* Effect.flatten(Effect.map(
        Layer.build(FleetLimits.layerBudget({ name: "january", cost: 5 })),
        (context) => FleetBudget.FleetBudget.pipe(Effect.provide(context))
      ))
      yield* next.check()
    }).pipe(Effect.scoped, Effect.provide(sqlite)))
})

describe("a budget whose name does not fit", () => {
  it.live("refuses runs, instead of letting them wait for a database that refuses the name", () =>
    Effect.gen(function*() {
      const budget = yield* FleetBudget.FleetBudget
      yield* budget.add(spent)
      assert.strictEqual((yield* Effect.flip(budget.check()))._tag, "OpenCodeConfigError")
      assert.deepStrictEqual(yield* budget.spent, spent)
    }).pipe(Effect.provide(FleetLimits.layerBudget({ name: "x".repeat(201), cost: 5 })), Effect.provide(sqlite)))
})

describe("a rate limit that runners share", () => {
  it.live("is the same for all of them", () =>
    Effect.gen(function*() {
      const store = yield* RateLimiter.RateLimiterStore
      const window = { key: "k", tokens: 1, refillRate: Duration.minutes(1), limit: 2 }
      const counts = yield* Effect.forEach([1, 2, 3], () => store.fixedWindow(window), { concurrency: 3 })
      assert.deepStrictEqual(counts.map(([count]) => count).sort(), [1, 2, 3])
      const bucket = { key: "k", tokens: 2, limit: 3, refillRate: Duration.minutes(1), allowOverflow: false }
      assert.deepStrictEqual(yield* Effect.forEach([1, 2], () => store.tokenBucket(bucket)), [1, -1])
    }).pipe(Effect.provide(FleetLimits.layerRateLimiterStore), Effect.provide(sqlite)))

  it("a window is over after its tokens' time, a bucket fills drop by drop", () => {
    const window = { tokens: 1, refillMillis: 100, limit: 2 }
    const [one, first] = rates.takeFromWindow(undefined, 1000, window)
    assert.deepStrictEqual(first, [1, 100])
    const [two, second] = rates.takeFromWindow(one, 1000, window)
    assert.deepStrictEqual(second, [2, 200])
    assert.deepStrictEqual(rates.takeFromWindow(two, 1000, window), [two, [3, 200]])
    assert.deepStrictEqual(rates.takeFromWindow(two, 1200, window)[1], [1, 100])
    const bucket = { tokens: 2, refillMillis: 100, limit: 3, allowOverflow: false }
    const [filled, left] = rates.takeFromBucket(undefined, 1000, bucket)
    assert.strictEqual(left, 1)
    assert.strictEqual(rates.takeFromBucket(filled, 1099, bucket)[1], -1)
    assert.strictEqual(rates.takeFromBucket(filled, 1100, bucket)[1], 0)
    assert.strictEqual(rates.takeFromBucket(filled, 1000, { ...bucket, allowOverflow: true })[0].tokens, -1)
  })
})
