import * as ClusterError from "@effect/cluster/ClusterError"
import * as RunnerAddress from "@effect/cluster/RunnerAddress"
import * as RunnerStorage from "@effect/cluster/RunnerStorage"
import * as ShardId from "@effect/cluster/ShardId"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as engine from "../src/internal/engine.js"
import * as renewal from "../src/internal/renewal.js"

const { lockExpiration } = engine.defaults
const address = RunnerAddress.make("a", 1)
const shards = [ShardId.make("default", 1)]

/** A database of locks: it answers, refuses, or says nothing. */
const database = () => {
  const state = { mode: "answers" as "answers" | "refuses" | "silent", renewals: 0 }
  const storage = Effect.map(RunnerStorage.makeMemory, (memory) =>
    renewal.make({
      ...memory,
      refresh: () =>
        Effect.suspend(() => {
          state.renewals++
          return state.mode === "answers"
            ? Effect.succeed(shards)
            : state.mode === "refuses"
            ? Effect.fail(new ClusterError.PersistenceError({ cause: "refused" }))
            : Effect.never
        })
    }, lockExpiration))
  return { state, storage: Effect.flatten(storage) }
}

describe("the locks of a runner", () => {
  it("leave eight seconds to end agents after a lost database is noticed", () => {
    fc.assert(fc.property(fc.integer({ min: Duration.toMillis(lockExpiration), max: 3_600_000 }), (millis) => {
      const time = Duration.millis(millis)
      assert.isAtMost(Duration.toMillis(renewal.toleranceOf(time)), millis - 8000)
      // The engine shortens a longer one without a word.
      assert.isAtMost(Duration.toMillis(renewal.engineIntervalOf(time)), millis / 3 + 1e-6)
    }))
    assert.strictEqual(Duration.toMillis(renewal.toleranceOf(lockExpiration)), 4000)
  })

  it.scoped("are renewed every second, and given up 4 seconds after the last renewal, whenever the engine asks", () =>
    Effect.gen(function*() {
      const { state, storage } = database()
      const { refresh } = yield* storage
      assert.deepStrictEqual(yield* refresh(address, shards), shards)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(state.renewals, 4)
      state.mode = "silent"
      yield* TestClock.adjust("2500 millis")
      const asked = yield* Effect.fork(Effect.exit(refresh(address, shards)))
      yield* TestClock.adjust("1499 millis")
      assert.isTrue((yield* Fiber.poll(asked))._tag === "None")
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(asked)))
    }))

  it.scoped("outlive a database that refuses connections for 3 seconds", () =>
    Effect.gen(function*() {
      const { state, storage } = database()
      const { refresh } = yield* storage
      yield* refresh(address, shards)
      state.mode = "refuses"
      const asked = yield* Effect.fork(refresh(address, shards))
      yield* TestClock.adjust("3 seconds")
      state.mode = "answers"
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(yield* Fiber.join(asked), shards)
    }))
})
