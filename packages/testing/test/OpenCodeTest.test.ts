import { addEqualityTesters, describe, expect, it } from "@effect/vitest"
import { OpenCode, OpenCodeError, RunConfig, RunEvent, RunResult } from "effect-opencode"
import { Events, MockCommandExecutor, OpenCodeTest } from "effect-opencode-testing"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as fs from "node:fs/promises"
import { fileURLToPath } from "node:url"

addEqualityTesters()

const { Failure, Reply } = OpenCodeTest

const calls = Effect.flatMap(OpenCodeTest.OpenCodeTest, ({ calls }) => calls)

const outcomes = Effect.map(calls, (calls) => calls.map(({ outcome }) => outcome._tag))

const collect = (prompt: string, options?: Parameters<typeof OpenCode.run>[1]) =>
  Effect.map(Stream.runCollect(OpenCode.stream(prompt, options)), Chunk.toReadonlyArray)

/** The message of the defect with which an effect dies. */
const defect = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) throw new Error("a defect was expected")
    return String(Cause.squash(exit.cause))
  })

const all: { readonly [K in keyof typeof Failure]: OpenCodeError.OpenCodeError } = {
  binaryNotFound: Failure.binaryNotFound(),
  version: Failure.version(),
  config: Failure.config(),
  spawn: Failure.spawn(),
  sqlite: Failure.sqlite(),
  process: Failure.process(),
  session: Failure.session(),
  permission: Failure.permission(),
  incomplete: Failure.incomplete(),
  timeout: Failure.timeout(),
  budget: Failure.budget(),
  output: Failure.output(),
  cancelled: Failure.cancelled(),
  server: Failure.server()
}

const turns = [
  Events.turn(Events.tool({ tool: "bash", input: { command: "ls" }, output: "a.txt\n" }), { cost: 0.5 }),
  Events.turn("One file.", { cost: 0.25, tokens: { output: 7 } })
]

describe("OpenCodeTest", () => {
  describe("answers", () => {
    it.effect("with a text, by the whole prompt", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("Capital of France?")
        expect(result).toBeInstanceOf(RunResult.RunResult)
        expect(result).toMatchObject({
          text: "Paris",
          finishReason: "stop",
          exitCode: 0,
          steps: 1,
          cost: 0.0001,
          attempts: 1,
          sessionId: "ses_00000000000000000000000001"
        })
      }).pipe(Effect.provide(OpenCodeTest.layer({ "Capital of France?": "Paris" }))))

    it.effect("with events, added up by the library's own fold", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("x")
        const { answer, text, toolCalls, steps, usage, cost, finishReason } = RunResult.fold(result.events)
        expect(result).toMatchObject({ answer, text, steps, usage, cost, finishReason })
        expect(result).toMatchObject({ text: "One file.", steps: 2, cost: 0.75, finishReason: "stop" })
        expect(result.toolCalls).toEqual(toolCalls)
        expect(result.toolCalls).toHaveLength(1)
      }).pipe(Effect.provide(OpenCodeTest.layer({ x: Reply.events(turns) }))))

    it.effect("run and stream alike", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("x")
        const events = yield* collect("x")
        const untold = (events: ReadonlyArray<RunEvent.RunEvent>) =>
          events.map((event) => JSON.stringify(RunEvent.toWire(event)).replaceAll(/ses_0*[12]/g, "ses"))
        expect(untold(events)).toEqual(untold(result.events))
      }).pipe(Effect.provide(OpenCodeTest.layer({ x: Reply.events(turns) }))))

    it.effect("by a text, a pattern or a predicate: the first match", () =>
      Effect.gen(function*() {
        const ask = (prompt: string, options?: Parameters<typeof OpenCode.run>[1]) =>
          Effect.map(OpenCode.run(prompt, options), ({ text }) => text)
        expect(yield* ask("a summary, please")).toBe("bees")
        expect(yield* ask("Translate it")).toBe("Bienen")
        expect(yield* ask("anything", { agent: "plan" })).toBe("1. Think.")
      }).pipe(Effect.provide(OpenCodeTest.layer(OpenCodeTest.match([
        ["summary", "bees"],
        [/^translate/gi, "Bienen"],
        [(call) => call.options.agent === "plan", Reply.text("1. Think.")]
      ])))))

    it.effect("by a function or an effect of the call", () =>
      Effect.gen(function*() {
        expect((yield* OpenCode.run("a")).text).toBe("0 0 a")
        expect((yield* OpenCode.run("b")).text).toBe("1 0 b")
        expect((yield* OpenCode.run("a")).text).toBe("2 1 a")
      }).pipe(
        Effect.provide(
          OpenCodeTest.layer(({ index, prompt, repetition }) => Effect.succeed(`${index} ${repetition} ${prompt}`))
        )
      ))

    it.effect("one after the other, for all calls or for one prompt", () =>
      Effect.gen(function*() {
        const ask = Effect.map(OpenCode.run("x"), ({ text }) => text)
        const inOrder = OpenCodeTest.layer(OpenCodeTest.sequence(["one", "two"]))
        expect(yield* Effect.provide(Effect.all([ask, ask, ask]), inOrder)).toEqual(["one", "two", "two"])
        const byPrompt = OpenCodeTest.layer({
          x: Reply.sequence(["x1", Reply.sequence(["x2", "x3"])]),
          y: "y"
        })
        const mixed = Effect.all([ask, Effect.map(OpenCode.run("y"), ({ text }) => text), ask, ask])
        expect(yield* Effect.provide(mixed, byPrompt)).toEqual(["x1", "y", "x2", "x3"])
        // from the beginning in every layer that is built
        expect(yield* Effect.provide(ask, byPrompt)).toBe("x1")
      }))

    it.effect("with timing, on the test clock", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const fiber = yield* OpenCode.stream("x").pipe(
          Stream.runForEach((event) => Effect.sync(() => seen.push(event._tag))),
          Effect.fork
        )
        yield* TestClock.adjust("9 minutes")
        expect(seen).toEqual(["StepStart"])
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(fiber)
        expect(seen).toEqual(["StepStart", "Text", "StepFinish"])
      }).pipe(Effect.provide(OpenCodeTest.layer({
        x: Reply.events([
          Events.stepStart(),
          MockCommandExecutor.sleep("10 minutes"),
          Events.text("At last."),
          Events.finish()
        ])
      }))))

    it.effect("when the test releases it", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const started = yield* Deferred.make<void>()
        const layer = OpenCodeTest.layer({
          x: Reply.text("now", {
            before: [
              MockCommandExecutor.waitFor(Effect.asVoid(Deferred.succeed(started, undefined))),
              MockCommandExecutor.waitFor(Deferred.await(gate))
            ]
          })
        })
        yield* Effect.gen(function*() {
          const fiber = yield* Effect.fork(OpenCode.run("x"))
          yield* Deferred.await(started)
          expect(yield* Effect.flatMap(OpenCodeTest.OpenCodeTest, ({ running }) => running)).toBe(1)
          yield* Deferred.succeed(gate, undefined)
          expect((yield* Fiber.join(fiber)).text).toBe("now")
          expect(yield* Effect.flatMap(OpenCodeTest.OpenCodeTest, ({ running }) => running)).toBe(0)
        }).pipe(Effect.provide(layer))
      }))

    it.effect("an unknown prompt with a defect that lists the known ones", () =>
      Effect.gen(function*() {
        const long = "Please ".repeat(40)
        const message = yield* defect(OpenCode.run(long))
        expect(message).toContain(long.slice(0, 80))
        expect(message).not.toContain(long)
        expect(message).toContain("Prompts with an answer: \"Capital of France?\", \"constructor-free\".")
        expect(yield* defect(collect("toString"))).toContain("\"toString\" (call 2, stream)")
        expect(yield* outcomes).toEqual(["Died", "Died"])
        expect(
          yield* defect(Effect.provide(OpenCode.run("x"), OpenCodeTest.layer(() => undefined)))
        ).toContain("The function of the layer returned undefined.")
      }).pipe(
        Effect.provide(OpenCodeTest.layer({ "Capital of France?": "Paris", "constructor-free": "x" }))
      ))
  })

  describe("failures", () => {
    const { output, ...ofRuns } = all
    it.effect("OpenCodeOutputError on demand from runSchema, the only method that can fail with it", () =>
      Effect.gen(function*() {
        expect(yield* Effect.flip(OpenCode.runSchema(Schema.Number, "x"))).toBe(output)
        const exit = yield* Effect.exit(OpenCode.run("x"))
        expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("only `runSchema` can fail")
      }).pipe(Effect.provide(OpenCodeTest.layer({ x: Reply.fail(output) }))))

    for (const error of Object.values(ofRuns)) {
      it.effect(`${error._tag} on demand, valid, from run and stream alike`, () =>
        Effect.gen(function*() {
          const fromRun = yield* Effect.flip(OpenCode.run("x"))
          const fromStream = yield* Effect.flip(collect("x"))
          expect(fromRun).toBe(error)
          expect(fromStream).toBe(error)
          const outcome = OpenCodeTest.Outcome.Failed({ error })
          expect((yield* calls).map((call) => call.outcome)).toEqual([outcome, outcome])
          const json = JSON.parse(JSON.stringify(Schema.encodeSync(OpenCodeError.OpenCodeError)(error)))
          expect(Schema.decodeUnknownSync(OpenCodeError.OpenCodeError)(json)._tag).toBe(error._tag)
          expect(error.message.length).toBeGreaterThan(20)
        }).pipe(Effect.provide(OpenCodeTest.layer({ x: Reply.fail(error) }))))
    }

    it("accept every field and derive a plausible partial from events", () => {
      const error = Failure.timeout({
        phase: "idle",
        limit: Duration.millis(5),
        events: turns,
        partial: { stderr: "hm", attempts: 2 }
      })
      expect(error).toMatchObject({ phase: "idle", limit: Duration.millis(5) })
      expect(error.partial).toMatchObject({
        eventCount: 6,
        text: "One file.",
        steps: 2,
        cost: 0.75,
        stderr: "hm",
        attempts: 2
      })
      const killed = Failure.process({ signal: "SIGKILL" })
      expect([killed.signal, killed.exitCode]).toEqual(["SIGKILL", undefined])
      expect(Failure.budget({ scope: "fleet" }).partial).toBeUndefined()
      expect(Failure.session({ kind: "rate-limit", statusCode: 429, retryAfter: Duration.millis(1) })).toMatchObject({
        errorName: "APIError",
        retryAfter: Duration.millis(1)
      })
    })

    it.effect("come after the events seen before", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const error = yield* OpenCode.stream("x").pipe(
          Stream.runForEach((event) => Effect.sync(() => seen.push(event._tag))),
          Effect.flip
        )
        expect(seen).toEqual(["StepStart", "Text"])
        expect(error._tag).toBe("OpenCodeTimeoutError")
      }).pipe(Effect.provide(OpenCodeTest.layer({ x: Reply.fail(Failure.timeout({ phase: "idle" })) }))))

    it.effect("follow from the events by the library's own verdict", () =>
      Effect.gen(function*() {
        const tag = (prompt: string) => Effect.map(Effect.flip(OpenCode.run(prompt)), (error) => error)
        expect(yield* tag("401")).toMatchObject({ _tag: "OpenCodeSessionError", kind: "authentication" })
        expect(yield* tag("rejected")).toMatchObject({ _tag: "OpenCodePermissionError", patterns: ["rm *"] })
        expect(yield* tag("lost")).toMatchObject({ _tag: "OpenCodeIncompleteError", finishReason: "tool-calls" })
        expect(yield* tag("killed")).toMatchObject({ _tag: "OpenCodeProcessError", signal: "SIGKILL" })
      }).pipe(Effect.provide(OpenCodeTest.layer({
        401: Reply.events([Events.error({ message: "no", statusCode: 401 })]),
        rejected: Reply.permissionRejected("bash", ["rm *"]),
        lost: Reply.events([turns[0]!]),
        killed: Reply.events([Events.stepStart(), MockCommandExecutor.signal("SIGKILL")])
      }))))

    it.effect("include a start-up crash that the service's own schedule retries", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("x"))
        yield* TestClock.adjust("1 second")
        const result = yield* Fiber.join(fiber)
        expect(result).toMatchObject({ text: "Here I am.", attempts: 2 })
        expect((yield* calls).map(({ attempts }) => attempts)).toEqual([2])
      }).pipe(Effect.provide(OpenCodeTest.layer({ x: Reply.attempts([Reply.sqliteCrash, "Here I am."]) }))))
  })

  describe("uses the real service, which", () => {
    it.effect("keeps time limits", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.flip(OpenCode.run("never", { startupTimeout: "1 minute" })))
        yield* TestClock.adjust("59 seconds")
        expect(yield* outcomes).toEqual(["Running"])
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "OpenCodeTimeoutError", phase: "startup" })
        expect(yield* outcomes).toEqual(["Failed"])
      }).pipe(Effect.provide(OpenCodeTest.layer({ never: Reply.never }))))

    it.effect("keeps budgets", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(OpenCode.run("x", { budget: { cost: 0.4 } }))
        expect(error).toMatchObject({ _tag: "OpenCodeBudgetError", limit: "cost", reached: 0.5 })
      }).pipe(Effect.provide(OpenCodeTest.layer({
        x: Reply.events([turns[0]!, MockCommandExecutor.never])
      }))))

    it.effect("checks options and reports a version and models", () =>
      Effect.gen(function*() {
        const { models, version } = yield* OpenCode.OpenCode
        const error = yield* Effect.flip(OpenCode.run("x", { model: "no-provider" }))
        expect(error).toMatchObject({ _tag: "OpenCodeConfigError", path: "model" })
        expect(yield* models).toEqual(["a/b", "c/d"])
        expect(yield* version).toMatchObject({ major: 1, minor: 15 })
      }).pipe(Effect.provide(OpenCodeTest.layer({ x: "y" }, { models: ["a/b", "c/d"], version: "1.15.13" }))))

    it.effect("limits how many run at once", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const arrived = yield* Deferred.make<void>()
        let now = 0
        let most = 0
        const step = (change: number) =>
          MockCommandExecutor.waitFor(Effect.sync(() => {
            now += change
            most = Math.max(most, now)
            if (now === 2) Deferred.unsafeDone(arrived, Effect.void)
          }))
        const layer = OpenCodeTest.layer(
          () => Reply.text("ok", { before: [step(1), MockCommandExecutor.waitFor(Deferred.await(gate)), step(-1)] }),
          {
            concurrency: 2
          }
        )
        yield* Effect.gen(function*() {
          const fiber = yield* Effect.fork(
            Effect.forEach([1, 2, 3, 4], (n) => OpenCode.run(`${n}`), { concurrency: "unbounded" })
          )
          yield* Deferred.await(arrived)
          yield* Deferred.succeed(gate, undefined)
          yield* Fiber.join(fiber)
          expect(most).toBe(2)
        }).pipe(Effect.provide(layer))
      }))

    it.effect("needs none of the directories and files that a call names", () =>
      Effect.gen(function*() {
        const { text } = yield* OpenCode.run("x", {
          cwd: "/there/is/no/such/directory",
          files: ["missing.txt"],
          transcript: "/there/is/no/such/transcript.jsonl"
        })
        expect(text).toBe("y")
      }).pipe(Effect.provide(OpenCodeTest.layer({ x: "y" }))))
  })

  describe("sessions and structured output", () => {
    it.effect("refuse a message to branch off after without a session to branch off", () =>
      Effect.gen(function*() {
        const wrong = [
          { forkAfter: "msg_1" },
          { forkAfter: "msg_1", sessionId: "ses_1" },
          { forkAfter: "", fork: true, sessionId: "ses_1" },
          { forkAfter: "msg_1", fork: true, sessionId: "ses_1", attach: "http://127.0.0.1:1" }
        ]
        for (const options of wrong) {
          const error = yield* Effect.flip(OpenCode.run("one", options))
          expect(error).toMatchObject({ _tag: "OpenCodeConfigError", path: "forkAfter" })
        }
        const branch = { forkAfter: "msg_1", fork: true, sessionId: "ses_1", isolation: "none" } as const
        expect((yield* OpenCode.run("one", branch)).text).toBe("1")
      }).pipe(Effect.provide(OpenCodeTest.layer({ one: "1" }))))

    it.effect("run turns as calls in one OpenCode session", () =>
      Effect.scoped(Effect.gen(function*() {
        const { session } = yield* OpenCode.OpenCode
        const chat = yield* session({ agent: "plan" })
        const first = yield* chat.run("one")
        const second = yield* chat.run("two", { title: "T" })
        const fork = yield* chat.fork()
        const third = yield* fork.run("one")
        expect([first.text, second.text, third.text]).toEqual(["1", "2", "1"])
        expect(second.sessionId).toBe(first.sessionId)
        expect(third.sessionId).not.toBe(first.sessionId)
        expect(yield* calls).toMatchObject([
          { prompt: "one", options: { agent: "plan" } },
          { prompt: "two", options: { agent: "plan", title: "T" } },
          { prompt: "one", options: { agent: "plan" }, repetition: 1 }
        ])
        expect((yield* chat.usage).steps).toBe(2)
      })).pipe(Effect.provide(OpenCodeTest.layer({ one: "1", two: "2" }))))

    it.effect("correct an answer that does not decode by the next one", () =>
      Effect.gen(function*() {
        const opencode = yield* OpenCode.OpenCode
        const { result, value } = yield* opencode.runSchema(Schema.Struct({ stars: Schema.Number }), "Rate it")
        expect(value).toEqual({ stars: 4 })
        expect(result.steps).toBe(2)
        expect(yield* calls).toMatchObject([{ prompt: "Rate it", method: "runSchema", attempts: 2 }])
      }).pipe(
        Effect.provide(OpenCodeTest.layer({ "Rate it": Reply.attempts(["four stars", "{\"stars\":4}"]) }))
      ))
  })

  describe("record", () => {
    it.effect("holds prompts, options and regions, but no internals", () =>
      Effect.gen(function*() {
        yield* OpenCode.run("x", { agent: "build", extraEnv: { A: "1" } }).pipe(
          RunConfig.withRunConfig({ agent: "plan", title: "T" })
        )
        yield* collect("x")
        const [first, second] = yield* calls
        expect(first).toMatchObject({
          prompt: "x",
          options: { agent: "build", title: "T", extraEnv: { A: "1" } },
          method: "run",
          index: 0,
          repetition: 0,
          attempts: 1
        })
        expect(Object.keys(first!.options.extraEnv!)).toEqual(["A"])
        expect(second).toMatchObject({ method: "stream", options: {}, index: 1, repetition: 1 })
      }).pipe(Effect.provide(OpenCodeTest.layer({ x: "y" }))))

    it.effect("holds how every call ended", () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("ok")
        yield* collect("ok")
        yield* Effect.flip(OpenCode.run("fails"))
        const fiber = yield* Effect.fork(OpenCode.run("never"))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
        yield* Stream.runDrain(Stream.take(OpenCode.stream("ok"), 1))
        expect(yield* outcomes).toEqual(["Done", "Done", "Failed", "Interrupted", "Interrupted"])
        expect((yield* calls)[0]?.outcome).toEqual(OpenCodeTest.Outcome.Done({ result }))
      }).pipe(
        Effect.provide(OpenCodeTest.layer({ ok: "ok", fails: Reply.fail(Failure.process()), never: Reply.never }))
      ))

    it.effect("waits for a call that real files delay", () =>
      Effect.gen(function*() {
        const { awaitCalls } = yield* OpenCodeTest.OpenCodeTest
        const run = (file: string) =>
          Effect.andThen(
            Effect.promise(() => fs.readFile(file)),
            OpenCode.run("go", { timeout: "5 minutes" })
          )
        for (const count of [1, 2]) {
          const fiber = yield* Effect.fork(Effect.flip(run(fileURLToPath(import.meta.url))))
          yield* awaitCalls(count)
          yield* TestClock.adjust("5 minutes")
          expect((yield* Fiber.join(fiber))._tag).toBe("OpenCodeTimeoutError")
        }
        yield* awaitCalls(1)
      }).pipe(Effect.provide(OpenCodeTest.layer({ go: OpenCodeTest.Reply.never }))))
  })

  describe("layerProcess", () => {
    it.effect("plays scripts to runs and shows the input of the process", () =>
      Effect.gen(function*() {
        const { models } = yield* OpenCode.OpenCode
        expect(yield* models).toEqual(["fake/m1"])
        const result = yield* OpenCode.run("hello \"you\"", { agent: "plan" })
        expect(result.text).toBe("hi")
        const mock = yield* MockCommandExecutor.MockCommandExecutor
        const commands = (yield* mock.commands).filter(({ args }) => args[0] === "run")
        expect(commands).toMatchObject([{ stdin: "hello \"you\"", extendEnv: false }])
        expect(commands[0]?.args.join(" ")).toContain("--agent=plan")
      }).pipe(Effect.provide(OpenCodeTest.layerProcess([
        MockCommandExecutor.script(MockCommandExecutor.awaitStdin, MockCommandExecutor.lines(Events.turn("hi")))
      ]))))

    it.effect("escalates against a process that ignores SIGTERM", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.flip(OpenCode.run("x", { startupTimeout: "1 minute" })))
        yield* TestClock.adjust("1 minute")
        yield* TestClock.adjust("5 seconds")
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "OpenCodeTimeoutError" })
        const mock = yield* MockCommandExecutor.MockCommandExecutor
        expect((yield* mock.commands)[0]?.signals).toEqual(["SIGTERM", "SIGTERM", "SIGKILL"])
      }).pipe(Effect.provide(OpenCodeTest.layerProcess([
        MockCommandExecutor.scriptWith({ onSigterm: "ignore" }, MockCommandExecutor.never)
      ]))))

    it.effect("reports a missing script, and starts from the beginning in every built layer", () =>
      Effect.gen(function*() {
        const layer = OpenCodeTest.layerProcess([
          MockCommandExecutor.script(MockCommandExecutor.awaitStdin, MockCommandExecutor.lines(Events.turn("hi")))
        ])
        const twice = Effect.flip(Effect.andThen(OpenCode.run("x"), OpenCode.run("y")))
        for (const error of [yield* Effect.provide(twice, layer), yield* Effect.provide(twice, layer)]) {
          expect(error._tag).toBe("OpenCodeProcessError")
          expect(error.message).toContain("OpenCodeTest.layerProcess has 1 scripts and none for start 2")
        }
      }))
  })
})

describe("OpenCodeTest as OpenCode 2", () => {
  const two = { version: "2.0.14", defaults: { model: "fake/m1" } } as const

  it.effect("answers on the test clock, with the names of that major", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("Go", { timeout: "2 minutes" }))
      yield* TestClock.adjust("1 minute")
      const result = yield* Fiber.join(fiber)
      expect(result).toMatchObject({ answer: "Done.", steps: 2, exitCode: undefined })
      expect(result.events.filter(RunEvent.is("ToolUse")).map(({ tool }) => tool)).toEqual(["shell"])
    }).pipe(Effect.provide(OpenCodeTest.layer({
      Go: OpenCodeTest.Reply.events([
        Events.turn(Events.tool({ tool: "bash" })),
        MockCommandExecutor.sleep("1 minute"),
        Events.turn("Done.")
      ])
    }, two))))

  it.effect("refuses a run whose model nothing names", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(OpenCode.run("Go"))
      expect(error).toMatchObject({ _tag: "OpenCodeConfigError", path: "model" })
    }).pipe(Effect.provide(OpenCodeTest.layer({ Go: "Done." }, { version: "2.0.14" }))))

  it.effect("times out on the test clock", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.flip(OpenCode.run("Go", { timeout: "2 minutes" })))
      yield* TestClock.adjust("2 minutes")
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "OpenCodeTimeoutError", phase: "total" })
    }).pipe(Effect.provide(OpenCodeTest.layer(() => OpenCodeTest.Reply.never, two))))

  it.effect("crashes at its start, rejects a permission, and fails as told", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("crash"))
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(fiber)).toMatchObject({ answer: "Here I am.", attempts: 2 })
      const rejected = yield* Effect.flip(OpenCode.run("permission"))
      if (rejected._tag !== "OpenCodePermissionError") throw rejected
      expect([rejected.permission, rejected.patterns]).toEqual(["shell", ["rm *"]])
      const limited = yield* Effect.flip(OpenCode.run("limit"))
      if (limited._tag !== "OpenCodeSessionError") throw limited
      expect([limited.kind, limited.errorName]).toEqual(["rate-limit", "provider.rate-limit"])
      const failed = yield* Effect.flip(OpenCode.run("fail"))
      if (failed._tag !== "OpenCodeProcessError") throw failed
      expect(failed.exitCode).toBe(137)
    }).pipe(Effect.provide(OpenCodeTest.layer({
      crash: OpenCodeTest.Reply.attempts([OpenCodeTest.Reply.sqliteCrash, "Here I am."]),
      permission: OpenCodeTest.Reply.permissionRejected("bash", ["rm *"]),
      limit: OpenCodeTest.Reply.events([Events.error({ message: "slow down", statusCode: 429 })]),
      fail: OpenCodeTest.Reply.fail(OpenCodeTest.Failure.process({ exitCode: 137 }))
    }, two))))

  it.effect("corrects a structured answer, and continues a conversation", () =>
    Effect.gen(function*() {
      const Value = Schema.Struct({ n: Schema.Number })
      const { value } = yield* OpenCode.runSchema(Value, "Count")
      expect(value).toEqual({ n: 1 })
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session()
        const first = yield* session.run("one")
        const second = yield* session.run("two")
        expect(second).toMatchObject({ answer: "second", sessionId: first.sessionId })
      }))
    }).pipe(Effect.provide(OpenCodeTest.layer({
      Count: OpenCodeTest.Reply.attempts(["no", "{ \"n\": 1 }"]),
      one: "first",
      two: "second"
    }, two))))

  it.effect("refuses what OpenCode 2 does not do", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(OpenCode.run("Go", { promptVia: "argv" }))).toMatchObject({
        _tag: "OpenCodeVersionError",
        option: "promptVia"
      })
      const exit = yield* Effect.exit(Layer.build(OpenCodeTest.layerProcess([], two)))
      expect(String(exit)).toContain("FaultyOpenCode")
    }).pipe(Effect.scoped, Effect.provide(OpenCodeTest.layer({ Go: "Done." }, two))))
})
