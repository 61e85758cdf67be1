/** A run's id and the moment before its prompt: `runId` and `onStart`. */
import { assert, describe, it } from "@effect/vitest"
import { OpenCode, RunOptions, Transcript } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as NodePath from "node:path"
import * as T from "./support/mock.js"

const variable = "EFFECT_OPENCODE_RUN"

/** A process that prints an answer once it has its whole prompt. */
const obedient = Mock.script(Mock.awaitStdin, Mock.lines(T.answer("done")), Mock.exit(0))

const marked = (runId: string, of: Partial<T.FakeProcess> = {}): T.FakeProcess => ({
  ppid: 1,
  pgid: 77,
  environ: () => `A=b\0${variable}=:outer:${runId}\0`,
  ...of
})

describe("runId", () => {
  it.effect("is in the result, the environment of the process, the transcript and the errors", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const transcript = NodePath.join(work, "run.jsonl")
      const options = { runId: "nightly-2026.11_30", transcript }
      const result = yield* OpenCode.run("x", options)
      assert.strictEqual(result.runId, options.runId)
      assert.strictEqual((yield* T.command(0)).env[variable], `:${options.runId}`)
      assert.strictEqual((yield* Transcript.read(transcript, { runId: options.runId })).outcome, "success")
      // The same id after the end of the run is another attempt at the same thing.
      const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x", options))
      assert.strictEqual(error.partial.runId, options.runId)
      assert.include(error.message, options.runId)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([obedient, Mock.script(Mock.exit(3))]))))

  it.effect("is refused before anything starts if it cannot stand in a variable or in the name of a file", () =>
    Effect.gen(function*() {
      const bad = ["", ".", "..", ".a", "-a", "a:b", "a/b", "a\\b", "a b", "a\nb", "a\0b", "ä", "a".repeat(65)]
      for (const runId of bad) {
        const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { runId }))
        assert.strictEqual(error.path, "runId", JSON.stringify(runId))
        assert.strictEqual(RunOptions.check("x", { runId })?.path, "runId")
      }
      for (const runId of ["a", "Z9", "a".repeat(64), "2b.c-d_e"]) {
        assert.isUndefined(RunOptions.check("x", { runId }))
      }
      assert.deepStrictEqual(yield* T.commands, [])
    }).pipe(Effect.provide(T.layer([]))))

  it.effect("of a live run of the program is refused, by every layer, until the run has ended", () =>
    Effect.gen(function*() {
      const first = yield* Effect.fork(OpenCode.run("one", { runId: "a" }))
      yield* T.untilStarted(1)
      const again = OpenCode.run("two", { runId: "a" })
      const { binary } = yield* T.Machine
      const elsewhere = Effect.provide(again, OpenCode.layer({ binary, version: "1.18.33" }))
      const refused = T.failsWith("OpenCodeConfigError")
      for (const error of yield* Effect.all([refused(again), refused(elsewhere)])) {
        assert.strictEqual(error.path, "runId")
        assert.include(error.reason, "has not ended")
      }
      assert.lengthOf(yield* T.commands, 1)
      const other = yield* OpenCode.run("three", { runId: "b" })
      assert.strictEqual(other.runId, "b")
      yield* Fiber.interrupt(first)
      assert.strictEqual((yield* again).runId, "a")
      yield* T.expectClean
    }).pipe(
      Effect.provide(
        T.layer([Mock.script(Mock.never), obedient, obedient], { startup: { concurrency: "unbounded" } })
      )
    ))

  it.effect("of a run that waits to start is held as well", () =>
    Effect.gen(function*() {
      const first = yield* Effect.fork(OpenCode.run("one"))
      yield* T.untilStarted(1)
      const waiting = yield* Effect.fork(OpenCode.run("two", { runId: "a" }))
      yield* T.settle
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("three", { runId: "a" }))
      assert.strictEqual(error.path, "runId")
      yield* Fiber.interruptAll([first, waiting])
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.never)], { concurrency: 1 }))))

  it.effect("of a run of another program, or of one that it left, is refused before anything starts", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(77, marked("a"))
      processes.set(78, marked("ab"))
      processes.set(79, { ppid: 1, pgid: 79, environ: () => `A=${variable}=a\0` })
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { runId: "a" }))
      assert.strictEqual(error.path, "runId")
      assert.include(error.reason, "pid 77)")
      assert.deepStrictEqual(yield* T.commands, [])
      processes.delete(77)
      assert.strictEqual((yield* OpenCode.run("x", { runId: "a" })).runId, "a")
    }).pipe(Effect.provide(T.layer([obedient]))))

  it.effect("that another program has begun to use meanwhile ends the later run before its prompt", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      const called = yield* Ref.make(0)
      // Both look before either has a process, and both have one when they look again.
      const first = yield* Effect.fork(OpenCode.run("one"))
      yield* T.untilStarted(1)
      const second = yield* Effect.fork(Effect.exit(OpenCode.run("two", {
        runId: "a",
        onStart: () => Ref.update(called, (count) => count + 1)
      })))
      yield* T.untilMade(2)
      processes.set(77, marked("a", { started: 400 }))
      processes.set(T.firstPid + 1, marked("a", { started: 401 }))
      yield* TestClock.adjust("300 millis")
      const exit = yield* T.advanceUntil(second)
      assert.isTrue(Exit.isFailure(exit))
      const [, late] = yield* T.commands
      assert.strictEqual(late!.stdin, "")
      assert.strictEqual(yield* called, 0)
      yield* Fiber.interrupt(first)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.never), obedient]))))

  it.effect("that another program has begun to use later belongs to this one", () =>
    Effect.gen(function*() {
      const seen = yield* Deferred.make<void>()
      yield* Effect.gen(function*() {
        const { processes } = yield* T.Machine
        const first = yield* Effect.fork(OpenCode.run("one"))
        yield* T.untilStarted(1)
        const second = yield* Effect.fork(OpenCode.run("two", { runId: "a" }))
        yield* T.untilMade(2)
        const elsewhere = "EFFECT_OPENCODE_PROGRAM=:1/60/5\0"
        processes.set(77, marked("a", { started: 402, environ: () => `${variable}=:a\0${elsewhere}` }))
        processes.set(78, marked("a", { ppid: T.firstPid + 1, started: 1 }))
        processes.set(T.firstPid + 1, marked("a", { started: 401 }))
        yield* T.advance("300 millis")
        yield* T.untilStarted(2)
        yield* T.until("the prompt", Effect.map(T.command(1), ({ stdin }) => stdin === "two"))
        for (const pid of [78, T.firstPid + 1]) processes.delete(pid)
        yield* Deferred.succeed(seen, undefined)
        assert.strictEqual((yield* T.advanceUntil(second)).runId, "a")
        // Nor does the end of this run reach the other one.
        assert.lengthOf(yield* T.commands, 2)
        yield* Fiber.interrupt(first)
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.never),
        Mock.script(Mock.awaitStdin, Mock.waitFor(Deferred.await(seen)), Mock.lines(T.answer("done")), Mock.exit(0))
      ])))
    }))

  it.effect("still finds what a tool has left in a session of its own", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      const run = yield* Effect.fork(OpenCode.run("x", { runId: "a" }))
      yield* T.untilStarted(1)
      yield* T.until("the prompt", Effect.map(T.command(0), ({ stdin }) => stdin === "x"))
      const { env } = yield* T.command(0)
      const inherited = Object.entries(env).map(([name, value]) => `${name}=${value}\0`).join("")
      processes.set(77, { ppid: 1, pgid: 77, environ: () => inherited })
      const ending = yield* Effect.fork(Fiber.interrupt(run))
      yield* T.untilStarted(2)
      assert.deepStrictEqual((yield* T.command(1)).args.slice(2), ["TERM", "77"])
      processes.delete(77)
      yield* T.advanceUntil(ending)
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.never), Mock.script()]))))

  it.effect("is for one run: not for a layer, not for a session, but for each of its turns", () =>
    Effect.gen(function*() {
      const session = yield* OpenCode.session()
      assert.strictEqual((yield* session.run("x", { runId: "turn-1" })).runId, "turn-1")
      assert.strictEqual((yield* session.run("x", { runId: "turn-2" })).runId, "turn-2")
      const options: RunOptions.RunOptions = { runId: "a" }
      const opened = yield* T.failsWith("OpenCodeConfigError")(OpenCode.session(options))
      assert.strictEqual(opened.path, "runId")
      const { binary } = yield* T.Machine
      const layer = OpenCode.layer({ binary, version: "1.18.33", defaults: options })
      const refused = yield* T.failsWith("OpenCodeConfigError")(Effect.provide(OpenCode.run("x"), layer))
      assert.strictEqual(refused.path, "defaults.runId")
    }).pipe(Effect.scoped, Effect.provide(T.layer([obedient, obedient]))))

  it.effect("is the same in all turns of a runSchema, and held between them", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const transcript = NodePath.join(work, "run.jsonl")
      const opencode = yield* OpenCode.OpenCode
      const refused: Array<string> = []
      const schema = Schema.Struct({ count: Schema.Int })
      const started: Array<RunOptions.Started> = []
      const run = OpenCode.runSchema(schema, "How many?", {
        runId: "a",
        transcript,
        onStart: (one) =>
          Effect.gen(function*() {
            started.push(one)
            const error = yield* T.failsWith("OpenCodeConfigError")(opencode.run("x", { runId: "a" }))
            refused.push(error.path)
          })
      })
      const { result } = yield* run
      assert.strictEqual(result.runId, "a")
      assert.deepStrictEqual((yield* T.commands).map(({ env }) => env[variable]), [":a", ":a"])
      assert.deepStrictEqual(started.map(({ attempt, runId }) => [runId, attempt]), [["a", 1], ["a", 1]])
      assert.deepStrictEqual(refused, ["runId", "runId"])
      const [recorded, ...more] = yield* Transcript.readAll(transcript)
      assert.deepStrictEqual(more, [])
      assert.deepStrictEqual([recorded!.sessionId, recorded!.outcome], ["ses_1", "success"])

      const unnamed = yield* OpenCode.runSchema(schema, "How many?")
      const [, , first, second] = (yield* T.commands).map(({ env }) => env[variable])
      assert.strictEqual(first, `:${unnamed.result.runId}`)
      assert.strictEqual(second, first)
    }).pipe(Effect.provide(T.layer([
      ...["no", "```json\n{\"count\": 3}\n```", "no", "```json\n{\"count\": 3}\n```"].map((said) =>
        Mock.script(Mock.awaitStdin, Mock.lines(T.answer(said)), Mock.exit(0))
      )
    ]))))
})

describe("onStart", () => {
  it.effect("knows the run, its process and its directories, and is awaited before the prompt is sent", () =>
    Effect.gen(function*() {
      const { processes, work } = yield* T.Machine
      processes.set(T.firstPid, { ppid: 4242, pgid: T.firstPid, started: 1234 })
      const told = yield* Deferred.make<RunOptions.Started>()
      const goOn = yield* Deferred.make<void>()
      const run = yield* Effect.fork(OpenCode.run("the prompt", {
        runId: "a",
        onStart: (started) => Effect.andThen(Deferred.succeed(told, started), Deferred.await(goOn))
      }))
      const started = yield* Deferred.await(told)
      const { env } = yield* T.only
      assert.deepStrictEqual(started.process, { pid: T.firstPid, started: "1234" })
      assert.strictEqual(started.program?.pid, process.pid)
      assert.match(started.program!.started, /^\d+$/)
      assert.deepStrictEqual([started.runId, started.attempt, started.cwd], ["a", 1, work])
      assert.strictEqual(started.directory, env["XDG_DATA_HOME"])
      assert.strictEqual(started.temporary, env["TMPDIR"])
      yield* T.settle
      assert.strictEqual((yield* T.only).stdin, "")
      assert.isFalse((yield* T.only).stdinEnded)
      yield* Deferred.succeed(goOn, undefined)
      assert.strictEqual((yield* Fiber.join(run)).answer, "done")
      assert.strictEqual((yield* T.only).stdin, "the prompt")
      processes.delete(T.firstPid)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([obedient]))))

  it.effect("is called for every attempt", () =>
    Effect.gen(function*() {
      const attempts: Array<readonly [number, number | undefined]> = []
      const result = yield* OpenCode.run("x", {
        onStart: ({ attempt, process }) => Effect.sync(() => void attempts.push([attempt, process?.pid]))
      })
      assert.deepStrictEqual(attempts, [[1, T.firstPid], [2, T.firstPid + 1]])
      assert.strictEqual(result.attempts, 2)
    }).pipe(Effect.provide(T.layer([T.locked, obedient], { retry: Schedule.recurs(1) }))))

  it.effect("ends the run with its defect or interruption, and nothing is left", () =>
    Effect.gen(function*() {
      const ends = [Effect.die("no"), Effect.interrupt]
      for (const [index, onStart] of ends.entries()) {
        const exit = yield* Effect.exit(OpenCode.run("x", { onStart: () => onStart }))
        assert.isTrue(Exit.isFailure(exit) && (index === 0 ? Cause.isDie(exit.cause) : Cause.isInterrupted(exit.cause)))
        assert.strictEqual((yield* T.command(index)).stdin, "")
        assert.include((yield* T.command(index)).signals, "SIGTERM")
        yield* T.expectClean
      }
    }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.awaitStdin, Mock.lines(T.answer("x")), Mock.exit(0))))))

  it.effect("counts towards the total time only", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const slow = yield* Effect.fork(OpenCode.run("x", {
        startupTimeout: "10 seconds",
        onStart: () => Effect.sleep("1 minute")
      }))
      yield* T.untilStarted(1)
      yield* T.advance("69 seconds")
      assert.isFalse(yield* T.isDone(slow))
      yield* T.advance("2 seconds")
      const error = yield* T.failsWith("OpenCodeTimeoutError")(T.advanceUntil(slow))
      assert.strictEqual(error.phase, "startup")

      const late = yield* Effect.fork(OpenCode.run("x", { timeout: "30 seconds", onStart: () => Effect.never }))
      const expired = yield* T.failsWith("OpenCodeTimeoutError")(T.advanceUntil(late))
      assert.deepStrictEqual([expired.phase, expired.partial.attempts, expired.partial.cwd], ["total", 1, work])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.never)))))

  it.effect("holds no place among the starts", () =>
    Effect.gen(function*() {
      const waiting = yield* Effect.fork(OpenCode.run("one", { onStart: () => Effect.never }))
      yield* T.untilStarted(1)
      const next = yield* Effect.fork(OpenCode.run("two"))
      yield* T.untilMade(2)
      yield* T.advance("300 millis")
      yield* T.untilStarted(2)
      assert.strictEqual((yield* T.advanceUntil(next)).answer, "done")
      yield* Fiber.interrupt(waiting)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.never), obedient]))))

  it.effect("holds a prompt in the arguments back, too", () =>
    Effect.gen(function*() {
      const goOn = yield* Deferred.make<void>()
      const run = yield* Effect.fork(
        OpenCode.run("the prompt", { promptVia: "argv", onStart: () => Deferred.await(goOn) })
      )
      yield* T.untilStarted(1)
      yield* T.settle
      // The shell waits for it; see the tests of `wholeStdin`.
      assert.strictEqual((yield* T.only).stdin, "")
      assert.isFalse((yield* T.only).stdinEnded)
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(run)
      assert.strictEqual((yield* T.only).stdin, "\n")
      assert.strictEqual((yield* T.only).args.at(-1), "the prompt")
    }).pipe(Effect.provide(T.layer([obedient]))))
})
