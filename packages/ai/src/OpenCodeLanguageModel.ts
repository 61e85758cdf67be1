/**
 * An OpenCode agent as the `LanguageModel` of `@effect/ai`: a program that asks a model asks an agent instead, which reads,
 * writes and runs commands in its working directory before it answers. The layer decides, the program does not change.
 *
 * An agent is not a function of its prompt. A call that is made again does its work again, so do not retry one because of
 * its status alone; `errorOf` returns the error of the run, with what was done.
 *
 * @example
 * ```ts
 * import { LanguageModel } from "@effect/ai"
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { OpenCodeLanguageModel } from "effect-opencode-ai"
 * import { Console, Effect, Layer } from "effect"
 *
 * const program = LanguageModel.generateText({ prompt: "Explain this repository in three sentences." }).pipe(
 *   Effect.flatMap(({ text, usage }) => Console.log(text, usage.totalTokens))
 * )
 *
 * const model = OpenCodeLanguageModel.model("openai/gpt-5", { permission: { edit: "deny", bash: "deny" } }).pipe(
 *   Layer.provide(OpenCode.layer()),
 *   Layer.provide(NodeContext.layer)
 * )
 *
 * export const main = () => program.pipe(Effect.provide(model), NodeRuntime.runMain({ teardown: OpenCode.teardown }))
 * ```
 *
 * @since 0.1.0
 */
import type { AiError } from "@effect/ai/AiError"
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Model from "@effect/ai/Model"
import { OpenCode } from "effect-opencode/OpenCode"
import type { OpenCodeError } from "effect-opencode/OpenCodeError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { HostTools } from "./HostTools.js"
import * as configs from "./internal/languageModel/config.js"
import * as errors from "./internal/languageModel/errors.js"
import * as provider from "./internal/languageModel/provider.js"
import * as sessions from "./internal/languageModel/sessions.js"
import * as wrapper from "./internal/languageModel/wrapper.js"

/**
 * What a finished response says about its run, as `metadata.opencode` of its `finish` part.
 *
 * @since 0.1.0
 * @category models
 */
export type FinishMetadata = {
  /** US dollars, sub-agents not included. */
  readonly cost: number
  /** `true` if some of the cost is unknown and not in `cost`. */
  readonly unpriced?: boolean | undefined
  /** Requests to the model. */
  readonly steps: number
  /** The names of all tools that the agent has called, in order. */
  readonly tools: ReadonlyArray<string>
  readonly sessionId?: string | undefined
  readonly runId?: string | undefined
  /** The model that has answered, or else the one of the options. */
  readonly model?: string | undefined
}

declare module "@effect/ai/Response" {
  interface FinishPartMetadata {
    readonly opencode?: FinishMetadata | undefined
  }
  interface TextEndPartMetadata {
    readonly opencode?: {
      /** The stream of the provider was cut here; the agent has said the text again, in another part. */
      readonly discarded: boolean
    } | undefined
  }
  interface ReasoningEndPartMetadata {
    readonly opencode?: { readonly discarded: boolean } | undefined
  }
}

/**
 * The configuration of the agent in a region of a program, over that of its layer. `permission` and other rules add up, as
 * in `RunConfig.merge`.
 *
 * @since 0.1.0
 * @category configuration
 */
export class Config extends Context.Tag("effect-opencode-ai/OpenCodeLanguageModel/Config")<Config, Config.Service>() {}

/**
 * @since 0.1.0
 * @category configuration
 */
export declare namespace Config {
  /**
   * The options of a run, except those that a call decides: its prompt, system prompt and files, and the session. `repairs`
   * is for `generateObject`. `thinking` defaults to true here, so that reasoning is among the parts of a response.
   *
   * @since 0.1.0
   * @category configuration
   */
  export interface Service extends configs.ModelConfig {}
}

/**
 * Sets configuration for all calls inside an effect, over that of the layer and of outer regions.
 *
 * @example
 * ```ts
 * import { LanguageModel } from "@effect/ai"
 * import { OpenCodeLanguageModel } from "effect-opencode-ai"
 *
 * export const review = LanguageModel.generateText({ prompt: "Review the last commit." }).pipe(
 *   OpenCodeLanguageModel.withConfigOverride({ permission: { edit: "deny" }, timeout: "10 minutes" })
 * )
 * ```
 *
 * @since 0.1.0
 * @category configuration
 */
export const withConfigOverride: {
  (overrides: Config.Service): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, overrides: Config.Service): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, overrides: Config.Service): Effect.Effect<A, E, R> =>
    Effect.flatMap(Effect.serviceOption(Config), (outer) =>
      Effect.provideService(
        self,
        Config,
        Option.match(outer, { onNone: () => overrides, onSome: (config) => configs.merge(config, overrides) })
      ))
)

/**
 * How conversations are continued.
 *
 * @since 0.1.0
 * @category models
 */
export interface SessionsOptions {
  /**
   * How many conversations rest at the same time; the one that has rested longest is closed first. `Infinity` lifts the limit.
   * Default: 16.
   */
  readonly capacity?: number | undefined
  /** How long a conversation rests until it is closed. `Infinity` lifts the limit. Default: 30 minutes. */
  readonly timeToLive?: Duration.DurationInput | undefined
}

/**
 * The options of a model.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `provider/model`. Default: that of `config`, or OpenCode's. */
  readonly model?: string | undefined
  readonly config?: Config.Service | undefined
  /**
   * A call whose prompt begins with what an earlier call was asked and has answered continues the OpenCode session of that
   * call (`Chat` does so), so only what is new is sent; a second continuation gets a branch of that session. Any other
   * history, one that was edited or imported, is told as text in a new session. A process of OpenCode keeps the data directory
   * of a session that rests. `"none"` keeps no session, so every history is told. Default: 16 sessions for 30 minutes.
   */
  readonly sessions?: SessionsOptions | "none" | undefined
}

/**
 * Makes the model on the `OpenCode` service. Tools with handlers need `HostTools` as well, in the context of this effect or
 * of the call. Closing the scope closes all sessions. Invalid options fail every call with `MalformedInput`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options?: Options
): Effect.Effect<LanguageModel.Service, never, OpenCode | Scope.Scope> =>
  Effect.gen(function*() {
    const opencode = yield* OpenCode
    const given: Config.Service = {
      ...options?.config,
      ...(options?.model === undefined ? {} : { model: options.model })
    }
    const kept = sessions.settings(typeof options?.sessions === "object" ? options.sessions : {})
    const settings = Either.getOrUndefined(kept)
    const inner = yield* LanguageModel.make(provider.make({
      opencode,
      hostTools: yield* Effect.serviceOption(HostTools),
      problem: Option.getOrUndefined(Either.getLeft(kept)),
      sessions: options?.sessions === "none" || settings === undefined
        ? undefined
        : yield* sessions.make(opencode, settings),
      config: Effect.map(
        Effect.serviceOption(Config),
        Option.match({ onNone: () => given, onSome: (config) => configs.merge(given, config) })
      )
    }))
    return wrapper.make(inner)
  })

/**
 * The model as a `LanguageModel` of the context.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { OpenCodeLanguageModel } from "effect-opencode-ai"
 * import { Layer } from "effect"
 *
 * export const Agent = OpenCodeLanguageModel.layer({
 *   model: "anthropic/claude-sonnet-4-5",
 *   config: { permission: { "*": "deny", read: "allow" } },
 *   sessions: { capacity: 4, timeToLive: "10 minutes" }
 * }).pipe(Layer.provide(OpenCode.layer()), Layer.provide(NodeContext.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<LanguageModel.LanguageModel, never, OpenCode> =>
  Layer.scoped(LanguageModel.LanguageModel, make(options))

/**
 * A model by its name, `provider/model`, which can be exchanged for the model of any other provider.
 *
 * @example
 * ```ts
 * import { OpenCodeLanguageModel } from "effect-opencode-ai"
 *
 * export const agent = OpenCodeLanguageModel.model("openai/gpt-5", { permission: { edit: "deny" } })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const model = (
  name: string,
  config?: Config.Service
): Model.Model<"opencode", LanguageModel.LanguageModel, OpenCode> =>
  Model.make("opencode", layer({ model: name, config }))

/**
 * Converts the error of a run. A status of the provider is an `HttpResponseError`, a provider that cannot be reached an
 * `HttpRequestError`, invalid options a `MalformedInput`, an answer that does not decode a `MalformedOutput`, and everything
 * else an `UnknownError`. `method` is the name of the function that was called.
 *
 * @since 0.1.0
 * @category errors
 */
export const toAiError: (error: OpenCodeError, method: string) => AiError = errors.toAiError

/**
 * Returns the error of the run behind an error of the model, if a run has failed.
 *
 * @example
 * ```ts
 * import { LanguageModel } from "@effect/ai"
 * import { OpenCodeLanguageModel } from "effect-opencode-ai"
 * import { Console, Effect, Option } from "effect"
 *
 * export const program = LanguageModel.generateText({ prompt: "Fix the failing test." }).pipe(
 *   Effect.tapError((error) =>
 *     Option.match(OpenCodeLanguageModel.errorOf(error), {
 *       onNone: () => Effect.void,
 *       onSome: (cause) => Console.error(cause._tag, cause.message)
 *     })
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export const errorOf: (error: AiError) => Option.Option<OpenCodeError> = errors.errorOf
