import { assert, describe, it } from "@effect/vitest"
import { OpenCode, RunEvent } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as fs from "node:fs"
import * as T from "./support/mock.js"

const failure =
  "timestamp=1 level=ERROR message=\"stream error\" small=false error.error=\"AI_APICallError: Rate limit reached\"\n"

const step = (id: string, reason: string) => [T.stepStart(id), T.text(id), T.stepFinish(reason)]

describe("the limits of a run", () => {
  it.effect("include the queries after it in its timeout", () =>
    Effect.gen(function*() {
      const run = yield* Effect.fork(
        T.failsWith("OpenCodeIncompleteError")(
          OpenCode.run("x", { recover: "export", timeout: "10 seconds" })
        )
      )
      yield* T.untilStarted(2)
      yield* T.settle
      yield* TestClock.adjust("10 seconds")
      // the query ignores SIGTERM
      yield* T.untilSignals(1, "SIGTERM")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(run)).partial.text, "so far")
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.lines([T.stepStart(), T.text("so far")]), Mock.exit(0)),
      Mock.scriptWith({ onSigterm: "ignore" }, Mock.never)
    ]))))

  it.effect("count failed attempts from the last finished step", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x", { maxProviderRetries: 2 })
      assert.strictEqual(result.events.filter(RunEvent.is("ProviderRetry")).length, 4)
      const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x", { maxProviderRetries: 2 }))
      assert.strictEqual(error.errorName, "ProviderRetryLimit")
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        ...["a", "b", "c", "d"].flatMap((id) => [
          Mock.stderr(failure),
          Mock.waitFor(T.settle),
          Mock.lines(step(id, id === "d" ? "stop" : "tool-calls")),
          Mock.waitFor(T.settle)
        ]),
        Mock.exit(0)
      ),
      Mock.script(Mock.stderr(failure), Mock.stderr(failure), Mock.never)
    ]))))

  it.effect("do not extend the start-up timeout by lines that are not events", () =>
    Effect.gen(function*() {
      const run = yield* Effect.fork(
        T.failsWith("OpenCodeTimeoutError")(
          OpenCode.run("x", { startupTimeout: "10 seconds", maxProviderRetries: 1000 })
        )
      )
      yield* T.untilStarted(1)
      for (let i = 0; i < 10; i++) {
        yield* T.settle
        yield* TestClock.adjust("1 second")
      }
      const error = yield* Fiber.join(run)
      assert.strictEqual(error.phase, "startup")
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        ...Array.from({ length: 30 }, () => [Mock.stdout("no event\n"), Mock.stderr(failure), Mock.sleep("1 second")])
          .flat(),
        Mock.never
      )
    ]))))
})

describe("the secrets in an error", () => {
  const canary = "canary-7d2e91"
  const options = { extraEnv: { SECRET: Redacted.make(canary) } }
  const holds = (value: unknown) => JSON.stringify(value).includes(canary)

  it.effect("are missing from a rejected pattern", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodePermissionError")(OpenCode.run("x", options))
      assert.strictEqual(error.permission, "bash")
      assert.isFalse(holds(error.patterns) || holds(error.message) || holds(error))
    }).pipe(Effect.provide(T.layer([Mock.script(
      Mock.stderr(`! permission requested: bash (echo ${canary}); auto-rejecting\n`),
      Mock.waitFor(T.settle),
      Mock.lines([T.stepFinish("tool-calls")]),
      Mock.exit(0)
    )]))))

  it.effect("are missing from headers and long bodies of its events", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x", { transcript: "run.jsonl" }))
      const event = error.partial.events?.find(RunEvent.is("SessionError"))
      const printed = JSON.stringify(event?.raw)
      assert.notInclude(printed, "set-cookie")
      assert.include(printed, "retry-after")
      assert.isBelow(printed.length, 3000)
      assert.notInclude(fs.readFileSync(`${work}/run.jsonl`, "utf8"), "set-cookie")
    }).pipe(Effect.provide(T.layer([Mock.script(
      Mock.lines([T.error("APIError", {
        message: "no",
        statusCode: 400,
        responseHeaders: { "set-cookie": "session=1", "retry-after": "1" },
        responseBody: "x".repeat(10_000)
      })]),
      Mock.exit(1)
    )]))))
})

describe("isolation", () => {
  const dataOf = (env: { readonly [name: string]: string }) => [env["XDG_DATA_HOME"], env["OPENCODE_DB"]]

  it.effect("overrides an inherited OPENCODE_DB and a data directory in extraEnv", () =>
    Effect.gen(function*() {
      yield* OpenCode.run("x", { extraEnv: { XDG_DATA_HOME: "/theirs" } })
      const { env } = yield* T.only
      const [data, database] = dataOf(env)
      assert.notStrictEqual(data, "/theirs")
      assert.strictEqual(database, `${data}/opencode/opencode.db`)
    }).pipe(Effect.provide(T.layer([T.answering("x")], {}, () => ({ OPENCODE_DB: "/theirs/opencode.db" })))))

  it.effect("names no database unless one is inherited", () =>
    Effect.gen(function*() {
      yield* OpenCode.run("x")
      assert.notProperty((yield* T.only).env, "OPENCODE_DB")
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))

  it.effect("passes secrets of the layer's environment to the child alone", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x"))
      assert.strictEqual((yield* T.only).env["A"], "canary-11aa22")
      assert.notInclude(JSON.stringify(error), "canary-11aa22")
      assert.notInclude(error.message, "canary-11aa22")
    }).pipe(Effect.provide(T.layer(
      [Mock.script(Mock.stderr("Error: bad key canary-11aa22\n"), Mock.exit(1))],
      { environment: { A: Redacted.make("canary-11aa22") } }
    ))))

  it.effect("keeps them out of the errors of queries and structured answers", () =>
    Effect.gen(function*() {
      const opencode = yield* OpenCode.OpenCode
      const question = yield* Effect.flip(opencode.models)
      assert.strictEqual(question._tag, "OpenCodeProcessError")
      assert.include(JSON.stringify(question), "bad key")
      assert.notInclude(JSON.stringify(question), "canary-11aa22")
      const answer = yield* T.failsWith("OpenCodeOutputError")(
        opencode.runSchema(Schema.Struct({ n: Schema.Number }), "x", { repairs: 0 })
      )
      assert.include(answer.answer, "it is")
      assert.notInclude(JSON.stringify(answer), "canary-11aa22")
    }).pipe(Effect.provide(T.layer(
      [Mock.script(Mock.stderr("Error: bad key canary-11aa22\n"), Mock.exit(1)), T.answering("it is canary-11aa22")],
      { environment: { A: Redacted.make("canary-11aa22") } }
    ))))
})
