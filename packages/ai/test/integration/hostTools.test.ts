/** Tools of the program in the hands of the real OpenCode, a process for each run. */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpServer from "@effect/platform/HttpServer"
import { describe, expect } from "@effect/vitest"
import { OpenCode, OpenCodeServer, RunConfig } from "effect-opencode"
import { HostTools } from "effect-opencode-ai"
import type { HostToolsError } from "effect-opencode-ai"
import { ModelProvider } from "effect-opencode-testing"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"
import { asked, processes, real, Reply, respond, tools } from "../../../core/test/integration/support.js"
import * as opencode2 from "../../../core/test/support/opencode2.js"
import { portOf } from "../../../core/test/support/processFiles.js"

class Shop extends Context.Tag("test/Shop")<Shop, string>() {}

class Language extends Context.Reference<Language>()("test/Language", { defaultValue: () => "none" }) {}

class NoStock extends Schema.TaggedError<NoStock>()("NoStock", { id: Schema.Number }) {}

const Stock = Tool.make("stock of", {
  description: "How many there are",
  parameters: { id: Schema.NumberFromString },
  success: Schema.Unknown,
  failure: NoStock,
  dependencies: [Shop]
})
const Long = Tool.make("long", { parameters: {}, success: Schema.String })
const Look = Tool.make("look", { success: Schema.String }).annotate(HostTools.Content, (data) => [
  { type: "image", mediaType: "image/png", data: String(data) }
])
const Told = Tool.make("told", { failure: Schema.String, failureMode: "return" })
const toolkit = Toolkit.make(Stock, Long, Look, Told)

const long = `first ${"x".repeat(200_000)} last`

const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

const port = Layer.fresh(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))

const surroundings = (
  stock: (id: number) => Effect.Effect<unknown, NoStock, Shop>,
  host = Layer.provide(HostTools.layer({ progressEvery: "200 millis" }), port)
) =>
  Layer.mergeAll(
    host,
    toolkit.toLayer({
      "stock of": ({ id }) => stock(id),
      long: () => Effect.succeed(long),
      look: () => Effect.succeed(pixel),
      told: () => Effect.fail("told")
    }),
    Layer.succeed(Shop, "corner")
  )

const call = (name: string, args: unknown = {}) => ({ name: `host_${name}`, arguments: args })

/** Replies in the order of the requests: an image begins a new message of the user. */
const inOrder = (...replies: ReadonlyArray<ReturnType<typeof Reply.toolCalls>>) =>
  respond(({ index }) => replies[index] ?? Reply.text("nobody should have asked"))

const offered = ["host_long", "host_look", "host_stock_of", "host_told"]

describe("HostTools", () => {
  real("gives the model exactly the tools, and the handlers the surroundings of the run", () =>
    Effect.gen(function*() {
      yield* inOrder(
        Reply.toolCalls([
          call("stock_of", { id: "7" }),
          call("stock_of", { id: 7 }),
          call("long"),
          call("told"),
          call("look")
        ]),
        Reply.text("done")
      )
      const { calls, result, seen, status } = yield* Effect.gen(function*() {
        const served = yield* HostTools.serve(toolkit)
        const options = yield* served.options({ permission: "deny" })
        const result = yield* served.during(OpenCode.run("Go", options))
        return { result, runConfig: served.runConfig, calls: yield* served.calls }
      }).pipe(
        Effect.scoped,
        Effect.flatMap(({ runConfig, ...rest }) =>
          Effect.promise(async () => {
            const { headers, url } = runConfig.mcp?.["host"] as { readonly headers: HeadersInit; readonly url: string }
            const { status } = await fetch(url, { method: "POST", headers, body: "{}" })
            return { ...rest, status, seen: found }
          })
        ),
        Effect.provide(surroundings((id) =>
          Effect.gen(function*() {
            const span = yield* Effect.orDie(Effect.currentSpan)
            for (let at = span.parent; at._tag === "Some" && at.value._tag === "Span"; at = at.value.parent) {
              found.push(at.value.name)
            }
            found.push(id, yield* Shop, yield* Language)
            return { left: 3 }
          })
        )),
        Effect.provideService(Language, "de"),
        Effect.withSpan("user-span")
      )
      const requests = yield* asked
      expect(requests.map(({ tools }) => [...tools].sort())).toEqual([offered, offered])
      expect(seen).toEqual(["execute_tool stock of", "user-span", 7, "corner", "de"])
      const uses = tools(result.events)
      const outputs = Object.fromEntries(uses.map(({ error, output, tool, input }) => [
        `${tool} ${JSON.stringify(input)}`,
        output ?? error
      ]))
      expect(outputs).toMatchObject({
        "host_stock_of {\"id\":\"7\"}": "{\"left\":3}",
        "host_stock_of {\"id\":7}": expect.stringContaining("Expected string, actual 7"),
        "host_long {}": expect.stringContaining("truncated"),
        "host_told {}": "told"
      })
      expect(JSON.stringify(requests[1]!.body)).toContain("Attached media from tool result")
      expect(calls.find(({ name }) => name === "long")?.result).toBe(long)
      expect([result.answer, status]).toEqual(["done", 401])
    }).pipe(Effect.tap(() => Effect.sync(() => found.splice(0)))))

  const found: Array<unknown> = []

  real("shows an image to a model that accepts images", () =>
    Effect.gen(function*() {
      yield* inOrder(Reply.toolCalls([call("look")]), Reply.text("seen"))
      const result = yield* HostTools.run("Go", { toolkit }).pipe(Effect.provide(surroundings(() => Effect.void)))
      expect(result.answer).toBe("seen")
      expect(JSON.stringify((yield* asked)[1]!.body)).toContain(pixel)
    }), { images: true })

  real("leaves what the layer denies denied, with rules of its own beside it", () =>
    Effect.gen(function*() {
      yield* inOrder(Reply.text("done"))
      yield* HostTools.run("Go", { toolkit }).pipe(Effect.provide(surroundings(() => Effect.void)))
      expect((yield* asked).map(({ tools }) => [...tools].sort())).toEqual([offered])
    }), { client: { defaults: { permission: "deny" } } })

  real(
    "adds its tools to OpenCode's own without rules, and interrupts a handler with the run",
    () =>
      Effect.gen(function*() {
        yield* inOrder(Reply.toolCalls([call("stock_of", { id: "7" })]))
        const began = yield* Deferred.make<void>()
        const ended = yield* Deferred.make<void>()
        const handler = Deferred.succeed(began, undefined).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
        )
        const fiber = yield* Effect.fork(
          Effect.provide(HostTools.run("Go", { toolkit }), surroundings(() => handler))
        )
        yield* Effect.raceFirst(Deferred.await(began), Fiber.join(fiber))
        yield* Fiber.interrupt(fiber)
        expect(yield* Deferred.isDone(ended)).toBe(true)
        const [request] = yield* asked
        expect(request?.tools.filter((tool) => tool.startsWith("host_")).sort()).toEqual(offered)
        expect(request?.tools).toEqual(expect.arrayContaining(["bash", "edit", "read"]))
      })
  )

  real("ends the run with the typed error of a handler, before the model is asked again", () =>
    Effect.gen(function*() {
      yield* inOrder(Reply.toolCalls([call("stock_of", { id: "7" })]))
      const error = yield* HostTools.run("Go", { toolkit }).pipe(
        Effect.flip,
        Effect.provide(surroundings((id) => new NoStock({ id })))
      )
      expect(error).toEqual(new NoStock({ id: 7 }))
      expect(yield* asked).toHaveLength(1)
    }))

  real("answers a call that takes longer than OpenCode's limit for a silent one", () =>
    Effect.gen(function*() {
      yield* inOrder(Reply.toolCalls([call("stock_of", { id: "7" })]), Reply.text("done"))
      const result = yield* HostTools.run("Go", { toolkit }).pipe(
        Effect.provide(surroundings(() => Effect.delay(Effect.succeed("late"), "4 seconds")))
      )
      expect(tools(result.events)).toMatchObject([{ status: "completed", output: "late" }])
    }), {
    client: { defaults: { mcp: { host: { timeout: 1500 } } } }
  })

  real("ends a run whose tools OpenCode did not reach", () =>
    Effect.gen(function*() {
      const unreachable = Layer.map(
        port,
        Context.add(
          HttpServer.HttpServer,
          HttpServer.make({
            serve: () => Effect.void,
            address: { _tag: "TcpAddress", hostname: "127.0.0.1", port: 2 }
          })
        )
      )
      yield* respond(() => Reply.text("a silent success"))
      const error = yield* HostTools.run("Go", { toolkit }).pipe(
        Effect.flip,
        Effect.provide(surroundings(() => Effect.void, Layer.provide(HostTools.layer(), unreachable)))
      )
      expect((error as HostToolsError.HostToolsError).reason).toBe("not-connected")
    }))

  real(
    "answers runs on a server that was started by hand with the plugin, and nobody else there",
    (box) =>
      Effect.gen(function*() {
        yield* respond(({ step }) => step === 0 ? Reply.toolCalls([call("stock_of", { id: "7" })]) : Reply.text("done"))
        const { runConfig } = yield* ModelProvider.ModelProvider
        const platform = Layer.merge(NodeContext.layer, NodeHttpClient.layer)
        yield* Effect.gen(function*() {
          const { configOverrides, extraEnv, mcp } = yield* HostTools.plugin(toolkit)
          const started = OpenCodeServer.layer({
            defaults: { ...RunConfig.merge(runConfig, { configOverrides, extraEnv, mcp }), cwd: box.work }
          }).pipe(Layer.provide(platform))
          yield* Effect.gen(function*() {
            const stranger = yield* OpenCode.run("Go")
            const [server] = processes(box).filter(({ command }) => command.includes("serve --hostname"))
            const password = /OPENCODE_SERVER_PASSWORD=([^\0]*)/.exec(server!.environment)![1]!
            const attached = OpenCodeServer.layerAttach({
              url: `http://127.0.0.1:${portOf(server!.pid)}`,
              password: Redacted.make(password),
              defaults: { model: runConfig.model, cwd: box.work }
            }).pipe(Layer.provide(platform))
            const results = yield* Effect.all(
              [1, 2, 3, 4].map((n) =>
                Effect.provideService(HostTools.run(`Go ${n}`, { toolkit, permission: "deny" }), Shop, `shop ${n}`)
              ),
              { concurrency: "unbounded" }
            ).pipe(Effect.provide(attached))
            expect(results.map(({ events }) => tools(events).map(({ output }) => output))).toEqual(
              [1, 2, 3, 4].map((n) => [`shop ${n}`])
            )
            const own = (yield* asked).filter(({ prompt }) => prompt.startsWith("Go ")).map(({ tools }) =>
              [...tools].sort()
            )
            expect(own).toEqual(own.map(() => offered))
            // The session of another program cannot call what it is offered.
            expect(tools(stranger.events)).toMatchObject([{ error: expect.stringContaining("was refused") }])
          }).pipe(Effect.provide(started))
        }).pipe(Effect.provide(surroundings(() => Shop)))
      }),
    { timeout: 300_000 }
  )

  describe.skipIf(opencode2.binary === undefined)(`with OpenCode 2${opencode2.why}`, () => {
    real("is refused on a warm server, before anything is asked", (box) =>
      Effect.gen(function*() {
        const { runConfig } = yield* ModelProvider.ModelProvider
        const server = OpenCodeServer.layer({
          binary: opencode2.binary!,
          version: opencode2.version,
          defaults: { ...runConfig, cwd: box.work }
        }).pipe(Layer.provide([NodeContext.layer, NodeHttpClient.layer]))
        const error = yield* HostTools.run("Go", { toolkit }).pipe(
          Effect.flip,
          Effect.provide(Layer.merge(surroundings(() => Effect.void), server))
        )
        expect(error).toMatchObject({ _tag: "HostToolsError", reason: "version" })
        expect(yield* asked).toEqual([])
      }))

    real(
      "gives the model exactly the tools before its first step",
      () =>
        Effect.gen(function*() {
          yield* inOrder(Reply.toolCalls([call("stock_of", { id: "7" }), call("long")]), Reply.text("done"))
          const { calls, result } = yield* Effect.scoped(Effect.gen(function*() {
            const served = yield* HostTools.serve(toolkit)
            const options = yield* served.options({ permission: { "*": "deny" } })
            const result = yield* served.during(OpenCode.run("Go", options))
            return { result, calls: yield* served.calls }
          })).pipe(Effect.provide(surroundings((id) => Effect.succeed(id))))
          const requests = yield* asked
          expect(requests.map(({ tools }) => [...tools].sort())).toEqual([offered, offered])
          expect(calls.map(({ result }) => result)).toEqual([7, long])
          expect(calls.map(({ sessionId }) => sessionId)).toEqual([result.sessionId, result.sessionId])
          expect(result.answer).toBe("done")
        }),
      { client: { binary: opencode2.binary, version: opencode2.version } }
    )
  })
})
