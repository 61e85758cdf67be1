import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as drain from "../src/internal/process/drain.js"
import type { Watchdog } from "../src/internal/run/watchdog.js"
import { isDone, settle } from "./support/mock.js"

/** The parts that drain reads. */
const watchdog = (state: { reads: number; isReading: boolean }) =>
  ({ reads: () => state.reads, isReading: () => state.isReading }) as Watchdog

describe("drain", () => {
  it.effect("abandons a source that is silent for a second, but not while its output is being processed", () =>
    Effect.gen(function*() {
      const state = { reads: 0, isReading: false }
      const reader = yield* Effect.fork(Effect.never)
      const drained = yield* Effect.fork(drain.until([reader], watchdog(state)))
      yield* settle
      yield* TestClock.adjust("10 seconds")
      state.isReading = true
      yield* TestClock.adjust("900 millis")
      state.reads++
      yield* TestClock.adjust("999 millis")
      assert.isFalse(yield* isDone(drained))
      yield* TestClock.adjust("101 millis")
      assert.isTrue(yield* isDone(drained))
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(reader)))
    }))

  it.live("waits for output that arrived while the program was suspended", () =>
    Effect.gen(function*() {
      const heldUp = yield* Deferred.make<void>()
      // Input is read after the timers of a turn of the event loop.
      const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
      const reader = yield* Deferred.await(heldUp).pipe(
        Effect.andThen(Effect.repeatN(turn, 2)),
        Effect.as("read"),
        Effect.fork
      )
      const drained = yield* Effect.fork(drain.until([reader], watchdog({ reads: 0, isReading: true })))
      yield* settle
      yield* Deferred.succeed(heldUp, undefined)
      const until = performance.now() + 1500
      while (performance.now() < until);
      yield* Fiber.join(drained)
      assert.deepStrictEqual(yield* Fiber.await(reader), Exit.succeed("read"))
    }))
})
