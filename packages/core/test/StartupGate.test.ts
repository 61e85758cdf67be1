import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as startupGate from "../src/internal/run/startupGate.js"
import * as T from "./support/mock.js"

const enter = (gate: startupGate.Gate) => gate.enter

describe("runs of one layer", () => {
  it.effect("start at least a window apart", () => {
    const starts: Array<number> = []
    return Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        Effect.all([1, 2, 3].map(() => OpenCode.run("x")), { concurrency: "unbounded" })
      )
      yield* T.untilMade(3)
      for (const [count, at] of [[1, 300], [2, 600], [3, 900]] as const) {
        yield* T.untilStarted(count)
        yield* T.advanceTo(at - 1)
        assert.strictEqual((yield* T.commands).length, count)
        yield* TestClock.setTime(at)
      }
      yield* TestClock.setTime(1000)
      yield* TestClock.setTime(20_000)
      assert.strictEqual((yield* Fiber.join(fiber)).length, 3)
      assert.deepStrictEqual(starts, [0, 300, 600])
    }).pipe(Effect.provide(T.layer(() =>
      Effect.clockWith((clock) => {
        starts.push(clock.unsafeCurrentTimeMillis())
        return Effect.succeed(Mock.script(Mock.sleep("10 seconds"), Mock.lines(T.answer("x"))))
      })
    )))
  })

  it.effect("start as soon as the previous one has shown an event", () => {
    const goOn = Effect.unsafeMakeLatch(false)
    return Effect.gen(function*() {
      const first = yield* Effect.fork(OpenCode.run("x"))
      yield* T.untilStarted(1)
      const second = yield* Effect.fork(OpenCode.run("x"))
      yield* T.untilMade(2)
      assert.strictEqual((yield* T.commands).length, 1)
      yield* goOn.open
      yield* T.untilStarted(2)
      assert.strictEqual((yield* T.commands)[0]!.state._tag, "Running")
      yield* Fiber.interruptAll([first, second])
    }).pipe(Effect.provide(T.layer(
      () => Mock.script(Mock.waitFor(goOn.await), Mock.lines([T.stepStart()]), Mock.never),
      { startup: { window: "1 hour" } }
    )))
  })

  it.effect("are not let in by a line that is not an event", () =>
    Effect.gen(function*() {
      const first = yield* Effect.fork(OpenCode.run("x"))
      yield* T.until("its output", Effect.map(T.commands, (all) => (all[0]?.stdout.bytesRead ?? 0) > 0))
      const second = yield* Effect.fork(OpenCode.run("x"))
      yield* T.untilMade(2)
      assert.strictEqual((yield* T.commands).length, 1)
      yield* Fiber.interruptAll([second, first])
    }).pipe(Effect.provide(T.layer(
      () => Mock.script(Mock.stdout("migrating\n"), Mock.never),
      { startup: { window: "1 hour" } }
    ))))

  it.effect("start as soon as the previous one has exited, even when its pipe is still held", () =>
    Effect.gen(function*() {
      const first = yield* Effect.fork(Effect.either(OpenCode.run("x")))
      yield* T.untilStarted(1)
      const second = yield* Effect.fork(Effect.either(OpenCode.run("x")))
      yield* T.untilStarted(2)
      yield* Fiber.interruptAll([first, second])
    }).pipe(Effect.provide(T.layer(
      () => Mock.scriptWith({ stdoutOutlivesProcess: Effect.never }, Mock.exit(1)),
      { startup: { window: "1 hour" } }
    ))))

  it.effect("continue to start when one cannot be spawned", () =>
    Effect.gen(function*() {
      const results = yield* Effect.all([1, 2, 3].map(() => Effect.either(OpenCode.run("x"))), { concurrency: 3 })
      assert.deepStrictEqual(results.map((one) => one._tag).sort(), ["Left", "Right", "Right"])
    }).pipe(Effect.provide(T.layer(
      [Mock.spawnError("NotFound"), T.answering("x"), T.answering("x")],
      { startup: { window: "1 hour" } }
    ))))

  it.effect("continue to start when a waiting one is interrupted", () =>
    Effect.gen(function*() {
      const first = yield* Effect.fork(OpenCode.run("first"))
      yield* T.untilStarted(1)
      const waiting = yield* Effect.fork(OpenCode.run("waiting"))
      yield* T.untilMade(2)
      const last = yield* Effect.fork(OpenCode.run("last"))
      yield* T.untilMade(3)
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(first)
      yield* T.untilStarted(2)
      yield* T.until("the prompt", Effect.map(T.commands, (all) => all[1]!.stdin === "last"))
      yield* Fiber.interrupt(last)
      assert.strictEqual((yield* T.commands).length, 2)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.never), { startup: { window: "1 hour" } }))))

  it.effect("start together when unbounded", () =>
    Effect.gen(function*() {
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.fork(OpenCode.run("x")))
      yield* T.untilStarted(5)
      yield* Fiber.interruptAll(fibers)
    }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.never), {
      startup: { concurrency: "unbounded", window: "1 hour" }
    }))))

  it.effect("start one per processor by default, until its first event or for 4 seconds", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.all([1, 2, 3].map(() => OpenCode.run("x")), { concurrency: "unbounded" }))
      yield* T.untilMade(3)
      yield* T.untilStarted(2)
      yield* T.advanceTo(3999)
      assert.strictEqual((yield* T.commands).length, 2)
      yield* TestClock.setTime(4000)
      yield* T.untilStarted(3)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.never), {}, undefined, 2))))

  it.effect("start one after the other in a shared directory on any number of processors", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.all([1, 2].map(() => OpenCode.run("x")), { concurrency: "unbounded" }))
      yield* T.untilMade(2)
      yield* T.untilStarted(1)
      yield* T.settle
      assert.strictEqual((yield* T.commands).length, 1)
      yield* TestClock.setTime(300)
      yield* T.untilStarted(2)
      yield* Fiber.interrupt(fiber)
    }).pipe(
      Effect.provide(T.layer(
        () => Mock.script(Mock.never),
        ({ root }) => ({ isolation: { directory: `${root}/data` } }),
        undefined,
        64
      ))
    ))

  for (const processors of [undefined, NaN, 0, -1, Infinity]) {
    it.effect(`start one after the other on ${processors} processors`, () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.all([1, 2].map(() => OpenCode.run("x")), { concurrency: "unbounded" }))
        yield* T.untilMade(2)
        yield* T.untilStarted(1)
        yield* T.settle
        assert.strictEqual((yield* T.commands).length, 1)
        yield* Fiber.interrupt(fiber)
      }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.never), {}, undefined, processors))))
  }

  it.effect("follow the layer's settings on any number of processors", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.all([1, 2].map(() => OpenCode.run("x")), { concurrency: "unbounded" }))
      yield* T.untilMade(2)
      yield* T.untilStarted(1)
      yield* T.settle
      assert.strictEqual((yield* T.commands).length, 1)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.never), { startup: {} }, undefined, 64))))

  it.effect("start two at a time", () =>
    Effect.gen(function*() {
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.fork(OpenCode.run("x")))
      yield* T.untilStarted(2)
      yield* T.untilMade(5)
      yield* T.advance("999 millis")
      assert.strictEqual((yield* T.commands).length, 2)
      yield* TestClock.adjust("1 millis")
      yield* T.untilStarted(4)
      yield* T.settle
      assert.strictEqual((yield* T.commands).length, 4)
      yield* Fiber.interruptAll(fibers)
    }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.never), {
      startup: { concurrency: 2, window: "1 second" }
    }))))

  it.effect("run at most `concurrency` at a time", () => {
    const goOn = [0, 1, 2, 3].map(() => Effect.unsafeMakeLatch(false))
    let started = 0
    return Effect.gen(function*() {
      const mock = yield* Mock.MockCommandExecutor
      const fiber = yield* Effect.fork(
        Effect.all([1, 2, 3, 4].map(() => OpenCode.run("x")), { concurrency: "unbounded" })
      )
      yield* T.untilStarted(2)
      yield* Effect.repeatN(T.settle, 3)
      assert.strictEqual((yield* T.commands).length, 2)
      yield* goOn[0]!.open
      yield* T.untilStarted(3)
      assert.isAtMost(yield* mock.running, 2)
      yield* goOn[1]!.open
      yield* T.untilStarted(4)
      assert.isAtMost(yield* mock.running, 2)
      yield* goOn[2]!.open
      yield* goOn[3]!.open
      assert.strictEqual((yield* Fiber.join(fiber)).length, 4)
    }).pipe(Effect.provide(T.layer(() => {
      const latch = goOn[started++]!
      return Mock.script(Mock.lines([T.stepStart()]), Mock.waitFor(latch.await), Mock.lines(T.answer("x")))
    }, { concurrency: 2 })))
  })

  it.effect("release their place in every outcome", () =>
    Effect.gen(function*() {
      yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x"))
      yield* T.failsWith("OpenCodeSpawnError")(OpenCode.run("x"))
      const fiber = yield* Effect.fork(OpenCode.run("x"))
      yield* T.untilStarted(3)
      yield* Fiber.interrupt(fiber)
      yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { cwd: "missing" }))
      assert.strictEqual((yield* OpenCode.run("x")).text, "still")
    }).pipe(Effect.provide(T.layer(
      [Mock.script(Mock.exit(1)), Mock.spawnError("Busy"), Mock.script(Mock.never), T.answering("still")],
      { concurrency: 1, startup: { window: "1 hour" } }
    ))))
})

describe("StartupGate", () => {
  it.effect("lets in one at a time, in order of arrival", () =>
    Effect.gen(function*() {
      const gate = yield* startupGate.make()
      const order: Array<number> = []
      const fibers = yield* Effect.forEach([0, 1, 2, 3, 4, 5], (n) =>
        Effect.fork(Effect.scoped(
          Effect.flatMap(enter(gate), (pass) => {
            order.push(n)
            return Effect.andThen(pass.started, Effect.never)
          })
        )))
      for (let n = 1; n <= 6; n++) {
        yield* T.settle
        assert.strictEqual(order.length, n)
        yield* TestClock.adjust(Duration.millis(300))
      }
      assert.deepStrictEqual(order, [0, 1, 2, 3, 4, 5])
      yield* Fiber.interruptAll(fibers)
    }))

  it.effect("counts the window from the spawn, not from the entrance", () =>
    Effect.gen(function*() {
      const gate = yield* startupGate.make({ window: "1 second" })
      const pass = yield* gate.enter
      const next = yield* Effect.fork(enter(gate))
      yield* TestClock.adjust("1 hour")
      yield* T.settle
      assert.isFalse(yield* T.isDone(next))
      yield* pass.started
      yield* TestClock.adjust("999 millis")
      yield* T.settle
      assert.isFalse(yield* T.isDone(next))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(next)
    }).pipe(Effect.scoped))

  it.effect("releases a place once, even when told twice", () =>
    Effect.gen(function*() {
      const gate = yield* startupGate.make({ window: "1 second" })
      const pass = yield* gate.enter
      yield* pass.opened
      yield* pass.opened
      yield* Effect.scoped(Effect.andThen(pass.started, pass.opened))
      yield* gate.enter
      const third = yield* Effect.fork(enter(gate))
      yield* TestClock.adjust("1 hour")
      yield* T.settle
      assert.isFalse(yield* T.isDone(third))
      yield* Fiber.interrupt(third)
    }).pipe(Effect.scoped))

  it.effect("loses no place when waiting fibers are interrupted at any position", () =>
    Effect.gen(function*() {
      const gate = yield* startupGate.make({ concurrency: 2 })
      const holder = yield* Effect.fork(Effect.scoped(Effect.andThen(gate.enter, Effect.never)))
      const other = yield* Effect.fork(Effect.scoped(Effect.andThen(gate.enter, Effect.never)))
      yield* T.settle
      for (const interrupted of [[0], [1], [4], [0, 1, 2, 3, 4], [2, 0]]) {
        const waiting = yield* Effect.forEach(
          [0, 1, 2, 3, 4],
          () => Effect.fork(Effect.scoped(Effect.andThen(gate.enter, Effect.never)))
        )
        yield* T.settle
        for (const index of interrupted) yield* Fiber.interrupt(waiting[index]!)
        yield* Fiber.interruptAll(waiting)
      }
      yield* Fiber.interruptAll([holder, other])
      // both places are free, and there is no third one
      yield* gate.enter
      yield* gate.enter
      const third = yield* Effect.fork(enter(gate))
      yield* T.settle
      assert.isFalse(yield* T.isDone(third))
      yield* Fiber.interrupt(third)
    }).pipe(Effect.scoped))

  it.effect("handles a thousand waiting fibers", () =>
    Effect.gen(function*() {
      const gate = yield* startupGate.make({ concurrency: 3 })
      let inside = 0
      let most = 0
      let passed = 0
      yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, n) => n),
        () =>
          Effect.scoped(Effect.gen(function*() {
            yield* gate.enter
            most = Math.max(most, ++inside)
            yield* Effect.yieldNow()
            inside--
            passed++
          })),
        { concurrency: "unbounded", discard: true }
      )
      assert.strictEqual(passed, 1000)
      assert.strictEqual(most, 3)
    }))
})
