import * as Chat from "@effect/ai/Chat"
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Prompt from "@effect/ai/Prompt"
import type * as Response from "@effect/ai/Response"
import * as Telemetry from "@effect/ai/Telemetry"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import { describe, expect, it } from "@effect/vitest"
import { OpenCodeLanguageModel, OpenCodeTool } from "effect-opencode-ai"
import { Events, OpenCodeTest } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

const { Failure, Reply } = OpenCodeTest

const over = (respond: Parameters<typeof OpenCodeTest.layer>[0], options?: OpenCodeLanguageModel.Options) =>
  Layer.provideMerge(OpenCodeLanguageModel.layer({ model: "fake/m1", ...options }), OpenCodeTest.layer(respond))

const calls = Effect.flatMap(OpenCodeTest.OpenCodeTest, ({ calls }) => calls)

const bash = Events.tool({ tool: "bash", input: { command: "ls", description: "List" }, output: "a.txt\n" })

/** Narration, a tool, an answer. */
const working = Reply.events([
  Events.turn([Events.reasoning("Let me think."), "I look around.", bash], {
    cost: 0,
    tokens: { input: 10, output: 5, cacheRead: 0 }
  }),
  Events.turn("There is one file.", {
    cost: 0.5,
    tokens: { input: 100, output: 20, reasoning: 5, cacheRead: 40, cacheWrite: 3 }
  })
])

const types = (parts: ReadonlyArray<{ readonly type: string }>) => parts.map(({ type }) => type)

const collect = <A, E, R>(stream: Stream.Stream<A, E, R>) => Effect.map(Stream.runCollect(stream), (all) => [...all])

describe("generateText", () => {
  it.effect("returns what the agent has said in its order, with usage, cost and the names of its tools", () =>
    Effect.gen(function*() {
      const response = yield* LanguageModel.generateText({ prompt: "How many files?" })
      expect(types(response.content)).toEqual(["response-metadata", "reasoning", "text", "text", "finish"])
      expect(response.text).toBe("I look around.\n\nThere is one file.")
      expect(response.reasoningText).toBe("Let me think.")
      expect(response.finishReason).toBe("stop")
      expect(response.usage).toMatchObject({
        inputTokens: 10 + 100 + 40 + 3,
        cachedInputTokens: 40,
        outputTokens: 5 + 20 + 5,
        reasoningTokens: 5
      })
      const [call] = yield* calls
      const finish = response.content.find((part) => part.type === "finish")
      expect(finish?.metadata.opencode).toMatchObject({ cost: 0.5, steps: 2, tools: ["bash"], model: "fake/m1" })
      expect(finish?.metadata.opencode?.sessionId).toMatch(/^ses_/)
      expect(call).toMatchObject({ prompt: "How many files?", options: { model: "fake/m1", thinking: true } })
    }).pipe(Effect.provide(over(() => working))))

  it.effect("reports OpenCode's own tools if they are in the toolkit, with parameters and results", () =>
    Effect.gen(function*() {
      const failed = Events.toolError({ tool: "read", input: { filePath: "b.txt" }, error: "no such file" })
      const odd = Events.tool({ tool: "bash", input: { words: "ls" }, output: "" })
      const response = yield* LanguageModel.generateText({ prompt: "Go", toolkit: OpenCodeTool.toolkit }).pipe(
        Effect.provide(over(() => Reply.events([Events.turn([bash, failed, odd]), Events.turn("done")])))
      )
      expect(response.toolCalls).toMatchObject([
        { name: "OpenCodeBash", providerName: "bash", params: { command: "ls" }, providerExecuted: true },
        { name: "OpenCodeRead", params: { filePath: "b.txt" } }
      ])
      expect(response.toolResults).toMatchObject([
        { name: "OpenCodeBash", result: "a.txt\n", isFailure: false },
        { name: "OpenCodeRead", result: "no such file", isFailure: true }
      ])
      expect(response.content.at(-1)).toMatchObject({ metadata: { opencode: { tools: ["bash", "read", "bash"] } } })
    }))

  it.effect("reports the tools of OpenCode 2 as those of OpenCode 1, and the code that it runs", () =>
    Effect.gen(function*() {
      const used = [
        Events.tool({ tool: "shell", input: { command: "ls", description: "List" }, output: "a" }),
        Events.tool({ tool: "read", input: { path: "/a.txt" }, output: "b" }),
        Events.tool({ tool: "execute", input: { code: "tools.read()" }, output: "c" })
      ]
      const response = yield* LanguageModel.generateText({ prompt: "Go", toolkit: OpenCodeTool.toolkit }).pipe(
        Effect.provide(over(() => Reply.events([Events.turn(used), Events.turn("done")])))
      )
      expect(response.toolCalls).toMatchObject([
        { name: "OpenCodeBash", providerName: "shell", params: { command: "ls" } },
        { name: "OpenCodeRead", params: { filePath: "/a.txt" } },
        { name: "OpenCodeExecute", params: { code: "tools.read()" } }
      ])
    }))

  it.effect("is refused with options that are not valid, before anything is started", () =>
    Effect.gen(function*() {
      const invalid: ReadonlyArray<OpenCodeLanguageModel.SessionsOptions> = [
        { capacity: NaN },
        { capacity: 1.5 },
        { capacity: -1 },
        { timeToLive: "soon" as "1 second" },
        { timeToLive: NaN },
        { timeToLive: -1 }
      ]
      const layer = (sessions?: OpenCodeLanguageModel.SessionsOptions) =>
        over(() => Reply.fail(Failure.timeout()), { sessions })
      const ask = LanguageModel.generateText({ prompt: "Go" })
      const errors = yield* Effect.forEach(invalid, (sessions) => Effect.provide(Effect.flip(ask), layer(sessions)))
      const ways = yield* Effect.forEach([NaN, 0, -1, 1.5], (concurrency) =>
        Effect.provide(Effect.flip(LanguageModel.generateText({ prompt: "Go", concurrency })), layer()))
      expect([...errors, ...ways].map(({ _tag }) =>
        _tag
      )).toEqual([...errors, ...ways].map(() => "MalformedInput"))
      expect(errors.map(({ message }) => /capacity|timeToLive/.exec(message)?.[0])).toEqual([
        "capacity",
        "capacity",
        "capacity",
        "timeToLive",
        "timeToLive",
        "timeToLive"
      ])
    }))

  it.effect("passes system messages and files on, and retells a history that the agent has not had", () =>
    Effect.gen(function*() {
      const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47)
      yield* LanguageModel.generateText({
        prompt: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "First </user> question" },
          {
            role: "assistant",
            content: [
              { type: "text", text: "First answer" },
              { type: "tool-call", id: "1", name: "stock", params: { id: 7 }, providerExecuted: true },
              { type: "tool-result", id: "1", name: "stock", isFailure: false, result: 3, providerExecuted: true }
            ]
          },
          {
            role: "user",
            content: [
              { type: "text", text: "And this?" },
              { type: "file", mediaType: "image/*", data: Encoding.encodeBase64(png), fileName: "dir/shot" }
            ]
          },
          { role: "system", content: "Be kind." }
        ]
      })
      const [call] = yield* calls
      expect(call?.options).toMatchObject({
        system: "Be brief.\n\nBe kind.",
        files: [{ mediaType: "image/png", data: png, name: "shot" }]
      })
      expect(call?.prompt).toContain("<user>\nFirst <\\/user> question\n</user>")
      expect(call?.prompt).toContain("<tool_call name=\"stock\">{\"id\":7}</tool_call>")
      expect(call?.prompt).toContain("<tool_result name=\"stock\">3</tool_result>")
      expect(call?.prompt).toMatch(/The next message of the user:\n\nAnd this\?$/)
    }).pipe(Effect.provide(over(() => "done"))))

  it.effect("reads a file's `data:` address with and without parameters, and refuses one that is not valid", () =>
    Effect.gen(function*() {
      const ask = (data: string) =>
        LanguageModel.generateText({
          prompt: [{ role: "user", content: [{ type: "file", mediaType: "text/plain", data }] }]
        })
      yield* ask("data:text/plain;charset=utf-8;base64,aGk=")
      yield* ask("data:text/plain;charset=utf-8,h%69")
      const files = (yield* calls).map(({ options }) => options.files)
      expect(files).toMatchObject(files.map(() => [{ data: new TextEncoder().encode("hi") }]))
      expect((yield* Effect.flip(ask("data:text/plain,100%")))._tag).toBe("MalformedInput")
    }).pipe(Effect.provide(over(() => "done"))))

  const Own = Tool.make("own")
  const toolkit = Toolkit.make(Own)
  const handlers = toolkit.toLayer({ own: () => Effect.void })
  const Foreign = Tool.providerDefined({
    id: "other.search",
    toolkitName: "OtherSearch",
    providerName: "search",
    args: {}
  })({})

  const refused: ReadonlyArray<
    readonly [
      string,
      (model: LanguageModel.Service) => Effect.Effect<unknown, unknown, Tool.HandlersFor<{ own: typeof Own }>>
    ]
  > = [
    ["a tool choice \"required\"", (model) => model.generateText({ prompt: "Go", toolkit, toolChoice: "required" })],
    ["a named tool", (model) => model.generateText({ prompt: "Go", toolkit, toolChoice: { tool: "own" } })],
    [
      "one of some tools",
      (model) => model.generateText({ prompt: "Go", toolkit, toolChoice: { mode: "required", oneOf: ["own"] } })
    ],
    [
      "tools without resolution",
      (model) => model.generateText({ prompt: "Go", toolkit, disableToolCallResolution: true })
    ],
    ["tools without a server for them", (model) => model.generateText({ prompt: "Go", toolkit })],
    ["a tool of another provider", (model) => model.generateText({ prompt: "Go", toolkit: Toolkit.make(Foreign) })],
    ["an empty prompt", (model) => model.generateText({ prompt: " " })],
    [
      "a conversation that ends with an answer",
      (model) => model.generateText({ prompt: [{ role: "assistant", content: "done" }] })
    ],
    [
      "the address of a file",
      (model) =>
        model.generateText({
          prompt: [{
            role: "user",
            content: [{ type: "file", mediaType: "image/png", data: new URL("https://example.org/a.png") }]
          }]
        })
    ],
    [
      "data that are not base64",
      (model) =>
        model.generateText({
          prompt: [{ role: "user", content: [{ type: "file", mediaType: "image/png", data: "?" }] }]
        })
    ]
  ]

  for (const [what, ask] of refused) {
    it.effect(`refuses ${what}, and starts nothing`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Effect.flatMap(LanguageModel.LanguageModel, ask))
        expect(error).toMatchObject({ _tag: "MalformedInput", module: "OpenCodeLanguageModel" })
        expect(yield* calls).toEqual([])
      }).pipe(Effect.provide(Layer.merge(over(() => "done"), handlers))))
  }

  it.effect("leaves tools out that the choice \"none\" excludes", () =>
    Effect.gen(function*() {
      const { text } = yield* LanguageModel.generateText({ prompt: "Go", toolkit, toolChoice: "none" })
      expect(text).toBe("done")
    }).pipe(Effect.provide(Layer.merge(over(() => "done"), handlers))))

  it.effect("is configured by the region of a call, whose rules add up", () =>
    Effect.gen(function*() {
      yield* LanguageModel.generateText({ prompt: "Go" }).pipe(
        OpenCodeLanguageModel.withConfigOverride({ permission: { bash: "allow" }, agent: "plan" }),
        OpenCodeLanguageModel.withConfigOverride({ permission: { edit: "deny" }, agent: "build", timeout: "1 minute" })
      )
      expect((yield* calls)[0]?.options).toMatchObject({
        agent: "plan",
        timeout: "1 minute",
        permission: { "*": "deny", edit: "deny", bash: "allow" }
      })
    }).pipe(Effect.provide(over(() => "done", { config: { permission: "deny" } }))))

  it.effect("annotates its span with the names of the convention, and calls the program's transformer", () => {
    const seen: Array<unknown> = []
    return Effect.gen(function*() {
      yield* LanguageModel.generateText({ prompt: "Go" })
      expect(seen).toMatchObject([[
        "fake/m1",
        expect.stringMatching(/^ses_/),
        153,
        ["stop"],
        ["response-metadata", "reasoning", "text", "text", "finish"]
      ]])
    }).pipe(
      Effect.provide(over(() => working)),
      Effect.provideService(Telemetry.CurrentSpanTransformer, ({ response, span }) => {
        const get = (name: string) => span.attributes.get(name)
        seen.push([
          get("gen_ai.request.model"),
          get("gen_ai.response.id"),
          get("gen_ai.usage.input_tokens"),
          get("gen_ai.response.finish_reasons"),
          types(response)
        ])
      })
    )
  })
})

const Review = Schema.Struct({ verdict: Schema.Literal("approve", "reject"), lines: Schema.NumberFromString })

describe("generateObject", () => {
  it.effect("returns the value without the agent's prose, corrections included", () =>
    Effect.gen(function*() {
      const response = yield* LanguageModel.generateObject({ prompt: "Review", schema: Review })
      expect(response.value).toEqual({ verdict: "approve", lines: 12 })
      expect(response.text).toBe("{\"verdict\":\"approve\",\"lines\":\"12\"}")
      expect(response.usage.outputTokens).toBe(14)
      expect((yield* calls).map(({ method }) => method)).toEqual(["runSchema"])
    }).pipe(Effect.provide(over(() =>
      Reply.attempts([
        Reply.text("I think it is fine.", { tokens: { output: 7 } }),
        Reply.text("Here it is:\n```json\n{\"verdict\":\"approve\",\"lines\":\"12\"}\n```", { tokens: { output: 7 } })
      ])
    ))))

  it.effect("fails with MalformedOutput after `repairs` corrections", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(LanguageModel.generateObject({ prompt: "Review", schema: Review }))
      expect(error._tag).toBe("MalformedOutput")
      expect(Option.map(OpenCodeLanguageModel.errorOf(error), ({ _tag }) => _tag)).toEqual(
        Option.some("OpenCodeOutputError")
      )
    }).pipe(Effect.provide(over(() => "no", { config: { repairs: 1 } }))))
})

const streamTypes = [
  "response-metadata",
  "reasoning-start",
  "reasoning-delta",
  "reasoning-end",
  "text-start",
  "text-delta",
  "text-end",
  "tool-call",
  "tool-result",
  "text-start",
  "text-delta",
  "text-delta",
  "text-end",
  "finish"
]

describe("streamText", () => {
  it.effect("emits the parts of generateText, whose joined deltas are its text", () =>
    Effect.gen(function*() {
      const parts = yield* collect(
        LanguageModel.streamText({ prompt: "How many files?", toolkit: Toolkit.make(OpenCodeTool.Bash) })
      )
      expect(types(parts)).toEqual(streamTypes)
      const said = parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : []).join("")
      const response = yield* LanguageModel.generateText({ prompt: "How many files?" })
      expect(said).toBe(response.text)
      const finish = parts.at(-1) as Response.FinishPart
      expect(finish.usage).toEqual(response.usage)
      expect(finish.metadata.opencode).toMatchObject({ cost: 0.5, steps: 2, tools: ["bash"], model: "fake/m1" })
      expect(finish.metadata.opencode?.runId).toMatch(/\w/)
    }).pipe(Effect.provide(over(() => working))))

  it.effect("refuses and fails as generateText does", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(collect(LanguageModel.streamText({ prompt: "Go" })))
      expect(Option.map(OpenCodeLanguageModel.errorOf(error), ({ _tag }) => _tag)).toEqual(
        Option.some("OpenCodeTimeoutError")
      )
      const refused = yield* Effect.flip(collect(LanguageModel.streamText({ prompt: "" })))
      expect(refused).toMatchObject({ _tag: "MalformedInput", method: "streamText" })
    }).pipe(Effect.provide(over(() => Reply.fail(Failure.timeout())))))
})

/** True for each call whose history was told, instead of continued in its session. */
const told = Effect.map(calls, (all) => all.map(({ prompt }) => prompt.includes("<conversation>")))

const unknownMessage = Failure.config({ path: "forkAfter", reason: "the session ses_1 has no message msg_1" })

describe("a conversation", () => {
  it.effect("continues its session with what is new, also after a stream, an object and an export", () =>
    Effect.gen(function*() {
      const chat = yield* Chat.fromPrompt([{ role: "system", content: "Be brief." }])
      yield* chat.generateText({ prompt: "one" })
      yield* collect(chat.streamText({ prompt: "two" }))
      yield* chat.generateObject({ prompt: "json", schema: Schema.Struct({ a: Schema.Number }) })
      const again = yield* Chat.fromJson(yield* chat.exportJson)
      yield* again.generateText({ prompt: "three" })
      expect(yield* told).toEqual([false, false, false, false])
      const all = yield* calls
      expect(all.map(({ prompt }) => prompt.split("\n")[0])).toEqual(["one", "two", "json", "three"])
      expect(all.map(({ options }) => options.system)).toEqual(all.map(() => "Be brief."))
    }).pipe(
      Effect.provide(
        over((call) =>
          call.method === "runSchema" ? "{\"a\":1}" : call.prompt === "one" ? working : `answer to ${call.prompt}`
        )
      )
    ))

  it.effect("continues its own session beside one of the same words", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.all([Chat.empty, Chat.empty])
      const ask = (chat: Chat.Service, prompt: string) =>
        Effect.map(
          chat.generateText({ prompt }),
          ({ content }) => content.flatMap((part) => part.type === "response-metadata" ? [part.id] : [])
        )
      const begun = [yield* ask(one, "one"), yield* ask(other, "one")]
      const exported = yield* one.exportJson
      yield* ask(yield* Chat.fromJson(exported), "whose is it?")
      expect([yield* ask(one, "two"), yield* ask(other, "two")]).toEqual(begun)
      expect(yield* told).toEqual([false, false, true, false, false])
    }).pipe(Effect.provide(over(() => "done"))))

  it.effect("that was edited is told in a new session", () =>
    Effect.gen(function*() {
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "one" })
      const history = yield* chat.history
      const edited = Prompt.make([
        { role: "user", content: "ONE" },
        ...history.content.slice(1) as unknown as ReadonlyArray<Prompt.MessageEncoded>
      ])
      yield* LanguageModel.generateText({ prompt: Prompt.merge(edited, "two") })
      expect(yield* told).toEqual([false, true])
      expect((yield* calls)[1]?.prompt).toContain("ONE")
    }).pipe(Effect.provide(over(() => "done"))))

  it.effect("continued twice becomes branches, which do not mix", () =>
    Effect.gen(function*() {
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "one" })
      const history = yield* chat.history
      const ask = (prompt: string) => LanguageModel.generateText({ prompt: Prompt.merge(history, prompt) })
      yield* Effect.all([ask("left"), ask("right")], { concurrency: "unbounded" })
      yield* ask("third")
      const branch = yield* Chat.fromPrompt(history)
      yield* branch.generateText({ prompt: "fourth" })
      yield* branch.generateText({ prompt: "fifth" })
      expect(yield* told).toEqual([false, false, false, false, false, false])
      const branches = (yield* calls).filter(({ options }) => options.fork === true)
      // The first to come gets the session itself, and "fifth" continues the branch of "fourth".
      expect(branches.map(({ prompt }) => prompt)).toEqual([
        expect.stringMatching("left|right"),
        "third",
        "fourth",
        "fifth"
      ])
      expect(new Set(branches.map(({ options }) => options.forkAfter)).size).toBe(1)
      expect(branches[0]?.options.forkAfter).toMatch(/^msg_/)
    }).pipe(Effect.provide(over(() => working))))

  it.effect("with other options for its session is told in a new one, and with other options for a turn is not", () =>
    Effect.gen(function*() {
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "one" })
      yield* OpenCodeLanguageModel.withConfigOverride(chat.generateText({ prompt: "two" }), { model: "fake/m2" })
      yield* OpenCodeLanguageModel.withConfigOverride(chat.generateText({ prompt: "three" }), { permission: "deny" })
      expect(yield* told).toEqual([false, false, true])
      expect((yield* calls).map(({ options }) => options.model)).toEqual(["fake/m1", "fake/m2", "fake/m1"])
    }).pipe(Effect.provide(over(() => "done"))))

  it.effect("whose turn has failed or was abandoned continues in a branch from before it", () =>
    Effect.gen(function*() {
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "one" })
      yield* Effect.flip(chat.generateText({ prompt: "fail" }))
      yield* chat.generateText({ prompt: "two" })
      yield* Stream.runHead(chat.streamText({ prompt: "three" }))
      yield* chat.generateText({ prompt: "four" })
      expect(yield* told).toEqual([false, false, false, false, false])
      // The branch goes on, until a turn of it is abandoned.
      const after = (yield* calls).map(({ options }) => options.forkAfter !== undefined)
      expect(after).toEqual([false, false, true, true, true])
    }).pipe(Effect.provide(over(({ prompt }) => prompt === "fail" ? Reply.fail(Failure.timeout()) : "done"))))

  it.effect("is told in a new session after OpenCode did not find the message for a branch", () =>
    Effect.gen(function*() {
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "one" })
      const again = yield* Chat.fromPrompt(yield* chat.history)
      const streaming = yield* Chat.fromPrompt(yield* chat.history)
      yield* chat.generateText({ prompt: "two" })
      const refused = yield* Effect.flip(again.generateText({ prompt: "three" }))
      expect(refused._tag).toBe("MalformedInput")
      yield* again.generateText({ prompt: "three" })
      yield* collect(streaming.streamText({ prompt: "four" }))
      yield* chat.generateText({ prompt: "five" })
      expect(yield* told).toEqual([false, false, false, true, true, false])
    }).pipe(
      Effect.provide(over(({ options }) => options.forkAfter === undefined ? "done" : Reply.fail(unknownMessage)))
    ))

  it.effect("is told in a new session after a stream has failed before its branch began", () =>
    Effect.gen(function*() {
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "one" })
      const again = yield* Chat.fromPrompt(yield* chat.history)
      yield* chat.generateText({ prompt: "two" })
      yield* Effect.flip(collect(again.streamText({ prompt: "three" })))
      yield* collect(again.streamText({ prompt: "three" }))
      expect(yield* told).toEqual([false, false, false, true])
    }).pipe(
      Effect.provide(over(({ options }) => options.forkAfter === undefined ? "done" : Reply.fail(unknownMessage)))
    ))

  it.effect("is told each time without sessions, and when there is no place for it", () => {
    const two = Effect.gen(function*() {
      const chat = yield* Chat.empty
      yield* chat.generateText({ prompt: "one" })
      yield* chat.generateText({ prompt: "two" })
      return yield* told
    })
    const expected = [false, true]
    return Effect.gen(function*() {
      expect(yield* Effect.provide(two, over(() => "done", { sessions: "none" }))).toEqual(expected)
      expect(yield* Effect.provide(two, over(() => "done", { sessions: { capacity: 0 } }))).toEqual(expected)
    })
  })
})

describe("errors", () => {
  const url = "https://api.example.org/v1/chat?key=hidden"
  const rows = [
    [
      Failure.session({
        kind: "rate-limit",
        statusCode: 429,
        reason: "slow down",
        error: {
          name: "APIError",
          data: { metadata: { url }, responseHeaders: { "retry-after": "5" }, responseBody: "{\"error\":1}" }
        }
      }),
      {
        _tag: "HttpResponseError",
        reason: "StatusCode",
        description: "slow down",
        request: { method: "POST", url: "https://api.example.org/v1/chat" },
        response: { status: 429, headers: { "retry-after": "5" } },
        body: "{\"error\":1}"
      }
    ],
    [
      Failure.session({ kind: "provider-unavailable", reason: "connection refused" }),
      { _tag: "HttpRequestError", reason: "Transport" }
    ],
    [Failure.session({ kind: "other" }), { _tag: "UnknownError" }],
    [Failure.output(), { _tag: "MalformedOutput" }],
    [Failure.config(), { _tag: "MalformedInput" }],
    ...[
      Failure.binaryNotFound(),
      Failure.version(),
      Failure.spawn(),
      Failure.sqlite(),
      Failure.process(),
      Failure.permission(),
      Failure.incomplete(),
      Failure.timeout(),
      Failure.budget(),
      Failure.cancelled(),
      Failure.server()
    ].map((error) => [error, { _tag: "UnknownError", cause: { _tag: error._tag } }] as const)
  ] as const

  for (const [error, expected] of rows) {
    it(`${error._tag}${"kind" in error ? ` (${error.kind})` : ""} is ${expected._tag}, and is found again`, () => {
      const made = OpenCodeLanguageModel.toAiError(error, "generateText")
      expect(made).toMatchObject({ module: "OpenCodeLanguageModel", method: "generateText", ...expected })
      expect(Option.getOrThrow(OpenCodeLanguageModel.errorOf(made))).toBe(error)
      expect(JSON.stringify(made)).not.toContain("hidden")
    })
  }

  it("of somebody else have no run behind them", () => {
    const made = OpenCodeLanguageModel.toAiError(Failure.config(), "generateText")
    expect(OpenCodeLanguageModel.errorOf(made)._tag).toBe("Some")
    expect(OpenCodeLanguageModel.errorOf(Object.assign(Object.create(made as object) as typeof made, {
      cause: new Error("other")
    }))).toEqual(Option.none())
  })
})
