import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as HttpServer from "@effect/platform/HttpServer"
import { describe, expect, it } from "@effect/vitest"
import { RunConfig, type RunOptions, Version } from "effect-opencode"
import type { OpenCode } from "effect-opencode"
import { HostTools } from "effect-opencode-ai"
import type { HostToolsError } from "effect-opencode-ai"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as definitions from "../src/internal/hostTools/definitions.js"
import * as scripted from "./support/scripted.js"
import type { Script } from "./support/scripted.js"

const Find = Tool.make("find customer", { description: "A name", parameters: { id: Schema.Number } })
const Ping = Tool.make("ping")
const toolkit = Toolkit.make(Find, Ping)
const handlers = toolkit.toLayer({ "find customer": () => Effect.void, ping: () => Effect.void })

const run = (
  script: Script,
  options: RunOptions.RunOptions = {},
  layer: { readonly host?: HostTools.Options; readonly carrier?: OpenCode.Carrier } = {}
) =>
  Effect.provide(HostTools.run("Go", { ...options, toolkit }), [
    scripted.opencode(script, layer.carrier),
    scripted.host(layer.host),
    handlers
  ])

const begun: Script = (client) => Effect.as(client.begin, client.options)

const reasonOf = <A, E, R>(effect: Effect.Effect<A, E | HostToolsError.HostToolsError, R>) =>
  Effect.map(Effect.flip(effect), (error) => (error as HostToolsError.HostToolsError).reason)

describe("HostTools", () => {
  describe("the configuration of a run", () => {
    const permissionOf = (permission: RunConfig.RunConfig["permission"]) =>
      Effect.map(run(begun, { permission }), (result) => scripted.returned(result)["permission"])

    it.scoped("opens exactly the tools, after every rule that was there", () =>
      Effect.gen(function*() {
        const opened = { host_find_customer: "allow", host_ping: "allow" }
        expect(yield* permissionOf(undefined)).toEqual(opened)
        expect(Object.entries(yield* permissionOf("deny"))).toEqual([["*", "deny"], ...Object.entries(opened)])
        expect(Object.entries(yield* permissionOf({ "*": "deny", edit: "allow" }))).toEqual([
          ["*", "deny"],
          ["edit", "allow"],
          ...Object.entries(opened)
        ])
      }))

    it.scoped("keeps a rule of the run for one of the tools", () =>
      Effect.gen(function*() {
        expect(yield* permissionOf({ host_ping: "deny" })).toEqual({ host_find_customer: "allow", host_ping: "deny" })
      }))

    it.scoped("keeps the tool servers, variables and settings of the run", () =>
      Effect.gen(function*() {
        const result = yield* run(begun, {
          mcp: { other: { type: "local" } },
          extraEnv: { A: "b" },
          configOverrides: { theme: "dark" },
          timeout: "1 minute"
        })
        const options = scripted.returned<RunOptions.RunOptions>(result)
        expect(Object.keys(options.mcp ?? {})).toEqual(["other", "host"])
        // Tools are offered one by one, not through code.
        expect(options.extraEnv).toEqual({ A: "b", OPENCODE_EXPERIMENTAL_CODE_MODE: "false" })
        expect([options.configOverrides, options.timeout]).toEqual([{ theme: "dark" }, "1 minute"])
        expect(options).not.toHaveProperty("toolkit")
      }))

    it.scoped("stays as it was for a toolkit without tools", () =>
      Effect.gen(function*() {
        const { answer } = yield* HostTools.run("Go", { toolkit: Toolkit.empty, title: "t" }).pipe(
          Effect.provide([scripted.opencode((client) => Effect.succeed(client.options)), scripted.host()])
        )
        expect(answer).toEqual({ title: "t" })
      }))

    it.scoped("lists tools whose schemas are those of objects, without parameters and of unions included", () =>
      Effect.gen(function*() {
        const Either = Schema.Union(Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String }))
        const kit = Toolkit.make(Find, Ping, Tool.make("none", { parameters: {} }), Ping.setParameters(Either as never))
        const listed = definitions.make("host", kit.tools)
        const none = { type: "object", properties: {}, additionalProperties: false }
        const { answer } = yield* run((client) => client.begin)
        const find = {
          name: "find customer",
          description: "A name",
          inputSchema: {
            type: "object",
            required: ["id"],
            properties: { id: { type: "number" } },
            additionalProperties: false
          }
        }
        expect(answer).toEqual([find, { name: "ping", inputSchema: { ...none, required: [] } }])
        expect(listed.definitions.list).toMatchObject([
          find,
          { name: "ping", inputSchema: { type: "object", anyOf: [{ required: ["a"] }, { required: ["b"] }] } },
          { name: "none", inputSchema: none }
        ])
      }))
  })

  describe("the server of the tools", () => {
    it.scoped("speaks the versions of the protocol that it knows", () =>
      Effect.gen(function*() {
        const { answer } = yield* run((client) =>
          Effect.gen(function*() {
            const versions: Array<unknown> = []
            for (const protocolVersion of ["2025-06-18", "1999-01-01"]) {
              const [initialized] = yield* client.ask("initialize", { protocolVersion })
              versions.push(initialized!["result"].protocolVersion)
            }
            const { status } = yield* client.notify("notifications/initialized", {})
            const [pong] = yield* client.ask("ping")
            const [nothing] = yield* client.ask("resources/list")
            yield* client.begin
            return [versions, status, pong!["result"], nothing!["error"].code]
          })
        )
        expect(answer).toEqual([["2025-06-18", "2025-11-25"], 202, {}, -32601])
      }))

    it.scoped("refuses everything without the token of a live run, browsers, and what is no message", () =>
      Effect.gen(function*() {
        const ask = { jsonrpc: "2.0", id: 1, method: "tools/list" }
        yield* Effect.gen(function*() {
          let late: Parameters<Script>[0] | undefined
          const { answer } = yield* HostTools.run("Go", { toolkit }).pipe(
            Effect.provide(scripted.opencode((client) =>
              Effect.gen(function*() {
                late = client
                yield* client.begin
                const of = (body: unknown, more?: Parameters<typeof client.send>[1]) =>
                  Effect.map(client.send(body, more), ({ status }) => status)
                return [
                  yield* of(ask),
                  yield* of(ask, { headers: { authorization: "" } }),
                  yield* of(ask, { headers: { authorization: "Bearer wrong" } }),
                  yield* of(ask, { headers: { authorization: client.token } }),
                  yield* of(ask, { headers: { origin: "http://127.0.0.1" } }),
                  yield* of(undefined),
                  yield* of("{"),
                  yield* of([ask]),
                  yield* of(ask, { path: "/other" }),
                  yield* of({}, { path: "/plugin/call" })
                ]
              })
            ))
          )
          expect(answer).toEqual([200, 401, 401, 401, 403, 405, 400, 400, 404, 403])
          expect((yield* late!.send(ask)).status).toBe(401)
        }).pipe(Effect.provide([scripted.host(), handlers]))
      }))

    it.scoped("gives each of several runs a token and a context of its own", () =>
      Effect.gen(function*() {
        const Who = Tool.make("who", { success: Schema.String })
        const kit = Toolkit.make(Who)
        const tokens = new Set<string>()
        const answers = yield* Effect.forEach(["a", "b", "c"], (name) =>
          HostTools.run(name, { toolkit: kit }).pipe(
            Effect.provide(kit.toLayer({ who: () => Effect.succeed(name) })),
            Effect.map(({ answer }) => answer)
          ), { concurrency: "unbounded" }).pipe(Effect.provide([
            scripted.opencode((client) => {
              tokens.add(client.token)
              return Effect.andThen(client.begin, Effect.map(client.call("who"), scripted.textOf))
            }),
            scripted.host()
          ]))
        expect([answers, tokens.size]).toEqual([["a", "b", "c"], 3])
      }))

    it.scoped("works beside another one on a server of its own", () =>
      Effect.gen(function*() {
        const pinged: Script = (client) =>
          Effect.andThen(client.begin, Effect.map(client.call("ping"), scripted.textOf))
        const inner = HostTools.run("Go", { toolkit }).pipe(Effect.provide(scripted.host({ name: "inner" })))
        const outer = HostTools.run("Go", { toolkit })
        const both = yield* Effect.all([outer, inner]).pipe(
          Effect.provide([scripted.opencode(pinged), scripted.host({ name: "outer" }), handlers])
        )
        expect(both.map(({ answer }) => answer)).toEqual(["null", "null"])
      }))
  })

  describe("an error", () => {
    it.scoped("ends a run whose first step began without the tools, or that had none", () =>
      Effect.gen(function*() {
        const reasons = yield* Effect.all([
          reasonOf(run((client) => Effect.andThen(client.step, Effect.never))),
          reasonOf(run(() => Effect.succeed("a silent success"))),
          reasonOf(run((client) => Effect.andThen(client.step, Effect.never), {}, { carrier: "server" })),
          reasonOf(run(() => Effect.succeed("a silent success"), {}, { carrier: "server" })),
          reasonOf(
            run(
              (client) => Effect.all([client.report({ status: "failed" }), client.step, Effect.never]),
              {},
              { carrier: "server" }
            )
          )
        ])
        expect(reasons).toEqual(reasons.map(() => "not-connected"))
      }))

    it.scoped("says why a run cannot have the tools, before anything is started", () =>
      Effect.gen(function*() {
        const never: Script = () => Effect.die("started")
        const clashing = Toolkit.make(Tool.make("a b"), Tool.make("a_b"))
        const clash = HostTools.run("Go", { toolkit: clashing }).pipe(
          Effect.provide([
            scripted.opencode(never),
            scripted.host(),
            clashing.toLayer({ "a b": () => Effect.void, a_b: () => Effect.void })
          ])
        )
        const reasons = yield* Effect.all({
          clash: reasonOf(clash),
          server: reasonOf(run(never, { mcp: { host: {} } })),
          pure: reasonOf(run(never, { pure: true }, { carrier: "server" })),
          region: reasonOf(RunConfig.withRunConfig(run(never, {}, { carrier: "server" }), { pure: true })),
          attach: reasonOf(run(never, { attach: "http://127.0.0.1:1" })),
          attached: reasonOf(run(never, {}, { carrier: "attached" })),
          two: reasonOf(Effect.provide(HostTools.run("Go", { toolkit }), [
            scripted.opencode(never, { carrier: "server", version: Version.make(2, 0, 14) }),
            scripted.host(),
            handlers
          ])),
          name: reasonOf(run(never, {}, { host: { name: "my host" } })),
          progress: reasonOf(run(never, {}, { host: { progressEvery: 0 } })),
          never: reasonOf(run(never, {}, { host: { progressEvery: NaN } })),
          odd: reasonOf(run(never, {}, { host: { progressEvery: "soon" as "1 second" } })),
          concurrency: reasonOf(run(never, {}, { host: { concurrency: 0 } })),
          half: reasonOf(run(never, {}, { host: { concurrency: 1.5 } })),
          none: reasonOf(run(never, {}, { host: { concurrency: NaN } }))
        })
        expect(reasons).toEqual({
          clash: "name-clash",
          server: "name-clash",
          pure: "pure",
          region: "pure",
          attach: "attached",
          attached: "attached",
          two: "version",
          name: "options",
          progress: "options",
          never: "options",
          odd: "options",
          concurrency: "options",
          half: "options",
          none: "options"
        })
      }))

    it.scoped("is that of a server without a port", () =>
      Effect.gen(function*() {
        const socket = Layer.succeed(
          HttpServer.HttpServer,
          HttpServer.make({ serve: () => Effect.void, address: { _tag: "UnixAddress", path: "/socket" } })
        )
        const layer = HostTools.layer().pipe(Layer.provide([socket, NodeContext.layer]))
        const reason = yield* reasonOf(Effect.provide(HostTools.run("Go", { toolkit }), [
          scripted.opencode(() => Effect.die("started")),
          layer,
          handlers
        ]))
        expect(reason).toBe("options")
      }))
  })
})
