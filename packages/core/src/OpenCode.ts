/**
 * The OpenCode coding agent as a service: a run is an `Effect`, its events are a `Stream`, and it always ends with
 * exactly one typed outcome.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Console, Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const result = yield* OpenCode.run("Explain this repository in three sentences", {
 *     permission: { edit: "deny", bash: "deny" },
 *     timeout: "5 minutes"
 *   })
 *   yield* Console.log(result.answer, result.usage.total, result.cost)
 * })
 *
 * export const main = () =>
 *   program.pipe(
 *     Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
 *     NodeRuntime.runMain({ teardown: OpenCode.teardown })
 *   )
 * ```
 *
 * @since 0.1.0
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import type * as Runtime from "@effect/platform/Runtime"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Conversation } from "./Conversation.js"
import * as expandHome from "./internal/launch/expandHome.js"
import * as launcher from "./internal/launch/launcher.js"
import * as query from "./internal/launch/query.js"
import * as sandboxes from "./internal/launch/sandbox.js"
import * as check from "./internal/opencode/check.js"
import * as dialects from "./internal/opencode/dialects.js"
import * as homePath from "./internal/opencode/homePath.js"
import type { Problem } from "./internal/opencode/problem.js"
import * as lifetimes from "./internal/run/lifetime.js"
import * as rateGate from "./internal/run/rateGate.js"
import * as service from "./internal/run/service.js"
import * as startupGate from "./internal/run/startupGate.js"
import * as byVersion from "./internal/transport/byVersion.js"
import * as fairSemaphore from "./internal/util/fairSemaphore.js"
import type { Isolation } from "./Isolation.js"
import { OpenCodeVersionError } from "./OpenCodeError.js"
import type {
  OpenCodeBinaryNotFoundError,
  OpenCodeProcessError,
  OpenCodeSqliteError,
  QueryError,
  RunError,
  SchemaError,
  SessionOpenError
} from "./OpenCodeError.js"
import type { RunEvent } from "./RunEvent.js"
import type { RunOptions, SchemaOptions } from "./RunOptions.js"
import type { RunResult } from "./RunResult.js"
import type { Sandbox } from "./Sandbox.js"
import type { ImportOptions, Location, ResumeOptions, Session, SessionOptions } from "./Session.js"
import * as StartupGate from "./StartupGate.js"
import type { Answer } from "./StructuredOutput.js"
import * as Version from "./Version.js"

/**
 * The operations of the OpenCode service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Runs the agent to its end. All events are kept, in the result or in the error; use `stream` if there are too many
   * of them. Interruption ends the processes of the run before it returns.
   */
  readonly run: (prompt: string, options?: RunOptions) => Effect.Effect<RunResult, RunError>
  /**
   * Emits the events as they arrive, then fails if the run failed. Nothing is kept, a slow consumer slows OpenCode
   * down, and a consumer that stops early ends the run.
   */
  readonly stream: (prompt: string, options?: RunOptions) => Stream.Stream<RunEvent, RunError>
  /**
   * Asks for an answer that decodes by a Schema. An answer that does not decode is returned to the agent, in the same
   * session, at most `repairs` times; after that the run fails with `OpenCodeOutputError`.
   */
  readonly runSchema: <A, I>(
    schema: Schema.Schema<A, I>,
    prompt: string,
    options?: SchemaOptions
  ) => Effect.Effect<Answer<A>, SchemaError>
  /**
   * Opens a conversation of several turns. Its data directory lives as long as the scope, and longer if the
   * `isolation`, its own or the layer's, is a directory or `"none"`.
   */
  readonly session: (options?: SessionOptions) => Effect.Effect<Session, SessionOpenError, Scope.Scope>
  /**
   * Continues a session of an earlier program from its data directory, id and working directory, as returned by
   * `Transcript.read` or stored by the program.
   */
  readonly resume: (
    location: Location,
    options?: ResumeOptions
  ) => Effect.Effect<Session, SessionOpenError, Scope.Scope>
  /**
   * Writes an exported conversation into a data directory, on this machine or another one, and returns its location for
   * `resume`: it continues in `cwd`, whatever directory it was in. The files that it talks about and the conversations
   * of its sub-agents are not part of it. A session that is there already keeps its messages. Not with
   * `OpenCodeServer`, which has no import.
   */
  readonly importSession: (
    conversation: Conversation,
    options?: ImportOptions
  ) => Effect.Effect<Location, QueryError>
  /** The version of the binary. */
  readonly version: Effect.Effect<Version.Version, QueryError>
  /** The models that OpenCode offers with the stored credentials and the layer's `defaults`, as `provider/model`. */
  readonly models: Effect.Effect<ReadonlyArray<string>, QueryError>
}

/**
 * The service tag.
 *
 * @since 0.1.0
 * @category tags
 */
export class OpenCode extends Context.Tag("effect-opencode/OpenCode")<OpenCode, Service>() {}

/**
 * Options of a layer, shared by all its runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * A path to a file, or a bare name, which is looked up only on `PATH`, in its absolute directories; `~` is the home
   * directory. Default: `OPENCODE_BINARY`, then an `opencode-ai` or `@opencode/cli` in the `node_modules` of the program
   * (of the directory of its main file, or above it), then `opencode` on `PATH`. Looked up once. These variables, and
   * `HOME`, are those of the process, whatever `ConfigProvider` the program has.
   */
  readonly binary?: string | undefined
  /** The binary's version, which saves asking the binary once (0.65 s). Default: the binary is asked. */
  readonly version?: string | undefined
  /**
   * True to run a supported version that was not tested with this library without a warning in the log; what is
   * different in it is what `effect-opencode conformance` tells. Default: false, one warning.
   */
  readonly allowUntested?: boolean | undefined
  /** Where runs keep their data. Default: `"run"`, a private directory for each. */
  readonly isolation?: Isolation | undefined
  /**
   * How starts are spaced. Default with the isolation `"run"`: `StartupGate.forProcessors`, if the number of
   * `StartupGate.Processors` is known. Otherwise one at a time, each for at most 300 milliseconds: starts on one data
   * directory can crash each other.
   */
  readonly startup?: StartupGate.Options | undefined
  /** How many runs may run at the same time. Default: unbounded. */
  readonly concurrency?: number | "unbounded" | undefined
  /**
   * When to start again after a SQLite crash at start-up. It never applies once a run has printed an event. Default: 2
   * more attempts, 1 second apart.
   */
  readonly retry?: Schedule.Schedule<unknown, OpenCodeSqliteError> | undefined
  /** Options of every run, under those of `RunConfig.withRunConfig` and of the run itself. */
  readonly defaults?: RunOptions | undefined
  /**
   * How long a process may take to end after SIGTERM before it is killed. SIGTERM is repeated after one second, because
   * OpenCode ignores the first one while it installs its plugin package (1.18.33). Default: 5 seconds.
   */
  readonly forceKillAfter?: Duration.DurationInput | undefined
  /**
   * A watchdog process that ends the runs, their tools and their directories when the program is gone without having
   * ended them: killed, crashed, or left by `process.exit`. That takes one to two seconds, more on an overloaded machine.
   * One watchdog for each layer, started with the first run; about 1 MB. Linux and macOS. `false` starts none: the runs of
   * a killed program then keep working. Default: true.
   */
  readonly leash?: boolean | undefined
  /**
   * How the processes of a run are held together. `"namespace"` starts each process of OpenCode in a PID namespace of its
   * own (Linux, with `unshare` of util-linux): when it has ended, the kernel ends everything that it has started, at once
   * and without exception. The agent sees only its own processes; as a user without privileges it cannot become another
   * user (`sudo`). About 20 ms for each start. If this machine does not allow it, every run fails with
   * `OpenCodeConfigError`. Default: the processes of a run are searched for at its end.
   */
  readonly containment?: "namespace" | undefined
  /**
   * Keeps every run, its tools included, from writing outside of its working directory and from reading the credentials
   * of other programs, see `Sandbox`. A machine that cannot do that fails every run with `OpenCodeConfigError`. Default:
   * none.
   */
  readonly sandbox?: Sandbox | undefined
  /**
   * What the child inherits: everything (`"inherit"`), the variables that programs need to work but none that carry
   * secrets (`"reviewed"`), or exactly these; a value can be `Redacted`. Inherited secrets are masked like those of
   * `extraEnv`. Default: `"inherit"`.
   */
  readonly environment?:
    | "inherit"
    | "reviewed"
    | { readonly [name: string]: string | Redacted.Redacted }
    | undefined
  /**
   * Holds back new starts when a provider rate-limits a run, for as long as the provider asks. If it names no time: 30
   * seconds with `true`, or `fallback`. Providers are distinguished by the one in `model`. Default: false.
   */
  readonly rateLimitGate?: boolean | { readonly fallback: Duration.DurationInput } | undefined
}

const problemOf = (options: Options): Option.Option<Problem> =>
  Option.firstSomeOf([
    check.concurrency("concurrency", options.concurrency),
    check.concurrency("startup.concurrency", options.startup?.concurrency),
    check.duration("startup.window", options.startup?.window),
    check.duration("forceKillAfter", options.forceKillAfter),
    rateGate.problem(options.rateLimitGate),
    homePath.problem("binary", options.binary),
    check.containment(options.containment),
    sandboxes.shape(options.sandbox),
    options.version === undefined || Version.parse(options.version) !== undefined
      ? Option.none()
      : Option.some({ path: "version", reason: "not a valid version; use one like \"1.18.33\"" })
  ])

const spacing = (given: Options, isolation: Isolation): Effect.Effect<StartupGate.Options | undefined> =>
  given.startup !== undefined || isolation !== "run"
    ? Effect.succeed(given.startup)
    : Effect.map(
      StartupGate.Processors,
      (processors) =>
        processors !== undefined && processors >= 1 && Number.isFinite(processors)
          ? StartupGate.forProcessors(processors)
          : undefined
    )

const howItEnded = ({ exitCode, hint, signal }: OpenCodeProcessError): string =>
  hint ?? signal ?? (exitCode === undefined ? "the exit code was lost" : `exit code ${exitCode}`)

const probe = (
  ask: Effect.Effect<string, QueryError>,
  find: Effect.Effect<string, OpenCodeBinaryNotFoundError>,
  allowUntested: boolean
): Effect.Effect<launcher.Release, QueryError> =>
  Effect.gen(function*() {
    const binary = yield* find
    const text = yield* Effect.catchTag(ask, "OpenCodeProcessError", (error: OpenCodeProcessError) =>
      new OpenCodeVersionError({
        binary,
        reason: `\`--version\` failed (${howItEnded(error)}), so it is probably not OpenCode: ${
          error.partial.stderr.trim().slice(-500) || "nothing on stderr"
        }`
      }))
    const version = Version.parse(text)
    return yield* version === undefined
      ? new OpenCodeVersionError({ binary, reason: "`--version` printed no version" })
      : supported(binary, text, version, allowUntested)
  })

const supported = (
  binary: string,
  printed: string,
  version: Version.Version,
  allowUntested: boolean
): Effect.Effect<launcher.Release, OpenCodeVersionError> => {
  const dialect = dialects.forVersion(version)
  const unable = dialects.unable(printed)
  if (dialect === undefined || unable !== undefined) {
    const ranges = `this library supports ${dialects.ranges(({ supported }) => supported)}`
    return new OpenCodeVersionError({
      binary,
      version: Version.format(version),
      reason: unable === undefined ? ranges : `${unable}; ${ranges}`
    })
  }
  return Effect.as(
    allowUntested || dialect.isTested(version) ? Effect.void : Effect.logWarning(
      `OpenCode ${Version.format(version)} (${binary}) was not tested with this library; ` +
        "`effect-opencode conformance` tells what is different in it, and `allowUntested` silences this warning"
    ),
    { version, dialect }
  )
}

/**
 * Makes the service from the platform services. Nothing is looked up or started before the first run; invalid options
 * fail every run with `OpenCodeConfigError`. Closing the scope interrupts every run and waits until its processes and
 * directories are gone; a run that starts later fails with `OpenCodeConfigError`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options?: Options
): Effect.Effect<
  Service,
  never,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path | Scope.Scope
> =>
  Effect.gen(function*() {
    const given = options ?? {}
    const problem = problemOf(given)
    if (Option.isSome(problem)) return yield* Effect.fail(problem.value)
    const concurrency = given.concurrency ?? "unbounded"
    const isolation = yield* expandHome.isolation(yield* Path.Path, given.isolation ?? "run")
    const base = yield* launcher.make(given, isolation)
    const allowUntested = given.allowUntested === true
    const assumed = given.version === undefined ? undefined : Version.parse(given.version)
    const askVersion = assumed === undefined
      // The version needs no data, and a sandbox refuses OpenCode's own directory.
      ? probe(
        query.make(base.sandboxing === undefined ? base : { ...base, isolation: "run" }, ["--version"]),
        base.binary,
        allowUntested
      )
      : Effect.flatMap(base.binary, (binary) => supported(binary, given.version ?? "", assumed, allowUntested))
    return service.make({
      fileSystem: base.fileSystem,
      path: base.path,
      defaults: base.defaults,
      transport: byVersion.make(
        { ...base, release: yield* launcher.once(askVersion) },
        // Runs of OpenCode 1 send no request, so a program need not choose a client.
        yield* Effect.provide(HttpClient.HttpClient, FetchHttpClient.layer)
      ),
      gate: yield* startupGate.make(yield* spacing(given, isolation)),
      running: concurrency === "unbounded" ? fairSemaphore.unlimited : yield* fairSemaphore.make(concurrency),
      rateGate: rateGate.of(given.rateLimitGate),
      lifetime: yield* lifetimes.make("layer"),
      retry: given.retry ?? Schedule.intersect(Schedule.recurs(2), Schedule.spaced("1 second"))
    })
  }).pipe(Effect.catchAll((problem) => Effect.succeed(service.refused(problem))))

/**
 * The service on top of the platform services. They stay requirements, so that a program chooses the platform and a
 * test provides a mock.
 *
 * Runs end with the layer: `ManagedRuntime.dispose`, or a program that returns while a daemon fiber runs the agent,
 * interrupts them and waits until their processes and directories are gone.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Layer } from "effect"
 *
 * export const OpenCodeLive = OpenCode.layer({
 *   concurrency: 4,
 *   startup: { concurrency: 2 },
 *   defaults: { model: "anthropic/claude-sonnet-4-5", timeout: "20 minutes" }
 * }).pipe(Layer.provide(NodeContext.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options?: Options
): Layer.Layer<OpenCode, never, CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path> =>
  Layer.scoped(OpenCode, make(options))

/**
 * The service with options from `Config`, by default environment variables.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Config, Layer } from "effect"
 *
 * export const OpenCodeLive = OpenCode.layerConfig({
 *   concurrency: Config.withDefault(Config.integer("AGENTS"), 4),
 *   defaults: {
 *     model: Config.string("AGENT_MODEL"),
 *     timeout: Config.withDefault(Config.duration("AGENT_TIMEOUT"), "20 minutes")
 *   }
 * }).pipe(Layer.provide(NodeContext.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<
  OpenCode,
  ConfigError,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
> => Layer.scoped(OpenCode, Effect.flatMap(Config.unwrap(options), make))

/**
 * Runs the agent to its end, see {@link Service}.
 *
 * @example
 * ```ts
 * import { OpenCode } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const program = OpenCode.run("Fix the failing test").pipe(
 *   Effect.map((result) => result.answer),
 *   Effect.catchTags({
 *     OpenCodeTimeoutError: (error) => Effect.succeed(`too slow, but said: ${error.partial.text}`),
 *     OpenCodeSessionError: (error) => error.kind === "rate-limit" ? Effect.succeed("later") : Effect.fail(error)
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const run = (prompt: string, options?: RunOptions): Effect.Effect<RunResult, RunError, OpenCode> =>
  Effect.flatMap(OpenCode, (service) => service.run(prompt, options))

/**
 * Streams the events of a run, see {@link Service}.
 *
 * @example
 * ```ts
 * import { OpenCode, RunEvent } from "effect-opencode"
 * import { Console, Stream } from "effect"
 *
 * export const program = OpenCode.stream("Write the release notes").pipe(
 *   Stream.filter(RunEvent.is("Text")),
 *   Stream.runForEach((event) => Console.log(event.text))
 * )
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const stream = (prompt: string, options?: RunOptions): Stream.Stream<RunEvent, RunError, OpenCode> =>
  Stream.unwrap(Effect.map(OpenCode, (service) => service.stream(prompt, options)))

/**
 * Opens a conversation of several turns, see {@link Service}.
 *
 * @example
 * ```ts
 * import { OpenCode } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const program = Effect.scoped(Effect.gen(function*() {
 *   const session = yield* OpenCode.session({ title: "Refactoring" })
 *   yield* session.run("Plan how to split src/server.ts")
 *   const result = yield* session.run("Do the first step of the plan")
 *   return result.answer
 * }))
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const session = (
  options?: SessionOptions
): Effect.Effect<Session, SessionOpenError, OpenCode | Scope.Scope> =>
  Effect.flatMap(OpenCode, (service) => service.session(options))

/**
 * Continues a session of an earlier program, see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const resume = (
  location: Location,
  options?: ResumeOptions
): Effect.Effect<Session, SessionOpenError, OpenCode | Scope.Scope> =>
  Effect.flatMap(OpenCode, (service) => service.resume(location, options))

/**
 * Writes an exported conversation into a data directory, see {@link Service}.
 *
 * @example
 * ```ts
 * import { OpenCode } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const moved = Effect.scoped(Effect.gen(function*() {
 *   const session = yield* OpenCode.session()
 *   yield* session.run("Plan how to split src/server.ts")
 *   const location = yield* OpenCode.importSession(yield* session.export(), { isolation: { directory: "~/kept" } })
 *   const continued = yield* OpenCode.resume(location)
 *   return yield* continued.run("Do the first step of the plan")
 * }))
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const importSession = (
  conversation: Conversation,
  options?: ImportOptions
): Effect.Effect<Location, QueryError, OpenCode> =>
  Effect.flatMap(OpenCode, (service) => service.importSession(conversation, options))

/**
 * Asks for an answer that decodes by a Schema, see {@link Service}.
 *
 * @example
 * ```ts
 * import { OpenCode } from "effect-opencode"
 * import { Effect, Schema } from "effect"
 *
 * const Review = Schema.Struct({
 *   verdict: Schema.Literal("approve", "request-changes"),
 *   findings: Schema.Array(Schema.Struct({ file: Schema.String, line: Schema.Int, problem: Schema.String }))
 * })
 *
 * export const program = OpenCode.runSchema(Review, "Review the last commit").pipe(
 *   Effect.map(({ result, value }) => ({ findings: value.findings.length, cost: result.cost }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const runSchema = <A, I>(
  schema: Schema.Schema<A, I>,
  prompt: string,
  options?: SchemaOptions
): Effect.Effect<Answer<A>, SchemaError, OpenCode> =>
  Effect.flatMap(OpenCode, (service) => service.runSchema(schema, prompt, options))

/**
 * The exit codes of a program under `runMain`: 0 for success, 1 for a failure or a defect, 130 for an interruption.
 * Effect's own teardown exits with 0 when SIGINT or SIGTERM interrupts the program, so a script that starts it reads an
 * aborted program as a success. `runMain` does not pass the signal on: SIGTERM is 130 as well.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Effect, Layer } from "effect"
 *
 * export const main = () =>
 *   OpenCode.run("Fix the failing test").pipe(
 *     Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
 *     NodeRuntime.runMain({ teardown: OpenCode.teardown })
 *   )
 * ```
 *
 * @since 0.1.0
 * @category teardown
 */
export const teardown: Runtime.Teardown = (exit, onExit) =>
  onExit(Exit.match(exit, {
    onSuccess: () => 0,
    onFailure: (cause) => Cause.isInterruptedOnly(cause) ? 130 : 1
  }))
