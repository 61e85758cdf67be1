import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpServer from "@effect/platform/HttpServer"
import type * as HttpServerError from "@effect/platform/HttpServerError"
import { assert, describe, it } from "@effect/vitest"
import { RunConfig, RunEvent } from "effect-opencode"
import { Events, ModelProvider } from "effect-opencode-testing"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { createServer } from "node:http"
import { inspect } from "node:util"

const { Reply } = ModelProvider

const server = NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })

const provider = (
  options: ModelProvider.Options | ModelProvider.Respond | ModelProvider.Reply
): Layer.Layer<ModelProvider.ModelProvider | HttpClient.HttpClient, HttpServerError.ServeError> =>
  Layer.merge(
    ModelProvider.layer(
      typeof options === "function"
        ? { respond: options }
        : "respond" in options
        ? options
        : { respond: () => options }
    ).pipe(Layer.provide(server)),
    FetchHttpClient.layer
  )

/** Runs with a provider of one reply, and with an effect that waits until a request has arrived. */
const withArrival = <A, E>(
  reply: ModelProvider.Reply,
  run: (arrived: Effect.Effect<void>) => Effect.Effect<A, E, ModelProvider.ModelProvider | HttpClient.HttpClient>
) =>
  Effect.flatMap(Deferred.make<void>(), (arrived) =>
    Effect.provide(
      run(Deferred.await(arrived)),
      provider(() => Effect.as(Deferred.succeed(arrived, void 0), reply))
    ))

type Message = Readonly<Record<string, unknown>>

const user = (content: unknown): Message => ({ role: "user", content })

const assistant = (content: string): Message => ({ role: "assistant", content })

const tool = (content: string): Message => ({ role: "tool", tool_call_id: "call_1", content })

const titleQuestion: Message = { role: "system", content: "You are a title generator. You output ONLY a title." }

const ask = Effect.fnUntraced(function*(messages: ReadonlyArray<Message>, extra: object = {}) {
  const { baseUrl } = yield* ModelProvider.ModelProvider
  return yield* HttpClientRequest.post(`${baseUrl}/chat/completions`).pipe(
    HttpClientRequest.bearerToken("key-1"),
    HttpClientRequest.bodyUnsafeJson({ model: "m1", stream: true, messages, ...extra }),
    HttpClient.execute
  )
})

/** The `data:` of every event, decoded if it is JSON. */
const events = Effect.fnUntraced(function*(messages: ReadonlyArray<Message>, extra: object = {}) {
  const response = yield* ask(messages, extra)
  const text = yield* response.text
  return text.split("\n\n").filter((line) => line !== "").map((line) => line.replace(/^data: /, ""))
})

const deltas = (lines: ReadonlyArray<string>): ReadonlyArray<unknown> =>
  lines.filter((line) => line.startsWith("{")).flatMap((line) => {
    const { choices } = JSON.parse(line) as { choices: Array<{ delta: object; finish_reason: string | null }> }
    return choices.map(({ delta, finish_reason }) => finish_reason ?? delta)
  })

const content = (text: string) => ({ role: "assistant", content: text })

/** What a request returns when its body is incomplete: the part that arrived, and how it ended. */
const partial = Effect.fnUntraced(function*(messages: ReadonlyArray<Message>) {
  const response = yield* ask(messages)
  const received: Array<string> = []
  const exit = yield* response.stream.pipe(
    Stream.decodeText(),
    Stream.runForEach((text) => Effect.sync(() => received.push(text))),
    Effect.exit
  )
  return { text: received.join(""), exit }
})

describe("ModelProvider", () => {
  describe("service", () => {
    it.scoped("returns the configuration that points OpenCode at it", () =>
      Effect.gen(function*() {
        const { baseUrl, configOverrides, model, runConfig } = yield* ModelProvider.ModelProvider
        assert.deepStrictEqual(runConfig, { configOverrides, model })
        assert.isTrue(Either.isRight(Schema.validateEither(RunConfig.RunConfig)(runConfig)))
        assert.match(baseUrl, /^http:\/\/127\.0\.0\.1:\d+\/v1$/)
        assert.strictEqual(model, "fake/m1")
        assert.deepStrictEqual(JSON.parse(JSON.stringify(configOverrides)), {
          model: "fake/m1",
          provider: {
            fake: {
              npm: "@ai-sdk/openai-compatible",
              name: "Scripted provider",
              options: { baseURL: baseUrl, apiKey: "canary" },
              models: {
                m1: {
                  name: "Scripted model",
                  tool_call: true,
                  reasoning: true,
                  cost: { input: 1, output: 2 },
                  limit: { context: 200000, output: 32000 }
                }
              }
            }
          }
        })
      }).pipe(Effect.provide(provider({ respond: () => Reply.never, apiKey: "canary" }))))

    it.scoped("lists its model and refuses unknown paths and broken bodies", () =>
      Effect.gen(function*() {
        const { baseUrl } = yield* ModelProvider.ModelProvider
        const models = yield* Effect.flatMap(HttpClient.get(`${baseUrl}/models`), (response) => response.json)
        assert.deepStrictEqual(models, {
          object: "list",
          data: [{ id: "m1", object: "model", created: 0, owned_by: "fake" }]
        })
        const other = yield* HttpClient.get(`${baseUrl}/embeddings`)
        assert.strictEqual(other.status, 404)
        const broken = yield* ask([], { messages: "none" })
        assert.strictEqual(broken.status, 400)
        const { requests } = yield* ModelProvider.ModelProvider
        assert.deepStrictEqual(yield* requests, [])
      }).pipe(Effect.provide(provider(Reply.text("unused")))))

    it.scoped("records requests as they arrived", () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(5000)
        const call = { id: "c1", type: "function", function: { name: "read", arguments: "{\"path\":\"a\"}" } }
        yield* events(
          [
            { role: "system", content: "Be brief." },
            user([{ type: "text", text: "one " }, { type: "image_url" }, { type: "text", text: "two" }]),
            { role: "assistant", content: null, tool_calls: [call] },
            tool("text of a")
          ],
          { tools: [{ type: "function", function: { name: "read", parameters: {} } }], max_tokens: 7 }
        )
        const { requests } = yield* ModelProvider.ModelProvider
        const [request] = yield* requests
        assert.isDefined(request)
        const { body, headers, ...rest } = request
        assert.deepStrictEqual(rest, {
          index: 0,
          step: 1,
          prompt: "one two",
          isTitle: false,
          model: "m1",
          messages: [
            { role: "system", text: "Be brief.", toolCalls: [], toolCallId: undefined },
            { role: "user", text: "one two", toolCalls: [], toolCallId: undefined },
            {
              role: "assistant",
              text: "",
              toolCalls: [{ id: "c1", name: "read", arguments: { path: "a" } }],
              toolCallId: undefined
            },
            { role: "tool", text: "text of a", toolCalls: [], toolCallId: "call_1" }
          ],
          tools: ["read"],
          stream: true,
          authorization: "Bearer key-1",
          time: 5000
        })
        assert.strictEqual((body as { max_tokens: number }).max_tokens, 7)
        assert.strictEqual(headers["content-type"], "application/json")
      }).pipe(Effect.provide(provider(Reply.text("ok")))))

    it.scoped("accepts prompts of many megabytes", () =>
      Effect.gen(function*() {
        yield* events([user("x".repeat(12 * 1024 * 1024))])
        const { requests } = yield* ModelProvider.ModelProvider
        assert.strictEqual((yield* requests)[0]?.prompt.length, 12 * 1024 * 1024)
      }).pipe(Effect.provide(provider(Reply.text("ok")))))
  })

  describe("choice of replies", () => {
    it.scoped("by the step of the turn, independent of other requests", () =>
      Effect.gen(function*() {
        const first = yield* events([user("a")])
        const again = yield* events([user("a")])
        const second = yield* events([user("a"), assistant("1"), tool("t")])
        const secondTurn = yield* events([user("a"), assistant("1"), user("b")])
        assert.deepStrictEqual(
          [first, again, second, secondTurn].map((lines) => deltas(lines)[0]),
          [content("one"), content("one"), content("two"), content("one")]
        )
        const beyond = yield* ask([user("a"), assistant("1"), assistant("2")])
        assert.strictEqual(beyond.status, 400)
        assert.include(yield* beyond.text, "ModelProvider.steps has 2 replies and none for step 2")
      }).pipe(Effect.provide(provider(ModelProvider.steps([Reply.text("one"), Reply.text("two")])))))

    it.scoped("by arrival, not counting titles", () =>
      Effect.gen(function*() {
        const failed = yield* ask([user("a")])
        assert.strictEqual(failed.status, 500)
        const title = yield* events([titleQuestion, user("a")])
        assert.deepStrictEqual(deltas(title), [content("Scripted session"), "stop"])
        assert.deepStrictEqual(deltas(yield* events([user("a")]))[0], content("ok"))
        assert.deepStrictEqual(deltas(yield* events([user("a")]))[0], content("ok"))
        const { requests } = yield* ModelProvider.ModelProvider
        assert.deepStrictEqual(
          (yield* requests).map(({ index, isTitle }) => [index, isTitle]),
          [[0, false], [1, true], [1, false], [2, false]]
        )
      }).pipe(Effect.provide(provider(ModelProvider.sequence([Reply.httpError(500), Reply.text("ok")])))))

    it.scoped("by a function or an effect of the request, which can be replaced", () =>
      Effect.gen(function*() {
        const { respond } = yield* ModelProvider.ModelProvider
        assert.deepStrictEqual(deltas(yield* events([user("hi")]))[0], content("hi!"))
        const go = yield* Deferred.make<ModelProvider.Reply>()
        yield* respond(() => Deferred.await(go))
        const fiber = yield* Effect.fork(events([user("hi")]))
        yield* Deferred.succeed(go, Reply.text("at last"))
        assert.deepStrictEqual(deltas(yield* Fiber.join(fiber))[0], content("at last"))
        const { requests } = yield* ModelProvider.ModelProvider
        assert.deepStrictEqual((yield* requests).map(({ index }) => index), [0, 0])
      }).pipe(Effect.provide(provider(({ prompt }) => Reply.text(`${prompt}!`)))))

    it.scoped("for titles, by an option", () =>
      Effect.gen(function*() {
        const title = yield* ask([titleQuestion, user("a")])
        assert.strictEqual(title.status, 402)
        const withTools = yield* ask([titleQuestion, user("a")], { tools: [{ function: { name: "bash" } }] })
        assert.strictEqual(withTools.status, 200)
      }).pipe(Effect.provide(provider({ respond: () => Reply.text("ok"), title: Reply.httpError(402) }))))
  })

  describe("healthy replies", () => {
    it.scoped("text, in pieces, with its usage", () =>
      Effect.gen(function*() {
        const lines = yield* events([user("a")])
        assert.strictEqual(lines.at(-1), "[DONE]")
        assert.deepStrictEqual(deltas(lines), [content("grö"), content("ßer"), "stop"])
        const usage = JSON.parse(lines.at(-2) ?? "{}") as { choices: unknown; usage: unknown }
        assert.deepStrictEqual(usage.choices, [])
        assert.deepStrictEqual(usage.usage, {
          prompt_tokens: 100,
          completion_tokens: 7,
          total_tokens: 107,
          prompt_tokens_details: { cached_tokens: 40 },
          completion_tokens_details: { reasoning_tokens: 0 }
        })
      }).pipe(Effect.provide(provider(Reply.text("größer", { deltas: ["grö", "ßer"], usage: { output: 7 } })))))

    it.scoped("tool calls, each with an id of its own", () =>
      Effect.gen(function*() {
        const lines = [...(yield* events([user("a")])), ...(yield* events([user("a")]))]
        const call = (id: string, index: number, name: string, args: string) => ({
          role: "assistant",
          tool_calls: [{ index, id, type: "function", function: { name, arguments: args } }]
        })
        assert.deepStrictEqual(deltas(lines), [
          content("first"),
          call("call_chatcmpl-0_0", 0, "bash", "{\"command\":\"ls\"}"),
          call("call_chatcmpl-0_1", 1, "read", "{broken"),
          "tool_calls",
          content("first"),
          call("call_chatcmpl-1_0", 0, "bash", "{\"command\":\"ls\"}"),
          call("call_chatcmpl-1_1", 1, "read", "{broken"),
          "tool_calls"
        ])
      }).pipe(Effect.provide(provider(Reply.toolCalls(
        [{ name: "bash", arguments: { command: "ls" } }, { name: "read", arguments: "{broken" }],
        { text: "first" }
      )))))

    it.scoped("tool calls by the names of the OpenCode that asks", () =>
      Effect.gen(function*() {
        const tool = (name: string, parameter: string) => ({
          type: "function",
          function: { name, parameters: { properties: { [parameter]: {} } } }
        })
        const called = (...tools: ReadonlyArray<object>) =>
          Effect.map(events([user("hi")], { tools }), (lines) =>
            deltas(lines).flatMap((delta) => {
              const { tool_calls: calls = [] } = delta as { tool_calls?: Array<{ function: Record<string, string> }> }
              return calls.map((call) => `${call.function["name"]} ${call.function["arguments"]}`)
            }))
        const first = [
          "bash {\"command\":\"ls\"}",
          "read {\"filePath\":\"a\"}",
          "task {\"subagent_type\":\"general\"}",
          "write {\"filePath\":",
          "mine {\"filePath\":\"a\"}"
        ]
        const others = [tool("write", "path"), tool("mine", "path")]
        assert.deepStrictEqual(yield* called(), first)
        assert.deepStrictEqual(
          yield* called(tool("bash", "command"), tool("read", "filePath"), tool("task", "subagent_type"), ...others),
          first
        )
        assert.deepStrictEqual(
          yield* called(tool("shell", "command"), tool("read", "path"), tool("subagent", "agent"), ...others),
          [
            "shell {\"command\":\"ls\"}",
            "read {\"path\":\"a\"}",
            "subagent {\"agent\":\"general\"}",
            "write {\"filePath\":",
            "mine {\"filePath\":\"a\"}"
          ]
        )
      }).pipe(Effect.provide(provider(Reply.toolCalls([
        { name: "bash", arguments: { command: "ls" } },
        { name: "read", arguments: { filePath: "a" } },
        { name: "task", arguments: { subagent_type: "general" } },
        { name: "write", arguments: "{\"filePath\":" },
        { name: "mine", arguments: { filePath: "a" } }
      ])))))

    it.scoped("reasoning before the answer", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(deltas(yield* events([user("a")])), [
          { role: "assistant", reasoning_content: "hm" },
          content("42"),
          "length"
        ])
      }).pipe(Effect.provide(provider(Reply.reasoning("hm", Reply.finish("length", "42"))))))

    it.scoped("one JSON document when no stream was requested", () =>
      Effect.gen(function*() {
        const response = yield* ask([user("a")], { stream: false })
        const { choices } = (yield* response.json) as { choices: unknown }
        assert.deepStrictEqual(choices, [{
          index: 0,
          message: { role: "assistant", content: "hello", reasoning_content: "hm" },
          finish_reason: "stop"
        }])
      }).pipe(Effect.provide(provider(Reply.reasoning("hm", Reply.text("hello"))))))

    it.effect("after a delay on the clock", () =>
      withArrival(Reply.text("late", { delay: "10 seconds" }), (arrived) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(events([user("a")]))
          yield* arrived
          yield* TestClock.adjust("9 seconds")
          assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(deltas(yield* Fiber.join(fiber)), [content("late"), "stop"])
        })))
  })

  describe("faults", () => {
    it.scoped("a status with a body and headers", () =>
      Effect.gen(function*() {
        const response = yield* ask([user("a")])
        assert.strictEqual(response.status, 429)
        assert.strictEqual(response.headers["retry-after"], "600")
        assert.strictEqual(response.headers["content-type"], "application/json")
        assert.deepStrictEqual(yield* response.json, { error: { message: "slow down" } })
      }).pipe(Effect.provide(provider(
        Reply.httpError(429, { error: { message: "slow down" } }, { "retry-after": "600" })
      ))))

    it.scoped("the errors that programs tell apart, as core classifies them", () => {
      const cases = [
        [Reply.unauthorized(), 401, "authentication"],
        [Reply.quota(), 429, "quota"],
        [Reply.rateLimited(), 429, "rate-limit"],
        [Reply.rateLimited("20 seconds"), 429, "rate-limit"],
        [Reply.modelNotFound(), 404, "model-not-found"],
        [Reply.contextOverflow(), 400, "context-overflow"],
        [Reply.unavailable(), 503, "provider-unavailable"]
      ] as const
      return Effect.forEach(cases, ([reply, status, kind]) =>
        Effect.gen(function*() {
          const response = yield* ask([user("hi")])
          assert.strictEqual(response.status, status)
          const responseBody = yield* response.text
          const { error } = JSON.parse(responseBody) as { error: { message: string; code: string } }
          const event = RunEvent.fromWire(
            Events.error({
              message: error.message,
              statusCode: status,
              responseBody,
              responseHeaders: Object.fromEntries(
                Object.entries(response.headers).filter(([name]) => name === "retry-after")
              )
            })
          )
          assert.deepInclude(event, { kind })
          assert.deepInclude(event, {
            retryAfter: reply._tag === "Response" && "retry-after" in reply.headers ? Duration.seconds(20) : undefined
          })
        }).pipe(Effect.provide(provider(reply))))
    })

    it.scoped("a connection closed without a response", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(ask([user("hi")]))
        assert.strictEqual(error._tag, "RequestError")
        const { requests } = yield* ModelProvider.ModelProvider
        assert.strictEqual((yield* requests).length, 1)
      }).pipe(Effect.provide(provider(Reply.reset))))

    it.effect("an unreachable provider", () =>
      Effect.gen(function*() {
        const config = ModelProvider.refused.configOverrides as {
          readonly provider: { readonly fake: { readonly options: { readonly baseURL: string } } }
        }
        assert.strictEqual(ModelProvider.refused.model, "fake/m1")
        const error = yield* Effect.flip(HttpClient.get(`${config.provider.fake.options.baseURL}/models`))
        assert.include(inspect(error.cause), "ECONNREFUSED")
      }).pipe(Effect.provide(FetchHttpClient.layer)))

    it.scoped("a web page", () =>
      Effect.gen(function*() {
        const response = yield* ask([user("a")])
        assert.strictEqual(response.status, 200)
        assert.strictEqual(response.headers["content-type"], "text/html")
        assert.include(yield* response.text, "<html>")
      }).pipe(Effect.provide(provider(Reply.html()))))

    it.scoped("any status and body", () =>
      Effect.gen(function*() {
        const response = yield* ask([user("a")])
        assert.strictEqual(response.status, 200)
        assert.strictEqual(yield* response.text, "data: x\n\n")
      }).pipe(Effect.provide(provider(
        Reply.raw({ headers: { "content-type": "text/event-stream" }, body: "data: x\n\n" })
      ))))

    it.scoped("a stream without a finish reason", () =>
      Effect.gen(function*() {
        const lines = yield* events([user("a")])
        assert.deepStrictEqual(deltas(lines), [content("text")])
        assert.strictEqual(lines.at(-1), "[DONE]")
      }).pipe(Effect.provide(provider(Reply.noFinishReason("text")))))

    it.scoped("an event that is not JSON", () =>
      Effect.gen(function*() {
        const lines = yield* events([user("a")])
        assert.deepStrictEqual(deltas(lines.slice(0, 1)), [content("text")])
        assert.throws(() => JSON.parse(lines[1] ?? "{}"))
      }).pipe(Effect.provide(provider(Reply.malformed("text")))))

    it.scoped("an event that is an error", () =>
      Effect.gen(function*() {
        const lines = yield* events([user("a")])
        assert.deepStrictEqual(JSON.parse(lines[1] ?? "{}"), {
          error: { message: "overloaded", type: "scripted_error" }
        })
      }).pipe(Effect.provide(provider(Reply.streamError("overloaded", "text")))))

    it.scoped("a connection that breaks after all of the text has arrived", () =>
      Effect.gen(function*() {
        const { exit, text } = yield* partial([user("a")])
        assert.include(text, "\"content\":\"text\"")
        assert.isTrue(Exit.isFailure(exit))
        const error = yield* Effect.flip(exit)
        assert.instanceOf(error, HttpClientError.ResponseError)
      }).pipe(Effect.provide(provider(Reply.cut("text")))))

    it.scoped("a connection that breaks when its reader has shown that it has the text", () =>
      Effect.gen(function*() {
        const hasText = yield* Deferred.make<void>()
        const order: Array<string> = []
        const note = (what: string) => Effect.sync(() => void order.push(what))
        const after = Effect.andThen(Deferred.await(hasText), note("cut"))
        yield* Effect.gen(function*() {
          const { stream } = yield* ask([user("a")])
          yield* stream.pipe(
            Stream.decodeText(),
            Stream.filter((text) => text.includes("\"content\":\"text\"")),
            Stream.runForEach(() => Effect.andThen(note("read"), Deferred.succeed(hasText, undefined))),
            Effect.catchAll(() => note("broken"))
          )
        }).pipe(Effect.provide(provider(Reply.cut("text", { after }))))
        assert.deepStrictEqual(order, ["read", "cut", "broken"])
      }))

    it.scoped("headers, then silence", () =>
      Effect.gen(function*() {
        const response = yield* ask([user("a")])
        assert.strictEqual(response.headers["content-type"], "text/event-stream")
        const first = yield* Effect.scoped(Stream.runCollect(Stream.take(Stream.decodeText(response.stream), 1)))
        assert.deepStrictEqual(Chunk.toReadonlyArray(first), [": open\n\n"])
      }).pipe(Effect.provide(provider(Reply.headersThenNever))))
  })

  describe("closing", () => {
    const closes = (reply: ModelProvider.Reply) =>
      Effect.gen(function*() {
        const [pending, baseUrl] = yield* withArrival(reply, (arrived) =>
          Effect.gen(function*() {
            const pending = yield* Effect.forkDaemon(partial([user("a")]))
            yield* arrived
            const { baseUrl } = yield* ModelProvider.ModelProvider
            return [pending, baseUrl] as const
          }))
        yield* Fiber.await(pending)
        const gone = yield* Effect.exit(Effect.provide(HttpClient.get(`${baseUrl}/models`), FetchHttpClient.layer))
        assert.isTrue(Exit.isFailure(gone))
      })

    it.effect("does not wait for a request that is never answered", () => closes(Reply.never))

    it.effect("does not wait for a stream that never ends", () => closes(Reply.stall("text")))

    it.effect("does not wait for a delay", () => closes(Reply.text("late", { delay: "1 hour" })))

    it.scoped("does not wait for a client that does not read", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(
          provider(Reply.text("x".repeat(32 * 1024 * 1024))),
          scope
        )
        const response = yield* ask([user("a")]).pipe(Effect.provide(context))
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(response.status, 200)
      }))

    it.effect("serves other clients after one has disconnected", () =>
      withArrival(Reply.never, (arrived) =>
        Effect.gen(function*() {
          const { respond } = yield* ModelProvider.ModelProvider
          const fiber = yield* Effect.fork(ask([user("a")]))
          yield* arrived
          yield* Fiber.interrupt(fiber)
          yield* respond(() => Reply.text("next"))
          assert.deepStrictEqual(deltas(yield* events([user("a")])), [content("next"), "stop"])
        })))
  })

  it.effect("needs a TCP port", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Layer.build(ModelProvider.layer({ respond: () => Reply.never })))
      assert.isTrue(Exit.isFailure(exit))
    }).pipe(
      Effect.scoped,
      Effect.provideService(
        HttpServer.HttpServer,
        HttpServer.make({ address: { _tag: "UnixAddress", path: "/tmp/none" }, serve: () => Effect.void })
      )
    ))
})
