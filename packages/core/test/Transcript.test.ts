import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import { OpenCode, RunEvent, Transcript } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import * as NodeFs from "node:fs"
import * as T from "./support/mock.js"

let sessions = 0

const wireOf = (file: string): ReadonlyArray<any> =>
  NodeFs.readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))

/** Without the lines that mark the beginning and the end of a run, and without the run's id. */
const eventsOf = (file: string) =>
  wireOf(file).filter(({ type }) => !String(type).startsWith("effect-opencode/run_"))
    .map(({ "effect-opencode/runId": _, ...event }) => event)

describe("transcript", () => {
  it.effect("has every event as a JSON line, ours included, and creates its directory", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const result = yield* OpenCode.run("x", { transcript: "logs/deep/run.jsonl" })
      const lines = eventsOf(`${work}/logs/deep/run.jsonl`)
      // an event from stderr can come before or after a line printed at the same moment
      assert.sameDeepMembers([...lines], result.events.map((event) => RunEvent.toWire(event)))
      const printed = (type: string) => !type.startsWith("effect-opencode/permission")
      assert.deepStrictEqual(lines.map(({ type }) => type).filter(printed), [
        "effect-opencode/diagnostic",
        "brand_new",
        "step_start",
        "text",
        "step_finish"
      ])
      assert.sameMembers(lines.map(({ type }) => type), [
        "effect-opencode/permission_rejected",
        "effect-opencode/diagnostic",
        "step_start",
        "text",
        "step_finish",
        "brand_new"
      ])
      assert.isTrue(NodeFs.readFileSync(`${work}/logs/deep/run.jsonl`, "utf8").endsWith("\n"))
    }).pipe(Effect.provide(T.layer([
      Mock.script(
        Mock.stderr("! permission requested: bash (x); auto-rejecting\n"),
        Mock.stdout("not json\n"),
        Mock.lines([{ type: "brand_new", field: [1] }, ...T.answer("größer")])
      )
    ]))))

  it.effect("has an event before the consumer does", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const counts: Array<number> = []
      yield* OpenCode.stream("x", { transcript: "run.jsonl" }).pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => {
            const wire = JSON.stringify(RunEvent.toWire(event))
            counts.push(eventsOf(`${work}/run.jsonl`).filter((line) => JSON.stringify(line) === wire).length)
          })
        )
      )
      assert.deepStrictEqual(counts, [1, 1, 1])
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))

  it.effect("survives an interruption, and the next run appends to it", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const fiber = yield* Effect.fork(OpenCode.run("x", { transcript: `${work}/run.jsonl` }))
      yield* T.until(
        "its first event",
        Effect.sync(() =>
          NodeFs.existsSync(`${work}/run.jsonl`) &&
          NodeFs.readFileSync(`${work}/run.jsonl`, "utf8").includes("step_start")
        )
      )
      yield* Fiber.interrupt(fiber)
      yield* OpenCode.run("x", { transcript: `${work}/run.jsonl` })
      assert.deepStrictEqual(eventsOf(`${work}/run.jsonl`).map(({ type }) => type), [
        "step_start",
        "step_start",
        "text",
        "step_finish"
      ])
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.lines([T.stepStart()]), Mock.never), T.answering("x")]))))

  it.effect("ends with the error of a run that could not be started", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      yield* T.failsWith("OpenCodeSpawnError")(OpenCode.run("x", { transcript: `${work}/run.jsonl` }))
      assert.strictEqual((yield* Transcript.read(`${work}/run.jsonl`)).outcome, "OpenCodeSpawnError")
    }).pipe(Effect.provide(T.layer(() => Mock.spawnError("NotFound")))))

  it.effect("can be below the home directory", () =>
    Effect.gen(function*() {
      const { home } = yield* T.Machine
      yield* OpenCode.run("x", { transcript: "~/run.jsonl" })
      assert.strictEqual(eventsOf(`${home}/run.jsonl`).length, 3)
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))

  it.effect("only warns when it cannot be written", () =>
    Effect.gen(function*() {
      const warnings: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === LogLevel.Warning) warnings.push(String(message))
      })
      const result = yield* OpenCode.run("x", { transcript: "/dev/full" }).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Effect.provide(Logger.add(logger))
      )
      assert.strictEqual(result.text, "x")
      // Every line fails, but one warning is enough.
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0]!, "/dev/full")
      assert.include(warnings[0]!, "ENOSPC: the disk is full")
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))

  it.effect("has whole lines despite concurrent writers", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      yield* Effect.all([1, 2, 3].map(() => OpenCode.run("x", { transcript: "run.jsonl" })), { concurrency: 3 })
      assert.strictEqual(eventsOf(`${work}/run.jsonl`).length, 9)
    }).pipe(Effect.provide(T.layer(() => T.answering("y".repeat(100_000))))))

  it.effect("distinguishes concurrent runs in one file", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const file = `${work}/run.jsonl`
      const fibers = yield* Effect.forEach(
        [1, 2, 3],
        (number) => Effect.fork(OpenCode.run(`${number}`, { transcript: file }))
      )
      const results = yield* Effect.forEach(fibers, Fiber.join)
      const order = wireOf(file).map((line) => line["effect-opencode/runId"] ?? line.runId)
      assert.isAbove(order.filter((id, index) => id !== order[index - 1]).length, 3, "they were one after the other")
      const runs = yield* Transcript.readAll(file)
      assert.sameMembers(runs.map(({ runId }) => runId), results.map(({ runId }) => runId))
      for (const { events, runId, sessionId, text } of results) {
        const read = yield* Transcript.read(file, { runId })
        assert.deepStrictEqual(read.events, events)
        assert.deepStrictEqual([read.sessionId, read.outcome], [sessionId, "success"])
        assert.strictEqual(`ses_${text}`, sessionId)
      }
      assert.deepStrictEqual(yield* Transcript.read(file), runs.at(-1)!)
      const error = yield* T.failsWith("OpenCodeConfigError")(Transcript.read(file, { runId: "none" }))
      assert.include(error.message, "the run none is not recorded")
    }).pipe(Effect.provide(T.layer(
      (command) => {
        const id = command.args.length === 0 ? "" : String(sessions++)
        const said = T.answer(id).map((event) => ({ ...event, sessionID: `ses_${id}` }))
        return Mock.script(...said.flatMap((event) => [Mock.lines([event]), Mock.waitFor(T.turn)]), Mock.exit(0))
      },
      { startup: { concurrency: "unbounded" } }
    ))))

  it("recovers a line that a crashed program has joined to another one", () => {
    const start = (runId: string) => ({ type: "effect-opencode/run_start", timestamp: 1, runId, attempt: 1, cwd: "/" })
    const event = (runId: string, said: string) => ({ "effect-opencode/runId": runId, ...T.text(said) })
    const text = [
      JSON.stringify(start("a")),
      JSON.stringify(start("b")),
      JSON.stringify(event("a", "whole")),
      `${JSON.stringify(event("a", "cut")).slice(0, 60)}${JSON.stringify(event("b", "one"))}`,
      `${JSON.stringify(event("a", "cut")).slice(0, 9)}${JSON.stringify(event("b", "two")).slice(0, 50)}${
        JSON.stringify(event("b", "three"))
      }`,
      ""
    ].join("\n")
    assert.deepStrictEqual(
      Transcript.parse(text).map(({ events, runId }) => [
        runId,
        ...events.flatMap((event) => event._tag === "Text" ? [event.text] : [])
      ]),
      [["a", "whole"], ["b", "one", "three"]]
    )
  })

  it("takes no run from the values of a tool", () => {
    const start = { type: "effect-opencode/run_start", timestamp: 1, runId: "a", attempt: 1, cwd: "/" }
    const input = {
      ...{ start: { ...start, runId: "forged" } },
      event: { "effect-opencode/runId": "a", ...T.text("forged") }
    }
    const [run, ...more] = Transcript.parse(
      [start, { "effect-opencode/runId": "a", ...T.toolUse("write", { input }) }].map((line) => JSON.stringify(line))
        .join("\n")
    )
    assert.deepStrictEqual(more, [])
    assert.deepStrictEqual(run?.events.map(({ _tag }) => _tag), ["ToolUse"])
  })

  it("has the session of the last attempt", () => {
    const start = (attempt: number) => ({
      type: "effect-opencode/run_start",
      timestamp: 1,
      runId: "a",
      attempt,
      cwd: "/",
      directory: `/${attempt}`
    })
    const [run] = Transcript.parse(
      [start(1), { ...T.stepStart(), sessionID: "ses_old" }, start(2)].map((line) => JSON.stringify(line)).join("\n")
    )
    assert.deepStrictEqual([run?.directory, run?.sessionId], ["/2", undefined])
  })

  it.effect("is cleaned line by line by `clean`, and an empty list writes nothing", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const fileSystem = yield* FileSystem.FileSystem
      yield* Effect.scoped(Effect.gen(function*() {
        const transcript = yield* Transcript.open("own.jsonl", {
          clean: (line) => JSON.parse(JSON.stringify(line).replace("secret", "***"))
        })
        yield* transcript.write([])
        assert.strictEqual(yield* fileSystem.readFileString(`${work}/own.jsonl`), "")
        yield* transcript.write([RunEvent.fromWire({ type: "a", is: "secret" }), RunEvent.fromWire({ type: "b" })])
      }))
      assert.strictEqual(
        yield* fileSystem.readFileString(`${work}/own.jsonl`),
        "{\"type\":\"a\",\"is\":\"***\"}\n{\"type\":\"b\"}\n"
      )
    }).pipe(Effect.provide(T.layer([]))))
})
