/**
 * What a run asks of OpenCode: agent, model, session, permissions, configuration. A Schema, so that it can come from
 * a file or a message; a `Context.Reference`, so that a region of a program can set it for all runs inside.
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
import * as Permission from "./Permission.js"

const ConfigObject = Schema.Record({ key: Schema.String, value: Schema.Unknown })

const EnvValue = Schema.Union(Schema.String, Schema.RedactedFromSelf(Schema.String))

/**
 * What OpenCode's start leaves out. `"full"`: nothing. `"fast"`, which takes 2.6 instead of 3.9 seconds of processor time
 * and 410 instead of 570 MB (1.18.33):
 *
 * - The run is given only those models of OpenCode's list whose provider its own options name, in `model` and in
 *   `configOverrides`, or has credentials: a stored login, or one of its variables; that is what saves the time. Agents of
 *   OpenCode's config files (`compaction`, too) that name a model of a provider which has its key in a config file alone
 *   fail with it, and such a `small_model` is not used. The whole list stays where the part cannot be told: without
 *   `model`, with a `command`, with `attach`, and where there is no list in the cache or the model is not in it, unless
 *   `configOverrides` describes the model completely (`npm` of the provider, `cost` and `limit` of the model) and nobody
 *   has logged in elsewhere.
 * - OpenCode does not fetch the list, which saves access to the network. It uses that of its cache, else the one that it
 *   was built with, so models and prices that are newer are unknown: `opencode models --refresh` renews the cache.
 * - A new session without a `title` is called `effect-opencode` and the id of the run, which saves the call in which
 *   OpenCode asks the model for one.
 *
 * Tools, plugins, skills, formatters and language servers are as ever: leaving them out saved nothing that could be
 * measured. So are snapshots, which take 0.2 seconds in a repository of 300 files. What anybody else sets for OpenCode
 * wins: `OPENCODE_DISABLE_MODELS_FETCH`, `OPENCODE_MODELS_PATH`, `OPENCODE_MODELS_URL`, and so does a `title`. Through
 * `OpenCodeServer` a server has the whole list, because its runs can name any model: there is only the fetch to leave out.
 *
 * @since 0.1.0
 * @category schemas
 */
export const StartupProfile = Schema.Literal("full", "fast")

/**
 * What OpenCode's start leaves out.
 *
 * @since 0.1.0
 * @category models
 */
export type StartupProfile = typeof StartupProfile.Type

/**
 * The Schema of a {@link RunConfig}.
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
  /** `provider/model`. Default: OpenCode's. */
  model: Schema.optional(Schema.String),
  /** A slash command to run; the prompt is its arguments and may be empty. */
  command: Schema.optional(Schema.String),
  /** The session's title. Without one OpenCode asks the model for one, which is an extra call. */
  title: Schema.optional(Schema.String),
  /** Files to attach, relative to `cwd`. Default: none. */
  files: Schema.optional(Schema.Array(Schema.String)),
  /** Go on in this session. */
  sessionId: Schema.optional(Schema.String),
  /** Go on in the last session. Default: false. */
  continueSession: Schema.optional(Schema.Boolean),
  /** Branch off the session instead of going on in it. Default: false. */
  fork: Schema.optional(Schema.Boolean),
  /** Publish the session. Default: false. */
  share: Schema.optional(Schema.Boolean),
  /** Print reasoning as events. Default: false. */
  thinking: Schema.optional(Schema.Boolean),
  /** The model's variant, e.g. its reasoning effort. */
  variant: Schema.optional(Schema.String),
  /** Log to stderr. Default: true at level ERROR, which is how failing providers are seen. */
  printLogs: Schema.optional(Schema.Boolean),
  /** Default: ERROR. */
  logLevel: Schema.optional(Schema.Literal("DEBUG", "INFO", "WARN", "ERROR")),
  /** The URL of a running OpenCode server to use. */
  attach: Schema.optional(Schema.String),
  /** The server's password; it travels in the environment, never in arguments. */
  password: Schema.optional(Schema.Redacted(Schema.String)),
  /** The server's user name. Default: OpenCode's (`opencode`). OpenCode 1.14 and later. */
  username: Schema.optional(Schema.String),
  /** The directory that OpenCode changes to, on the server with `attach`. OpenCode 1.2.6 and later. */
  dir: Schema.optional(Schema.String),
  /** The port of OpenCode's own server. Default: a free one. */
  port: Schema.optional(Schema.Number),
  /** No external plugins. Default: false. OpenCode 1.14 and later. */
  pure: Schema.optional(Schema.Boolean),
  /** Approve whatever would be asked; rules that deny stay. Default: false. OpenCode 1.14 and later. */
  auto: Schema.optional(Schema.Boolean),
  /** Variables for the child. Values can be `Redacted`. */
  extraEnv: Schema.optional(Schema.Record({ key: Schema.String, value: EnvValue })),
  /** Keep OpenCode from updating itself. Default: true. */
  disableAutoupdate: Schema.optional(Schema.Boolean),
  /** What OpenCode's start may leave out, see {@link StartupProfile}. Default: `"full"`, nothing. */
  startupProfile: Schema.optional(StartupProfile),
  /** Permission rules; every action is `allow` or `deny`. They hold whichever agent works. Not with `attach`. */
  permission: Schema.optional(Permission.Rules),
  /** OpenCode's `mcp` configuration. */
  mcp: Schema.optional(ConfigObject),
  /** OpenCode's `tools` configuration. */
  tools: Schema.optional(ConfigObject),
  /** Instruction files or globs; replaces those of `configOverrides`, an empty list too. */
  instructions: Schema.optional(Schema.Array(Schema.String)),
  /**
   * Any part of OpenCode's configuration; `permission`, `mcp` and `tools` are merged over it, and all of it over an
   * inherited `OPENCODE_CONFIG_CONTENT`.
   */
  configOverrides: Schema.optional(ConfigObject),
  /** Further arguments for `opencode run`, as they are, for options that this library does not know. */
  extraArgs: Schema.optional(Schema.Array(Schema.String))
})

/**
 * What a run asks of OpenCode. Every field is optional.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunConfig extends Schema.Schema.Type<typeof RunConfig> {}

/**
 * The configuration that asks for nothing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: RunConfig = {}

/**
 * Lays one configuration over another: `extraEnv`, `mcp`, `tools` and `configOverrides` are merged key by key and all the
 * way down, any other field that `that` sets replaces the one of `self`. Neither is changed.
 *
 * Rules of permission, those in `configOverrides` included, are read one after the other, and the last one that matches
 * decides: `that` decides wherever it says something, and where it is silent `self` does. A rule in one word is a rule
 * about everything, so `"deny"` is `{ "*": "deny" }`. To allow one name never opens another one.
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
 * The JSON that OpenCode reads from `OPENCODE_CONFIG_CONTENT`: `configOverrides`, then `permission`, `mcp` and `tools`
 * merged over it in this order, then `instructions`. `undefined` where there is no configuration at all.
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
