/** The model over the real OpenCode: a process for each call, one warm server, and OpenCode 2. */
import * as Chat from "@effect/ai/Chat"
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Prompt from "@effect/ai/Prompt"
import type * as Response from "@effect/ai/Response"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { describe, expect } from "@effect/vitest"
import { OpenCodeServer } from "effect-opencode"
import { HostTools, OpenCodeLanguageModel, OpenCodeTool } from "effect-opencode-ai"
import { ModelProvider } from "effect-opencode-testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createServer } from "node:http"
import { asked, real, Reply, respond } from "../../../core/test/integration/support.js"
import * as opencode2 from "../../../core/test/support/opencode2.js"

class Shop extends Context.Tag("test/Shop")<Shop, string>() {}

const Stock = Tool.make("stock", {
  description: "How many there are",
  parameters: { id: Schema.NumberFromString },
  success: Schema.Struct({ count: Schema.Number, shop: Schema.String }),
  dependencies: [Shop]
})
const toolkit = Toolkit.make(Stock, OpenCodeTool.Read)
const handlers = toolkit.toLayer({
  stock: ({ id }) => Effect.map(Shop, (shop) => ({ count: id * 2, shop }))
})

const host = HostTools.layer().pipe(
  Layer.provide([NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }), NodeContext.layer])
)

/** The scripted model: it works when it is asked for the stock, and otherwise repeats what it was asked. */
const script: ModelProvider.Respond = ({ messages, prompt, step, tools }) => {
  const users = messages.filter(({ role }) => role === "user").length
  if (prompt.includes("stock") && step === 0) {
    const name = tools.find((tool) => tool.endsWith("stock")) ?? "none"
    return Reply.toolCalls([{ name, arguments: { id: "21" } }], { text: "I ask." })
  }
  if (prompt.includes("JSON Schema")) return Reply.text("Here: {\"n\": 7}")
  return Reply.reasoning("Hm.", Reply.text(`answer ${users}`, { deltas: ["answer ", String(users)] }))
}

const sessionOf = ({ content }: { readonly content: ReadonlyArray<Response.AnyPart> }) =>
  content.flatMap((part) => part.type === "finish" ? [part.metadata.opencode?.sessionId] : [])[0]

const suite = Effect.gen(function*() {
  yield* respond(script)
  const chat = yield* Chat.fromPrompt([{ role: "system", content: "The word is KRAKEN." }])
  const first = yield* chat.generateText({ prompt: "first", toolkit })
  expect(first.text).toBe("answer 1")
  expect(first.reasoningText).toBe("Hm.")
  expect(first.usage).toMatchObject({ inputTokens: 100, cachedInputTokens: 40, outputTokens: 20 })
  const tooled = yield* chat.generateText({ prompt: "what is in stock?", toolkit })
  expect(tooled.text).toBe("I ask.\n\nanswer 2")
  expect(tooled.toolCalls).toMatchObject([{ name: "stock", params: { id: 21 }, providerExecuted: true }])
  expect(tooled.toolResults).toMatchObject([{ result: { count: 42, shop: "corner" }, isFailure: false }])
  const parts = [...yield* Stream.runCollect(chat.streamText({ prompt: "third" }))]
  const deltas = parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : [])
  expect(deltas).toEqual(["answer ", "3"])
  const object = yield* chat.generateObject({ prompt: "four", schema: Schema.Struct({ n: Schema.Number }) })
  expect(object.value).toEqual({ n: 7 })
  const requests = yield* asked
  expect(requests.every(({ messages }) => messages[0]?.text.includes("KRAKEN"))).toBe(true)
  // Each turn has only added to the conversation of the one before.
  expect(requests.some(({ prompt }) => prompt.includes("<conversation>"))).toBe(false)
  expect(requests.map(({ messages }) => messages.filter(({ role }) => role === "user").length)).toEqual([
    1,
    2,
    2,
    3,
    4
  ])
  // A prompt that continues an older state continues in a branch from there.
  const history = yield* chat.history
  const other = yield* LanguageModel.generateText({
    prompt: Prompt.merge(Prompt.fromMessages(history.content.slice(0, 3)), "again")
  })
  expect(other.text).toBe("answer 2")
  const last = (yield* asked).at(-1)?.messages.filter(({ role }) => role !== "system").map(({ text }) => text.trim())
  expect(last).toEqual(["first", "answer 1", "again"])
  expect(new Set([first, tooled, object, other].map(sessionOf)).size).toBe(2)
})

const live = (options?: OpenCodeLanguageModel.Options) =>
  Layer.provide(OpenCodeLanguageModel.layer({ config: { permission: { "*": "deny" } }, ...options }), host)

describe("OpenCodeLanguageModel over the real OpenCode", () => {
  real("works and streams in one session, with a process for each turn", () =>
    Effect.gen(function*() {
      yield* respond(script)
      const chat = yield* Chat.fromPrompt([{ role: "system", content: "The word is KRAKEN." }])
      const first = yield* chat.generateText({ prompt: "what is in stock?", toolkit })
      expect(first.text).toBe("I ask.\n\nanswer 1")
      expect(first.toolResults).toMatchObject([{ result: { count: 42, shop: "corner" }, isFailure: false }])
      const parts = [...yield* Stream.runCollect(chat.streamText({ prompt: "second" }))]
      expect(parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : [])).toEqual(["answer 2"])
      expect(sessionOf({ content: parts })).toBe(sessionOf(first))
      const requests = yield* asked
      expect(requests.every(({ messages }) => messages[0]?.text.includes("KRAKEN"))).toBe(true)
      expect(requests.at(-1)?.tools.some((tool) => tool.endsWith("stock"))).toBe(false)
      const history = yield* chat.history
      const other = yield* LanguageModel.generateText({
        prompt: Prompt.merge(Prompt.fromMessages(history.content.slice(0, -2)), "again")
      })
      expect(other.text).toBe("answer 2")
      expect(sessionOf(other)).not.toBe(sessionOf(first))
      const last = (yield* asked).at(-1)?.messages.filter(({ role }) => role === "user").map(({ text }) => text.trim())
      expect(last).toEqual(["what is in stock?", "again"])
    }).pipe(
      Effect.provide(Layer.merge(live(), handlers)),
      Effect.provideService(Shop, "corner")
    ))

  real("talks, works and streams in one session on a warm server", (box) =>
    Effect.gen(function*() {
      const { runConfig } = yield* ModelProvider.ModelProvider
      const server = OpenCodeServer.layer({ defaults: { ...runConfig, cwd: box.work } }).pipe(
        Layer.provide([NodeContext.layer, NodeHttpClient.layer])
      )
      yield* suite.pipe(
        Effect.provide(Layer.merge(Layer.provide(live(), server), handlers)),
        Effect.provideService(Shop, "corner")
      )
    }), { timeout: 300_000 })
})

describe.skipIf(opencode2.binary === undefined)(`OpenCode 2${opencode2.why}`, () => {
  real("answers as a model, and continues its session", () =>
    Effect.gen(function*() {
      yield* respond(script)
      const chat = yield* Chat.empty
      const first = yield* chat.generateText({ prompt: "first" })
      const parts = [...yield* Stream.runCollect(chat.streamText({ prompt: "second" }))]
      expect(first.text).toBe("answer 1")
      expect(first.reasoningText).toBe("Hm.")
      expect(first.usage.inputTokens).toBe(100)
      expect(parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : []).join("")).toMatch(/^answer \d$/)
      expect((yield* asked).some(({ prompt }) => prompt.includes("<conversation>"))).toBe(false)
      expect(sessionOf({ content: parts })).toBe(sessionOf(first))
      const history = yield* chat.history
      const other = yield* LanguageModel.generateText({
        prompt: Prompt.merge(Prompt.fromMessages(history.content.slice(0, 2)), "again")
      })
      expect(sessionOf(other)).not.toBe(sessionOf(first))
      const last = (yield* asked).at(-1)?.messages.filter(({ role }) => role === "user").map(({ text }) => text.trim())
      expect(last?.filter((text) => !text.includes("<system-update>"))).toEqual(["first", "again"])
    }).pipe(Effect.provide(live())), { client: { binary: opencode2.binary, version: opencode2.version } })
})
