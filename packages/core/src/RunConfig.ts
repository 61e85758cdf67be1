/**
 * The settings that a run passes to OpenCode: agent, model, session, permissions, configuration. It is a Schema, so
 * that it can come from a file or a message, and a `Context.Reference`, so that a region of a program can set it for
 * all runs inside.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as merging from "./internal/opencode/configContent.js"
import * as schemas from "./internal/util/schemas.js"
import * as Permission from "./Permission.js"

type Texts<A> = Readonly<Record<string, A>>

const Environment: Schema.Schema<Texts<string | Redacted.Redacted>, Texts<string>> = schemas.discreet(
  Schema.Record({ key: schemas.Name, value: schemas.TextOrSecret }),
  "an object of texts"
)

/**
 * What OpenCode skips at start-up. `"full"`: nothing. `"fast"`, which takes 2.6 instead of 3.9 seconds of processor
 * time and 410 instead of 570 MB (1.18.33):
 *
 * - The run receives only models of providers that its own options name (`model`, `configOverrides`) or that have
 *   credentials (a stored login, or a variable); this saves the time. A model whose provider has its key only in a
 *   config file is missing: agents in OpenCode's config files that name it (`compaction`, too) fail, and such a
 *   `small_model` is not used. The whole list is kept if the needed part is unknown: without `model`, with a `command`,
 *   with `attach`, and if the cache has no list or the list lacks the model, unless `configOverrides` describes the
 *   model completely (`npm` of the provider, `cost` and `limit` of the model) and there is no login elsewhere.
 * - OpenCode does not fetch the list, which saves network access. It uses its cache, or else its built-in list, so
 *   newer models and prices are unknown: `opencode models --refresh` renews the cache.
 * - A new session without a `title` is named `effect-opencode` and the run's id, which saves the call that asks the
 *   model for a title.
 *
 * Tools, plugins, skills, formatters and language servers are unchanged: skipping them saved nothing measurable.
 * Snapshots, which take 0.2 seconds in a repository of 300 files, are unchanged, too. Existing settings for OpenCode
 * win: `OPENCODE_DISABLE_MODELS_FETCH`, `OPENCODE_MODELS_PATH`, `OPENCODE_MODELS_URL`, and a `title`. With
 * `OpenCodeServer` a server has the whole list, because its runs can name any model: only the fetch is skipped.
 *
 * @since 0.1.0
 * @category schemas
 */
export const StartupProfile = Schema.Literal("full", "fast")

/**
 * What OpenCode skips at start-up.
 *
 * @since 0.1.0
 * @category models
 */
export type StartupProfile = typeof StartupProfile.Type

/**
 * A file for the model whose content is in memory. In JSON the data is base64.
 *
 * @example
 * ```ts
 * import { OpenCode } from "effect-opencode"
 *
 * export const describe = (screenshot: Uint8Array) =>
 *   OpenCode.run("What is wrong with this page?", { files: [{ mediaType: "image/png", data: screenshot }] })
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const Attachment = Schema.Struct({
  /** The media type, such as `image/png`. Text of any type is sent as plain text, as OpenCode does. */
  mediaType: Schema.String,
  data: schemas.Bytes,
  /** The name that the model sees, without a directory. Default: `file` and its number. */
  name: Schema.optional(Schema.String)
}).annotations({ identifier: "Attachment", ...schemas.complete })

/**
 * A file for the model whose content is in memory.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attachment extends Schema.Schema.Type<typeof Attachment> {}

/**
 * The Schema of a {@link RunConfig}. It refuses unknown fields, and refuses to encode a `Redacted` value.
 *
 * @example
 * ```ts
 * import { RunConfig } from "effect-opencode"
 * import { Schema } from "effect"
 *
 * const config = Schema.decodeUnknownSync(RunConfig.RunConfig)({
 *   model: "anthropic/claude-sonnet-4-5",
 *   permission: { edit: "deny", bash: { "*": "deny", "git log*": "allow" } }
 * })
 * console.log(config.model)
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const RunConfig = Schema.Struct({
  /** The primary agent. A name that OpenCode does not know, or a sub-agent, fails the run. Default: OpenCode's. */
  agent: Schema.optional(Schema.String),
  /** `provider/model`. Default: OpenCode's. Required with OpenCode 2, here or in `configOverrides`. */
  model: Schema.optional(Schema.String),
  /** A slash command to run; the prompt is its arguments and may be empty. */
  command: Schema.optional(Schema.String),
  /** The session's title. Without one OpenCode asks the model for one, which is an extra call. */
  title: Schema.optional(Schema.String),
  /** Files to attach: paths relative to `cwd`, or contents. Default: none. */
  files: Schema.optional(Schema.Array(Schema.Union(Schema.String, Attachment))),
  /**
   * A system prompt for this run, after OpenCode's own and its instructions. The next turn of a session does not
   * remember it. Not with `attach`. Default: none.
   */
  system: Schema.optional(Schema.String),
  /** Continue this session. */
  sessionId: Schema.optional(Schema.String),
  /** Continue the last session. Default: false. */
  continueSession: Schema.optional(Schema.Boolean),
  /** Branch off the session instead of continuing it. Default: false. */
  fork: Schema.optional(Schema.Boolean),
  /**
   * Branch off after this message, whose id is the `messageId` of its events, instead of after the last one. Needs `fork`
   * and `sessionId`. A process of OpenCode 1 has no option for it, so the session is exported and imported, which costs two
   * starts. Not with `attach`. Default: none.
   */
  forkAfter: Schema.optional(Schema.String),
  /** Publish the session. Default: false. OpenCode 1 only. */
  share: Schema.optional(Schema.Boolean),
  /** Print reasoning as events. Default: false. */
  thinking: Schema.optional(Schema.Boolean),
  /** The model's variant, e.g. its reasoning effort. */
  variant: Schema.optional(Schema.String),
  /** Log to stderr. Default: true at level ERROR, because failing providers show only there. */
  printLogs: Schema.optional(Schema.Boolean),
  /** Default: ERROR. */
  logLevel: Schema.optional(Schema.Literal("DEBUG", "INFO", "WARN", "ERROR")),
  /** The URL of a running OpenCode server to use. */
  attach: Schema.optional(Schema.String),
  /** The server's password; it is passed in the environment, never in arguments. */
  password: schemas.discreetField(schemas.Secret),
  /** The server's user name. Default: OpenCode's (`opencode`). OpenCode 1.14 and later. */
  username: Schema.optional(Schema.String),
  /** The directory that OpenCode changes to, on the server with `attach`. OpenCode 1.2.6 and later. */
  dir: Schema.optional(Schema.String),
  /** The port of OpenCode's own server. Default: a free one. */
  port: Schema.optional(schemas.AnyNumber),
  /**
   * No external plugins. Default: false. OpenCode 1.14 and later. OpenCode 2.0.14 loads their modules all the same, so that
   * code outside of their functions runs; it does not set them up.
   */
  pure: Schema.optional(Schema.Boolean),
  /** Approve every permission request; rules that deny still apply. Default: false. OpenCode 1.14 and later. */
  auto: Schema.optional(Schema.Boolean),
  /** Variables for the child. Values can be `Redacted`. */
  extraEnv: schemas.discreetField(Environment),
  /** Keep OpenCode from updating itself. Default: true. */
  disableAutoupdate: Schema.optional(Schema.Boolean),
  /** What OpenCode may skip at start-up, see {@link StartupProfile}. Default: `"full"`, nothing. */
  startupProfile: Schema.optional(StartupProfile),
  /** Permission rules; every action is `allow` or `deny`. They apply to every agent. Not with `attach`. */
  permission: Schema.optional(Permission.Rules),
  /** OpenCode's `mcp` configuration. */
  mcp: schemas.discreetField(schemas.ConfigObject),
  /** OpenCode's `tools` configuration. */
  tools: schemas.discreetField(schemas.ConfigObject),
  /** Instruction files or globs; replaces those of `configOverrides`, even if empty. */
  instructions: Schema.optional(Schema.Array(Schema.String)),
  /**
   * Any part of OpenCode's configuration; `permission`, `mcp` and `tools` are merged over it, and all of it over an
   * inherited `OPENCODE_CONFIG_CONTENT`.
   */
  configOverrides: schemas.discreetField(schemas.ConfigObject),
  /** Further arguments for `opencode run`, passed unchanged, for options that this library does not know. */
  extraArgs: Schema.optional(Schema.Array(Schema.String))
}).annotations({ identifier: "RunConfig", ...schemas.complete })

/**
 * The settings that a run passes to OpenCode. Every field is optional.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunConfig extends Schema.Schema.Type<typeof RunConfig> {}

/**
 * The configuration without any setting.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: RunConfig = {}

/**
 * Lays one configuration over another: `extraEnv`, `mcp`, `tools` and `configOverrides` are merged recursively, key by
 * key; any other field that `that` sets replaces the one of `self`. Neither argument is modified.
 *
 * Permission rules, also those in `configOverrides`, are merged so that the last matching one decides: `that` decides
 * everything that it mentions, `self` the rest. A single word is a rule about everything, so `"deny"` is `{ "*": "deny"
 * }`. Allowing one name never allows another.
 *
 * @since 0.1.0
 * @category combinators
 */
export const merge: {
  (that: RunConfig): (self: RunConfig) => RunConfig
  (self: RunConfig, that: RunConfig): RunConfig
} = dual(2, (self: RunConfig, that: RunConfig): RunConfig => merging.configs(self, that))

/**
 * The configuration of the current region of a program, over the layer's `defaults` and under the options of a run.
 *
 * @since 0.1.0
 * @category references
 */
export class CurrentRunConfig extends Context.Reference<CurrentRunConfig>()("effect-opencode/CurrentRunConfig", {
  defaultValue: (): RunConfig => empty
}) {}

/**
 * Sets configuration for every run inside an effect; an inner region is merged over an outer one.
 *
 * @example
 * ```ts
 * import { OpenCode, RunConfig } from "effect-opencode"
 *
 * export const review = OpenCode.run("Review the last commit").pipe(
 *   RunConfig.withRunConfig({ agent: "plan", permission: { edit: "deny" } })
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const withRunConfig: {
  (config: RunConfig): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, config: RunConfig): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, config: RunConfig): Effect.Effect<A, E, R> =>
    Effect.flatMap(CurrentRunConfig, (current) => Effect.provideService(self, CurrentRunConfig, merge(current, config)))
)

/**
 * Sets configuration for every run inside a stream; an inner region is merged over an outer one.
 *
 * @example
 * ```ts
 * import { OpenCode, RunConfig } from "effect-opencode"
 *
 * export const events = OpenCode.stream("Review the last commit").pipe(
 *   RunConfig.withRunConfigStream({ agent: "plan", permission: { edit: "deny" } })
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const withRunConfigStream: {
  (config: RunConfig): <A, E, R>(self: Stream.Stream<A, E, R>) => Stream.Stream<A, E, R>
  <A, E, R>(self: Stream.Stream<A, E, R>, config: RunConfig): Stream.Stream<A, E, R>
} = dual(
  2,
  <A, E, R>(self: Stream.Stream<A, E, R>, config: RunConfig): Stream.Stream<A, E, R> =>
    Stream.flatMap(
      CurrentRunConfig,
      (current) => Stream.provideService(self, CurrentRunConfig, merge(current, config))
    )
)

/**
 * Returns the JSON that OpenCode reads from `OPENCODE_CONFIG_CONTENT`: `configOverrides`, then `permission`, `mcp` and
 * `tools` merged over it in this order, then `instructions`. `undefined` without any configuration.
 *
 * @since 0.1.0
 * @category conversions
 */
export const configContent: (config: RunConfig) => { readonly [key: string]: unknown } | undefined =
  merging.configContent

/**
 * Wraps a secret for `password` and `extraEnv`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const secret: (value: string) => Redacted.Redacted = Redacted.make
