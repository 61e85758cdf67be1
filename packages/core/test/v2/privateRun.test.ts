import { describe, expect, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as T from "../support/mock.js"
import { settle } from "../support/settling.js"
import * as fake from "./fakeServer.js"

/** A server that listens until it is ended. */
const serving = Mock.script(Mock.stdout(fake.ready), Mock.never)

const layer = (...scripts: ReadonlyArray<Mock.Script>) =>
  T.layer(scripts, ({ work }) => ({
    version: "2.0.14",
    isolation: "run",
    leash: false,
    defaults: { model: "fake/m1", cwd: work, permission: { bash: "deny" } }
  }))

/** Lets time pass while an effect runs. */
const passing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(effect, Effect.forever(Effect.andThen(TestClock.adjust("5 seconds"), settle)))

const tags = (events: ReadonlyArray<{ readonly _tag: string }> | undefined) => events?.map(({ _tag }) => _tag)

const done = (server: fake.FakeServer) => fake.answer(server, "done")

describe("a run by a private server", () => {
  it.live("passes everything by requests, ends the server and leaves nothing", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      const result = yield* OpenCode.run("Go \"on\"", { title: "Mine" })
      expect(result).toMatchObject({ answer: "done", cost: 0.25, steps: 1, finishReason: "stop" })
      expect(result.exitCode).toBeUndefined()
      const { args, env, signals } = yield* T.only
      expect(args).toEqual(["serve", "--stdio", "--port", "0", "--hostname", "127.0.0.1", "--print-logs"])
      expect(signals).toEqual(["SIGTERM"])
      expect(env["OPENCODE_PASSWORD"]).toMatch(/^[\w-]{43}$/)
      expect(env["OPENCODE_DB"]).toMatch(/opencode-2\.db$/)
      expect(env["OPENCODE_PERMISSION"]).toBeUndefined()
      const { work } = yield* T.Machine
      expect(fake.of(server, "POST", "/api/session")[0]?.body).toEqual({
        location: { directory: work },
        title: "Mine",
        model: { id: "m1", providerID: "fake" },
        permissions: [
          { action: "shell", resource: "*", effect: "deny" },
          { action: "opencode_session_move", resource: "*", effect: "deny" },
          { action: "question", resource: "*", effect: "deny" }
        ]
      })
      expect(fake.of(server, "POST", "/prompt")[0]?.body).toEqual({ text: "Go \"on\"" })
      expect(fake.of(server, "POST", "/interrupt")).toEqual([])
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("recovers from a gap in the events by the session's messages", () => {
    const server = fake.make({
      onPrompt: (server) => {
        fake.begin(server)
        server.cut()
      },
      reply: ({ path }) => path.endsWith("/message") ? fake.reply({ data: fake.messages("recovered") }) : undefined
    })
    return Effect.gen(function*() {
      const result = yield* OpenCode.run("Go")
      expect(result.answer).toBe("recovered")
      expect(tags(result.events)).toEqual(["StepStart", "Text", "StepFinish"])
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("an event that cannot be read is recovered from the messages, too", () => {
    const server = fake.make({
      onPrompt: (server) => {
        fake.begin(server)
        server.send("session.execution.succeeded", { sessionID: 1 })
      },
      reply: ({ path }) => path.endsWith("/message") ? fake.reply({ data: fake.messages("recovered") }) : undefined
    })
    return Effect.gen(function*() {
      expect((yield* OpenCode.run("Go")).answer).toBe("recovered")
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("a session that rests after a gap, without a sign of its end, has not finished", () => {
    const server = fake.make({
      onPrompt: (server) => {
        fake.begin(server)
        server.cut()
      },
      reply: ({ path }) =>
        path.endsWith("/active")
          ? fake.reply({ data: {} })
          : path.endsWith("/message")
          ? fake.reply({
            data: [{ id: "msg_1", type: "assistant", content: [], finish: "error", error: { type: "aborted" } }]
          })
          : undefined
    })
    return Effect.gen(function*() {
      yield* T.failsWith("OpenCodeIncompleteError")(OpenCode.run("Go"))
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("a session of another directory is not continued", () => {
    const server = fake.make({
      onPrompt: done,
      reply: ({ method, path }) =>
        method === "GET" && path === `/api/session/${fake.session}`
          ? fake.reply({ data: { id: fake.session, location: { directory: "/elsewhere" }, permissions: [] } })
          : undefined
    })
    return Effect.gen(function*() {
      const { root } = yield* T.Machine
      const opencode = yield* OpenCode.OpenCode
      const session = yield* opencode.resume({ sessionId: fake.session, directory: root, cwd: root })
      const error = yield* T.failsWith("OpenCodeConfigError")(session.run("Go"))
      expect(error.path).toBe("cwd")
      expect(fake.of(server, "POST", "/prompt")).toEqual([])
    }).pipe(Effect.scoped, fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("a configuration that is dropped ends the run without a prompt", () => {
    const server = fake.make({ onPrompt: done })
    const warning =
      "timestamp=2026-11-30T11:26:40.695Z level=WARN run=1 message=\"configuration normalization diagnostic\" source=OPENCODE_CONFIG_CONTENT path=$.permissions.0 kind=invalid action=\"skipped\" role=server\n"
    return Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("Go"))
      expect(error.message).toContain("$.permissions.0")
      expect(fake.of(server, "POST", "/prompt")).toEqual([])
      yield* T.expectClean
    }).pipe(
      fake.provide(server),
      Effect.provide(layer(Mock.script(Mock.stderr(warning), Mock.stdout(fake.ready), Mock.never)))
    )
  })

  it.live("a session without the rules of the run is not prompted", () => {
    const server = fake.make({
      onPrompt: done,
      reply: ({ method, path }) =>
        method === "POST" && path === "/api/session"
          ? fake.reply({ data: { id: fake.session, permissions: [] } })
          : undefined
    })
    return Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("Go"))
      expect(error.reason).toBe("unexpected-reply")
      expect(fake.of(server, "POST", "/prompt")).toEqual([])
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("an unknown agent and a sub-agent are refused", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      for (const agent of ["nope", "general"]) {
        expect((yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("Go", { agent }))).path).toBe("agent")
      }
      expect(fake.of(server, "POST", "/prompt")).toEqual([])
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving, serving)))
  })

  it.live("what a sub-agent asks for is rejected, its question declined, and it gets the rules of the run", () => {
    const child = "ses_2"
    const server = fake.make({
      onPrompt: (server) => {
        fake.begin(server)
        server.send("session.created", { sessionID: child, parentID: fake.session, permissions: [] })
        server.send("permission.asked", { sessionID: child, id: "per_1", action: "read", resources: ["a.env"] })
        server.send("form.created", { sessionID: child, form: { id: "frm_1", sessionID: child } })
        server.send("permission.replied", { sessionID: child, requestID: "per_1", reply: "reject" })
        fake.finish(server, "done")
      }
    })
    return Effect.gen(function*() {
      const result = yield* OpenCode.run("Go")
      expect(tags(result.events)).toEqual(["StepStart", "PermissionRejected", "Text", "StepFinish"])
      const [patch] = fake.of(server, "PATCH", child)
      expect(patch?.body?.["permissions"]).toContainEqual({ action: "shell", resource: "*", effect: "deny" })
      expect(fake.of(server, "POST", `${child}/permission/per_1/reply`)[0]?.body).toEqual({ decision: "reject" })
      expect(fake.of(server, "DELETE", `${child}/form/frm_1`)).toHaveLength(1)
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("an interruption of the run interrupts the prompt before it ends the server", () =>
    Effect.gen(function*() {
      const prompted = yield* Deferred.make<void>()
      const server = fake.make({
        onPrompt: (server) => {
          fake.begin(server)
          Deferred.unsafeDone(prompted, Effect.void)
        },
        onInterrupt: (server) => server.send("session.execution.interrupted", { reason: "user" })
      })
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("Go"))
        yield* Deferred.await(prompted)
        yield* Fiber.interrupt(fiber)
        // Once more if the first one came before the reply to the prompt.
        expect(fake.of(server, "POST", "/interrupt").length).toBeGreaterThan(0)
        expect((yield* T.only).signals).toEqual(["SIGTERM"])
        yield* T.expectClean
      }).pipe(fake.provide(server), Effect.provide(layer(serving)))
    }))

  it.live("a server that ends during the run is reported with its exit", () =>
    Effect.gen(function*() {
      const died = yield* Deferred.make<void>()
      const server = fake.make({
        onPrompt: (server) => {
          fake.begin(server)
          Deferred.unsafeDone(died, Effect.void)
        }
      })
      const script = Mock.script(
        Mock.stdout(fake.ready),
        Mock.waitFor(Deferred.await(died)),
        Mock.stderr("out of memory\n"),
        Mock.exit(7)
      )
      yield* Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("Go"))
        expect(error.exitCode).toBe(7)
        expect(error.partial.stderr).toContain("out of memory")
      }).pipe(fake.provide(server), Effect.provide(layer(script)))
    }))

  it.live("a crash of SQLite at the start is followed by another attempt", () => {
    const server = fake.make({ onPrompt: done })
    const crash = Mock.script(Mock.stderr("Die(EffectDrizzleQueryError: Failed query: CREATE TABLE\n"), Mock.exit(1))
    return Effect.gen(function*() {
      const result = yield* OpenCode.run("Go")
      expect(result).toMatchObject({ answer: "done", attempts: 2 })
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(crash, serving)))
  })

  it.live("turns of a conversation share one server, which ends with the conversation", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session()
        yield* session.run("one")
        yield* session.run("two", { permission: { edit: "deny" } })
        const { env, signals } = yield* T.only
        expect(signals).toEqual([])
        // Of a turn, and not of the server.
        expect(env["OPENCODE_CONFIG_CONTENT"]).toBeUndefined()
        expect(fake.of(server, "POST", "/prompt")).toHaveLength(2)
      }))
      expect((yield* T.only).signals).toEqual(["SIGTERM"])
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("a turn with another environment gets a server of its own, and the unused one ends", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session()
        yield* session.run("one")
        yield* session.run("two", { extraEnv: { A: "1" } })
        expect((yield* T.commands).map(({ env, signals }) => [env["A"], signals])).toEqual([
          [undefined, ["SIGTERM"]],
          ["1", []]
        ])
      }))
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving, serving)))
  })

  it.live("a server that ended between two turns is replaced", () =>
    Effect.gen(function*() {
      const died = yield* Deferred.make<void>()
      const server = fake.make({ onPrompt: done })
      const mortal = Mock.script(Mock.stdout(fake.ready), Mock.waitFor(Deferred.await(died)), Mock.exit(1))
      yield* Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* OpenCode.session()
          yield* session.run("one")
          yield* Deferred.succeed(died, undefined)
          yield* Effect.sleep("100 millis")
          expect((yield* session.run("two")).answer).toBe("done")
        }))
        yield* T.expectClean
      }).pipe(fake.provide(server), Effect.provide(layer(mortal, serving)))
    }))

  it.live("a turn that cannot be interrupted takes the server with it", () =>
    Effect.gen(function*() {
      const prompted = yield* Deferred.make<void>()
      const server = fake.make({
        onPrompt: (server) => {
          if (fake.of(server, "POST", "/prompt").length > 1) return done(server)
          fake.begin(server)
          Deferred.unsafeDone(prompted, Effect.void)
        },
        // The next server does not know of the prompt.
        reply: ({ path }) => path.endsWith("/active") ? fake.reply({ data: {} }) : undefined
      })
      yield* Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* OpenCode.session()
          const fiber = yield* Effect.fork(session.run("one"))
          yield* Deferred.await(prompted)
          yield* Fiber.interrupt(fiber)
          expect((yield* T.only).signals).toEqual(["SIGTERM"])
          expect((yield* session.run("two")).answer).toBe("done")
        }))
        yield* T.expectClean
      }).pipe(fake.provide(server), Effect.provide(layer(serving, serving)))
    }))

  it.live("an interruption of onStart from inside is one of the run", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(OpenCode.run("Go", { onStart: () => Effect.interrupt }))
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(server.asked).toEqual([])
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("a defect in onSession is that of the run, which ends its server", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(OpenCode.run("Go", { onSession: () => Effect.die("mine") }))
      expect(Exit.isFailure(exit) && Cause.dieOption(exit.cause)).toEqual(Option.some("mine"))
      expect(fake.of(server, "POST", "/prompt")).toEqual([])
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("an interruption of onSession from inside is one of the run, which ends its server", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(OpenCode.run("Go", { onSession: () => Effect.interrupt }))
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(fake.of(server, "POST", "/prompt")).toEqual([])
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("a sub-agent whose creation does not name its parent, or was missed, is followed by its call", () => {
    const child = "ses_2"
    const server = fake.make({
      onPrompt: (server) => {
        fake.begin(server)
        server.send("session.created", { sessionID: child, parent: fake.session, permissions: [] })
        const call = { assistantMessageID: "msg_1", id: "call_1" }
        server.send("session.tool.input.started", { ...call, name: "subagent" })
        server.send("session.tool.called", { ...call, input: {} })
        server.send("session.tool.progress", { ...call, metadata: { sessionID: child, status: "running" } })
      },
      reply: ({ method, path }) => {
        if (method === "GET" && path === `/api/session/${child}`) {
          return fake.reply({ data: { id: child, parentID: fake.session, permissions: [] } })
        }
        if (method === "GET" && path === `/api/session/${child}/permission`) {
          return fake.reply({ data: [{ id: "per_1", sessionID: child, action: "read", resources: ["a.env"] }] })
        }
        if (!path.endsWith("/reply")) return undefined
        queueMicrotask(() => {
          server.send("permission.replied", { sessionID: child, requestID: "per_1", reply: "reject" })
          fake.finish(server, "done")
        })
        return fake.reply(undefined, 204)
      }
    })
    const seen: Array<readonly [string, string | undefined]> = []
    return Effect.gen(function*() {
      const result = yield* OpenCode.run("Go", {
        onSession: ({ parentId, sessionId }) => Effect.sync(() => seen.push([sessionId, parentId]))
      })
      expect(tags(result.events)).toEqual(["StepStart", "PermissionRejected", "Text", "StepFinish"])
      expect(seen).toEqual([[fake.session, undefined], [child, fake.session]])
      const [patch] = fake.of(server, "PATCH", child)
      expect(patch?.body?.["permissions"]).toContainEqual({ action: "shell", resource: "*", effect: "deny" })
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  describe("a session that a tool names, and that is somebody else's", () => {
    const victim = "ses_victim"
    const serve = (tool: string) =>
      fake.make({
        onPrompt: (server) => {
          fake.begin(server)
          const call = { assistantMessageID: "msg_1", id: "call_1" }
          server.send("session.tool.input.started", { ...call, name: tool })
          server.send("session.tool.progress", { ...call, metadata: { sessionID: victim } })
          server.send("session.tool.success", { ...call, content: [], metadata: { sessionID: victim } })
          fake.finish(server, "done")
        },
        reply: ({ method, path }) =>
          method === "GET" && path === `/api/session/${victim}`
            ? fake.reply({ data: { id: victim, parentID: "ses_theirs", permissions: [] } })
            : method === "GET" && path === `/api/session/${victim}/permission`
            ? fake.reply({ data: [{ id: "per_1", sessionID: victim, action: "shell", resources: ["rm"] }] })
            : undefined
      })
    const changes = ({ asked }: fake.FakeServer) =>
      asked.filter(({ method, path }) => method !== "GET" && path.includes(victim))

    it.live("is left alone if the tool starts no sub-agents", () => {
      const server = serve("lookup")
      return Effect.gen(function*() {
        expect((yield* OpenCode.run("Go", { auto: true })).answer).toBe("done")
        expect(server.asked.filter(({ path }) => path.includes(victim))).toEqual([])
      }).pipe(fake.provide(server), Effect.provide(layer(serving)))
    })

    it.live("ends the run unchanged if the tool is the one for sub-agents", () => {
      const server = serve("subagent")
      return Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("Go", { auto: true }))
        expect(error).toMatchObject({ reason: "unexpected-reply", request: "GET /api/session/:id" })
        expect(error.detail).toContain(victim)
        expect(changes(server)).toEqual([])
      }).pipe(fake.provide(server), Effect.provide(layer(serving)))
    })
  })

  it.live("a sub-agent that nothing names ends the run, by the name of what is missing", () => {
    const server = fake.make({
      onPrompt: (server) => {
        fake.begin(server)
        const call = { assistantMessageID: "msg_1", id: "call_1" }
        server.send("session.tool.input.started", { ...call, name: "subagent" })
        server.send("session.tool.success", { ...call, content: [], metadata: { session: "ses_2" } })
      }
    })
    return Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("Go"))
      expect(error).toMatchObject({ reason: "unexpected-reply", detail: "session.tool.success: metadata.sessionID" })
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("a turn of a conversation has the stderr of its own time", () =>
    Effect.gen(function*() {
      const again = yield* Deferred.make<void>()
      const server = fake.make({
        onPrompt: (server) => {
          if (fake.of(server, "POST", "/prompt").length === 1) return done(server)
          fake.begin(server)
          Deferred.unsafeDone(again, Effect.void)
        }
      })
      const script = Mock.script(
        Mock.stderr("of the first turn\n"),
        Mock.stdout(fake.ready),
        Mock.waitFor(Deferred.await(again)),
        Mock.stderr("of the second turn\n"),
        Mock.exit(7)
      )
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session()
        expect((yield* session.run("one")).stderr).toContain("of the first turn")
        const error = yield* T.failsWith("OpenCodeProcessError")(session.run("two"))
        expect(error.exitCode).toBe(7)
        expect(error.partial.stderr).toBe("of the second turn\n")
        expect(error.message).not.toContain("of the first turn")
      })).pipe(fake.provide(server), Effect.provide(layer(script)))
    }))

  it.live("the turns of a conversation keep `pure` and the level of the log, on a configuration that is given", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session({
          pure: true,
          logLevel: "DEBUG",
          extraEnv: { OPENCODE_CONFIG_CONTENT: JSON.stringify({ plugin: ["p"], share: "disabled" }) }
        })
        yield* session.run("one")
      }))
      const { env } = yield* T.only
      expect(JSON.parse(env["OPENCODE_CONFIG_CONTENT"]!)).toEqual({ plugins: ["-*", "opencode.*"], share: "disabled" })
      expect(env["OPENCODE_LOG_LEVEL"]).toBe("DEBUG")
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("a session that keeps its agent gets the rules of that one", () => {
    const all = { action: "*", resource: "*", effect: "allow" }
    const outside = (effect: string) => ({ action: "external_directory", resource: "*", effect })
    const server = fake.make({
      onPrompt: done,
      reply: ({ method, path }) =>
        path === "/api/agent"
          ? fake.reply({
            data: [
              { id: "build", mode: "primary", permissions: [all] },
              { id: "closed", mode: "primary", permissions: [all, outside("deny")] }
            ]
          })
          : method === "GET" && path === `/api/session/${fake.session}`
          ? fake.reply({ data: { id: fake.session, agent: "closed", permissions: [] } })
          : undefined
    })
    return Effect.gen(function*() {
      const { root } = yield* T.Machine
      const opencode = yield* OpenCode.OpenCode
      const session = yield* opencode.resume({ sessionId: fake.session, directory: root })
      yield* session.run("Go")
      yield* session.run("Go", { agent: "build" })
      const rules = fake.of(server, "PATCH", fake.session).map(({ body }) => body?.["permissions"])
      expect(rules[0]).not.toContainEqual(outside("ask"))
      expect(rules[1]).toContainEqual(outside("ask"))
    }).pipe(Effect.scoped, fake.provide(server), Effect.provide(layer(serving)))
  })

  describe("without a model of its own", () => {
    const document = (model?: object) => ({ type: "document", info: model === undefined ? {} : { model } })
    const unnamed = T.layer([serving], ({ work }) => ({
      version: "2.0.14",
      isolation: "run",
      leash: false,
      defaults: { cwd: work }
    }))
    const serve = (documents: ReadonlyArray<object>, agent: object = {}) =>
      fake.make({
        onPrompt: done,
        reply: ({ path }) =>
          path === "/api/config"
            ? fake.reply(documents)
            : path === "/api/agent"
            ? fake.reply({ data: [{ id: "build", mode: "primary", permissions: [], ...agent }] })
            : undefined
      })
    const modelOf = (server: fake.FakeServer) =>
      fake.of(server, "POST", "/api/session").map(({ body }) => body?.["model"])

    it.live("has that of the strongest document of the configuration", () => {
      const server = serve([
        { type: "directory", path: "/config" },
        document({ providerID: "fake", model: "weak" }),
        document({ providerID: "fake", model: "m1", variant: "high" }),
        document()
      ])
      return Effect.gen(function*() {
        yield* OpenCode.run("Go")
        expect(modelOf(server)).toEqual([{ providerID: "fake", id: "m1", variant: "high" }])
      }).pipe(fake.provide(server), Effect.provide(unnamed))
    })

    it.live("is not guessed if a document names one in another way", () => {
      const server = serve([document({ providerID: "fake", model: "m1" }), document({ provider: "fake", id: "m2" })])
      return Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("Go"))
        expect(error).toMatchObject({ reason: "unexpected-reply", request: "GET /api/config" })
        expect(fake.of(server, "POST", "/prompt")).toEqual([])
      }).pipe(fake.provide(server), Effect.provide(unnamed))
    })

    it.live("has that of its agent", () => {
      const server = serve([document({ providerID: "fake", model: "m1" })], {
        model: { providerID: "fake", id: "own" }
      })
      return Effect.gen(function*() {
        yield* OpenCode.run("Go")
        expect(modelOf(server)).toEqual([{ providerID: "fake", id: "own" }])
      }).pipe(fake.provide(server), Effect.provide(unnamed))
    })

    it.live("is refused where none is configured: its prompt would leave for a free model", () => {
      const server = serve([document()])
      return Effect.gen(function*() {
        const { path } = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("Go"))
        expect(path).toBe("model")
        expect(modelOf(server)).toEqual([])
        expect(fake.of(server, "POST", "/prompt")).toEqual([])
        yield* T.expectClean
      }).pipe(fake.provide(server), Effect.provide(unnamed))
    })
  })

  describe("a session that is continued without a model in the options", () => {
    const unnamed = T.layer([serving], ({ root, work }) => ({
      version: "2.0.14",
      isolation: { directory: root },
      leash: false,
      defaults: { cwd: work }
    }))
    const serve = (model: object | undefined, documents: ReadonlyArray<object>) =>
      fake.make({
        onPrompt: done,
        reply: ({ method, path }) =>
          path === "/api/config"
            ? fake.reply(documents)
            : method === "POST" && path.endsWith("/fork") ||
                method === "GET" && path === `/api/session/${fake.session}`
            ? fake.reply({ data: { id: fake.session, model, permissions: [] } })
            : undefined
      })
    const modelOf = (server: fake.FakeServer) => fake.of(server, "POST", "/model").map(({ body }) => body?.["model"])
    const named = { type: "document", info: { model: { providerID: "fake", model: "m1" } } }

    it.live("keeps its own", () => {
      const server = serve({ providerID: "fake", id: "own" }, [])
      return Effect.gen(function*() {
        yield* OpenCode.run("Go", { sessionId: fake.session })
        expect(modelOf(server)).toEqual([])
      }).pipe(fake.provide(server), Effect.provide(unnamed))
    })

    for (const fork of [false, true]) {
      it.live(`gets that of the configuration if it has none (fork: ${fork})`, () => {
        const server = serve(undefined, [named])
        return Effect.gen(function*() {
          yield* OpenCode.run("Go", { sessionId: fake.session, fork })
          expect(modelOf(server)).toEqual([{ providerID: "fake", id: "m1" }])
        }).pipe(fake.provide(server), Effect.provide(unnamed))
      })

      it.live(`is refused if nothing names one (fork: ${fork})`, () => {
        const server = serve(undefined, [])
        return Effect.gen(function*() {
          const run = OpenCode.run("Go", { sessionId: fake.session, fork })
          expect((yield* T.failsWith("OpenCodeConfigError")(run)).path).toBe("model")
          expect(fake.of(server, "POST", "/prompt")).toEqual([])
        }).pipe(fake.provide(server), Effect.provide(unnamed))
      })
    }
  })

  it.live("a branch ends at a message whose next one has an id, or is not made", () => {
    const server = fake.make({
      onPrompt: done,
      reply: ({ method, path }) =>
        method === "GET" && path.endsWith("/message")
          ? fake.reply({ data: [{ type: "user" }, { id: "msg_1", type: "user" }] })
          : undefined
    })
    return Effect.gen(function*() {
      const { root } = yield* T.Machine
      const opencode = yield* OpenCode.OpenCode
      const session = yield* opencode.resume({ sessionId: fake.session, directory: root, cwd: root }, {
        fork: true,
        forkAfter: "msg_1"
      })
      const error = yield* T.failsWith("OpenCodeServerError")(session.run("Go"))
      expect(error).toMatchObject({ reason: "unexpected-reply", detail: "the message after msg_1 has no id" })
      expect(fake.of(server, "POST", "/fork")).toEqual([])
    }).pipe(Effect.scoped, fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("a command is prompted by its name", () => {
    const server = fake.make({
      reply: (asked) => {
        if (!asked.path.endsWith("/command")) return undefined
        queueMicrotask(() => done(server))
        return fake.reply(undefined, 204)
      }
    })
    return Effect.gen(function*() {
      expect((yield* OpenCode.run("this", { command: "review" })).answer).toBe("done")
      expect(fake.of(server, "POST", "/command")[0]?.body).toEqual({ name: "review", text: "this" })
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("the agents are those of a list that is complete", () => {
    let looks = 0
    const server = fake.make({
      onPrompt: done,
      reply: ({ path }) => path === "/api/agent" && looks++ < 2 ? fake.reply({ data: [] }) : undefined
    })
    return Effect.gen(function*() {
      expect((yield* OpenCode.run("Go", { agent: "build" })).answer).toBe("done")
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("an event that lacks what a run needs ends it, by the name of what it lacks", () => {
    const server = fake.make({
      onPrompt: (server) => {
        fake.begin(server)
        server.send("session.text.ended", { assistantMessageID: "msg_1", ordinal: 0 })
        server.send("session.execution.succeeded")
      }
    })
    return Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("Go"))
      expect(error).toMatchObject({ reason: "unexpected-reply", detail: "session.text.ended: text" })
      expect(error.partial?.sessionId).toBe(fake.session)
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("an end without its error does not look like success", () => {
    const server = fake.make({
      onPrompt: (server) => {
        fake.begin(server)
        fake.said(server, "half")
        server.send("session.execution.failed")
      }
    })
    return Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("Go"))
      expect(error.detail).toBe("session.execution.failed: error")
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  for (const end of ["session.execution.completed", "session.done"]) {
    it.effect(`a prompt that ends by an unknown event (${end}) is read from its messages`, () => {
      const server = fake.make({
        onPrompt: (server) => {
          fake.begin(server)
          server.send(end)
        },
        reply: ({ path }) =>
          path.endsWith("/message")
            ? fake.reply({ data: fake.messages("recovered") })
            : path.endsWith("/active")
            ? fake.reply({ data: {} })
            : undefined
      })
      return Effect.gen(function*() {
        expect((yield* passing(OpenCode.run("Go"))).answer).toBe("recovered")
      }).pipe(fake.provide(server), Effect.provide(layer(serving)))
    })
  }

  it.effect("a prompt that is admitted and never worked on is not waited for", () => {
    const server = fake.make({
      reply: ({ path }) => path.endsWith("/active") ? fake.reply({ data: {} }) : undefined
    })
    return Effect.gen(function*() {
      const error = yield* passing(T.failsWith("OpenCodeServerError")(OpenCode.run("Go")))
      expect(error).toMatchObject({ reason: "unexpected-reply", request: "POST /api/session/:id/prompt" })
      expect(error.detail).toContain("does not work on it")
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.effect("a prompt that is never worked on is not waited for, although the events are cut again and again", () => {
    const server = fake.make({
      reply: ({ path }) => path.endsWith("/active") ? fake.reply({ data: {} }) : undefined
    })
    return Effect.gen(function*() {
      const cutting = Effect.forever(
        Effect.andThen(Effect.sync(server.cut), Effect.andThen(TestClock.adjust("5 seconds"), settle))
      )
      const run = T.failsWith("OpenCodeServerError")(OpenCode.run("Go", { timeout: "10 minutes" }))
      expect(yield* Effect.raceFirst(run, cutting)).toMatchObject({
        reason: "unexpected-reply",
        request: "POST /api/session/:id/prompt"
      })
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.effect("a server that names an address elsewhere gets neither the password nor the prompt", () => {
    const server = fake.make()
    const script = Mock.script(Mock.stdout("{\"url\":\"http://192.0.2.1:40000\"}\n"), Mock.never)
    return Effect.gen(function*() {
      const error = yield* passing(T.failsWith("OpenCodeServerError")(OpenCode.run("Go")))
      expect(error.reason).toBe("unexpected-reply")
      expect(server.asked).toEqual([])
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(script)))
  })

  it.effect("a server that says in another way where it listens is not waited for", () => {
    const server = fake.make()
    const script = Mock.script(Mock.stdout("{\"address\":\"http://127.0.0.1:40000\"}\n"), Mock.never)
    return Effect.gen(function*() {
      const error = yield* passing(T.failsWith("OpenCodeServerError")(OpenCode.run("Go")))
      expect(error.reason).toBe("unexpected-reply")
      expect(error.detail).toContain("{\"address\":")
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(script)))
  })

  it.effect("events that begin in another way are not waited for", () => {
    const server = fake.make({ greeting: "server.hello" })
    return Effect.gen(function*() {
      const error = yield* passing(T.failsWith("OpenCodeServerError")(OpenCode.run("Go")))
      expect(error).toMatchObject({ reason: "unexpected-reply", request: "GET /api/event" })
      expect(fake.of(server, "POST", "/prompt")).toEqual([])
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("onStart runs before anything is asked of the server", () => {
    const server = fake.make({ onPrompt: done })
    return Effect.gen(function*() {
      const asked: Array<number> = []
      const result = yield* OpenCode.run("Go", {
        runId: "mine",
        onStart: () => Effect.sync(() => asked.push(server.asked.length))
      })
      expect(result.runId).toBe("mine")
      expect(asked).toEqual([0])
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("what cannot be done is refused by name and version, and starts nothing", () => {
    const server = fake.make()
    return Effect.gen(function*() {
      const argued = yield* T.failsWith("OpenCodeVersionError")(OpenCode.run("Go", { promptVia: "argv" }))
      expect(argued).toMatchObject({ option: "promptVia", version: "2.0.14" })
      const own = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("Go", { isolation: "none" }))
      expect(own.path).toBe("isolation")
      const opencode = yield* OpenCode.OpenCode
      const imported = yield* T.failsWith("OpenCodeConfigError")(
        opencode.importSession({ info: { id: fake.session }, messages: [] })
      )
      expect(imported.path).toBe("isolation")
      expect(yield* T.commands).toEqual([])
    }).pipe(fake.provide(server), Effect.provide(layer()))
  })

  it.live("a network of its own is refused, for runs and for models", () => {
    const server = fake.make()
    return Effect.gen(function*() {
      const opencode = yield* OpenCode.OpenCode
      const failures = yield* Effect.all([Effect.flip(OpenCode.run("Go")), Effect.flip(opencode.models)])
      expect(failures.map((error) => error._tag === "OpenCodeVersionError" ? error.option : error._tag)).toEqual([
        "sandbox.network",
        "sandbox.network"
      ])
      expect(yield* T.commands).toEqual([])
    }).pipe(
      fake.provide(server),
      Effect.provide(
        T.layer([], { version: "2.0.14", sandbox: { network: "none" }, defaults: { model: "fake/m1" } })
      )
    )
  })

  it.live("the models are those of a list that is complete", () => {
    const lists = [[], ["free/x"], ["free/x", "fake/m1"], ["free/x", "fake/m1", "other/y"]]
    const model = (name: string) => ({ providerID: name.split("/")[0], id: name.split("/")[1] })
    let looks = 0
    const server = fake.make({
      reply: ({ path }) =>
        path === "/api/model"
          ? fake.reply({ data: lists[Math.min(looks++, lists.length - 1)]!.map(model) })
          : undefined
    })
    return Effect.gen(function*() {
      const opencode = yield* OpenCode.OpenCode
      expect(yield* opencode.models).toEqual(["free/x", "fake/m1", "other/y"])
      yield* T.expectClean
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("the prompt waits for the MCP servers of the run, connected or failed", () => {
    const status = (name: string, status: string) => ({ name, status: { status } })
    const lists = [
      [],
      [status("a", "pending"), status("b", "failed")],
      [status("a", "connected"), status("b", "failed"), status("theirs", "pending")]
    ]
    let looks = 0
    const server = fake.make({
      onPrompt: done,
      reply: ({ path }) =>
        path === "/api/mcp" ? fake.reply({ data: lists[Math.min(looks++, lists.length - 1)] }) : undefined
    })
    const local = { type: "local", command: ["x"] }
    return Effect.gen(function*() {
      yield* OpenCode.run("Go", {
        mcp: { a: local, b: { ...local, codemode: true }, off: { ...local, enabled: false } }
      })
      // Found settled three times, because tools are offered shortly after their server has connected.
      expect(looks).toBe(5)
      const { env } = yield* T.only
      expect(JSON.parse(env["OPENCODE_CONFIG_CONTENT"]!)).toMatchObject({
        mcp: { servers: { a: { codemode: false }, b: { codemode: true }, off: { disabled: true } } }
      })
    }).pipe(fake.provide(server), Effect.provide(layer(serving)))
  })

  it.live("a signal from outside is a cancellation", () => {
    const server = fake.make()
    return Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeCancelledError")(OpenCode.run("Go"))
      // The exit code does not say which one.
      expect(error.signal).toBeUndefined()
    }).pipe(fake.provide(server), Effect.provide(layer(Mock.script(Mock.stdout(fake.ready), Mock.exit(130)))))
  })
})
