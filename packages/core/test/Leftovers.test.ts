import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { Leftovers } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as T from "./support/mock.js"

const runId = "abcde0123456789"

const signals = Effect.map(T.commands, (all) => all.map(({ args }) => args.slice(2)))

const marked = (id: string) => `A=b\0${Leftovers.variable}=outer:${id}\0`

describe("Leftovers.end", () => {
  it.effect("ends the processes that carry the run's id, and no others", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(77, { ppid: 1, pgid: 77, environ: () => marked(runId) })
      processes.set(78, { ppid: 1, pgid: 78, environ: () => marked("zzzzz0123456789") })
      processes.set(79, { ppid: 77, pgid: 79, environ: () => "" })
      const fiber = yield* Effect.fork(Leftovers.end(runId))
      yield* T.untilStarted(1)
      yield* T.untilSleep(50)
      processes.delete(77)
      processes.delete(79)
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [])
      assert.deepStrictEqual(yield* signals, [["TERM", "77", "79"]])
    }).pipe(Effect.provide(T.layer([Mock.script()]))))

  it.effect("kills what takes no notice, and names what is there even then", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(77, { ppid: 1, pgid: 77, environ: () => marked(runId) })
      const fiber = yield* Effect.fork(Leftovers.end(runId, { forceKillAfter: "2 seconds" }))
      yield* T.untilStarted(1)
      yield* T.untilSleep(50)
      yield* TestClock.adjust("2 seconds")
      yield* T.untilStarted(2)
      yield* T.untilSleep(2050)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [77])
      assert.deepStrictEqual(yield* signals, [["TERM", "77"], ["KILL", "77"]])
    }).pipe(Effect.provide(T.layer([Mock.script(), Mock.script()]))))

  it.effect("takes what is no id of a run for none", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(77, { ppid: 1, pgid: 77, environ: () => marked("") })
      for (const id of ["", "outer", "A=b"]) assert.deepStrictEqual(yield* Leftovers.end(id), [])
      assert.deepStrictEqual(yield* signals, [])
    }).pipe(Effect.provide(T.layer([]))))
})
