/** Tools of the program on one warm server of the real OpenCode. */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { expect } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { HostTools } from "effect-opencode-ai"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import { createServer } from "node:http"
import * as path from "node:path"
import { asked, bash, Reply, respond, tools } from "../../../core/test/integration/support.js"
import { Sandbox, warm } from "../../../core/test/integration/warm.js"

class Tenant extends Context.Tag("test/Tenant")<Tenant, string>() {}

class NoTenant extends Schema.TaggedError<NoTenant>()("NoTenant", {}) {}

const Who = Tool.make("who", {
  parameters: { n: Schema.Number },
  success: Schema.String,
  failure: NoTenant,
  dependencies: [Tenant]
})
const toolkit = Toolkit.make(Who)

const host = HostTools.layer().pipe(
  Layer.provide(Layer.fresh(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
)

/** What a shell can do with all that it finds: the token, the routes and the session of another run. */
const attack = `
const config = JSON.parse(process.env.OPENCODE_CONFIG_CONTENT)
const { headers, url } = config.mcp.host
const send = async (route, body) => {
  const response = await fetch(new URL(route, url), {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(body)
  })
  return response.status + " " + await response.text()
}
const session = process.argv[2]
const call = { jsonrpc: "2.0", id: 1, method: "tools/call" }
const params = { name: "who", arguments: { n: 666, __call: session }, _meta: { "ai.opencode/sessionID": session } }
console.log(await send("/mcp", { ...call, params }))
console.log(await send("/plugin/call", { key: "guessed", session, from: session, tool: "host_who", args: { n: 666 } }))
`

const who = (n: number) => Reply.toolCalls([{ name: "host_who", arguments: { n } }])

warm({ concurrency: "unbounded" })((it) => {
  it.scoped("answers eight runs at once with their own contexts, and a shell in none of them", () =>
    Effect.gen(function*() {
      const { work } = yield* Sandbox
      const script = path.join(work, "attack.mjs")
      fs.writeFileSync(script, attack)
      const names = ["a", "b", "c", "d", "e", "f", "g", "h"]
      const victim = yield* Deferred.make<string>()
      const attacked = yield* Deferred.make<void>()
      const called: Array<string> = []
      yield* respond(({ prompt, step }) =>
        prompt === "attack"
          ? step === 0
            ? Effect.map(Deferred.await(victim), (id) => bash(`'${process.execPath}' '${script}' ${id}`))
            : Reply.text("attacked")
          : step < 2
          ? who(step)
          : Reply.text(`done ${prompt}`)
      )
      const handlers = toolkit.toLayer({
        who: ({ n }) =>
          Effect.gen(function*() {
            const tenant = yield* Tenant
            called.push(`${tenant} ${n}`)
            // The attack happens while this session works.
            if (tenant === "a" && n === 0) yield* Deferred.await(attacked)
            return `${tenant} ${n}`
          })
      })
      const tenant = (name: string) =>
        HostTools.run(name, {
          toolkit,
          permission: { "*": "deny" },
          onEvent: (event) =>
            name === "a" && event._tag === "StepStart" && event.sessionId !== undefined
              ? Effect.asVoid(Deferred.succeed(victim, event.sessionId))
              : Effect.void
        }).pipe(Effect.provideService(Tenant, name))
      const attacker = HostTools.run("attack", { toolkit }).pipe(
        Effect.provideService(Tenant, "attacker"),
        Effect.ensuring(Deferred.succeed(attacked, undefined))
      )
      const { fails, results, turns } = yield* Effect.gen(function*() {
        const [results, fails] = yield* Effect.all([
          Effect.forEach(names, tenant, { concurrency: "unbounded" }),
          attacker
        ], { concurrency: "unbounded" })
        const session = yield* HostTools.session({ toolkit, permission: { "*": "deny" } })
        yield* respond(({ step }) => step === 0 ? who(7) : Reply.text("turned"))
        const turns = [yield* session.run("one"), yield* session.run("two")]
        return { results, fails, turns }
      }).pipe(Effect.provideService(Tenant, "turn"), Effect.provide([handlers, host]))
      const outputs = results.map(({ events }) => tools(events).map(({ output }) => output))
      expect(outputs).toEqual(names.map((name) => [`${name} 0`, `${name} 1`]))
      const [shell] = tools(fails.events)
      expect(shell?.output).toContain("it has no ticket of a session")
      expect(shell?.output).toContain("403 ")
      expect(called).toHaveLength(18)
      expect(called.some((call) => call.includes("666"))).toBe(false)
      expect(turns.map(({ events }) => tools(events)[0]?.output)).toEqual(["turn 7", "turn 7"])
      expect(new Set([...turns, ...results].map(({ sessionId }) => sessionId)).size).toBe(9)
      expect((yield* asked).filter(({ prompt }) => prompt === "a").map(({ tools }) => tools)).toEqual(
        [["host_who"], ["host_who"], ["host_who"]]
      )
    }))

  it.scoped("answers a sub-agent with the context of its run, and a failure ends the run", () =>
    Effect.gen(function*() {
      yield* respond(({ prompt, step }) =>
        prompt.includes("as a child")
          ? step === 0 ? who(1) : Reply.text("child")
          : step === 0
          ? Reply.toolCalls([{
            name: "task",
            arguments: { description: "d", prompt: "Ask as a child", subagent_type: "general" }
          }])
          : step === 1
          ? who(2)
          : Reply.text("nobody should have asked")
      )
      const handlers = toolkit.toLayer({
        who: ({ n }) => n === 1 ? Effect.map(Tenant, (tenant) => `${tenant} ${n}`) : new NoTenant()
      })
      const { calls, error } = yield* Effect.gen(function*() {
        const served = yield* HostTools.serve(toolkit)
        const options = yield* served.options({})
        const error = yield* Effect.flip(served.during(OpenCode.run("Go", options)))
        return { error, calls: yield* served.calls }
      }).pipe(Effect.provide([handlers, host]), Effect.provideService(Tenant, "parent"))
      expect(error).toEqual(new NoTenant())
      expect(calls).toMatchObject([{ result: "parent 1", sessionId: expect.stringMatching(/^ses_/) }])
    }))
})
