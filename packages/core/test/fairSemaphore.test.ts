import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fairSemaphore from "../src/internal/util/fairSemaphore.js"
import { interruptingAt } from "./support/scheduler.js"

const turns = Effect.repeatN(Effect.yieldNow(), 20)

describe("fairSemaphore", () => {
  it.effect("admits as many as there are permits, and the others in order of arrival", () =>
    Effect.gen(function*() {
      const gate = yield* fairSemaphore.make(2)
      const entered: Array<number> = []
      const doors = yield* Effect.forEach([0, 1, 2, 3, 4], () => Deferred.make<void>())
      const fibers = yield* Effect.forEach([0, 1, 2, 3, 4], (n) =>
        Effect.scoped(Effect.andThen(
          gate.enter,
          Effect.andThen(Effect.sync(() => entered.push(n)), Deferred.await(doors[n]!))
        )).pipe(Effect.fork, Effect.zipLeft(Effect.yieldNow())))
      assert.deepStrictEqual(entered, [0, 1])
      for (const n of [1, 0, 2, 3, 4]) {
        yield* Deferred.succeed(doors[n]!, undefined)
        yield* Fiber.join(fibers[n]!)
      }
      assert.deepStrictEqual(entered, [0, 1, 2, 3, 4])
    }))

  for (const isHeld of [false, true]) {
    it.effect(`loses no permit that is ${isHeld ? "handed on" : "free"} when a caller is interrupted at any operation`, () =>
      Effect.gen(function*() {
        let interruptions = 0
        for (let position = 1; position < 100; position++) {
          const gate = yield* fairSemaphore.make(1)
          const door = yield* Deferred.make<void>()
          const holder = yield* Effect.fork(
            isHeld ? Effect.scoped(Effect.andThen(gate.enter, Deferred.await(door))) : Effect.void
          )
          yield* Effect.yieldNow()
          const caller = yield* Effect.scoped(Effect.andThen(gate.enter, Effect.never)).pipe(
            Effect.withScheduler(interruptingAt(position, () => interruptions++)),
            Effect.fork
          )
          yield* turns
          yield* Deferred.succeed(door, undefined)
          yield* turns
          yield* Fiber.await(holder)
          yield* Fiber.interrupt(caller)
          const next = yield* Effect.fork(Effect.scoped(gate.enter))
          yield* turns
          assert.strictEqual((yield* Fiber.poll(next))._tag, "Some", `a permit was lost at operation ${position}`)
        }
        assert.isAbove(interruptions, 20)
      }))
  }

  it.effect("ignores a second release", () =>
    Effect.gen(function*() {
      const gate = yield* fairSemaphore.make(1)
      yield* Effect.scoped(Effect.flatMap(gate.enter, (release) => Effect.andThen(release, release)))
      yield* Effect.scoped(Effect.gen(function*() {
        yield* gate.enter
        const second = yield* Effect.fork(Effect.scoped(gate.enter))
        yield* Effect.yieldNow()
        assert.strictEqual((yield* Fiber.poll(second))._tag, "None")
        yield* Fiber.interrupt(second)
      }))
    }))
})
