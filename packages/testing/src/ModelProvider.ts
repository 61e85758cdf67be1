/**
 * A scripted, OpenAI-compatible model provider over HTTP, for tests that run the real OpenCode without the internet,
 * without an account and with every fault on demand.
 *
 * The test provides the `HttpServer`, usually Node's on a free loopback port. All requests to the provider are
 * recorded.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeHttpServer } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Effect, Layer } from "effect"
 * import { ModelProvider } from "effect-opencode-testing"
 * import { createServer } from "node:http"
 *
 * const provider = ModelProvider.layer({
 *   respond: ModelProvider.steps([
 *     ModelProvider.Reply.toolCalls([{ name: "bash", arguments: { command: "ls", description: "List" } }]),
 *     ModelProvider.Reply.text("There are three files.")
 *   ])
 * }).pipe(
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const { requests, runConfig } = yield* ModelProvider.ModelProvider
 *   const result = yield* OpenCode.run("How many files are there?", runConfig)
 *   return { answer: result.answer, asked: yield* requests }
 * }).pipe(
 *   Effect.provide(provider),
 *   Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer)))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as HttpServer from "@effect/platform/HttpServer"
import type { RunConfig } from "effect-opencode/RunConfig"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as config from "./internal/modelProvider/config.js"
import * as response from "./internal/modelProvider/response.js"
import * as server from "./internal/modelProvider/server.js"

/**
 * The token usage that an answer reports.
 *
 * @since 0.1.0
 * @category models
 */
export interface Usage {
  /** `prompt_tokens`, including cached ones. Defaults to 100. */
  readonly input?: number | undefined
  /**
   * `prompt_tokens_details.cached_tokens`. Defaults to 40.
   */
  readonly cached?: number | undefined
  /** `completion_tokens`, including those for reasoning. Defaults to 20. */
  readonly output?: number | undefined
  /**
   * `completion_tokens_details.reasoning_tokens`. Defaults to 0.
   */
  readonly reasoning?: number | undefined
}

/**
 * The options of every reply.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReplyOptions {
  /** How long the provider waits before it answers. Defaults to no delay. */
  readonly delay?: Duration.DurationInput | undefined
}

/**
 * The options of a reply that the model generates.
 *
 * @since 0.1.0
 * @category models
 */
export interface CompletionOptions extends ReplyOptions {
  readonly usage?: Usage | undefined
  /**
   * The pieces in which the text is sent. Defaults to the whole text in one piece.
   */
  readonly deltas?: ReadonlyArray<string> | undefined
}

/**
 * The options of `Reply.cut`.
 *
 * @since 0.1.0
 * @category models
 */
export interface CutOptions extends CompletionOptions {
  /**
   * What the provider waits for before it closes the connection. A reader loses what it has not read by then, so let it
   * show first that it has. Defaults to a pause of 50 milliseconds.
   */
  readonly after?: Effect.Effect<void> | undefined
}

/**
 * A call that the model makes.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolCall {
  /**
   * The tool, such as `bash`. If the request does not offer it, but the tool that has its place in another major of
   * OpenCode (`shell`), that one is called.
   */
  readonly name: string
  /**
   * Sent as JSON. A string is sent as it is, so that it can also be invalid JSON. Parameters of OpenCode's own tools that
   * have another name in the requesting major (`filePath`, `path`) are sent by that name.
   */
  readonly arguments: unknown
}

/**
 * A piece of a streamed answer.
 *
 * @since 0.1.0
 * @category models
 */
export type Delta = Data.TaggedEnum<{
  readonly Text: { readonly text: string }
  readonly Reasoning: { readonly text: string }
  readonly ToolCall: { readonly name: string; readonly arguments: string }
}>

const Delta = Data.taggedEnum<Delta>()

/**
 * How a streamed answer ends after its last piece.
 *
 * @since 0.1.0
 * @category models
 */
export type Ending = Data.TaggedEnum<{
  /** With a finish reason, or cleanly without one. */
  readonly Done: { readonly finishReason: string | undefined }
  /** The connection is closed in the middle of the body, after this effect or a short pause. */
  readonly Cut: { readonly after?: Effect.Effect<void> | undefined }
  /** Nothing more is sent, and the connection stays open. */
  readonly Stall: {}
  /** An event that is not JSON. */
  readonly Malformed: {}
  /** An event that carries an error. */
  readonly Error: { readonly message: string }
}>

const Ending = Data.taggedEnum<Ending>()

/**
 * The provider's answer to one request.
 *
 * @since 0.1.0
 * @category models
 */
export type Reply = Data.TaggedEnum<{
  readonly Completion: {
    readonly deltas: ReadonlyArray<Delta>
    readonly ending: Ending
    readonly usage: Usage
    readonly delay: Duration.Duration
  }
  readonly Response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
    readonly delay: Duration.Duration
  }
  readonly Never: {}
  readonly Reset: {}
}>

/**
 * A reply that the model generates, complete or with a fault.
 *
 * @since 0.1.0
 * @category models
 */
export type Completion = Extract<Reply, { readonly _tag: "Completion" }>

const { Completion, Never, Reset, Response } = Data.taggedEnum<Reply>()

const completion = (deltas: ReadonlyArray<Delta>, ending: Ending, options?: CompletionOptions): Completion =>
  Completion({
    deltas,
    ending,
    usage: options?.usage ?? {},
    delay: Duration.decode(options?.delay ?? Duration.zero)
  })

const textDeltas = (text: string, options?: CompletionOptions): ReadonlyArray<Delta> =>
  (options?.deltas ?? (text === "" ? [] : [text])).map((text) => Delta.Text({ text }))

/**
 * Constructors of replies.
 *
 * - `text`, `toolCalls`, `reasoning`, `finish`: answers of a healthy provider. If one reports nearly the 200,000 tokens
 *   of the scripted model's context, OpenCode compacts its context: it asks for a summary next, and continues by
 *   itself. After a `contextOverflow` it does the same
 * - `httpError`, `html`, `raw`: responses that are not a stream
 * - `unauthorized`, `quota`, `rateLimited`, `modelNotFound`, `contextOverflow`, `unavailable`: the errors that programs
 *   distinguish, with OpenAI's texts
 * - `never`, `headersThenNever`, `stall`: accepted, but not answered or not to the end
 * - `reset`: accepted, and the connection is closed without a response ({@link refused} is a provider that does not
 *   exist)
 * - `cut`, `malformed`, `streamError`, `noFinishReason`: streams that go wrong after some text
 *
 * @example
 * ```ts
 * import { ModelProvider } from "effect-opencode-testing"
 *
 * const { Reply } = ModelProvider
 *
 * const rateLimited = Reply.httpError(429, { error: { message: "slow down" } }, { "retry-after": "1" })
 * const thoughtful = Reply.reasoning("The user wants a number.", Reply.text("42", { usage: { output: 7 } }))
 * const slow = Reply.text("at last", { delay: "10 seconds", deltas: ["at ", "last"] })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const Reply = {
  /** A text answer, which ends with `stop`. */
  text: (text: string, options?: CompletionOptions): Completion => Reply.finish("stop", text, options),

  /** Tool calls, after a text if there is one. The names of OpenCode 1.x and 2.x are translated, see {@link ToolCall}. */
  toolCalls: (
    calls: ReadonlyArray<ToolCall>,
    options?: CompletionOptions & { readonly text?: string | undefined }
  ): Completion =>
    completion(
      [
        ...textDeltas(options?.text ?? "", options),
        ...calls.map((call) =>
          Delta.ToolCall({
            name: call.name,
            arguments: typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments)
          })
        )
      ],
      Ending.Done({ finishReason: "tool_calls" }),
      options
    ),

  /** Reasoning before another reply. */
  reasoning: (text: string, then: Completion): Completion =>
    Completion({ ...then, deltas: [Delta.Reasoning({ text }), ...then.deltas] }),

  /** Text that ends with this finish reason (`length`, `content_filter`, or an unknown one). */
  finish: (reason: string, text = "", options?: CompletionOptions): Completion =>
    completion(textDeltas(text, options), Ending.Done({ finishReason: reason }), options),

  /** Text whose stream ends cleanly without any finish reason. */
  noFinishReason: (text = "", options?: CompletionOptions): Completion =>
    completion(textDeltas(text, options), Ending.Done({ finishReason: undefined }), options),

  /** Text, then the connection is closed in the middle of the stream. */
  cut: (text = "", options?: CutOptions): Completion =>
    completion(textDeltas(text, options), Ending.Cut({ after: options?.after }), options),

  /** Text, then an event that is not JSON. */
  malformed: (text = "", options?: CompletionOptions): Completion =>
    completion(textDeltas(text, options), Ending.Malformed(), options),

  /** Text, then an event that carries an error. */
  streamError: (message: string, text = "", options?: CompletionOptions): Completion =>
    completion(textDeltas(text, options), Ending.Error({ message }), options),

  /** Text, then nothing more. */
  stall: (text = "", options?: CompletionOptions): Completion =>
    completion(textDeltas(text, options), Ending.Stall(), options),

  /** The headers of a stream, then nothing more. */
  headersThenNever: completion([], Ending.Stall()) as Completion,

  /** The request is accepted and nothing is ever sent. */
  never: Never() as Reply,

  /** A status with a JSON body. Defaults to an error in OpenAI's form. */
  httpError: (
    status: number,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
    options?: ReplyOptions
  ): Reply =>
    Reply.raw({
      status,
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body ?? response.errorBody(`HTTP ${status} by script`)),
      ...options
    }),

  /** 401: the key is wrong. */
  unauthorized: (message = "Incorrect API key provided"): Reply =>
    apiError(401, message, "invalid_request_error", "invalid_api_key"),

  /** 429: the account is used up. */
  quota: (message = "You exceeded your current quota"): Reply =>
    apiError(429, message, "insufficient_quota", "insufficient_quota"),

  /** 429: too many requests, with a `retry-after` header if a time is given. */
  rateLimited: (retryAfter?: Duration.DurationInput, message = "Rate limit reached"): Reply =>
    apiError(
      429,
      message,
      "rate_limit_error",
      "rate_limit_exceeded",
      retryAfter === undefined ? undefined : { "retry-after": String(Duration.toSeconds(retryAfter)) }
    ),

  /** 404: the model does not exist. */
  modelNotFound: (message = "The model does not exist"): Reply =>
    apiError(404, message, "invalid_request_error", "model_not_found"),

  /** 400: the conversation is too long. */
  contextOverflow: (message = "This model's maximum context length is 4096 tokens"): Reply =>
    apiError(400, message, "invalid_request_error", "context_length_exceeded"),

  /** 503: temporarily unavailable. */
  unavailable: (message = "The server is overloaded"): Reply =>
    apiError(503, message, "server_error", "service_unavailable"),

  /** The connection is closed before anything was sent. */
  reset: Reset() as Reply,

  /** A web page with status 200, as proxies and captive portals send it. */
  html: (body = "<!doctype html><html><body>Sign in</body></html>", options?: ReplyOptions): Reply =>
    Reply.raw({ status: 200, headers: { "content-type": "text/html" }, body, ...options }),

  /** Any response. */
  raw: (
    response: ReplyOptions & {
      readonly status?: number | undefined
      readonly headers?: Readonly<Record<string, string>> | undefined
      readonly body?: string | undefined
    }
  ): Reply =>
    Response({
      status: response.status ?? 200,
      headers: response.headers ?? {},
      body: response.body ?? "",
      delay: Duration.decode(response.delay ?? Duration.zero)
    })
} as const

const apiError = (
  status: number,
  message: string,
  type: string,
  code: string,
  headers?: Readonly<Record<string, string>>
): Reply => Reply.httpError(status, { error: { message, type, code } }, headers)

/**
 * One message of a conversation.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProviderMessage {
  readonly role: string
  /**
   * The text of the message, of all its parts when it has several.
   */
  readonly text: string
  /**
   * The calls that an assistant made.
   */
  readonly toolCalls: ReadonlyArray<ToolCall & { readonly id: string }>
  /**
   * The call that a tool's message answers.
   */
  readonly toolCallId: string | undefined
}

/**
 * A request for a completion, as it arrived.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProviderRequest {
  /** How many requests arrived before this one since the replies were last set, without titles. */
  readonly index: number
  /**
   * The number of assistant messages after the last user message, without those in which OpenCode passes on an image of a
   * tool: the step of the turn that is requested, from 0. A
   * repeated request has the same number.
   */
  readonly step: number
  /**
   * The last message of the user.
   */
  readonly prompt: string
  /** True if OpenCode asks for the title of a session. */
  readonly isTitle: boolean
  readonly model: string
  readonly messages: ReadonlyArray<ProviderMessage>
  /**
   * The names of the tools that the model may call.
   */
  readonly tools: ReadonlyArray<string>
  readonly stream: boolean
  /** The header as it arrived, with the key in plain text, so that a test can check it. */
  readonly authorization: string | undefined
  readonly headers: Readonly<Record<string, string | undefined>>
  /**
   * The whole body.
   */
  readonly body: unknown
  /** The time of arrival, in milliseconds of the layer's clock. */
  readonly time: number
}

/**
 * Chooses the reply to a request.
 *
 * @since 0.1.0
 * @category models
 */
export type Respond = (request: ProviderRequest) => Reply | Effect.Effect<Reply>

/**
 * Answers the steps of a turn in order: the first reply to the request that follows the user's message, the
 * second to the one that follows the first answer and its tool results, and so on.
 *
 * The step is read from the conversation itself, so that conversations can run concurrently and a repeated request gets
 * the same reply. A step beyond the last one is answered with status 400.
 *
 * @since 0.1.0
 * @category replies
 */
export const steps = (replies: ReadonlyArray<Reply>): Respond => (request) =>
  replies[request.step] ??
    Reply.httpError(
      400,
      response.errorBody(`ModelProvider.steps has ${replies.length} replies and none for step ${request.step}`)
    )

/**
 * Answers requests in order of arrival; the last reply repeats.
 *
 * @example
 * ```ts
 * import { ModelProvider } from "effect-opencode-testing"
 *
 * const recovers = ModelProvider.sequence([
 *   ModelProvider.Reply.httpError(500),
 *   ModelProvider.Reply.text("now it works")
 * ])
 * ```
 *
 * @since 0.1.0
 * @category replies
 */
export const sequence = (replies: readonly [Reply, ...Array<Reply>]): Respond => (request) =>
  replies[Math.min(request.index, replies.length - 1)] ?? replies[0]

/**
 * OpenCode configuration, as passed in `OPENCODE_CONFIG_CONTENT`.
 *
 * @since 0.1.0
 * @category models
 */
export type ConfigOverrides = { readonly [key: string]: unknown }

/**
 * A running provider.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** The base URL for clients, which ends with `/v1`. */
  readonly baseUrl: string
  /**
   * The model in OpenCode's notation: `fake/m1`.
   */
  readonly model: string
  /**
   * The configuration that points OpenCode at this provider. A million input tokens cost 1 US dollar, a million output
   * tokens 2.
   */
  readonly configOverrides: ConfigOverrides
  /**
   * `configOverrides` and `model`: the settings of a run that uses this provider, for the `defaults` of a layer, the
   * options of a run or `RunConfig.withRunConfig`.
   */
  readonly runConfig: RunConfig
  /**
   * Every request for a completion since the layer was built, in order.
   */
  readonly requests: Effect.Effect<ReadonlyArray<ProviderRequest>>
  /** Replaces the replies from the next request on, whose `index` is 0. */
  readonly respond: (respond: Respond) => Effect.Effect<void>
}

/**
 * The scripted model provider.
 *
 * @since 0.1.0
 * @category context
 */
export class ModelProvider extends Context.Tag("effect-opencode-testing/ModelProvider")<ModelProvider, Service>() {}

/**
 * Options of `layer`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly respond: Respond
  /**
   * The answer to OpenCode's request for the title of a session; other replies are never used for it. Defaults to the
   * text `Scripted session`.
   */
  readonly title?: Reply | undefined
  /**
   * The key in `configOverrides`. Any key is accepted. Defaults to `scripted-key`.
   */
  readonly apiKey?: string | undefined
  /** True if the model of `configOverrides` accepts images. Defaults to `false`. */
  readonly images?: boolean | undefined
}

/**
 * Serves the provider on the `HttpServer` of the context.
 *
 * `GET /v1/models` and `POST /v1/chat/completions` are answered. Every connection is closed after its response; those
 * still waiting are closed with the layer.
 *
 * @example
 * ```ts
 * import { ModelProvider } from "effect-opencode-testing"
 *
 * const layer = ModelProvider.layer({
 *   respond: (request) =>
 *     request.prompt.includes("fail")
 *       ? ModelProvider.Reply.httpError(401)
 *       : ModelProvider.Reply.text(`You said: ${request.prompt}`)
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<ModelProvider, never, HttpServer.HttpServer> =>
  Layer.scoped(ModelProvider, server.make({ ...options, title: options.title ?? Reply.text("Scripted session") }))

/**
 * Configuration for a provider that does not exist: nothing listens on TCP port 2 of the loopback address, so every
 * connection is refused. (Port 1 is one that `fetch` does not even try.)
 *
 * @since 0.1.0
 * @category configuration
 */
export const refused: RunConfig = { configOverrides: config.of("http://127.0.0.1:2/v1"), model: config.model }
