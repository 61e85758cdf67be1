/** Runs over servers of the layer's own: scripted processes that listen, and a server in memory that answers. */
import { assert, describe, expect, it } from "@effect/vitest"
import { OpenCode, OpenCodeServer, Transcript } from "effect-opencode"
import type { RunOptions } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as fs from "node:fs"
import * as path from "node:path"
import * as T from "../support/mock.js"
import * as F from "./fake.js"
import { json } from "./support.js"

const listens = Mock.stdout("opencode server listening on http://127.0.0.1:4096\n")

/** The service over processes that listen; the server in memory answers for all of them. */
const owned = (
  scripts: ReadonlyArray<F.Script>,
  options: OpenCodeServer.Options = {},
  process: (command: Mock.RecordedCommand) => Mock.Script = () => Mock.script(listens, Mock.never),
  env: { readonly [name: string]: string } = {}
) =>
  Layer.unwrapEffect(
    Effect.map(T.Machine, ({ binary }) =>
      OpenCodeServer.layer({ binary, version: "1.18.33", environment: {}, ...options }))
  ).pipe(
    Layer.provideMerge(F.machine(scripts)),
    Layer.provideMerge(T.platform(process, () =>
      env))
  )

describe("a secret that a server inherits", () => {
  const canary = "canary-inherited-3c7d"

  it.effect("is masked wherever a tool prints it", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const transcript = path.join(work, "run.jsonl")
      const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("Print env", { transcript }))
      for (const text of [JSON.stringify({ ...error, message: error.message }), fs.readFileSync(transcript, "utf8")]) {
        assert.notInclude(text, canary)
        assert.include(text, "it is <redacted>")
      }
    }).pipe(Effect.provide(owned(
      [(play) =>
        Effect.gen(function*() {
          yield* play.busy
          yield* play.stepStart
          yield* play.tool("bash", { output: `it is ${canary}` })
          yield* play.fail({ name: "APIError", data: { message: `what is ${canary}?`, statusCode: 400 } })
          yield* play.idle
        })],
      { environment: "inherit" },
      undefined,
      { EO_ACME_API_KEY: canary }
    ))))
})

describe("the password of a layer's servers", () => {
  it.effect("is masked wherever a tool has printed it", () => {
    let password = ""
    const showing: F.Script = (play) =>
      Effect.gen(function*() {
        yield* play.busy
        yield* play.stepStart
        yield* play.tool("bash", { output: `it is ${password}` })
        yield* play.fail({ name: "APIError", data: { message: `what is ${password}?`, statusCode: 400 } })
        yield* play.idle
      })
    return Effect.gen(function*() {
      const { work } = yield* T.Machine
      const transcript = path.join(work, "run.jsonl")
      const logged: Array<unknown> = []
      const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("Print env", { transcript })).pipe(
        Effect.tapBoth({ onFailure: Effect.logError, onSuccess: Effect.log }),
        Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void logged.push(message))))
      )
      assert.match(password, /^[\w-]{43}$/)
      const written = fs.readFileSync(transcript, "utf8")
      for (const text of [JSON.stringify({ ...error, message: error.message }), JSON.stringify(logged), written]) {
        assert.notInclude(text, password)
      }
      // It was in the output.
      expect(error.partial.events).toContainEqual(
        expect.objectContaining({ _tag: "ToolUse", output: "it is <redacted>" })
      )
      assert.include(written, "it is <redacted>")
    }).pipe(Effect.provide(owned([showing], {}, ({ env }) => {
      password = env["OPENCODE_SERVER_PASSWORD"]!
      return Mock.script(listens, Mock.never)
    })))
  })
})

/** Advances the clock second by second until a fiber has ended; returns the seconds. */
const seconds = <A, E>(fiber: Fiber.RuntimeFiber<A, E>, most: number) =>
  Effect.gen(function*() {
    for (let second = 0; second <= most; second++) {
      yield* T.settle
      if (yield* T.isDone(fiber)) return second
      yield* TestClock.adjust("1 second")
    }
    return yield* Effect.dieMessage(`not within ${most} s`)
  })

const working: F.Script = (play) =>
  Effect.gen(function*() {
    yield* play.busy
    yield* play.stepStart
    yield* play.text("half of it")
    yield* Effect.never
  })

describe("a server that no longer answers", () => {
  it.effect("fails its runs within three minutes and is killed, and the next run starts another one", () => {
    const state: { fake?: F.Machine; starts: number } = { starts: 0 }
    return Effect.gen(function*() {
      const fake = yield* F.Fake
      state.fake = fake
      const failing = (prompt: string) => T.failsWith("OpenCodeServerError")(OpenCode.run(prompt))
      const runs = yield* Effect.fork(
        Effect.all([failing("one"), failing("two")], { concurrency: "unbounded" })
      )
      yield* T.until("both work", Effect.sync(() => fake.playing === 2))
      fake.isStopped = true
      // A later run waits for a reply, and no longer.
      const late = yield* Effect.fork(failing("three"))
      assert.isBelow(yield* seconds(late, 180), 61)
      assert.isBelow(yield* seconds(runs, 180), 120)
      for (const error of yield* Fiber.join(runs)) {
        expect(error).toMatchObject({ reason: "unreachable", partial: { text: "half of it" } })
        assert.match(error.partial!.sessionId!, /^ses_/)
      }
      expect(yield* Fiber.join(late)).toMatchObject({ reason: "unreachable", detail: "no reply within 1m" })

      fake.scripts = [F.answering("again")]
      const next = yield* Effect.fork(OpenCode.run("four"))
      assert.isBelow(yield* seconds(next, 60), 30)
      assert.strictEqual((yield* Fiber.join(next)).text, "again")
      const [first, second] = yield* T.commands
      assert.deepStrictEqual(first!.signals, ["SIGTERM", "SIGTERM", "SIGKILL"])
      assert.deepStrictEqual(second!.signals, [])
    }).pipe(Effect.provide(owned([working], {}, () => {
      if (++state.starts === 1) return Mock.scriptWith({ onSigterm: "ignore" }, listens, Mock.never)
      state.fake!.isStopped = false
      return Mock.script(listens, Mock.never)
    })))
  })
})

describe("a server that crashes", () => {
  it.effect("leaves its sessions to the next server of its kind", () =>
    Effect.gen(function*() {
      const crash = yield* Deferred.make<void>()
      yield* Effect.gen(function*() {
        const run = yield* Effect.fork(T.failsWith("OpenCodeServerError")(OpenCode.run("one")))
        yield* F.untilPrompted(1)
        const data = (yield* T.command(0)).env["XDG_DATA_HOME"]!
        fs.mkdirSync(data, { recursive: true })
        fs.writeFileSync(path.join(data, "kept"), "")
        yield* Deferred.succeed(crash, undefined)
        yield* seconds(run, 60)
        assert.strictEqual((yield* Fiber.join(run)).reason, "exited")
        // A run that is interrupted during the restart.
        const second = yield* Effect.fork(OpenCode.run("two"))
        yield* T.untilStarted(2)
        yield* seconds(yield* Effect.fork(Fiber.interrupt(second)), 60)
        yield* (yield* F.Fake).restart()
        const third = yield* Effect.fork(OpenCode.run("three"))
        yield* seconds(third, 60)
        assert.strictEqual((yield* Fiber.join(third)).text, "again")
        const started = yield* T.commands
        assert.deepStrictEqual(started.map(({ env }) => env["XDG_DATA_HOME"]), started.map(() => data))
        assert.isTrue(fs.existsSync(path.join(data, "kept")))
      }).pipe(Effect.provide(owned([working, F.answering("again")], {}, () =>
        !Effect.runSync(Deferred.isDone(crash))
          ? Mock.script(listens, Mock.waitFor(Deferred.await(crash)), Mock.exit(1))
          : Mock.script(Mock.sleep("1 second"), listens, Mock.never))))
    }))
})

describe("a closed layer", () => {
  it.effect("keeps its servers' directories until they have ended", () =>
    Effect.gen(function*() {
      const { binary, made, removed } = yield* T.Machine
      const scope = yield* Scope.make()
      const layer = yield* Layer.buildWithScope(
        OpenCodeServer.layer({ binary, version: "1.18.33", environment: {} }),
        scope
      )
      yield* seconds(yield* Effect.fork(Effect.provide(OpenCode.run("x"), layer)), 60)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* T.untilSignals(0, "SIGTERM")
      yield* T.settle
      assert.deepStrictEqual(removed, [])
      yield* seconds(closing, 60)
      assert.deepStrictEqual((yield* T.command(0)).signals, ["SIGTERM", "SIGTERM", "SIGKILL"])
      assert.deepStrictEqual(removed, made)
    }).pipe(
      Effect.provide(F.machine([F.answering("done")])),
      Effect.provide(T.platform(() => Mock.scriptWith({ onSigterm: "ignore" }, listens, Mock.never)))
    ))
})

describe("runs that wait for a server", () => {
  const kind = (name: string) => ({ extraEnv: { KIND: name } })

  it.effect("do not take a place from the session that has the server", () =>
    Effect.gen(function*() {
      const others = yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session(kind("a"))
        const first = yield* Effect.fork(session.run("one"))
        yield* seconds(first, 60)
        const others = yield* Effect.forkDaemon(
          Effect.forEach(["x", "y"], (prompt) => OpenCode.run(prompt, kind("b")), { concurrency: "unbounded" })
        )
        yield* T.settle
        const second = yield* Effect.fork(session.run("two"))
        yield* seconds(second, 60)
        assert.strictEqual((yield* Fiber.join(second)).sessionId, (yield* Fiber.join(first)).sessionId)
        return others
      }))
      yield* seconds(others, 60)
      assert.strictEqual((yield* Fiber.join(others)).length, 2)
    }).pipe(Effect.provide(owned([F.answering("done")], { maxServers: 1, concurrency: 2 }))))

  for (const what of ["a place", "the turn in a session"]) {
    it.effect(`do not take ${what} from the run that has the server`, () =>
      Effect.gen(function*() {
        const { work } = yield* T.Machine
        yield* Effect.gen(function*() {
          const fake = yield* F.Fake
          const before = yield* Effect.fork(OpenCode.run("x", kind("a")))
          yield* seconds(before, 60)
          const { sessionId } = yield* Fiber.join(before)
          const [listing, list] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          fake.instead = ({ method, url }) =>
            method === "GET" && url.pathname === "/session"
              ? Deferred.succeed(listing, undefined).pipe(
                Effect.andThen(Deferred.await(list)),
                Effect.as(json([fake.info(fake.sessions.get(sessionId!)!)]))
              )
              : undefined
          const one = yield* Effect.fork(OpenCode.run("the last one", { ...kind("a"), continueSession: true }))
          yield* Deferred.await(listing)
          const two = yield* Effect.fork(
            OpenCode.run("x", { ...kind("b"), sessionId: what === "a place" ? undefined : sessionId })
          )
          yield* T.settle
          yield* Deferred.succeed(list, undefined)
          yield* seconds(one, 60)
          yield* seconds(two, 60)
          assert.strictEqual((yield* Fiber.join(one)).sessionId, sessionId)
          yield* Fiber.join(two)
        }).pipe(Effect.provide(owned([F.answering("done")], {
          maxServers: 1,
          concurrency: what === "a place" ? 1 : 8,
          isolation: { directory: path.join(work, "data") }
        })))
      }).pipe(Effect.provide(T.platform([]))))
  }
})

describe("a layer with servers of its own", () => {
  it.effect("refuses unusable options before anything is started", () =>
    Effect.gen(function*() {
      const refused = (path: string, options: OpenCodeServer.Options) =>
        Effect.gen(function*() {
          const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
          assert.strictEqual(error.path, path)
          assert.deepStrictEqual(yield* T.commands, [])
        }).pipe(Effect.provide(owned([], options)))
      for (const maxServers of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "unbounded" as never, "4" as never]) {
        yield* refused("maxServers", { maxServers })
      }
      yield* refused("concurrency", { concurrency: Number.NaN })
      yield* refused("idleTimeToLive", { idleTimeToLive: -1 })
      yield* refused("startTimeout", { startTimeout: "soon" as never })
      yield* refused("extraEnv.OPENCODE_SERVER_PASSWORD", { defaults: { extraEnv: { OPENCODE_SERVER_PASSWORD: "x" } } })
    }))

  it.effect("queries models in the directory of its runs", () =>
    Effect.gen(function*() {
      const service = yield* OpenCode.OpenCode
      const { home } = yield* T.Machine
      const models = yield* Effect.fork(service.models)
      yield* seconds(models, 60)
      assert.deepStrictEqual(yield* Fiber.join(models), ["fake/m1"])
      const asked = yield* F.requests("GET", /providers$/)
      assert.deepStrictEqual(asked.map(({ url }) => url.searchParams.get("directory")), [path.join(home, "project")])
    }).pipe(Effect.provide(owned([], { defaults: { cwd: "~/project" } }))))

  it.effect("has one server for each data directory of its runs and sessions", () =>
    Effect.gen(function*() {
      const { root, work } = yield* T.Machine
      const transcript = path.join(work, "run.jsonl")
      const isolation = { directory: path.join(root, "kept") }
      const fiber = yield* Effect.fork(Effect.scoped(Effect.gen(function*() {
        yield* OpenCode.run("x")
        yield* OpenCode.run("x", { isolation, transcript })
        const session = yield* OpenCode.session({ isolation })
        assert.strictEqual(session.directory, isolation.directory)
        yield* session.run("x", { isolation: "none" } as RunOptions.RunOptions)
        yield* OpenCode.run("x", { isolation: "none" })
      })))
      yield* seconds(fiber, 60)
      yield* Fiber.join(fiber)
      const data = (yield* T.commands).map(({ env }) => env["XDG_DATA_HOME"])
      assert.lengthOf(data, 3)
      assert.match(data[0]!, /\.data$/)
      assert.deepStrictEqual(data.slice(1), [isolation.directory, undefined])
      assert.strictEqual((yield* Transcript.read(transcript)).directory, isolation.directory)
    }).pipe(Effect.provide(owned([F.answering("done")], {}))))

  it.effect("starts no sandboxed server for a run in OpenCode's own data directory", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.flip(OpenCode.run("x", { isolation: "none" })))
      yield* seconds(fiber, 60)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag === "OpenCodeConfigError" ? error.path : error._tag, "isolation")
      assert.deepStrictEqual(yield* T.commands, [])
    }).pipe(Effect.provide(owned([F.answering("done")], { sandbox: {} }))))

  it.effect("tells onStart of the server's process before a session is made", () =>
    Effect.gen(function*() {
      const told = yield* Deferred.make<RunOptions.Started>()
      const goOn = yield* Deferred.make<void>()
      const fake = yield* F.Fake
      const options = {
        runId: "a",
        startupTimeout: "10 seconds",
        onStart: (started: RunOptions.Started) => Effect.andThen(Deferred.succeed(told, started), Deferred.await(goOn))
      } as const
      const run = yield* Effect.fork(OpenCode.run("x", options))
      const started = yield* T.advanceUntil(yield* Effect.fork(Deferred.await(told)))
      assert.strictEqual(started.process?.pid, T.firstPid)
      assert.strictEqual(started.program?.pid, process.pid)
      assert.deepStrictEqual([started.runId, started.attempt, started.directory], ["a", 1, undefined])
      const again = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("y", { runId: "a" }))
      assert.strictEqual(again.path, "runId")
      yield* T.advance("1 minute")
      assert.isFalse(yield* T.isDone(run))
      assert.deepStrictEqual([fake.sessions.size, fake.prompts.length], [0, 0])
      yield* Deferred.succeed(goOn, undefined)
      assert.strictEqual((yield* T.advanceUntil(run)).runId, "a")
    }).pipe(Effect.provide(owned([F.answering("done")]))))

  it.effect("refuses the id of a live run of another program, and an import", () =>
    Effect.gen(function*() {
      const { processes } = yield* T.Machine
      processes.set(77, { ppid: 1, pgid: 77, environ: () => "EFFECT_OPENCODE_RUN=:a\0" })
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", { runId: "a" }))
      assert.strictEqual(error.path, "runId")
      const conversation = { info: { id: "ses_1", title: undefined, directory: undefined }, messages: [] }
      const refused = yield* T.failsWith("OpenCodeConfigError")(OpenCode.importSession(conversation))
      assert.strictEqual(refused.path, "conversation")
      assert.deepStrictEqual(yield* T.commands, [])
    }).pipe(Effect.provide(owned([]))))

  it.effect("has one server for each kind of run, up to the limit", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.forEach(
        ["a", "a", "b", "b", "c"],
        (value) => OpenCode.run("x", { extraEnv: { KIND: value } })
      ))
      yield* seconds(fiber, 60)
      yield* Fiber.join(fiber)
      const started = yield* T.commands
      assert.deepStrictEqual(started.map(({ env }) => env["KIND"]), ["a", "b", "c"])
      assert.deepStrictEqual(started.map(({ signals }) => signals.length > 0), [true, true, false])
    }).pipe(Effect.provide(owned([F.answering("done")], { maxServers: 1 }))))
})
