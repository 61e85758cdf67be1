import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as rateGate from "../src/internal/run/rateGate.js"
import * as T from "./support/mock.js"

const tooMany = (headers: { readonly [name: string]: string } = {}) =>
  Mock.script(
    Mock.lines([T.error("APIError", { message: "Too Many Requests", statusCode: 429, responseHeaders: headers })]),
    Mock.exit(1)
  )

const limited = (model: string) => T.failsWith("OpenCodeSessionError")(OpenCode.run("x", { model }))

/** Held back until this time, and not a millisecond longer. */
const heldUntil = (at: number, model: string, startedBefore: number) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(OpenCode.run("x", { model }))
    yield* T.advanceTo(at - 1)
    yield* T.settle
    assert.strictEqual((yield* T.commands).length, startedBefore)
    yield* TestClock.setTime(at)
    assert.strictEqual((yield* Fiber.join(fiber)).text, "x")
  })

describe("rateLimitGate", () => {
  it.effect("ignores changes of the system clock", () =>
    Effect.gen(function*() {
      let [ofDay, elapsed] = [0, 0]
      const clock: Clock.Clock = Object.create(yield* Effect.clock, {
        unsafeCurrentTimeMillis: { value: () => ofDay + elapsed },
        currentTimeMillis: { value: Effect.sync(() => ofDay + elapsed) },
        unsafeCurrentTimeNanos: { value: () => BigInt(elapsed) * 1_000_000n }
      })
      const gate = rateGate.make(Duration.seconds(30))
      const isOpen = Effect.withClock(gate.isOpen("openai"), clock)
      yield* Effect.withClock(gate.onRateLimited("openai", Duration.minutes(1)), clock)
      ofDay = 3_600_000
      assert.isFalse(yield* isOpen)
      ofDay = -3_600_000
      elapsed = 59_999
      assert.isFalse(yield* isOpen)
      elapsed = 60_000
      assert.isTrue(yield* isOpen)
    }))

  it.effect("delays later starts for as long as the provider asked", () =>
    Effect.gen(function*() {
      const error = yield* limited("openai/a")
      assert.strictEqual(error.kind, "rate-limit")
      assert.deepStrictEqual(error.retryAfter, Duration.minutes(2))
      yield* heldUntil(120_000, "openai/b", 1)
    }).pipe(Effect.provide(T.layer([tooMany({ "retry-after": "120" }), T.answering("x")], { rateLimitGate: true }))))

  it.effect("understands milliseconds", () =>
    Effect.gen(function*() {
      yield* limited("openai/a")
      yield* heldUntil(1500, "openai/a", 1)
    }).pipe(
      Effect.provide(T.layer([tooMany({ "retry-after-ms": "1500" }), T.answering("x")], { rateLimitGate: true }))
    ))

  it.effect("waits 30 seconds, or the configured time, when the provider names none", () =>
    Effect.gen(function*() {
      yield* limited("openai/a")
      yield* heldUntil(30_000, "openai/a", 1)
    }).pipe(
      Effect.provide(T.layer([tooMany(), T.answering("x")], { rateLimitGate: true })),
      Effect.andThen(
        Effect.gen(function*() {
          yield* TestClock.setTime(0)
          yield* limited("openai/a")
          yield* heldUntil(7000, "openai/a", 1)
        }).pipe(
          Effect.provide(T.layer([tooMany(), T.answering("x")], { rateLimitGate: { fallback: "7 seconds" } }))
        )
      )
    ))

  it.effect("does not delay runs of another provider", () =>
    Effect.gen(function*() {
      yield* limited("openai/a")
      assert.strictEqual((yield* OpenCode.run("x", { model: "anthropic/a" })).text, "x")
      assert.strictEqual((yield* OpenCode.run("x")).text, "x")
    }).pipe(Effect.provide(
      T.layer([tooMany(), T.answering("x"), T.answering("x")], { rateLimitGate: true })
    )))

  it.effect("uses the longest wait that any run received", () => {
    const both = Effect.unsafeMakeLatch(false)
    const asks = ["60", "10"]
    return Effect.gen(function*() {
      const runs = yield* Effect.fork(Effect.all([limited("openai/a"), limited("openai/a")], { concurrency: 2 }))
      yield* T.untilStarted(2)
      yield* both.open
      yield* Fiber.join(runs)
      yield* heldUntil(60_000, "openai/a", 2)
    }).pipe(Effect.provide(T.layer(
      () => {
        const after = asks.shift()
        if (after === undefined) return T.answering("x")
        const { steps } = tooMany({ "retry-after": after })
        return Mock.script(Mock.waitFor(both.await), ...steps)
      },
      { rateLimitGate: true, startup: { concurrency: "unbounded" } }
    )))
  })

  it.effect("delays runs that already wait at the start-up gate", () => {
    const goOn = Effect.unsafeMakeLatch(false)
    const { steps } = tooMany({ "retry-after": "60" })
    return Effect.gen(function*() {
      const first = yield* Effect.fork(limited("openai/a"))
      yield* T.untilStarted(1)
      const second = yield* Effect.fork(OpenCode.run("x", { model: "openai/a" }))
      yield* T.untilMade(2)
      // a third run with another provider does not queue after the second
      const third = yield* Effect.fork(OpenCode.run("x", { model: "anthropic/a" }))
      yield* T.untilMade(3)
      yield* goOn.open
      yield* Fiber.join(first)
      assert.strictEqual((yield* Fiber.join(third)).text, "x")
      yield* T.advanceTo(59_999)
      yield* T.settle
      assert.isFalse(yield* T.isDone(second))
      yield* TestClock.setTime(60_000)
      assert.strictEqual((yield* Fiber.join(second)).text, "x")
    }).pipe(Effect.provide(T.layer(
      [Mock.script(Mock.waitFor(goOn.await), ...steps), T.answering("x"), T.answering("x")],
      { rateLimitGate: true, startup: { window: "1 hour" } }
    )))
  })

  it.effect("reacts to a hidden retry", () => {
    const goOn = Effect.unsafeMakeLatch(false)
    return Effect.gen(function*() {
      const first = yield* Effect.fork(OpenCode.run("x", { model: "openai/a" }))
      yield* T.until("its stderr", Effect.map(T.commands, (all) => (all[0]?.stderr.bytesRead ?? 0) > 0))
      yield* T.settle
      yield* heldUntil(30_000, "openai/a", 1)
      yield* goOn.open
      yield* Fiber.join(first)
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.stderr(
          "timestamp=1 level=ERROR message=\"stream error\" small=false error.error=\"429 Too Many Requests\"\n"
        ),
        Mock.waitFor(goOn.await),
        Mock.lines(T.answer("first"))
      ),
      T.answering("x")
    ], { rateLimitGate: true })))
  })

  it.effect("ignores other errors", () =>
    Effect.gen(function*() {
      yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x"))
      assert.strictEqual((yield* OpenCode.run("x")).text, "x")
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.lines([T.error("APIError", { message: "no", statusCode: 401 })]), Mock.exit(1)),
      T.answering("x")
    ], { rateLimitGate: true }))))

  it.effect("is off by default", () =>
    Effect.gen(function*() {
      yield* limited("openai/a")
      assert.strictEqual((yield* OpenCode.run("x", { model: "openai/a" })).text, "x")
    }).pipe(Effect.provide(T.layer([tooMany({ "retry-after": "120" }), T.answering("x")]))))
})
