/** OpenCode 2 over servers of a layer and over one that runs elsewhere: scripted processes, and a scripted `fetch`. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { OpenCode, OpenCodeServer } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as T from "../support/mock.js"
import * as fake from "./fakeServer.js"

const serving = Mock.script(Mock.stdout(fake.ready), Mock.never)

const layer = (scripts: ReadonlyArray<Mock.Script>, options: OpenCodeServer.Options = {}) => {
  let started = 0
  return Layer.unwrapEffect(
    Effect.map(T.Machine, ({ binary, work }) =>
      OpenCodeServer.layer({
        binary,
        version: "2.0.14",
        environment: {},
        leash: false,
        ...options,
        defaults: { model: "fake/m1", cwd: work, permission: { bash: "deny" }, ...options.defaults }
      }))
  ).pipe(
    Layer.provideMerge(T.platform(() => scripts[Math.min(started++, scripts.length - 1)]!)),
    Layer.provide(FetchHttpClient.layer)
  )
}

const done = (server: fake.FakeServer) => fake.answer(server, "done")

describe("OpenCode 2 over servers of the layer", () => {
  it.live("runs share one server, which has a password, a database of its own and the layer's lifetime", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      expect((yield* OpenCode.run("one")).answer).toBe("done")
      expect((yield* OpenCode.run("two", { permission: { edit: "deny" }, title: "Two" })).answer).toBe("done")
      const { args, env, signals } = yield* T.only
      expect(args.slice(0, 2)).toEqual(["serve", "--stdio"])
      expect(env["OPENCODE_PASSWORD"]).toMatch(/^[\w-]{43}$/)
      expect(env["OPENCODE_SERVER_PASSWORD"]).toBeUndefined()
      expect(env["OPENCODE_DB"]).toMatch(/opencode-2\.db$/)
      expect(signals).toEqual([])
      const [, second] = fake.of(server, "POST", "/api/session")
      expect(second?.body).toMatchObject({
        title: "Two",
        permissions: [
          { action: "shell", resource: "*", effect: "deny" },
          { action: "edit", resource: "*", effect: "deny" },
          { action: "opencode_session_move", resource: "*", effect: "deny" },
          { action: "question", resource: "*", effect: "deny" }
        ]
      })
    }).pipe(fake.provide(server), Effect.provide(layer([serving])))
  })

  it.live("asks for permissions by the names of the options, sends the reason and says that the model does not see it", () => {
    const requests: Array<OpenCodeServer.PermissionRequest> = []
    const logged: Array<unknown> = []
    const server = fake.make({
      onPrompt: (server) => {
        fake.begin(server)
        server.send("permission.asked", {
          id: "per_1",
          action: "shell",
          resources: ["rm x"],
          source: { type: "tool", id: "call_1" }
        })
      },
      reply: ({ path }) => {
        if (!path.endsWith("/reply")) return undefined
        queueMicrotask(() => {
          server.send("permission.replied", { requestID: "per_1", reply: "reject" })
          fake.finish(server, "so what")
        })
        return fake.reply(undefined, 204)
      }
    })
    return Effect.gen(function*() {
      const result = yield* OpenCode.run("Go")
      expect(result.answer).toBe("so what")
      expect(result.events.map(({ _tag }) => _tag)).toEqual([
        "StepStart",
        "PermissionAsked",
        "PermissionRejected",
        "Text",
        "StepFinish"
      ])
      expect(requests).toMatchObject([
        { permission: "bash", patterns: ["rm x"], callId: "call_1", childId: undefined, sessionId: fake.session }
      ])
      expect(fake.of(server, "POST", "/reply")[0]?.body).toEqual({ decision: "reject", message: "not this" })
      expect(JSON.stringify(logged)).toContain("does not show it to the model")
      expect(fake.of(server, "POST", "/api/session")[0]?.body?.["permissions"]).toEqual([
        { action: "shell", resource: "*", effect: "ask" },
        { action: "opencode_session_move", resource: "*", effect: "deny" },
        { action: "question", resource: "*", effect: "deny" }
      ])
    }).pipe(
      fake.provide(server),
      Effect.provide(layer([serving], {
        ask: ["bash"],
        defaults: { permission: {} },
        onPermission: (request) => {
          requests.push(request)
          return Effect.succeed({ reject: "not this" })
        }
      })),
      Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void logged.push(message)))),
      Logger.withMinimumLogLevel(LogLevel.Debug)
    )
  })

  it.live("a server that ends fails its runs, and the next run has another one", () =>
    Effect.gen(function*() {
      const died = yield* Deferred.make<void>()
      const server = fake.make({
        onPrompt: (server) => {
          if (fake.of(server, "POST", "/prompt").length > 1) return done(server)
          fake.begin(server)
          Deferred.unsafeDone(died, Effect.void)
        }
      })
      const mortal = Mock.script(
        Mock.stdout(fake.ready),
        Mock.waitFor(Deferred.await(died)),
        Mock.stderr("out of memory\n"),
        Mock.exit(7)
      )
      yield* Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("one"))
        expect(error).toMatchObject({ reason: "exited", exitCode: 7 })
        expect(error.stderr).toContain("out of memory")
        expect((yield* OpenCode.run("two")).answer).toBe("done")
      }).pipe(fake.provide(server), Effect.provide(layer([mortal, serving])))
    }))

  it.live("a prompt of a run that has failed is interrupted on the server that others use", () => {
    const logged: Array<unknown> = []
    const server = fake.make({
      onPrompt: (server) => {
        fake.begin(server)
        server.send("session.text.ended", { assistantMessageID: "msg_1", ordinal: 0 })
      },
      onInterrupt: (server) => server.send("session.execution.interrupted")
    })
    return Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("Go"))
      expect(error.reason).toBe("unexpected-reply")
      expect(fake.of(server, "POST", "/interrupt")).toHaveLength(1)
      expect(logged).toEqual([])
    }).pipe(
      fake.provide(server),
      Effect.provide(layer([serving])),
      Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void logged.push(message))))
    )
  })

  it.live("a run that is interrupted before the server has its prompt interrupts it then", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      let admit = () => {}
      const admitted = new Promise<void>((resolve) => {
        admit = resolve
      })
      const inner = fake.make({
        // Before the prompt nothing works that it could interrupt.
        onInterrupt: (server) => {
          if (fake.of(server, "POST", "/prompt").length > 0) server.send("session.execution.interrupted")
          else admit()
        },
        onPrompt: fake.begin
      })
      const server: fake.FakeServer = {
        ...inner,
        fetch: (input, init) => {
          if (!String(input).endsWith("/prompt")) return inner.fetch(input, init)
          Deferred.unsafeDone(asked, Effect.void)
          return admitted.then(() => inner.fetch(input, init))
        }
      }
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("Go"))
        yield* Deferred.await(asked)
        yield* Fiber.interrupt(fiber)
        expect(fake.of(server, "POST", "/prompt")).toHaveLength(1)
        expect(fake.of(server, "POST", "/interrupt")).toHaveLength(2)
      }).pipe(fake.provide(server), Effect.provide(layer([serving])))
    }))

  it.live("`pure` and the level of the log need a server of their own", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      yield* OpenCode.run("one")
      yield* OpenCode.run("two", { pure: true, logLevel: "INFO" })
      const [first, second] = yield* T.commands
      expect(first?.env["OPENCODE_CONFIG_CONTENT"]).toBeUndefined()
      expect(JSON.parse(second!.env["OPENCODE_CONFIG_CONTENT"]!)).toEqual({ plugins: ["-*", "opencode.*"] })
      expect(second?.env["OPENCODE_LOG_LEVEL"]).toBe("INFO")
    }).pipe(fake.provide(server), Effect.provide(layer([serving, serving])))
  })

  it.live("refuses the data of OpenCode 1", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      expect((yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("Go", { isolation: "none" }))).path).toBe(
        "isolation"
      )
      expect(fake.of(server, "POST", "/prompt")).toEqual([])
    }).pipe(fake.provide(server), Effect.provide(layer([serving])))
  })

  it.live("a configuration that is dropped ends the run without a prompt", () => {
    const server = fake.make({ onPrompt: done })
    const warning =
      "timestamp=2026-11-30T11:26:40.695Z level=WARN run=1 message=\"configuration normalization diagnostic\" source=OPENCODE_CONFIG_CONTENT path=$.permissions.0 kind=invalid action=\"skipped\" role=server\n"
    return Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("Go"))
      expect(error.message).toContain("$.permissions.0")
      expect(fake.of(server, "POST", "/prompt")).toEqual([])
    }).pipe(
      fake.provide(server),
      Effect.provide(layer([Mock.script(Mock.stderr(warning), Mock.stdout(fake.ready), Mock.never)]))
    )
  })

  it.live("a session with another program's prompt is left alone", () => {
    const server = fake.make({
      onPrompt: done,
      reply: ({ path }) => path.endsWith("/active") ? fake.reply({ data: { [fake.session]: {} } }) : undefined
    })
    return Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("Go", { sessionId: fake.session }))
      expect(error.reason).toBe("refused")
      expect(fake.of(server, "POST", "/prompt")).toEqual([])
    }).pipe(fake.provide(server), Effect.provide(layer([serving])))
  })
})

describe("OpenCode 2 on a server that runs elsewhere", () => {
  /** OpenCode 2 answers what it does not know with a page. */
  const page = (path: string) => path === "/global/health" ? new Response("<!doctype html>") : undefined

  const attached = (more: Partial<OpenCodeServer.AttachOptions> = {}) =>
    OpenCodeServer.layerAttach({ url: fake.url, defaults: { model: "fake/m1" }, ...more }).pipe(
      Layer.provideMerge(T.platform([])),
      Layer.provide(FetchHttpClient.layer)
    )

  it.live("is found by its own route, and files are sent as data", () => {
    const server = fake.make({ onPrompt: done, reply: ({ path }) => page(path) })
    return Effect.gen(function*() {
      const opencode = yield* OpenCode.OpenCode
      expect((yield* OpenCode.run("Go", { cwd: "/there" })).answer).toBe("done")
      expect(yield* opencode.version).toEqual({ major: 2, minor: 0, patch: 14 })
      expect(fake.of(server, "POST", "/api/session")[0]?.body?.["location"]).toEqual({ directory: "/there" })
      expect(yield* T.commands).toEqual([])
    }).pipe(fake.provide(server), Effect.provide(attached()))
  })

  it.live("of an untested version is used with a warning, and of an unknown one refused", () => {
    const logged: Array<unknown> = []
    const versioned = (version: string) =>
      fake.make({
        onPrompt: done,
        reply: ({ path }) => path === "/api/info" ? fake.reply({ version }) : page(path)
      })
    return Effect.gen(function*() {
      const newer = versioned("2.3.2")
      yield* OpenCode.run("Go").pipe(fake.provide(newer), Effect.provide(attached()))
      expect(JSON.stringify(logged)).toContain("2.3.2")
      const next = versioned("3.0.0")
      yield* T.failsWith("OpenCodeVersionError")(OpenCode.run("Go")).pipe(
        fake.provide(next),
        Effect.provide(attached())
      )
      expect(fake.of(next, "POST", "/prompt")).toEqual([])
    }).pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void logged.push(message))))
    )
  })

  it.live("of an untested version is warned about once by a layer, however many runs name it", () => {
    const logged: Array<unknown> = []
    const server = fake.make({
      onPrompt: done,
      reply: ({ path }) => path === "/api/info" ? fake.reply({ version: "2.3.2" }) : page(path)
    })
    return Effect.gen(function*() {
      yield* OpenCode.run("one", { attach: fake.url })
      yield* OpenCode.run("two", { attach: fake.url })
      expect(logged.filter((message) => JSON.stringify(message).includes("2.3.2"))).toHaveLength(1)
    }).pipe(
      fake.provide(server),
      Effect.provide(T.layer([], { version: "2.0.14", defaults: { model: "fake/m1" } })),
      Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void logged.push(message))))
    )
  })

  it.live("carries a single run of another layer, which names it", () => {
    const server = fake.make({ onPrompt: done, reply: ({ path }) => page(path) })
    return Effect.gen(function*() {
      expect((yield* OpenCode.run("Go", { attach: fake.url, tools: { webfetch: false } })).answer).toBe("done")
      expect(fake.of(server, "POST", "/api/session")[0]?.body?.["permissions"]).toContainEqual(
        { action: "webfetch", resource: "*", effect: "deny" }
      )
      for (const more of [{ extraEnv: { A: "1" } }, { mcp: { a: { type: "local" } } }, { pure: true }]) {
        const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("Go", { attach: fake.url, ...more }))
        expect(error.path).toBe(Object.keys(more)[0])
      }
      expect(yield* T.commands).toEqual([])
    }).pipe(
      fake.provide(server),
      Effect.provide(T.layer([], { version: "2.0.14", defaults: { model: "fake/m1" } }))
    )
  })
})
