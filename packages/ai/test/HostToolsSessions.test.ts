/** Runs that share a warm server: a call belongs to the run in whose session it was made. */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import { describe, expect, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import type { RunConfig } from "effect-opencode"
import { HostTools } from "effect-opencode-ai"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as fs from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import * as plugin from "../src/internal/hostTools/plugin.js"
import * as scripted from "./support/scripted.js"
import type { Client, Script } from "./support/scripted.js"

class Tenant extends Context.Tag("test/Tenant")<Tenant, string>() {}

const Who = Tool.make("who", { parameters: { n: Schema.Number }, success: Schema.String, dependencies: [Tenant] })
const toolkit = Toolkit.make(Who)
const handlers = toolkit.toLayer({ who: ({ n }) => Effect.map(Tenant, (tenant) => `${tenant} ${n}`) })

const { textOf, until } = scripted

const surroundings = (script: Script) => Layer.mergeAll(scripted.opencode(script, "server"), scripted.host(), handlers)

const run = (tenant: string) =>
  HostTools.run(tenant, { toolkit }).pipe(Effect.provideService(Tenant, tenant), Effect.map(({ answer }) => answer))

const begin = (client: Client) => Effect.all([client.list, client.report(), client.step])

describe("HostTools on a warm server", () => {
  it.scoped("calls the handlers of the run, of eight at once, in whose session the call was made", () =>
    Effect.gen(function*() {
      const configs = new Set<string>()
      const tenants = ["a", "b", "c", "d", "e", "f", "g", "h"]
      const together = yield* Effect.makeLatch()
      let begun = 0
      const answers = yield* Effect.forEach(tenants, run, { concurrency: "unbounded" }).pipe(
        Effect.provide(surroundings((client) =>
          Effect.gen(function*() {
            configs.add(JSON.stringify([client.options.mcp, client.options.configOverrides]))
            yield* begin(client)
            if (++begun === tenants.length) yield* together.open
            yield* together.await
            return yield* Effect.forEach([1, 2], (n) => Effect.map(client.ticketed("who", { n }), textOf), {
              concurrency: 2
            })
          })
        ))
      )
      expect(answers).toEqual(tenants.map((tenant) => [`${tenant} 1`, `${tenant} 2`]))
      // Otherwise each would need a server of its own.
      expect(configs.size).toBe(1)
    }))

  it.scoped("has the same configuration for a session and all its turns, and another one for other tools", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const other = Toolkit.make(Tool.make("other"))
      yield* Effect.gen(function*() {
        const session = yield* HostTools.session({ toolkit, title: "t" })
        yield* session.run("one")
        yield* session.run("two")
        yield* HostTools.run("three", { toolkit: other }).pipe(
          Effect.provide(other.toLayer({ other: () => Effect.void }))
        )
      }).pipe(
        Effect.provideService(Tenant, "a"),
        Effect.provide(surroundings((client) => {
          const { configOverrides, mcp, permission } = client.options
          seen.push(JSON.stringify([mcp, configOverrides, permission]))
          return Effect.andThen(begin(client), Effect.succeed("done"))
        }))
      )
      expect([seen.length, seen[0] === seen[1], seen[1] === seen[2]]).toEqual([3, true, false])
    }))

  it.scoped("takes the services of a turn", () =>
    Effect.gen(function*() {
      const answers = yield* Effect.gen(function*() {
        const session = yield* HostTools.session({ toolkit })
        const one = yield* session.run("one")
        const two = yield* Effect.provideService(session.run("two"), Tenant, "b")
        return [one.answer, two.answer]
      }).pipe(
        Effect.provideService(Tenant, "a"),
        Effect.provide(
          surroundings((client) => Effect.andThen(begin(client), Effect.map(client.ticketed("who", { n: 1 }), textOf)))
        )
      )
      expect(answers).toEqual(["a 1", "b 1"])
    }))

  it.scoped("refuses a call without a ticket, and a ticket of another call or twice", () =>
    Effect.gen(function*() {
      const answer = yield* run("a").pipe(Effect.provide(surroundings((client) =>
        Effect.gen(function*() {
          yield* begin(client)
          const ticket = (args: object, tool = "host_who") =>
            Effect.map(
              client.plugin("/call", {
                key: "the key of OpenCode",
                session: client.sessionId,
                from: client.sessionId,
                tool,
                args
              }),
              ({ body }) => body.ticket as string
            )
          const once = yield* ticket({ n: 1 })
          return yield* Effect.forEach([
            client.call("who", { n: 1 }),
            client.call("who", { n: 1 }, { "ai.opencode/sessionID": client.sessionId }),
            client.call("who", { n: 1, __call: "guessed" }),
            client.call("who", { n: 2, __call: yield* ticket({ n: 1 }) }),
            client.call("who", { n: 1, __call: yield* ticket({ n: 1 }, "host_other") }),
            client.call("who", { __call: once, n: 1 }),
            client.call("who", { __call: once, n: 1 })
          ], (call) => Effect.map(call, textOf))
        })
      )))
      const none = "The call was refused: it has no ticket of a session."
      const other = "The call was refused: its ticket is for another call."
      expect(answer).toEqual([none, none, none, other, other, "a 1", none])
    }))

  it.scoped("refuses a caller without the key of OpenCode, in the session of another run", () =>
    Effect.gen(function*() {
      const waiting = yield* Deferred.make<Client>()
      const done = yield* Deferred.make<void>()
      const script: Script = (client, prompt) =>
        Effect.gen(function*() {
          yield* begin(client)
          if (prompt === "victim") {
            yield* Deferred.succeed(waiting, client)
            yield* Deferred.await(done)
            return textOf(yield* client.ticketed("who", { n: 1 }))
          }
          const victim = yield* Deferred.await(waiting)
          const { status } = yield* client.ticketed("who", { n: 2 }, { key: "guessed", session: victim.sessionId })
          yield* Deferred.succeed(done, undefined)
          return status
        })
      const answers = yield* Effect.all([run("victim"), run("attacker")], { concurrency: 2 }).pipe(
        Effect.provide(surroundings(script))
      )
      expect(answers).toEqual(["victim 1", 403])
    }))

  it.scoped("ends a run whose session is claimed by somebody else, before the call", () =>
    Effect.gen(function*() {
      const outcome = (script: Script) => Effect.flip(Effect.provide(run("a"), surroundings(script)))
      const before = yield* outcome((client) =>
        Effect.all([client.report({ key: "theirs" }), client.report(), client.step, Effect.never])
      )
      const after = yield* outcome((client) =>
        Effect.all([
          begin(client),
          client.report({ key: "theirs" }),
          client.ticketed("who", { n: 1 }, { key: "theirs" })
        ])
      )
      const unused = yield* outcome((client) => Effect.all([begin(client), client.report({ key: "theirs" })]))
      expect([before, after, unused]).toMatchObject([1, 2, 3].map(() => ({ reason: "conflict" })))
    }))

  it.scoped("answers a call of a sub-agent in the session of its run", () =>
    Effect.gen(function*() {
      const calls = yield* Effect.gen(function*() {
        const served = yield* HostTools.serve(toolkit)
        yield* served.during(OpenCode.run("Go", yield* served.options({})))
        return yield* served.calls
      }).pipe(
        Effect.provideService(Tenant, "a"),
        Effect.provide(surroundings((client) =>
          Effect.andThen(begin(client), client.ticketed("who", { n: 1 }, { from: "ses_child", callId: "call_1" }))
        ))
      )
      expect(calls).toMatchObject([{ id: "call_1", sessionId: "ses_child", result: "a 1" }])
    }))

  it.scoped("lets a call wait until its run has begun, but not for ever", () =>
    Effect.gen(function*() {
      const early = yield* run("a").pipe(Effect.provide(surroundings((client) =>
        Effect.gen(function*() {
          yield* client.report()
          const call = yield* Effect.fork(client.ticketed("who", { n: 1 }))
          yield* until(() => client.comments() > 0)
          yield* client.step
          return textOf(yield* Fiber.join(call))
        })
      )))
      expect(early).toBe("a 1")
      const never = yield* run("a").pipe(Effect.provide(surroundings((client) =>
        Effect.gen(function*() {
          yield* begin(client)
          yield* client.report({ session: "ses_of_nobody" })
          const before = client.comments()
          const call = yield* Effect.fork(client.ticketed("who", { n: 1 }, { session: "ses_of_nobody" }))
          yield* until(() => client.comments() > before)
          yield* TestClock.adjust("30 seconds")
          return textOf(yield* Fiber.join(call))
        })
      )))
      expect(never).toBe("The call was refused: no run of this program works in its session.")
    }))

  it.scoped("serves a server that was started by hand with the plugin, and no other toolkit", () =>
    Effect.gen(function*() {
      const other = Toolkit.make(Tool.make("other"))
      let config: RunConfig.RunConfig = {}
      const seen: Array<RunConfig.RunConfig> = []
      const script: Script = (client) => {
        seen.push(client.options)
        return Effect.andThen(begin(client), Effect.map(client.ticketed("who", { n: 1 }), textOf))
      }
      yield* Effect.gen(function*() {
        const before = yield* Effect.flip(run("a"))
        config = yield* HostTools.plugin(toolkit)
        const answers = yield* Effect.all([run("a"), run("b")], { concurrency: 2 })
        const session = yield* HostTools.session({ toolkit }).pipe(Effect.provideService(Tenant, "c"))
        const turn = yield* session.run("c")
        const refused = yield* Effect.flip(HostTools.run("d", { toolkit: other })).pipe(
          Effect.provide(other.toLayer({ other: () => Effect.void }))
        )
        expect([answers, turn.answer]).toEqual([["a 1", "b 1"], "c 1"])
        expect([before, refused]).toMatchObject([{ reason: "attached" }, { reason: "attached" }])
      }).pipe(
        Effect.provide([
          scripted.opencode(script, { carrier: "attached", config: () => ({ mcp: config.mcp }) }),
          scripted.host(),
          handlers
        ])
      )
      expect(config.mcp).toMatchObject({ host: { type: "remote", oauth: false } })
      expect(config.configOverrides?.["plugin"]).toEqual([expect.stringMatching(/^file:/)])
      // Only rules reach a server that is running.
      expect(seen.map(({ configOverrides, extraEnv, permission }) => [configOverrides, extraEnv, permission])).toEqual(
        seen.map(() => [undefined, undefined, { host_who: "allow" }])
      )
    }))

  it.scoped("keeps the token of a server that was started by hand, and those of the last 256 other toolkits", () =>
    Effect.gen(function*() {
      const others = Array.from({ length: 257 }, (_, index) => Toolkit.make(Tool.make(`other${index}`)))
      const tokenOf = (other: typeof others[number], index: number) =>
        HostTools.run("go", { toolkit: other }).pipe(
          Effect.provide(other.toLayer({ [`other${index}`]: () => Effect.void })),
          Effect.map(({ answer }) => answer)
        )
      const authorization = Effect.map(
        HostTools.plugin(toolkit),
        ({ mcp }) => (mcp?.["host"] as { readonly headers: { readonly Authorization: string } }).headers.Authorization
      )
      const handedOut = yield* authorization
      const first = yield* Effect.forEach(others, tokenOf)
      const second = yield* Effect.forEach(
        [others[256]!, others[1]!, others[0]!],
        (other) => tokenOf(other, others.indexOf(other))
      )
      expect(yield* authorization).toBe(handedOut)
      expect(second.map((token) => first.indexOf(token))).toEqual([256, 1, -1])
    }).pipe(Effect.provide(surroundings((client) => Effect.as(begin(client), client.token)))))

  it.scoped("writes a plugin that only its user can read, as long as the layer", () =>
    Effect.gen(function*() {
      const file = yield* Effect.provide(
        Effect.gen(function*() {
          const answer = yield* run("a")
          const [url] = scripted.returned<{ readonly plugin: ReadonlyArray<string> }>({ answer }).plugin
          const file = fileURLToPath(url!)
          expect(fs.statSync(file).mode & 0o777).toBe(0o600)
          return file
        }),
        surroundings((client) => Effect.as(begin(client), client.options.configOverrides))
      )
      expect(fs.existsSync(file)).toBe(false)
    }))

  describe("its plugin", () => {
    interface Hooks {
      readonly "chat.message": (input: object) => Promise<void>
      readonly "tool.execute.before": (input: object, output: { args: Record<string, unknown> }) => Promise<void>
    }

    /** Loads the plugin as OpenCode does, with the requests that it sends. */
    const load = (status: number, parents: Record<string, string | undefined>) =>
      Effect.gen(function*() {
        const requests: Array<any> = []
        const server = createServer((request, response) => {
          let text = ""
          request.on("data", (chunk) => (text += chunk))
          request.on("end", () => {
            requests.push({ url: request.url, authorization: request.headers.authorization, ...JSON.parse(text) })
            response.writeHead(status, { connection: "close" }).end(JSON.stringify({ ticket: "the ticket" }))
          })
        })
        const directory = fs.mkdtempSync(path.join(os.tmpdir(), "eo-plugin-"))
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            server.close()
            fs.rmSync(directory, { recursive: true })
          })
        )
        yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
        const { port } = server.address() as AddressInfo
        const file = path.join(directory, "plugin.mjs")
        fs.writeFileSync(
          file,
          plugin.source({ url: `http://127.0.0.1:${port}/plugin`, token: "t", server: "host", tools: ["host_who"] })
        )
        const module = yield* Effect.promise(() => import(pathToFileURL(file).href))
        const hooks = yield* Effect.promise<Hooks>(() =>
          module.HostTools({
            client: {
              session: { get: async ({ path: { id } }: any) => ({ data: { id, parentID: parents[id] } }) },
              mcp: { status: async () => ({ data: { host: { status: "connected" } } }) }
            }
          })
        )
        return { hooks, requests }
      })

    it.scoped("reports a session and its calls, those of sub-agents for the session of the run", () =>
      Effect.gen(function*() {
        const { hooks, requests } = yield* load(200, { ses_grandchild: "ses_child", ses_child: "ses_root" })
        const output = { args: { n: 1, __call: "of the model" } as Record<string, unknown> }
        const untouched = { args: { command: "ls" } }
        yield* Effect.promise(async () => {
          await hooks["chat.message"]({ sessionID: "ses_root" })
          await hooks["tool.execute.before"]({ tool: "bash", sessionID: "ses_root", callID: "c0" }, untouched)
          await hooks["tool.execute.before"]({ tool: "host_who", sessionID: "ses_grandchild", callID: "c1" }, output)
        })
        const { key } = requests[0]
        expect(key).toHaveLength(72)
        expect(requests).toEqual([
          { url: "/plugin/session", authorization: "Bearer t", key, session: "ses_root", status: "connected" },
          {
            url: "/plugin/call",
            authorization: "Bearer t",
            key,
            session: "ses_root",
            from: "ses_grandchild",
            callId: "c1",
            tool: "host_who",
            args: { n: 1 }
          }
        ])
        expect([output, untouched]).toEqual([{ args: { n: 1, __call: "the ticket" } }, { args: { command: "ls" } }])
      }))

    it.scoped("lets the session go on and the call fail if it is refused", () =>
      Effect.gen(function*() {
        const { hooks } = yield* load(403, {})
        const call = () => hooks["tool.execute.before"]({ tool: "host_who", sessionID: "s", callID: "c" }, { args: {} })
        yield* Effect.promise(() => hooks["chat.message"]({ sessionID: "s" }))
        yield* Effect.promise(() => expect(call()).rejects.toThrow("refused the call: 403"))
      }))
  })
})
