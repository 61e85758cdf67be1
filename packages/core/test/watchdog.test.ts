import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import type { RunEvent } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as T from "./support/mock.js"

const failedAttempt = (reason: string) =>
  `timestamp=2026-01-01T00:00:00Z level=ERROR run=r message="stream error" providerID=fake modelID=m1 small=false error.error="${reason}"\n`

describe("a fallback to the default agent", () => {
  const lines = [
    ["! agent \"nope\" not found. Falling back to default agent", /does not know the agent "nope"/],
    [
      "! agent \"general\" is a subagent, not a primary agent. Falling back to default agent",
      /"general" is a sub-agent/
    ]
  ] as const
  for (const [line, reason] of lines) {
    it.effect(`kills the process at once: ${line}`, () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { agent: "nope" }))
        assert.strictEqual(error.path, "agent")
        assert.match(error.reason, reason)
        // without a grace: not even SIGTERM, during which it could send a request
        assert.deepStrictEqual((yield* T.only).signals, ["SIGKILL"])
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([
        // with terminal colours, and a process that would continue
        Mock.scriptWith({ onSigterm: "ignore" }, Mock.stderr(`\u001b[93m\u001b[1m${line}\u001b[0m\n`), Mock.never)
      ]))))
  }

  it.effect("fails with the same error when the process ends first", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { agent: "nope" }))
      assert.strictEqual(error.path, "agent")
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.stderr(`${lines[0][0]}\n`), Mock.lines(T.answer("I am the default agent")), Mock.exit(0))
    ]))))
})

describe("the same warning after the first event", () => {
  it.effect("is ignored", () => {
    const hasBegun = Effect.unsafeMakeLatch(false)
    return Effect.gen(function*() {
      const events = yield* OpenCode.stream("x", { agent: "build" }).pipe(
        Stream.tap(() => Effect.andThen(TestClock.adjust("1 millis"), hasBegun.open)),
        Stream.runCollect
      )
      assert.deepStrictEqual(Array.from(events, ({ _tag }) => _tag), ["StepStart", "Text", "StepFinish"])
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.lines([T.stepStart()]),
        Mock.waitFor(hasBegun.await),
        Mock.stderr("! agent \"build\" not found. Falling back to default agent\n"),
        Mock.lines([T.text("done"), T.stepFinish("stop")])
      )
    ])))
  })
})

describe("maxProviderRetries", () => {
  it.effect("ends a run whose provider keeps failing", () =>
    Effect.gen(function*() {
      const events: Array<RunEvent.RunEvent> = []
      const error = yield* OpenCode.stream("x", { maxProviderRetries: 2 }).pipe(
        Stream.runForEach((event) => Effect.sync(() => events.push(event))),
        T.failsWith("OpenCodeSessionError")
      )
      assert.strictEqual(error.errorName, "ProviderRetryLimit")
      assert.strictEqual(error.kind, "provider-unavailable")
      assert.strictEqual(error.providerRetries, 2)
      assert.isTrue(error.retryable)
      assert.match(error.reason, /503 Service Unavailable/)
      assert.deepStrictEqual(events.map((event) => event._tag), ["ProviderRetry", "ProviderRetry"])
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.stderr(failedAttempt("first")),
        Mock.stderr(failedAttempt("503 Service Unavailable")),
        Mock.never
      )
    ]))))

  it.effect("defaults to 10", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x")
      assert.strictEqual(result.events.filter((event) => event._tag === "ProviderRetry").length, 9)
      const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x"))
      assert.strictEqual(error.providerRetries, 10)
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        ...Array.from({ length: 9 }, (_, n) => Mock.stderr(failedAttempt(`${n}`))),
        Mock.lines(T.answer("x"))
      ),
      Mock.script(...Array.from({ length: 10 }, (_, n) => Mock.stderr(failedAttempt(`${n}`))), Mock.never)
    ]))))

  it.effect("counts from the last finished step", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x", { maxProviderRetries: 3 })
      assert.strictEqual(result.text, "recovered twice")
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.stderr([failedAttempt("1"), failedAttempt("2")]),
        Mock.sleep(0),
        Mock.waitFor(T.settle),
        Mock.lines([T.stepStart(), T.stepFinish("tool-calls")]),
        Mock.waitFor(T.settle),
        Mock.stderr([failedAttempt("3"), failedAttempt("4")]),
        Mock.waitFor(T.settle),
        Mock.lines(T.answer("recovered twice"))
      )
    ]))))

  it.effect("can be switched off", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x", { maxProviderRetries: Infinity })
      assert.strictEqual(result.text, "at last")
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.stderr(Array.from({ length: 50 }, () => failedAttempt("no"))), Mock.lines(T.answer("at last")))
    ]))))
})
