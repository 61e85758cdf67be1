import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as snapshot from "../src/internal/process/snapshot.js"
import { interruptingAt } from "./support/scheduler.js"

/** A machine whose processes the test sets, and which records what is read. */
const machine = (initial: Readonly<Record<string, string>>) => {
  const self = {
    processes: initial,
    looks: 0,
    read: [] as Array<string>,
    /** How long a look takes. */
    pause: Effect.void as Effect.Effect<void>
  }
  const all = snapshot.make<string>((wanted) =>
    Effect.zipLeft(
      Effect.sync(() => {
        self.looks++
        return Object.entries(self.processes).map(([pid, identity]): snapshot.Entry<string> => {
          const isNews = [...wanted].some((before) => !snapshot.isKnown({ pid, identity }, before))
          if (isNews) self.read.push(pid)
          return { pid, identity, info: isNews ? `${pid}:${identity}` : undefined }
        })
      }),
      Effect.suspend(() => self.pause)
    )
  )
  return Object.assign(self, { snapshots: all })
}

describe("snapshot", () => {
  it.effect("returns processes missing from the baseline, and reads nothing else", () =>
    Effect.gen(function*() {
      const here = machine({ "1": "a", "2": "b" })
      const before = yield* here.snapshots.baseline
      assert.deepStrictEqual(here.read, [])
      here.processes = { "1": "a", "2": "another", "3": "c" }
      assert.deepStrictEqual(yield* here.snapshots.changedSince(before), ["2:another", "3:c"])
      assert.deepStrictEqual(here.read, ["2", "3"])
    }))

  it.effect("returns everything without a baseline", () =>
    Effect.gen(function*() {
      const here = machine({ "1": "a", "2": "b" })
      assert.deepStrictEqual(yield* here.snapshots.changedSince(undefined), ["1:a", "2:b"])
    }))

  it.effect("treats a process without an identity as new", () =>
    Effect.gen(function*() {
      const all = snapshot.make<string>(() => Effect.succeed([{ pid: "1", identity: undefined, info: "1" }]))
      assert.deepStrictEqual(yield* all.changedSince(yield* all.baseline), ["1"])
    }))

  it.effect("looks again for a baseline only when it must", () =>
    Effect.gen(function*() {
      const here = machine({ "1": "a" })
      yield* here.snapshots.baseline
      here.processes = { "1": "a", "2": "b" }
      assert.deepStrictEqual([...(yield* here.snapshots.baseline).keys()], ["1"])
      yield* here.snapshots.changedSince(undefined)
      assert.deepStrictEqual([...(yield* here.snapshots.baseline).keys()], ["1", "2"])
      assert.strictEqual(here.looks, 2)
    }))

  it.effect("looks once for concurrent callers and compares each with its own baseline", () =>
    Effect.gen(function*() {
      const here = machine({ "1": "a" })
      const early = yield* here.snapshots.baseline
      here.processes = { "1": "a", "2": "b" }
      yield* here.snapshots.changedSince(early)
      const late = yield* here.snapshots.baseline
      here.processes = { "1": "a", "2": "b", "3": "c" }
      const looks = here.looks
      const found = yield* Effect.all([
        here.snapshots.changedSince(early),
        here.snapshots.changedSince(late),
        here.snapshots.changedSince(late)
      ], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(found, [["2:b", "3:c"], ["3:c"], ["3:c"]])
      assert.strictEqual(here.looks, looks + 1)
    }))

  it.effect("returns nothing older than the call", () =>
    Effect.gen(function*() {
      const here = machine({ "1": "a" })
      const door = yield* Deferred.make<void>()
      here.pause = Deferred.await(door)
      const first = yield* Effect.fork(here.snapshots.changedSince(undefined))
      yield* Effect.repeatN(Effect.yieldNow(), 10)
      assert.strictEqual(here.looks, 1)
      here.processes = { "1": "a", "2": "b" }
      const second = yield* Effect.fork(here.snapshots.changedSince(undefined))
      const third = yield* Effect.fork(here.snapshots.changedSince(undefined))
      yield* Effect.repeatN(Effect.yieldNow(), 10)
      yield* Deferred.succeed(door, undefined)
      assert.deepStrictEqual(yield* Fiber.join(first), ["1:a"])
      assert.deepStrictEqual(yield* Fiber.join(second), ["1:a", "2:b"])
      assert.deepStrictEqual(yield* Fiber.join(third), ["1:a", "2:b"])
      assert.strictEqual(here.looks, 2)
    }))

  it.effect("continues after a failed look, and reports the failure", () =>
    Effect.gen(function*() {
      let isBroken = true
      const all = snapshot.make<string>(() => isBroken ? Effect.die("broken") : Effect.succeed([]))
      assert.strictEqual((yield* Effect.exit(all.changedSince(undefined)))._tag, "Failure")
      isBroken = false
      assert.deepStrictEqual(yield* all.changedSince(undefined), [])
    }))

  it.effect("answers the next caller after an interruption at any operation", () =>
    Effect.gen(function*() {
      let interruptions = 0
      for (let position = 1; position < 60; position++) {
        const here = machine({ "1": "a" })
        const asking = yield* here.snapshots.changedSince(undefined).pipe(
          Effect.withScheduler(interruptingAt(position, () => interruptions++)),
          Effect.fork
        )
        yield* Fiber.await(asking)
        assert.deepStrictEqual(yield* here.snapshots.changedSince(undefined), ["1:a"])
      }
      assert.isAbove(interruptions, 10)
    }))
})
