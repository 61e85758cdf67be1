import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import { describe, expect, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { HostTools } from "effect-opencode-ai"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as scripted from "./support/scripted.js"
import type { Script } from "./support/scripted.js"

class Shop extends Context.Tag("test/Shop")<Shop, string>() {}

class Language extends Context.Reference<Language>()("test/Language", { defaultValue: () => "none" }) {}

class NoStock extends Schema.TaggedError<NoStock>()("NoStock", { id: Schema.Number }) {}

const Stock = Tool.make("stock", {
  description: "How many there are",
  parameters: { id: Schema.NumberFromString },
  success: Schema.Unknown,
  failure: NoStock,
  dependencies: [Shop]
})
const toolkit = Toolkit.make(Stock)

type Handler = (params: { readonly id: number }) => Effect.Effect<unknown, NoStock, Shop>

const surroundings = (script: Script, handler: Handler, options?: HostTools.Options, carrier?: OpenCode.Carrier) =>
  Layer.mergeAll(
    scripted.opencode(script, carrier),
    scripted.host(options),
    toolkit.toLayer({ stock: handler }),
    Layer.succeed(Shop, "corner shop")
  )

const run = (script: Script, handler: Handler, options?: HostTools.Options, carrier?: OpenCode.Carrier) =>
  Effect.provide(HostTools.run("Go", { toolkit }), surroundings(script, handler, options, carrier))

const { textOf: text, until } = scripted

describe("HostTools", () => {
  describe("a long call", () => {
    it.scoped("of six minutes is answered, after a sign of life every fifteen seconds", () =>
      Effect.gen(function*() {
        const result = yield* run(
          (client) =>
            Effect.gen(function*() {
              yield* client.begin
              const before = client.seen.length
              const call = yield* Effect.fork(client.call("stock", { id: "7" }, { progressToken: "t" }))
              // The first sign opens the answer.
              for (let signs = 1; signs <= 24; signs++) {
                yield* until(() => client.seen.length - before >= signs)
                yield* TestClock.adjust("15 seconds")
              }
              yield* Fiber.join(call)
              return client.seen.slice(before)
            }),
          () => Effect.delay(Effect.succeed("late"), "6 minutes")
        )
        const messages = scripted.returned<ReadonlyArray<Record<string, any>>>(result)
        expect(messages.slice(0, -1)).toMatchObject(
          Array.from({ length: messages.length - 1 }, (_, progress) => ({
            method: "notifications/progress",
            params: { progressToken: "t", progress }
          }))
        )
        expect(messages.length).toBeGreaterThanOrEqual(25)
        expect(messages.at(-1)?.["result"].content).toEqual([{ type: "text", text: "late" }])
      }))

    it.scoped("keeps its connection alive if the client asked for no progress", () =>
      Effect.gen(function*() {
        const result = yield* run(
          (client) =>
            Effect.gen(function*() {
              yield* client.begin
              const call = yield* Effect.fork(client.call("stock", { id: "7" }))
              yield* until(() => client.comments() >= 1)
              yield* TestClock.adjust("2 seconds")
              yield* until(() => client.comments() >= 2)
              yield* TestClock.adjust("1 minute")
              return text(yield* Fiber.join(call))
            }),
          () => Effect.delay(Effect.succeed("late"), "1 minute"),
          { progressEvery: "2 seconds" }
        )
        expect(result.answer).toBe("late")
      }))
  })

  describe("a call", () => {
    it.scoped("reaches the handler with decoded parameters, services, references and the span of the run", () =>
      Effect.gen(function*() {
        const seen: Array<unknown> = []
        const result = yield* run(
          (client) => Effect.andThen(client.begin, Effect.map(client.call("stock", { id: "7" }), text)),
          ({ id }) =>
            Effect.gen(function*() {
              const span = yield* Effect.currentSpan
              const parents: Array<string> = []
              for (let at = span.parent; at._tag === "Some" && at.value._tag === "Span"; at = at.value.parent) {
                parents.push(at.value.name)
              }
              seen.push(id, yield* Shop, yield* Language, parents)
              return { left: 3 }
            }).pipe(Effect.orDie)
        ).pipe(Effect.provideService(Language, "de"), Effect.withSpan("user-span"))
        expect(result.answer).toBe("{\"left\":3}")
        expect(seen).toEqual([7, "corner shop", "de", ["execute_tool stock", "user-span"]])
      }))

    it.scoped("shows the model a text as it is and nothing as null", () =>
      Effect.gen(function*() {
        const results: Array<unknown> = ["plain", undefined, [1]]
        const result = yield* run(
          (client) =>
            Effect.andThen(
              client.begin,
              Effect.all([1, 2, 3].map(() => Effect.map(client.call("stock", { id: "1" }), text)))
            ),
          () => Effect.sync(() => results.shift())
        )
        expect(result.answer).toEqual(["plain", "null", "[1]"])
      }))

    it.scoped("shows images and resources, but only the text of a failure", () =>
      Effect.gen(function*() {
        const parts: ReadonlyArray<HostTools.Part> = [
          { type: "text", text: "a" },
          { type: "image", mediaType: "image/png", data: new Uint8Array([1, 2, 3]) },
          { type: "resource", uri: "file:///a", text: "b" },
          { type: "resource", uri: "file:///c", mediaType: "application/pdf", data: "AQID" }
        ]
        const Look = Tool.make("look", {
          parameters: { works: Schema.Boolean },
          success: Schema.String,
          failure: Schema.String,
          failureMode: "return"
        }).annotate(HostTools.Content, () => parts)
        const looking = Toolkit.make(Look)
        const result = yield* HostTools.run("Go", { toolkit: looking }).pipe(
          Effect.provide([
            scripted.opencode((client) =>
              Effect.andThen(
                client.begin,
                Effect.all([client.call("look", { works: true }), client.call("look", { works: false })])
              )
            ),
            scripted.host(),
            looking.toLayer({ look: ({ works }) => works ? Effect.succeed("x") : Effect.fail("no") })
          ])
        )
        expect(result.answer).toEqual([
          {
            content: [
              { type: "text", text: "a" },
              { type: "image", data: "AQID", mimeType: "image/png" },
              { type: "resource", resource: { uri: "file:///a", text: "b" } },
              { type: "resource", resource: { uri: "file:///c", mimeType: "application/pdf", blob: "AQID" } }
            ]
          },
          { content: [{ type: "text", text: "no" }], isError: true }
        ])
      }))

    it.scoped("whose parameters do not decode is told to the model, and the run goes on", () =>
      Effect.gen(function*() {
        let count = 0
        const result = yield* run(
          (client) =>
            Effect.andThen(
              client.begin,
              Effect.all([client.call("stock", { id: 7 }), client.call("stock", { id: "7" })])
            ),
          () => Effect.sync(() => ++count)
        )
        const [bad, good] = scripted.returned<readonly [Record<string, any>, Record<string, any>]>(result)
        expect(bad["isError"]).toBe(true)
        expect(text(bad)).toContain("Expected string, actual 7")
        expect(text(good)).toBe("1")
      }))

    it.scoped("of an unknown tool is an error of the protocol", () =>
      Effect.gen(function*() {
        const result = yield* run(
          (client) => Effect.andThen(client.begin, client.call("nothing")),
          () => Effect.succeed(1)
        )
        expect(result.answer).toMatchObject({ error: { code: -32602, message: "There is no tool nothing." } })
      }))

    it.scoped("keeps a long result for the program, with its parameters and the session of OpenCode 2", () =>
      Effect.gen(function*() {
        const long = "x".repeat(200_000)
        const calls = yield* Effect.gen(function*() {
          const served = yield* HostTools.serve(toolkit)
          yield* served.during(OpenCode.run("Go", yield* served.options({})))
          return yield* served.calls
        }).pipe(Effect.provide(
          surroundings(
            (client) =>
              Effect.andThen(client.begin, client.call("stock", { id: "7" }, { "ai.opencode/sessionID": "ses_child" })),
            () => Effect.succeed(long)
          )
        ))
        expect(calls).toMatchObject([
          { name: "stock", params: { id: "7" }, result: long, isFailure: false, sessionId: "ses_child" }
        ])
      }))

    it.scoped("waits while as many are handled as allowed", () =>
      Effect.gen(function*() {
        let running = 0
        let most = 0
        const gate = yield* Deferred.make<void>()
        const result = yield* run(
          (client) =>
            Effect.andThen(
              client.begin,
              Effect.all([1, 2, 3, 4].map((id) => client.call("stock", { id: `${id}` })), { concurrency: 4 })
            ),
          () =>
            Effect.gen(function*() {
              most = Math.max(most, ++running)
              if (running === 2) yield* Deferred.succeed(gate, undefined)
              yield* Deferred.await(gate)
              yield* Effect.yieldNow()
              running--
            }),
          { concurrency: 2 }
        )
        expect([most, scripted.returned<ReadonlyArray<unknown>>(result).length]).toEqual([2, 4])
      }))
  })

  describe("a failure", () => {
    it.scoped("ends the run with its typed error, and its call is never answered", () =>
      Effect.gen(function*() {
        const ends: Array<string> = []
        const error = yield* Effect.flip(run(
          (client) =>
            Effect.andThen(client.begin, client.call("stock", { id: "7" })).pipe(
              Effect.tap(() => Effect.sync(() => ends.push("answered"))),
              Effect.onInterrupt(() => Effect.sync(() => ends.push("interrupted")))
            ),
          ({ id }) => new NoStock({ id })
        ))
        expect(error).toEqual(new NoStock({ id: 7 }))
        expect(ends).toEqual(["interrupted"])
      }))

    it.scoped("ends a stream and a turn as well", () =>
      Effect.gen(function*() {
        const script: Script = (client) => Effect.andThen(client.begin, client.call("stock", { id: "7" }))
        const layer = surroundings(script, ({ id }) => new NoStock({ id }))
        const streamed = HostTools.stream("Go", { toolkit }).pipe(Stream.runDrain, Effect.flip)
        const asked = Effect.flip(HostTools.runSchema(Schema.Number, "Go", { toolkit }))
        const turned = Effect.flatMap(HostTools.session({ toolkit }), (session) => Effect.flip(session.run("Go")))
        const errors = yield* Effect.all([streamed, asked, turned]).pipe(Effect.provide(layer))
        expect(errors).toEqual([7, 7, 7].map((id) => new NoStock({ id })))
      }))

    it.scoped("of a handler that the script does not wait for still fails the run", () =>
      Effect.gen(function*() {
        const failed = yield* Deferred.make<void>()
        const error = yield* Effect.flip(run(
          (client) =>
            Effect.gen(function*() {
              yield* client.begin
              yield* Effect.forkDaemon(client.call("stock", { id: "7" }))
              yield* Effect.uninterruptible(Effect.andThen(Deferred.await(failed), Effect.yieldNow()))
              return "success"
            }),
          ({ id }) => Effect.andThen(Deferred.succeed(failed, undefined), new NoStock({ id }))
        ))
        expect(error).toEqual(new NoStock({ id: 7 }))
      }))

    it.scoped("that is a defect is a defect of the run, and so is a result that does not fit", () =>
      Effect.gen(function*() {
        const script: Script = (client) => Effect.andThen(client.begin, client.call("count"))
        const Count = Tool.make("count", { success: Schema.Number })
        const counting = Toolkit.make(Count)
        const outcome = (count: Effect.Effect<number>) =>
          Effect.exit(Effect.provide(HostTools.run("Go", { toolkit: counting }), [
            scripted.opencode(script),
            scripted.host(),
            counting.toLayer({ count: () => count })
          ]))
        const died = yield* outcome(Effect.die(new Error("broken")))
        const odd = yield* outcome(Effect.succeed("three" as never))
        const defects = [died, odd].map((exit) => Exit.isFailure(exit) ? Chunk.toArray(Cause.defects(exit.cause)) : [])
        expect(defects).toMatchObject([[{ message: "broken" }], [{ _tag: "MalformedInput" }]])
      }))
  })

  describe("an interruption", () => {
    it.scoped("of the run reaches the handler", () =>
      Effect.gen(function*() {
        const began = yield* Deferred.make<void>()
        let isInterrupted = false
        const fiber = yield* Effect.fork(run(
          (client) => Effect.andThen(client.begin, client.call("stock", { id: "7" })),
          () =>
            Deferred.succeed(began, undefined).pipe(
              Effect.andThen(Effect.never),
              Effect.onInterrupt(() => Effect.sync(() => (isInterrupted = true)))
            )
        ))
        yield* Deferred.await(began)
        yield* Fiber.interrupt(fiber)
        expect(isInterrupted).toBe(true)
      }))

    it.scoped("of one call reaches its handler alone, and one after its end is harmless", () =>
      Effect.gen(function*() {
        const ends: Array<number> = []
        const began = new Set<number>()
        const gate = yield* Deferred.make<void>()
        const result = yield* run(
          (client) =>
            Effect.gen(function*() {
              yield* client.begin
              const ask = (id: number, connection: string) =>
                client.ask("tools/call", { name: "stock", arguments: { id: `${id}` } }, { id: 5, connection })
              // Two clients may use the same number.
              const first = yield* Effect.fork(ask(1, "one"))
              const second = yield* Effect.fork(ask(2, "two"))
              yield* until(() => began.size === 2)
              yield* client.notify("notifications/cancelled", { requestId: 5 }, "one")
              const cancelled = yield* Fiber.join(first)
              yield* client.notify("notifications/cancelled", { requestId: 5 }, "one")
              yield* client.notify("notifications/cancelled", { requestId: 6 }, "two")
              yield* client.notify("notifications/cancelled", { nothing: 6 }, "two")
              yield* Deferred.succeed(gate, undefined)
              return [cancelled.length, (yield* Fiber.join(second)).length]
            }),
          ({ id }) =>
            Effect.sync(() => began.add(id)).pipe(
              Effect.andThen(Deferred.await(gate)),
              Effect.onInterrupt(() => Effect.sync(() => ends.push(id)))
            )
        )
        expect(ends).toEqual([1])
        // A cancelled call has no answer.
        expect(result.answer).toEqual([0, 1])
      }))

    it.scoped("of the connection reaches the handler", () =>
      Effect.gen(function*() {
        const began = yield* Deferred.make<void>()
        const ended = yield* Deferred.make<void>()
        const result = yield* run(
          (client) =>
            Effect.gen(function*() {
              yield* client.begin
              const call = yield* Effect.fork(client.call("stock", { id: "7" }))
              yield* Deferred.await(began)
              yield* Fiber.interrupt(call)
              yield* Deferred.await(ended)
              return "done"
            }),
          () =>
            Deferred.succeed(began, undefined).pipe(
              Effect.andThen(Effect.never),
              Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
            )
        )
        expect(result.answer).toBe("done")
      }))
  })
})
