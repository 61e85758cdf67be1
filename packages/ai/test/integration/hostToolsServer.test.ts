/** Tools of the program on one warm server of the real OpenCode. */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { expect } from "@effect/vitest"
import { HostTools } from "effect-opencode-ai"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"
import { asked, Reply, respond, tools } from "../../../core/test/integration/support.js"
import { warm } from "../../../core/test/integration/warm.js"

class Tenant extends Context.Tag("test/Tenant")<Tenant, string>() {}

const WhoAmI = Tool.make("who_am_i", {
  parameters: { n: Schema.Number },
  success: Schema.String,
  dependencies: [Tenant]
})
const toolkit = Toolkit.make(WhoAmI)

const host = HostTools.layer().pipe(
  Layer.provide(Layer.fresh(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
)

warm({ concurrency: "unbounded" })((it) => {
  it.scoped("tenants", () =>
    Effect.gen(function*() {
      yield* respond(({ prompt, step }) =>
        step === 0
          ? Reply.toolCalls([{ name: "host_who_am_i", arguments: { n: prompt.length } }])
          : Reply.text(`done ${prompt}`)
      )
      const handlers = toolkit.toLayer({ who_am_i: ({ n }) => Effect.map(Tenant, (tenant) => `${tenant} ${n}`) })
      const results = yield* Effect.forEach(["a", "b", "c", "d"], (tenant) =>
        HostTools.run(`I am ${tenant}`, { toolkit, permission: { "*": "deny" } }).pipe(
          Effect.provideService(Tenant, tenant)
        ), { concurrency: "unbounded" }).pipe(Effect.provide([handlers, host]))
      console.log(JSON.stringify(results.map(({ events }) =>
        tools(events).map(({ error, input, output, time }) => ({ error, input, output, time }))
      )))
      const requests = yield* asked
      console.log(requests.map((one) => [one.tools, JSON.stringify(one.messages.slice(1))]))
      expect(results.map(({ answer }) =>
        answer
      )).toEqual(["a", "b", "c", "d"].map((t) =>
        `done I am ${t}`
      ))
    }))
})
