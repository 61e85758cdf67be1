import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as T from "./support/mock.js"

const minute = 60_000

const bytesRead = (count: number) =>
  T.until(`${count} bytes of stdout`, Effect.map(T.commands, (all) => (all[0]?.stdout.bytesRead ?? 0) >= count))

describe("startupTimeout", () => {
  it.effect("ends a process that prints no event", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x")))
      yield* T.advanceTo(4 * minute - 1)
      assert.isFalse(yield* T.isDone(fiber))
      assert.deepStrictEqual((yield* T.only).signals, [])
      yield* T.advanceTo(4 * minute)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.phase, "startup")
      assert.strictEqual(Duration.toMillis(error.limit), 4 * minute)
      assert.strictEqual(error.partial.eventCount, 0)
      assert.strictEqual(error.partial.stderr, "starting\n")
      assert.strictEqual(Duration.toMillis(error.partial.duration), 4 * minute)
      assert.strictEqual(error.partial.attempts, 1)
      assert.match(error.message, /printed no event within 240 s .*`startupTimeout`/)
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.stderr("starting\n"), Mock.never)]))))

  it.effect("kills a process that ignores SIGTERM, and waits for its end", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { startupTimeout: "10 seconds" }))
      )
      yield* T.advanceTo(10_000)
      yield* T.untilSignals(0, "SIGTERM")
      yield* T.advanceTo(11_000)
      assert.isFalse(yield* T.isDone(fiber))
      yield* T.advanceTo(15_000)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.phase, "startup")
      assert.deepStrictEqual(error.partial.survivors, [])
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM", "SIGTERM", "SIGKILL"])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([Mock.scriptWith({ onSigterm: "ignore" }, Mock.never)]))))

  it.effect("does not run while the run waits for its start", () =>
    Effect.gen(function*() {
      const fibers = yield* Effect.fork(
        Effect.all([1, 2].map(() => OpenCode.run("x", { startupTimeout: "1 minute" })), { concurrency: 2 })
      )
      yield* T.advanceTo(50_000)
      yield* T.untilStarted(2)
      yield* T.advanceTo(100_000)
      assert.strictEqual((yield* Fiber.join(fibers)).length, 2)
    }).pipe(Effect.provide(T.layer(
      () => Mock.script(Mock.sleep("50 seconds"), Mock.lines(T.answer("x"))),
      { startup: { window: "1 hour" } }
    ))))

  it.effect("is over with the first event", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("x", { startupTimeout: "1 minute" }))
      yield* T.advanceTo(59_000)
      yield* T.advanceTo(30 * minute)
      assert.strictEqual((yield* Fiber.join(fiber)).text, "x")
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.sleep("59 seconds"),
        Mock.lines([T.stepStart()]),
        Mock.sleep(30 * minute - 59_000),
        Mock.lines([T.text("x"), T.stepFinish("stop")])
      )
    ]))))

  it.effect("is not stopped by a line that is not an event", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { startupTimeout: "1 minute", idleTimeout: "1 second" }))
      )
      yield* bytesRead(1)
      yield* T.advanceTo(minute)
      assert.strictEqual((yield* Fiber.join(fiber)).phase, "startup")
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.stdout("hello\n"), Mock.never)]))))
})

describe("idleTimeout", () => {
  it.effect("ends a process that prints no further event", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x")))
      yield* T.advanceTo(29 * minute)
      yield* T.advanceTo(30 * minute)
      yield* T.advanceTo(59 * minute - 1)
      assert.isFalse(yield* T.isDone(fiber))
      yield* T.advanceTo(59 * minute)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.phase, "idle")
      assert.strictEqual(Duration.toMillis(error.limit), 30 * minute)
      assert.strictEqual(error.partial.eventCount, 2)
      assert.strictEqual(error.partial.text, "thinking")
      assert.strictEqual(error.partial.sessionId, "ses_1")
      assert.strictEqual(error.partial.events?.length, 2)
      assert.match(error.message, /`idleTimeout`/)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.lines([T.stepStart()]),
        Mock.sleep("29 minutes"),
        Mock.lines([T.text("thinking")]),
        Mock.never
      )
    ]))))

  it.effect("is reset by events only, not by a growing line", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { idleTimeout: "1 minute" }))
      )
      yield* T.advanceTo(50_000)
      yield* T.advanceTo(minute)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.phase, "idle")
      assert.strictEqual(error.partial.eventCount, 1)
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.lines([T.stepStart()]),
        Mock.sleep("50 seconds"),
        Mock.stdout("{\"type\":\"te"),
        Mock.sleep("50 seconds"),
        Mock.stdout("xt\",\"part\":{\"text\":\"slow\"}}\n"),
        Mock.never
      )
    ]))))
})

describe("timeout", () => {
  const limit = { timeout: "10 minutes" } as const

  it.effect("covers everything and defaults to two hours", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { startupTimeout: Infinity }))
      )
      yield* T.settle
      for (let at = 25; at < 120; at += 25) {
        yield* T.advanceTo(at * minute)
        yield* bytesRead((at / 25) * 100)
      }
      yield* T.advanceTo(120 * minute - 1)
      assert.isFalse(yield* T.isDone(fiber))
      yield* T.advanceTo(120 * minute)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.phase, "total")
      assert.strictEqual(Duration.toMillis(error.limit), 120 * minute)
      assert.strictEqual(error.partial.eventCount, 4)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        ...Array.from({ length: 20 }, () => [Mock.sleep("25 minutes"), Mock.lines([T.text("again")])]).flat()
      )
    ]))))

  it.effect("covers all attempts together", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", limit)))
      yield* T.advanceTo(3 * minute)
      yield* T.untilOver(1)
      yield* T.advanceTo(3 * minute + 1000)
      yield* T.untilStarted(2)
      yield* T.advanceTo(6 * minute + 1000)
      yield* T.untilOver(2)
      yield* T.advanceTo(6 * minute + 2000)
      yield* T.untilStarted(3)
      yield* T.advanceTo(10 * minute - 1)
      assert.isFalse(yield* T.isDone(fiber))
      yield* T.advanceTo(10 * minute)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.phase, "total")
      assert.strictEqual(Duration.toMillis(error.limit), 10 * minute)
      assert.strictEqual(error.partial.attempts, 3)
      assert.strictEqual(error.partial.stderr, "third\n")
      assert.strictEqual(Duration.toMillis(error.partial.duration), 10 * minute)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.sleep("3 minutes"), Mock.stderr("database is locked"), Mock.exit(1)),
      Mock.script(Mock.sleep("3 minutes"), Mock.stderr("database is locked"), Mock.exit(1)),
      Mock.script(Mock.stderr("third\n"), Mock.never)
    ], { defaults: { startupTimeout: Infinity } }))))

  it.effect("covers the wait at the start-up gate, without starting anything", () =>
    Effect.gen(function*() {
      const first = yield* Effect.fork(OpenCode.run("first"))
      yield* T.untilStarted(1)
      const second = yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.run("second", limit)))
      yield* T.advanceTo(10 * minute)
      const error = yield* Fiber.join(second)
      assert.strictEqual(error.phase, "total")
      assert.strictEqual(error.partial.attempts, 0)
      assert.strictEqual(Duration.toMillis(error.partial.duration), 10 * minute)
      assert.deepStrictEqual(error.partial.survivors, [])
      assert.strictEqual((yield* T.commands).length, 1)
      yield* Fiber.interrupt(first)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.never), {
      startup: { window: "1 hour" },
      defaults: { startupTimeout: Infinity }
    }))))

  it.effect("covers the wait for a place", () =>
    Effect.gen(function*() {
      const first = yield* Effect.fork(OpenCode.run("first"))
      yield* T.untilStarted(1)
      const second = yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.run("second", limit)))
      yield* T.advanceTo(10 * minute)
      const error = yield* Fiber.join(second)
      assert.strictEqual(error.phase, "total")
      assert.strictEqual(error.partial.attempts, 0)
      assert.strictEqual((yield* T.commands).length, 1)
      yield* Fiber.interrupt(first)
    }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.never), {
      concurrency: 1,
      defaults: { startupTimeout: Infinity }
    }))))

  it.effect("covers the delay before a retry", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", limit)))
      yield* T.advanceTo(10 * minute)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.phase, "total")
      assert.strictEqual(error.partial.attempts, 1)
      assert.strictEqual((yield* T.commands).length, 1)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([T.locked], { retry: Schedule.spaced("1 hour") }))))

  it.effect("covers a hanging version query and ends it", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { timeout: "10 seconds" }))
      )
      yield* T.untilStarted(1)
      yield* T.advanceTo(10_000)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.phase, "total")
      assert.strictEqual(error.partial.attempts, 0)
      const probe = yield* T.only
      assert.deepStrictEqual(probe.args, ["--version"])
      assert.deepStrictEqual(probe.signals, ["SIGTERM"])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.never)], { version: undefined }))))

  it.effect("covers the wait for a rate-limited provider", () =>
    Effect.gen(function*() {
      yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("first"))
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.run("second", limit)))
      yield* T.settle
      yield* T.advanceTo(10 * minute)
      assert.strictEqual((yield* Fiber.join(fiber)).partial.attempts, 0)
      assert.strictEqual((yield* T.commands).length, 1)
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.lines([
          T.error("APIError", { message: "slow down", statusCode: 429, responseHeaders: { "retry-after": "3600" } })
        ]),
        Mock.exit(1)
      )
    ], { rateLimitGate: true }))))

  it.effect("fails a stream without events too", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        T.failsWith("OpenCodeTimeoutError")(Stream.runDrain(OpenCode.stream("x", { timeout: "1 minute" })))
      )
      yield* bytesRead(1)
      yield* T.advanceTo(minute)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.phase, "total")
      assert.isUndefined(error.partial.events)
      assert.strictEqual(error.partial.eventCount, 2)
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.lines([T.stepStart(), T.text("x")]), Mock.never)]))))
})

describe("the system clock", () => {
  it.effect("does not change the time of a run", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      let timeOfDay = 1_000_000
      const set: Clock.Clock = {
        ...clock,
        sleep: (duration) => clock.sleep(duration),
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        unsafeCurrentTimeMillis: () => timeOfDay,
        currentTimeMillis: Effect.sync(() => timeOfDay)
      }
      const fiber = yield* OpenCode.run("x", { timeout: "1 minute" }).pipe(
        T.failsWith("OpenCodeTimeoutError"),
        Effect.withClock(set),
        Effect.fork
      )
      yield* T.settle
      timeOfDay = 5_000_000
      yield* T.advanceTo(minute - 1)
      assert.isFalse(yield* T.isDone(fiber))
      timeOfDay = 0
      yield* T.advanceTo(minute)
      assert.strictEqual((yield* Fiber.join(fiber)).phase, "total")
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.never)]))))
})

describe("exitGrace", () => {
  it.effect("keeps the result of a process that does not exit", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("x"))
      yield* T.advanceTo(29_999)
      assert.isFalse(yield* T.isDone(fiber))
      assert.deepStrictEqual((yield* T.only).signals, [])
      yield* T.advanceTo(30_000)
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result.text, "finished")
      assert.isTrue(result.forced)
      assert.isUndefined(result.exitCode)
      assert.strictEqual(Duration.toMillis(result.duration), 30_000)
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.lines(T.answer("finished")), Mock.never)]))))

  it.effect("ends before the total time even if both have expired when a suspended program wakes up", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("x", { exitGrace: "500 millis", timeout: "900 millis" }))
      yield* T.advanceTo(1200)
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result.text, "finished")
      assert.isTrue(result.forced)
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.lines(T.answer("finished")), Mock.never)]))))

  it.effect("keeps the result of a process that has to be killed", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("x", { exitGrace: "3 seconds" }))
      yield* T.advanceTo(3000)
      yield* T.untilSignals(0, "SIGTERM")
      yield* T.advanceTo(4000)
      yield* T.advanceTo(8000)
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result.text, "finished")
      assert.isTrue(result.forced)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([
      Mock.scriptWith({ onSigterm: "ignore" }, Mock.lines(T.answer("finished")), Mock.never)
    ]))))

  it.effect("is cancelled by a further event", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("x"))
      yield* T.settle
      yield* T.advanceTo(20_000)
      yield* T.advanceTo(49_999)
      assert.deepStrictEqual((yield* T.only).signals, [])
      yield* T.advanceTo(50_000)
      const result = yield* Fiber.join(fiber)
      assert.isFalse(result.forced)
      assert.strictEqual(result.exitCode, 0)
      assert.strictEqual(result.steps, 2)
      assert.strictEqual(result.text, "one\n\ntwo")
      assert.strictEqual(result.answer, "two")
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.lines(T.answer("one")),
        Mock.sleep("20 seconds"),
        Mock.lines([T.stepStart("msg_2")]),
        Mock.sleep("30 seconds"),
        Mock.lines([T.text("two"), T.stepFinish("stop")]),
        Mock.exit(0)
      )
    ]))))

  it.effect("does not turn an error into a success", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { idleTimeout: "10 minutes" }))
      )
      yield* T.until("its output", Effect.map(T.commands, (all) => (all[0]?.stdout.bytesRead ?? 0) > 600))
      yield* T.advanceTo(30_000)
      yield* T.advanceTo(10 * minute)
      assert.strictEqual((yield* Fiber.join(fiber)).phase, "idle")
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.lines([...T.answer("one"), T.error("APIError", { message: "no" })]),
        Mock.never
      )
    ]))))

  it.effect("ends a run before the total time does", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        OpenCode.run("x", { idleTimeout: "1 second", timeout: "1 minute", exitGrace: "40 seconds" })
      )
      yield* T.advanceTo(39_999)
      assert.deepStrictEqual((yield* T.only).signals, [])
      yield* T.advanceTo(40_000)
      assert.isTrue((yield* Fiber.join(fiber)).forced)
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.lines(T.answer("finished")), Mock.never)]))))
})

describe("infinity", () => {
  for (const infinity of [Infinity, Duration.infinity]) {
    it.effect(`switches every timer off (${Duration.isDuration(infinity) ? "Duration" : "number"})`, () =>
      Effect.gen(function*() {
        const options = { timeout: infinity, startupTimeout: infinity, idleTimeout: infinity, exitGrace: infinity }
        const silent = yield* Effect.fork(OpenCode.run("silent", options))
        yield* T.untilStarted(1)
        const idle = yield* Effect.fork(OpenCode.run("idle", options))
        yield* T.untilStarted(2)
        const finished = yield* Effect.fork(OpenCode.run("finished", options))
        yield* T.untilStarted(3)
        yield* T.until(
          "their output",
          Effect.map(T.commands, (all) => all[1]!.stdout.bytesRead > 0 && all[2]!.stdout.bytesRead > 300)
        )
        yield* T.advance("1000 days")
        for (const fiber of [silent, idle, finished]) {
          assert.isFalse(yield* T.isDone(fiber))
          yield* Fiber.interrupt(fiber)
        }
        assert.deepStrictEqual((yield* T.commands).map((recorded) => recorded.signals), [
          ["SIGTERM"],
          ["SIGTERM"],
          ["SIGTERM"]
        ])
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.never),
        Mock.script(Mock.lines([T.stepStart()]), Mock.never),
        Mock.script(Mock.lines(T.answer("x")), Mock.never)
      ], { startup: { concurrency: "unbounded" } }))))
  }
})
