import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as slotsOf from "../src/internal/slots.js"

describe("the slots of a runner", () => {
  it.effect("are granted in order of arrival, and a stopped ticket leaves the queue", () =>
    Effect.gen(function*() {
      const slots = slotsOf.make(1)
      const [first, second, third] = [slots.ticket(), slots.ticket(), slots.ticket()]
      assert.strictEqual(yield* first.wait, "granted")
      const waiting = yield* Effect.forEach([second, third], ({ wait }) => Effect.fork(wait))
      yield* Effect.yieldNow()
      assert.strictEqual(slots.waiting(), 2)
      second.stop()
      assert.strictEqual(yield* Fiber.join(waiting[0]!), "stopped")
      first.stop()
      assert.strictEqual(slots.used(), 1)
      first.release()
      assert.strictEqual(yield* Fiber.join(waiting[1]!), "granted")
      third.release()
      assert.deepStrictEqual([slots.used(), slots.waiting()], [0, 0])
    }))

  it.effect("a ticket that is stopped before it waits is never granted", () =>
    Effect.gen(function*() {
      const slots = slotsOf.make(1)
      const ticket = slots.ticket()
      ticket.stop()
      assert.strictEqual(yield* ticket.wait, "stopped")
      assert.strictEqual(slots.used(), 0)
    }))

  it.effect("no slot is lost, whatever is released, stopped and interrupted", () =>
    Effect.promise(() =>
      fc.assert(fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.tuple(fc.constantFrom("stop", "release", "interrupt"), fc.nat(9)), { maxLength: 30 }),
        (size, actions) =>
          Effect.runPromise(Effect.gen(function*() {
            const slots = slotsOf.make(size)
            const tickets = Array.from({ length: 10 }, () => slots.ticket())
            const fibers = yield* Effect.forEach(
              tickets,
              ({ release, wait }) => Effect.fork(Effect.onInterrupt(wait, () => Effect.sync(release)))
            )
            for (const [action, index] of actions) {
              yield* Effect.yieldNow()
              if (action === "stop") tickets[index]!.stop()
              else if (action === "release") tickets[index]!.release()
              else yield* Fiber.interrupt(fibers[index]!)
              assert.isAtMost(slots.used(), size)
            }
            for (const { release } of tickets) release()
            yield* Fiber.interruptAll(fibers)
            assert.deepStrictEqual([slots.used(), slots.waiting()], [0, 0])
          }))
      ))
    ))
})
