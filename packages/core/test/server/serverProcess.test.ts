import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert, describe, expect, it } from "@effect/vitest"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as NodeFs from "node:fs"
import * as NodePaths from "node:path"
import * as environment from "../../src/internal/launch/environment.js"
import * as dialects from "../../src/internal/opencode/dialects.js"
import { v1 } from "../../src/internal/opencode/v1/dialect.js"
import * as leash from "../../src/internal/process/leash.js"
import * as limitMark from "../../src/internal/process/limitMark.js"
import * as program from "../../src/internal/process/program.js"
import * as table from "../../src/internal/process/table.js"
import * as connections from "../../src/internal/transport/server/connection.js"
import * as credentials from "../../src/internal/transport/server/credentials.js"
import * as pools from "../../src/internal/transport/server/pool.js"
import type { Spec } from "../../src/internal/transport/server/pool.js"
import * as serverProcess from "../../src/internal/transport/server/serverProcess.js"
import { apiOf } from "../support/connection.js"
import * as T from "../support/mock.js"
import { client, frame, json } from "./support.js"
import type { Answer } from "./support.js"

const canary = "canary-key-5f20"

const services = Effect.gen(function*() {
  const executor = yield* CommandExecutor.CommandExecutor
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return {
    executor,
    fileSystem,
    path,
    table: yield* table.make({ executor, fileSystem, path }),
    leash: leash.none(Effect.succeed(undefined)),
    limitMark: limitMark.none,
    wrap: Effect.succeed(program.asItIs),
    environment: { extend: false, variables: { GIVEN: "1" } },
    forceKillAfter: Duration.seconds(5),
    password: yield* credentials.password
  }
})

const specOf = (machine: T.Machine, more: Partial<Spec> = {}): Spec => ({
  key: "one",
  binary: machine.binary,
  cwd: machine.work,
  args: ["--pure"],
  config: { configOverrides: { model: "fake/m1" }, extraEnv: { API_KEY: Redacted.make(canary) } },
  isolation: "run",
  dialect: dialects.unversioned,
  ...more
})

const start = (more: Partial<Spec> = {}) =>
  Effect.gen(function*() {
    const all = yield* services
    const spec = specOf(yield* T.Machine, more)
    const around = yield* environment.make({ ...all, isolation: spec.isolation }, v1, spec.config, spec.cwd)
    const started = yield* serverProcess.start(all, spec, around, { startTimeout: Duration.seconds(60) })
    return { ...started, password: Redacted.value(all.password) }
  })

const listens = Mock.stdout("opencode server listening on http://127.0.0.1:4096\n")

describe("a server process", () => {
  it.effect("gets everything from the environment and nothing from arguments", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const started = yield* start()
        assert.strictEqual(started.url, "http://127.0.0.1:4096")
        const { args, command, env, stdin, cwd } = yield* T.only
        const { binary, tmp, work } = yield* T.Machine
        assert.strictEqual(command, binary)
        expect(args).toEqual([
          "serve",
          "--hostname",
          "127.0.0.1",
          "--port",
          expect.stringMatching(/^\d{5}$/),
          "--mdns=false",
          "--pure"
        ])
        assert.strictEqual(stdin, "")
        assert.strictEqual(cwd, work)
        const { password } = started
        assert.match(password, /^[\w-]{43}$/)
        expect(env).toMatchObject({
          GIVEN: "1",
          API_KEY: canary,
          OPENCODE_SERVER_USERNAME: "opencode",
          OPENCODE_SERVER_PASSWORD: password,
          OPENCODE_CONFIG_CONTENT: `{"model":"fake/m1"}`,
          EFFECT_OPENCODE_RUN: expect.stringMatching(/^:[0-9a-f]{24}$/),
          EFFECT_OPENCODE_SERVER: expect.stringMatching(/^\d+\/\d+\/\d+(\/[0-9a-f-]{36})?$/)
        })
        const [directory] = NodeFs.readdirSync(tmp)
        const note: unknown = JSON.parse(NodeFs.readFileSync(NodePaths.join(tmp, directory!, ".server.json"), "utf8"))
        assert.deepStrictEqual(note, { owner: env["EFFECT_OPENCODE_SERVER"] })
        assert.isFalse(JSON.stringify(note).includes(password))
        assert.isTrue(yield* started.isRunning)
      }))
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform([Mock.script(listens, Mock.never)]))))

  it.effect("has a password that no other layer has", () =>
    Effect.gen(function*() {
      const passwords = yield* Effect.replicateEffect(credentials.password, 100)
      assert.strictEqual(new Set(passwords.map(Redacted.value)).size, 100)
    }))

  it.effect("with the fast profile fetches no list of models and gets the whole one", () =>
    Effect.scoped(Effect.gen(function*() {
      yield* start({ config: { startupProfile: "fast", configOverrides: { model: "fake/m1" } } })
      const { env } = yield* T.only
      assert.strictEqual(env["OPENCODE_DISABLE_MODELS_FETCH"], "1")
      assert.notProperty(env, "OPENCODE_MODELS_PATH")
    })).pipe(Effect.provide(T.platform([Mock.script(listens, Mock.never)]))))

  for (
    const [what, content] of [
      [
        "after a warning",
        "Warning: OPENCODE_SERVER_PASSWORD is not set; server is unsecured.\nopencode server listening on http://127.0.0.1:4096\n"
      ],
      ["byte by byte", Mock.chunked("opencode server listening on http://127.0.0.1:4096\r\n", 1)]
    ] as const
  ) {
    it.effect(`is ready after its line, ${what}`, () =>
      Effect.scoped(Effect.gen(function*() {
        assert.strictEqual((yield* start()).url, "http://127.0.0.1:4096")
      })).pipe(Effect.provide(T.platform([Mock.script(Mock.stdout(content), Mock.never)]))))
  }

  it.effect("has its pipes read until it ends", () =>
    Effect.scoped(Effect.gen(function*() {
      const started = yield* start()
      const exited = yield* started.exited
      expect(exited).toMatchObject({ reason: "exited", exitCode: 3, url: "http://127.0.0.1:4096" })
      assert.isFalse(yield* started.isRunning)
      assert.isTrue(exited.stderr.endsWith("the last word\n"))
      assert.isBelow(exited.stderr.length, 64 * 1024 + 1)
    })).pipe(Effect.provide(T.platform([
      Mock.script(
        listens,
        Mock.stdout("x".repeat(1024 * 1024)),
        Mock.stderr(`${"y".repeat(1000)}\n`.repeat(1024)),
        Mock.stderr("\u001b[91mthe last word\u001b[0m\n"),
        Mock.exit(3)
      )
    ]))))

  it.effect("that ends before it listens fails with its stderr, without secrets", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeServerError")(Effect.scoped(start()))
      expect(error).toMatchObject({ reason: "start-failed", exitCode: 1, url: undefined })
      assert.strictEqual(error.stderr, "port is taken, key <redacted>, password <redacted>\n")
      assert.include(error.message, "it ended with code 1 before it listened")
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform((command) =>
      Mock.script(
        Mock.stderr(`port is taken, key ${canary}, password ${command.env["OPENCODE_SERVER_PASSWORD"]}\n`),
        Mock.exit(1)
      )
    ))))

  it.effect("that is killed before it listens fails with the signal", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeServerError")(Effect.scoped(start()))
      expect(error).toMatchObject({ reason: "start-failed", signal: "SIGKILL" })
    }).pipe(Effect.provide(T.platform([Mock.script(Mock.signal("SIGKILL"))]))))

  it.effect("that does not listen in time is ended", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeServerError")(Effect.scoped(start())))
      yield* T.untilStarted(1)
      yield* T.advance("60 seconds")
      const error = yield* Fiber.join(fiber)
      expect(error).toMatchObject({ reason: "start-timeout", stderr: "still looking\n", detail: "not within 1m" })
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform([Mock.script(Mock.stderr("still looking\n"), Mock.never)]))))

  it.effect("that cannot be started fails with the reason", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeSpawnError")(Effect.scoped(start()))
      assert.strictEqual(error.reason, "PermissionDenied")
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform([Mock.spawnError("PermissionDenied")]))))

  it.effect("is refused an oversized environment before anything is started", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(
        Effect.scoped(start({ config: { configOverrides: { instructions: ["x".repeat(128 * 1024)] } } }))
      )
      assert.strictEqual(error.path, "configOverrides")
      assert.deepStrictEqual(yield* T.commands, [])
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform([]))))
})

const open = (answer: Answer) =>
  Effect.gen(function*() {
    const all = yield* services
    const spec = specOf(yield* T.Machine)
    const around = yield* environment.make({ ...all, isolation: spec.isolation }, v1, spec.config, spec.cwd)
    return apiOf(
      yield* connections.open({ ...all, httpClient: client(answer).client }, spec, around, {
        startTimeout: Duration.seconds(60)
      })
    )
  })

/** A server that answers like the real one. */
const answers = (more: (path: string) => Response | Effect.Effect<Response, unknown> | undefined = () => undefined) => {
  const asked: Array<string> = []
  const answer: Answer = ({ url }) => {
    asked.push(url.pathname)
    const special = more(url.pathname)
    if (special !== undefined) return special
    switch (url.pathname) {
      case "/global/health":
        return json({ healthy: true, version: "1.18.33" })
      case "/global/event":
        return new Response(
          new ReadableStream({
            start: (controller) =>
              controller.enqueue(new TextEncoder().encode(frame({ type: "server.connected", properties: {} })))
          })
        )
      default:
        return json(true)
    }
  }
  return { asked, answer }
}

const serving = T.platform(() => Mock.script(listens, Mock.never))

describe("a server of our own", () => {
  it.effect("ends its sessions before it is ended", () =>
    Effect.gen(function*() {
      const { answer, asked } = answers()
      const signals: Array<ReadonlyArray<string>> = []
      const mock = yield* Mock.MockCommandExecutor
      const scope = yield* Scope.make()
      const connection = yield* Scope.extend(
        open((sent) =>
          sent.url.pathname === "/global/dispose"
            ? Effect.tap(
              Effect.succeed(answer(sent) as Response),
              () => Effect.map(mock.commands, (commands) => signals.push(commands[0]!.signals))
            )
            : answer(sent)
        ),
        scope
      )
      const { tmp } = yield* T.Machine
      assert.deepStrictEqual(connection.version, { major: 1, minor: 18, patch: 33 })
      assert.isTrue(connection.directory?.startsWith(tmp))
      const subscription = yield* Scope.extend(connection.subscribe("ses_1"), scope)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(asked, ["/global/health", "/global/event", "/global/dispose"])
      assert.deepStrictEqual(signals, [[]])
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
      expect(yield* Effect.flip(subscription.take)).toMatchObject({
        reason: "unreachable",
        detail: "the subscription was ended"
      })
      yield* T.expectClean
    }).pipe(Effect.provide(serving)))

  it.effect("that does not end its sessions within 5 seconds is ended anyway", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const asked = yield* Deferred.make<void>()
      yield* Scope.extend(
        open(
          answers((path) =>
            path === "/global/dispose"
              ? Effect.andThen(Deferred.succeed(asked, undefined), Effect.never)
              : undefined
          ).answer
        ),
        scope
      )
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Deferred.await(asked)
      yield* T.advance("4999 millis")
      yield* T.settle
      assert.deepStrictEqual((yield* T.only).signals, [])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
      yield* T.expectClean
    }).pipe(Effect.provide(serving)))

  it.effect("that has ended receives no further request", () => {
    const kill = Effect.unsafeMakeLatch(false)
    return Effect.gen(function*() {
      const { answer, asked } = answers()
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* open(answer)
        const subscription = yield* connection.subscribe("ses_1")
        yield* kill.open
        const error = yield* connection.died
        expect(error).toMatchObject({ reason: "exited", signal: "SIGKILL", url: "http://127.0.0.1:4096" })
        assert.strictEqual(yield* Effect.flip(subscription.take), error)
      }))
      assert.deepStrictEqual(asked, ["/global/health", "/global/event"])
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform([Mock.script(listens, Mock.waitFor(kill.await), Mock.signal("SIGKILL"))])))
  })

  it.effect("of an unsupported version is ended", () =>
    Effect.gen(function*() {
      for (const version of ["1.17.19", "2.0.0", "none"]) {
        const { answer } = answers((path) => path === "/global/health" ? json({ version }) : undefined)
        const error = yield* T.failsWith("OpenCodeVersionError")(Effect.scoped(open(answer)))
        expect(error).toMatchObject({ binary: "http://127.0.0.1:4096", version })
        assert.include(error.message, "1.18.0 and later, below 2.0.0")
      }
      yield* T.expectClean
    }).pipe(Effect.provide(serving)))

  it.effect("of another major, which refuses the arguments before it opens a database, is started once", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeVersionError")(Effect.scoped(open(answers(() => undefined).answer)))
      assert.include(error.message, "1.18.0 and later, below 2.0.0")
      assert.strictEqual((yield* T.commands).length, 1)
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform([Mock.script(
      Mock.stderr("\nERROR\n  Unrecognized flag: --mdns in command opencode serve\n"),
      Mock.exit(1)
    )]))))

  it.effect("whose port is taken is restarted on another port", () => {
    let starts = 0
    const taken = Mock.script(
      Mock.stderr("\u001b[91m\u001b[1mError: \u001b[0mUnexpected error\n\nServeError\n"),
      Mock.exit(1)
    )
    return Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.scoped(open(answers().answer)))
      yield* T.untilStarted(1)
      yield* T.advance("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).version.minor, 18)
      const ports = (yield* T.commands).map(({ args }) => args[args.indexOf("--port") + 1])
      assert.strictEqual(new Set(ports).size, 2)
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform(() => ++starts === 1 ? taken : Mock.script(listens, Mock.never))))
  })

  it.effect("that crashes on its database during the start is restarted at most twice", () => {
    let starts = 0
    return Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.scoped(open(answers().answer)))
      for (let i = 1; i <= 2; i++) {
        yield* T.untilStarted(i)
        yield* T.advance("1 second")
      }
      assert.strictEqual((yield* Fiber.join(fiber)).version.minor, 18)
      const error = yield* Effect.fork(T.failsWith("OpenCodeServerError")(Effect.scoped(open(answers().answer))))
      for (let i = 4; i <= 5; i++) {
        yield* T.untilStarted(i)
        yield* T.advance("1 second")
      }
      expect(yield* Fiber.join(error)).toMatchObject({ reason: "start-failed", exitCode: 1 })
      assert.strictEqual((yield* T.commands).length, 6)
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform(() => ++starts === 3 ? Mock.script(listens, Mock.never) : T.locked)))
  })
})

describe("servers of our own", () => {
  it.effect("start one after the other and keep their directories across a restart", () => {
    const go = [Effect.unsafeMakeLatch(false), Effect.unsafeMakeLatch(false), Effect.unsafeMakeLatch(true)]
    const crash = Effect.unsafeMakeLatch(false)
    let starts = 0
    return Effect.gen(function*() {
      const all = { ...(yield* services), httpClient: client(answers().answer).client }
      const machine = yield* T.Machine
      yield* Effect.scoped(Effect.gen(function*() {
        const pool = yield* pools.ofProcesses(all, {})
        const one = yield* pool.get(specOf(machine))
        const two = yield* pool.get(specOf(machine, { key: "two" }))
        const fibers = [yield* Effect.fork(one.connect)]
        yield* T.untilStarted(1)
        fibers.push(yield* Effect.fork(two.connect))
        yield* T.settle
        assert.strictEqual((yield* T.commands).length, 1)
        yield* go[0]!.open
        const first = yield* Fiber.join(fibers[0]!)
        yield* T.untilStarted(2)
        yield* go[1]!.open
        const second = yield* Fiber.join(fibers[1]!)
        assert.notStrictEqual(second.directory, first.directory)

        yield* crash.open
        yield* first.died
        const third = yield* one.connect
        assert.notStrictEqual(third, first)
        assert.strictEqual(third.directory, first.directory)
        const [before, , after] = yield* T.commands
        assert.strictEqual(after!.env["XDG_DATA_HOME"], before!.env["XDG_DATA_HOME"])
        // Only this password is masked in its output.
        assert.strictEqual(after!.env["OPENCODE_SERVER_PASSWORD"], before!.env["OPENCODE_SERVER_PASSWORD"])
        assert.strictEqual(machine.made.length, 2)
      }))
      yield* T.expectClean
    }).pipe(Effect.provide(T.platform(() => {
      const n = starts++
      return Mock.script(
        Mock.waitFor(go[n]!.await),
        listens,
        ...(n === 0 ? [Mock.waitFor(crash.await), Mock.signal("SIGSEGV")] : [Mock.never])
      )
    })))
  })
})

describe("a foreign server", () => {
  for (
    const [url, address] of [
      ["http://host:4096", "http://host:4096"],
      ["https://user:secret@host/path/?a=b#c", "https://host/path"],
      ["http://127.0.0.1:4096///", "http://127.0.0.1:4096"],
      ["ftp://host", undefined],
      ["host:4096", undefined],
      ["", undefined]
    ] as const
  ) {
    it(`with the url "${url}" has the address ${address}`, () =>
      assert.strictEqual(connections.addressOf(url), address))
  }

  it.effect("is reached by its address and left alone at the end", () =>
    Effect.gen(function*() {
      const { answer, asked } = answers()
      const scripted = client(answer)
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* connections.attach(scripted.client, {
          url: "https://somebody:else@host/",
          username: "me",
          password: Redacted.make("secret")
        })
        assert.isUndefined(connection.directory)
        yield* apiOf(connection).subscribe("ses_1")
      }))
      assert.deepStrictEqual(asked, ["/global/health", "/global/event"])
      assert.strictEqual(scripted.sent[0]!.url.href, "https://host/global/health")
      assert.strictEqual(
        scripted.sent[0]!.headers["authorization"],
        `Basic ${Buffer.from("me:secret").toString("base64")}`
      )
    }))

  it.effect("without an address is refused before any request", () =>
    Effect.gen(function*() {
      const scripted = client(() => Effect.die("nothing is asked"))
      const error = yield* T.failsWith("OpenCodeConfigError")(
        Effect.scoped(connections.attach(scripted.client, { url: "host:4096", password: undefined }))
      )
      assert.strictEqual(error.path, "url")
      assert.deepStrictEqual(scripted.sent, [])
    }))
})
