import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import type { OpenCodeError } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as NodeFs from "node:fs"
import * as NodePath from "node:path"
import * as T from "./support/mock.js"

const crash = (stderr: string) => Mock.script(Mock.stderr(stderr), Mock.exit(1))

describe("a SQLite crash at start-up", () => {
  const texts = [
    // texts that the wrapper recognised
    "database is locked",
    "SQLITE_BUSY: the database is busy",
    "SQLiteError: something",
    "sqliteerror",
    "PRAGMA journal_mode",
    "disk I/O error",
    // texts of current versions
    "\u001b[91m\u001b[1mError: \u001b[0mUnexpected error\n\nFailed query: CREATE TABLE `project` (…)\nparams:",
    "Error: Unexpected error\n\nDATABASE IS LOCKED",
    "Error: Unexpected error\n\nFailed to run the query 'PRAGMA journal_mode = WAL'",
    "Failed to execute statement",
    "LockTimeoutError",
    "locking protocol",
    "table `session` already exists",
    "duplicate column name: x"
  ]
  for (const stderr of texts) {
    it.effect(`is retried: ${JSON.stringify(stderr.slice(0, 70))}`, () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("x"))
        yield* T.untilOver(1)
        yield* TestClock.adjust("1 second")
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(result.text, "after all")
        assert.strictEqual(result.attempts, 2)
        // that of the attempt that created it
        assert.strictEqual(result.stderr, "")
        assert.strictEqual(Duration.toMillis(result.duration), 1000)
        assert.strictEqual((yield* T.commands).length, 2)
      }).pipe(Effect.provide(T.layer([crash(stderr), T.answering("after all")]))))
  }

  it.effect("is retried by a stream, which emits only the events of the last attempt", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Stream.runCollect(OpenCode.stream("x")))
      yield* T.untilOver(1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([...(yield* Fiber.join(fiber))].map((event) => event._tag), [
        "StepStart",
        "Text",
        "StepFinish"
      ])
    }).pipe(Effect.provide(T.layer([T.locked, T.answering("x")]))))

  it.effect("is retried twice, a second apart, and then fails the run", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeSqliteError")(OpenCode.run("x")))
      yield* T.untilOver(1)
      yield* TestClock.setTime(999)
      yield* T.settle
      assert.strictEqual((yield* T.commands).length, 1)
      yield* TestClock.setTime(1000)
      yield* T.untilOver(2)
      yield* TestClock.setTime(1999)
      yield* T.settle
      assert.strictEqual((yield* T.commands).length, 2)
      yield* TestClock.setTime(2000)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.signature, "database is locked")
      assert.strictEqual(error.exitCode, 1)
      assert.strictEqual(error.partial.attempts, 3)
      assert.strictEqual(Duration.toMillis(error.partial.duration), 2000)
      assert.match(error.message, /3 attempts/)
      assert.strictEqual((yield* T.commands).length, 3)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(() => T.locked))))

  it.effect("is retried by the given schedule", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeSqliteError")(OpenCode.run("x")))
      for (const at of [10_000, 30_000, 70_000, 150_000]) {
        yield* T.advanceTo(at)
      }
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.partial.attempts, 5)
      assert.deepStrictEqual(seen, [1, 2, 3, 4, 5])
    }).pipe(Effect.provide(T.layer(() => T.locked, {
      retry: Schedule.exponential("10 seconds").pipe(
        Schedule.intersect(Schedule.recurs(4)),
        Schedule.tapInput((error: OpenCodeError.OpenCodeSqliteError) =>
          Effect.sync(() => seen.push(error.partial.attempts))
        )
      )
    }))))
  const seen: Array<number> = []

  it.effect("is not retried by a schedule that stops", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeSqliteError")(OpenCode.run("x"))
      assert.strictEqual(error.partial.attempts, 1)
    }).pipe(Effect.provide(T.layer([T.locked], { retry: Schedule.stop }))))

  it.effect("is counted for every run separately", () =>
    Effect.gen(function*() {
      const runs = yield* Effect.fork(
        Effect.all([1, 2, 3].map(() => T.failsWith("OpenCodeSqliteError")(OpenCode.run("x"))))
      )
      const errors = yield* Fiber.join(runs)
      assert.deepStrictEqual(errors.map((error) => error.partial.attempts), [2, 2, 2])
    }).pipe(Effect.provide(T.layer(() => T.locked, { retry: Schedule.recurs(1) }))))

  it.effect("is not retried once an event was seen", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x"))
      assert.strictEqual(error.partial.eventCount, 1)
      assert.strictEqual(error.partial.attempts, 1)
      assert.strictEqual((yield* T.commands).length, 1)
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.lines([T.stepStart()]), Mock.stderr("database is locked\n"), Mock.exit(1)),
      T.answering("again")
    ]))))

  it.effect("is retried if only a diagnostic was seen", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("x"))
      yield* T.untilOver(1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).attempts, 2)
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.stdout("Performing one time database migration\n"),
        Mock.stderr("database is locked"),
        Mock.exit(1)
      ),
      T.answering("again")
    ]))))

  const others: ReadonlyArray<readonly [OpenCodeError.OpenCodeError["_tag"], Mock.Script]> = [
    ["OpenCodeProcessError", crash("Error: Session not found")],
    ["OpenCodeProcessError", crash("Error: Unexpected error\n\nfile is not a database")],
    ["OpenCodeProcessError", crash("SQLiteError: unable to open database file")],
    ["OpenCodeProcessError", crash("attempt to write a readonly database: SQLiteError")],
    ["OpenCodeProcessError", crash("SQLiteError: database or disk is full")],
    [
      "OpenCodeSessionError",
      Mock.script(Mock.lines([T.error("APIError", { message: "database is locked" })]), Mock.exit(1))
    ],
    ["OpenCodeSpawnError", Mock.spawnError("NotFound")],
    ["OpenCodeIncompleteError", Mock.script(Mock.stderr("database is locked\n"), Mock.exit(0))]
  ]
  for (const [index, [tag, script]] of others.entries()) {
    it.effect(`is not confused with ${tag} (${index + 1})`, () =>
      Effect.gen(function*() {
        yield* T.failsWith(tag)(OpenCode.run("x"))
        assert.strictEqual((yield* T.commands).length, 1)
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([script, T.answering("again")]))))
  }
})

describe("a retry", () => {
  it.effect("has its own directories and starts when the earlier ones are gone", () => {
    const homes: Array<string> = []
    const before: Array<boolean> = []
    return Effect.gen(function*() {
      yield* T.failsWith("OpenCodeSqliteError")(OpenCode.run("x"))
      assert.strictEqual(new Set(homes).size, 3)
      assert.deepStrictEqual(before, [true, false, true, false, false, true])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer((command) => {
      homes.push(NodePath.dirname(command.env["XDG_DATA_HOME"]!))
      for (const home of homes) before.push(NodeFs.existsSync(home))
      return T.locked
    }, { retry: Schedule.recurs(2) })))
  })

  it.effect("appends to the transcript", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      NodeFs.writeFileSync(`${work}/run.jsonl`, "{\"type\":\"earlier\"}\n")
      yield* OpenCode.run("x", { transcript: "run.jsonl" })
      const fileSystem = yield* FileSystem.FileSystem
      const lines = (yield* fileSystem.readFileString(`${work}/run.jsonl`)).trimEnd().split("\n")
      assert.deepStrictEqual(lines.map((line) => JSON.parse(line).type), [
        "earlier",
        "effect-opencode/run_start",
        "effect-opencode/diagnostic",
        "effect-opencode/run_end",
        "effect-opencode/run_start",
        "step_start",
        "text",
        "step_finish",
        "effect-opencode/run_end"
      ])
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.stdout("not json\n"), Mock.stderr("database is locked"), Mock.exit(1)),
      T.answering("x")
    ], { retry: Schedule.recurs(1) }))))

  it.effect("does not start when the run is interrupted during the delay", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(OpenCode.run("x"))
      yield* T.untilOver(1)
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust(Duration.hours(1))
      yield* T.settle
      assert.strictEqual((yield* T.commands).length, 1)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(() => T.locked))))

  it.scoped("does not start when the run is interrupted while the last directories are removed", () => {
    const removing = Effect.unsafeMakeLatch(false)
    const goOn = Effect.unsafeMakeLatch(false)
    return Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const slow = FileSystem.FileSystem.of({
        ...fileSystem,
        remove: (file, options) =>
          removing.open.pipe(Effect.andThen(goOn.await), Effect.andThen(fileSystem.remove(file, options)))
      })
      const { binary } = yield* T.Machine
      const service = yield* OpenCode.make({ binary, version: "1.18.33", retry: Schedule.recurs(2) }).pipe(
        Effect.provideService(FileSystem.FileSystem, slow)
      )
      const fiber = yield* Effect.fork(service.run("x"))
      yield* removing.await
      const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* T.settle
      yield* goOn.open
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(interruption)))
      assert.strictEqual((yield* T.commands).length, 1)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(() => T.locked)))
  })

  it.effect("gets the prompt and passes the gate like the first attempt, without another version query", () =>
    Effect.gen(function*() {
      yield* OpenCode.run("the prompt")
      const all = yield* T.commands
      assert.deepStrictEqual(all.map((recorded) => recorded.args[0]), ["--version", "run", "run"])
      assert.deepStrictEqual(all.slice(1).map((recorded) => recorded.stdin), ["the prompt", "the prompt"])
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.stdout("1.18.33\n")),
      Mock.script(Mock.awaitStdin, Mock.stderr("database is locked"), Mock.exit(1)),
      Mock.script(Mock.awaitStdin, Mock.lines(T.answer("x")))
    ], { retry: Schedule.recurs(1), version: undefined }))))
})
