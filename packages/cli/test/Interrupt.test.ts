import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/TestClock"
import * as Interrupt from "../src/host/Interrupt.js"

const actions = (graceful: boolean, ...received: ReadonlyArray<readonly [at: number, signal: Interrupt.Signal]>) => {
  let state: Interrupt.State = { ...Interrupt.initial, graceful }
  return received.map(([at, signal]) => {
    const [action, next] = Interrupt.receive(state, signal, at)
    state = next
    return action
  })
}

describe("a signal", () => {
  it("ends a command that has nothing to finish", () => {
    expect(actions(false, [0, "SIGINT"])).toEqual(["end"])
  })

  it("asks for a stop first when there is something to finish", () => {
    expect(actions(true, [0, "SIGINT"], [2000, "SIGINT"])).toEqual(["stop", "end"])
  })

  it("counts once when a package manager forwards it", () => {
    expect(actions(true, [0, "SIGINT"], [3, "SIGINT"], [390, "SIGINT"], [1000, "SIGINT"])).toEqual(
      ["stop", "none", "none", "end"]
    )
  })

  it("ends the command at once unless it is Ctrl-C", () => {
    for (const signal of ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGPIPE"] as const) {
      expect(actions(true, [0, signal])).toEqual(["end"])
    }
    expect(actions(true, [0, "SIGINT"], [1, "SIGTERM"])).toEqual(["stop", "end"])
  })
})

const withSignals = <A, E>(
  use: (send: (signal: Interrupt.Signal) => Effect.Effect<boolean>) => Effect.Effect<A, E, Interrupt.Interrupt>
) =>
  Effect.scoped(
    Effect.flatMap(Queue.unbounded<Interrupt.Signal>(), (queue) =>
      Effect.provide(
        use((signal) => Queue.offer(queue, signal)),
        Interrupt.layer(queue)
      ))
  )

describe("the next signal, when nothing is left to finish", () => {
  const next = (...received: ReadonlyArray<readonly [at: number, signal: Interrupt.Signal]>) =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<Interrupt.Signal>()
      const fiber = yield* Effect.fork(Interrupt.next(queue))
      let now = 0
      for (const [at, signal] of received) {
        yield* TestClock.adjust(at - now)
        now = at
        yield* Queue.offer(queue, signal)
      }
      return yield* Fiber.join(fiber)
    })

  it.effect("ends the command whatever it is", () =>
    Effect.gen(function*() {
      expect(yield* next([0, "SIGTERM"])).toBe("SIGTERM")
      expect(yield* next([500, "SIGINT"])).toBe("SIGINT")
    }))

  it.effect("is neither a forwarded Ctrl-C nor a closed pipe", () =>
    Effect.gen(function*() {
      expect(yield* next([100, "SIGINT"], [200, "SIGPIPE"], [300, "SIGQUIT"])).toBe("SIGQUIT")
    }))
})

describe("a guarded command", () => {
  it.effect("has cleaned up when it returns", () =>
    withSignals((send) =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const started = yield* Deferred.make<void>()
        const command = Effect.never.pipe(
          Effect.onInterrupt(() => Effect.andThen(Effect.sleep("3 seconds"), Effect.sync(() => log.push("cleaned up"))))
        )
        const fiber = yield* Effect.fork(
          Effect.either(Interrupt.guard(Effect.andThen(Deferred.succeed(started, undefined), command)))
        )
        yield* Deferred.await(started)
        yield* send("SIGTERM")
        // Further signals change nothing.
        yield* send("SIGINT")
        yield* TestClock.adjust("2 seconds")
        expect(log).toEqual([])
        yield* TestClock.adjust("1 second")
        const ended = yield* Fiber.join(fiber)
        expect(log).toEqual(["cleaned up"])
        expect(ended).toMatchObject({ _tag: "Left", left: { _tag: "InterruptedError" } })
      })
    ))

  it.effect("can finish what it has started", () =>
    withSignals((send) =>
      Effect.gen(function*() {
        const { graceful, stopping } = yield* Interrupt.Interrupt
        const ready = yield* Deferred.make<void>()
        const command = Effect.scoped(Effect.gen(function*() {
          yield* graceful
          yield* Deferred.succeed(ready, undefined)
          yield* Deferred.await(stopping)
          return "stopped"
        }))
        const fiber = yield* Effect.fork(Interrupt.guard(command))
        yield* Deferred.await(ready)
        yield* send("SIGINT")
        expect(yield* Fiber.join(fiber)).toBe("stopped")
      })
    ))

  it.effect("returns its result when nobody interrupts", () =>
    withSignals(() => Effect.map(Interrupt.guard(Effect.succeed(42)), (value) => expect(value).toBe(42))))
})
