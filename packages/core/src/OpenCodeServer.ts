/**
 * The same service on warm servers. A run in its own process costs three to five seconds of processor time before the
 * model is asked; a prompt to a running server costs a tenth of a second. Only the layer of a program changes.
 *
 * Settings that a server has for all its runs (`extraEnv`, `configOverrides`, `mcp`, `tools`, `instructions`, `pure`,
 * logging, `extraArgs`) decide which server a run uses: there is one for each combination. Options that a server does
 * not support fail with an `OpenCodeConfigError` that names the option. Runs on one server share its process, database
 * and user, and a crash ends all of them: use `OpenCode.layer` for runs that must be kept apart.
 *
 * Measured with OpenCode 1.18.33 and 2.0.14.
 *
 * @example
 * ```ts
 * import { FetchHttpClient } from "@effect/platform"
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { OpenCode, OpenCodeServer } from "effect-opencode"
 * import { Console, Effect, Layer } from "effect"
 *
 * const program = Effect.forEach(
 *   ["src/a.ts", "src/b.ts", "src/c.ts"],
 *   (file) => OpenCode.run(`Review ${file}`, { permission: { edit: "deny", bash: "deny" } }),
 *   { concurrency: "unbounded" }
 * ).pipe(Effect.flatMap(Effect.forEach((result) => Console.log(result.answer))))
 *
 * export const main = () =>
 *   program.pipe(
 *     Effect.provide(OpenCodeServer.layer().pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))),
 *     NodeRuntime.runMain({ teardown: OpenCode.teardown })
 *   )
 * ```
 *
 * @since 0.1.0
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as environments from "./internal/launch/environment.js"
import * as expandHome from "./internal/launch/expandHome.js"
import * as launcher from "./internal/launch/launcher.js"
import * as loopback from "./internal/launch/loopback.js"
import * as releases from "./internal/launch/release.js"
import * as sandboxes from "./internal/launch/sandbox.js"
import * as checks from "./internal/opencode/check.js"
import * as homePath from "./internal/opencode/homePath.js"
import type { Problem } from "./internal/opencode/problem.js"
import * as processList from "./internal/process/list.js"
import * as liveRuns from "./internal/process/liveRuns.js"
import type { Client } from "./internal/run/client.js"
import * as lifetimes from "./internal/run/lifetime.js"
import * as rateGate from "./internal/run/rateGate.js"
import * as service from "./internal/run/service.js"
import type { Pass } from "./internal/run/startupGate.js"
import * as privateTransport from "./internal/transport/private/transport.js"
import * as connection from "./internal/transport/server/connection.js"
import * as credentials from "./internal/transport/server/credentials.js"
import * as transport from "./internal/transport/server/http.js"
import type { Answer } from "./internal/transport/server/permissionRequests.js"
import * as pools from "./internal/transport/server/pool.js"
import * as serverKey from "./internal/transport/server/serverKey.js"
import type { Services } from "./internal/transport/server/services.js"
import * as fairSemaphore from "./internal/util/fairSemaphore.js"
import * as keyedLock from "./internal/util/keyedLock.js"
import * as Isolation from "./Isolation.js"
import * as OpenCode from "./OpenCode.js"
import { OpenCodeConfigError } from "./OpenCodeError.js"
import type { RunConfig } from "./RunConfig.js"
import type { RunOptions } from "./RunOptions.js"
import type { Sandbox } from "./Sandbox.js"

/**
 * A permission request that a run, or one of its sub-agents, waits for.
 *
 * @since 0.1.0
 * @category models
 */
export interface PermissionRequest {
  readonly runId: string
  /** The session of the run. */
  readonly sessionId: string
  /** The session of the sub-agent that asks; `undefined` if the run itself asks. */
  readonly childId: string | undefined
  /** The working directory of the run. */
  readonly cwd: string
  /** `bash`, `edit`, `external_directory`, …, by its name in the options of a run, also with OpenCode 2. */
  readonly permission: string
  /** What is requested: a command, a file, a directory. */
  readonly patterns: ReadonlyArray<string>
  /** Further details from OpenCode: the whole `command`, the `diff` of an edit, … */
  readonly metadata: { readonly [key: string]: unknown }
  /** The tool call that waits. */
  readonly callId: string | undefined
}

/**
 * - `"once"`: this call is allowed. There is no "always": OpenCode would apply it to all sessions of the directory,
 *   against their rules (1.18.33). Use `permission` for what is always allowed.
 * - `"reject"`: this call and all other requests of the session are refused; the run ends with
 *   `OpenCodePermissionError`, unless a sub-agent asked, whose parent continues.
 * - `{ reject: "…" }`: this call is refused, and the model continues with the reason.
 *
 * @since 0.1.0
 * @category models
 */
export type PermissionAnswer = Answer

/**
 * Options of all runs of a layer, for own and for attached servers.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunningOptions {
  /**
   * How many runs may run at the same time; others wait in order of arrival. Default: 8. A server is one thread, and
   * eight runs with an instant model keep it busy.
   */
  readonly concurrency?: number | "unbounded" | undefined
  /** As with `OpenCode.layer`: true for no warning about a version that was not tested. Default: false. */
  readonly allowUntested?: boolean | undefined
  /** Options of every run, under those of `RunConfig.withRunConfig` and of the run itself. */
  readonly defaults?: RunOptions | undefined
  /** As with `OpenCode.layer`. Default: false. */
  readonly rateLimitGate?: OpenCode.Options["rateLimitGate"]
  /**
   * Decides permissions that neither the run's rules nor OpenCode's configuration decide. Only the agent that asks
   * waits; the time does not count towards `idleTimeout`, but towards the run's `timeout`. A defect rejects, and so
   * does an interruption from inside (a queue that is shut down). Default: rejects, as `opencode run` does.
   */
  readonly onPermission?: ((request: PermissionRequest) => Effect.Effect<PermissionAnswer>) | undefined
  /**
   * Permissions by name (`bash`, `edit`, `"*"`) that `onPermission` decides unless the run's `permission` already
   * allows or denies them. With OpenCode 2 sub-agents ask as well. Sub-agents of OpenCode 1 ignore this (1.18.33), so a run has no sub-agents unless its `permission` names
   * `task`; then nobody is asked about what they do. OpenCode always asks for files outside the working directory,
   * `.env` files and repeated calls. Default: none.
   */
  readonly ask?: ReadonlyArray<string> | undefined
  /** How long a server may take to abort a run that is interrupted or has reached a limit. Default: 5 seconds. */
  readonly forceKillAfter?: Duration.DurationInput | undefined
}

/**
 * How the servers of a layer are started and used.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends RunningOptions {
  /** As with `OpenCode.layer`. */
  readonly binary?: string | undefined
  /** The binary's version, which saves asking the binary once (0.65 s). Default: the binary is asked. */
  readonly version?: string | undefined
  /**
   * Where a server keeps its data. Default: `"run"`, a private directory for each server, removed when the server ends.
   * Two servers, or a server and a run in its own process, must not use the same session.
   */
  readonly isolation?: Isolation.Isolation | undefined
  /** What a server inherits, as with `OpenCode.layer`. Default: `"inherit"`. */
  readonly environment?: OpenCode.Options["environment"]
  /** As with `OpenCode.layer`: `"namespace"` ends everything that a server has started with the server. */
  readonly containment?: OpenCode.Options["containment"]
  /** As with `OpenCode.layer`: ends the servers, their tools and their directories with the program. Default: true. */
  readonly leash?: boolean | undefined
  /**
   * As with `OpenCode.layer`. A server then works in one directory, so there is one for each working directory of the
   * runs, and their `network` can only be `"all"`. Default: none.
   */
  readonly sandbox?: Sandbox | undefined
  /** Server processes at the same time; one that nobody uses gives way to another kind. Default: 4. */
  readonly maxServers?: number | undefined
  /** How long an unused server keeps running. Default: 5 minutes. */
  readonly idleTimeToLive?: Duration.DurationInput | undefined
  /** How long a server may take until it listens. Default: 60 seconds; 1.5 to 7 are usual. */
  readonly startTimeout?: Duration.DurationInput | undefined
}

/**
 * Where a running server is, and how its runs are carried out.
 *
 * @since 0.1.0
 * @category models
 */
export interface AttachOptions extends RunningOptions {
  readonly url: string
  /** Default: `opencode`. */
  readonly username?: string | undefined
  /** The server's `OPENCODE_SERVER_PASSWORD`, `OPENCODE_PASSWORD` with OpenCode 2. Default: no password is sent. */
  readonly password?: Redacted.Redacted | undefined
}

/**
 * Returns the first option that a run over this layer's own servers cannot have, because it needs a process of its own,
 * or `undefined`. Values are not checked, see `RunOptions.check`. For programs that check a whole list before they
 * start.
 *
 * @example
 * ```ts
 * import { OpenCodeServer } from "effect-opencode"
 *
 * console.log(OpenCodeServer.check({ model: "acme/large" })) // undefined
 * console.log(OpenCodeServer.check({ command: "review" })?.path) // "command"
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const check = (options: RunOptions): OpenCodeConfigError | undefined =>
  Option.match(serverKey.refused(options), {
    onNone: () => undefined,
    onSome: (problem) => new OpenCodeConfigError(problem)
  })

const concurrencyDefault = 8

const runningProblem = (options: RunningOptions): Option.Option<Problem> =>
  Option.firstSomeOf([
    checks.concurrency("concurrency", options.concurrency),
    checks.duration("forceKillAfter", options.forceKillAfter),
    rateGate.problem(options.rateLimitGate)
  ])

const problemOf = (options: Options): Option.Option<Problem> =>
  Option.firstSomeOf([
    runningProblem(options),
    checks.count("maxServers", options.maxServers),
    checks.duration("idleTimeToLive", options.idleTimeToLive),
    checks.duration("startTimeout", options.startTimeout),
    homePath.problem("binary", options.binary),
    checks.version(options.version),
    checks.containment(options.containment),
    sandboxes.shape(options.sandbox),
    options.sandbox === undefined || (options.sandbox.network ?? "all") === "all"
      ? Option.none()
      : Option.some({
        path: "sandbox.network",
        reason: "a server in a network of its own could not be reached by this program; use `OpenCode.layer`"
      })
  ])

const unknown = { process: undefined, program: undefined }

const openPass: Pass = { started: Effect.void, opened: Effect.void }

/** Runs on a server do not start a process, so there is nothing to space out. */
const openGate: Client["gate"] = {
  enter: Effect.succeed(openPass),
  enterIn: () => Effect.succeed(openPass),
  tryEnter: Effect.succeedSome(openPass)
}

const decider = (onPermission: RunningOptions["onPermission"]): Services["decide"] => ({ plan, request, sessionId }) =>
  onPermission === undefined ? Effect.succeed("reject" as const) : Effect.suspend(() =>
    onPermission({
      runId: plan.runId,
      sessionId,
      childId: request.sessionId === sessionId ? undefined : request.sessionId,
      cwd: plan.cwd,
      permission: request.permission,
      patterns: request.patterns,
      metadata: request.metadata ?? {},
      callId: request.callId
    })
  ).pipe(
    Effect.withSpan("OpenCode.onPermission", { attributes: { "opencode.permission": request.permission } }),
    // Our own interruption passes through: nobody needs the answer any more.
    Effect.catchAllCause((cause) => {
      const what = Cause.isInterruptedOnly(cause) ? "was interrupted from inside" : "died"
      return Effect.as(
        Effect.logError(`\`onPermission\` ${what}, the permission is rejected`, cause),
        "reject" as const
      )
    })
  )

type Own = Pick<
  Services,
  "binary" | "introduce" | "isLocal" | "isolation" | "problem" | "refuseLive" | "secrets" | "server"
>

const toService = (
  options: RunningOptions,
  { fileSystem, path }: Pick<Client, "fileSystem" | "path">,
  own: Own,
  lifetime: lifetimes.Lifetime,
  home: string | undefined
): Effect.Effect<OpenCode.Service> =>
  Effect.gen(function*() {
    const concurrency = options.concurrency ?? concurrencyDefault
    const defaults = options.defaults ?? {}
    return service.make({
      fileSystem,
      path,
      defaults,
      transport: transport.make({
        ...own,
        fileSystem,
        path,
        defaults,
        rules: { ask: options.ask ?? [], home },
        locks: keyedLock.make(),
        decide: decider(options.onPermission),
        patience: Duration.decode(options.forceKillAfter ?? "5 seconds")
      }),
      gate: openGate,
      running: concurrency === "unbounded" ? fairSemaphore.unlimited : yield* fairSemaphore.make(concurrency),
      rateGate: rateGate.of(options.rateLimitGate),
      lifetime,
      // The pool repeats failed server starts itself, before a run notices.
      retry: Schedule.stop
    })
  })

/**
 * Makes the service from the platform services. A server is started when the first run needs it; invalid options fail
 * every run with `OpenCodeConfigError`. Closing the scope interrupts every run, then ends the servers; a run that
 * starts later fails with `OpenCodeConfigError`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options?: Options
): Effect.Effect<
  OpenCode.Service,
  never,
  | CommandExecutor.CommandExecutor
  | FileSystem.FileSystem
  | HttpClient.HttpClient
  | Path.Path
  | Scope.Scope
> =>
  Effect.gen(function*() {
    const given = options ?? {}
    const problem = problemOf(given)
    if (Option.isSome(problem)) return yield* Effect.fail(problem.value)
    const isolation = yield* expandHome.isolation(yield* Path.Path, given.isolation ?? "run")
    const base = yield* launcher.make(given, isolation)
    const httpClient = yield* HttpClient.HttpClient
    yield* loopback.warn
    const release = yield* releases.make(base, given.version)
    const password = yield* credentials.password
    const lifetime = yield* lifetimes.make("layer")
    // In the runs' scope, because aborting a run needs its server.
    const pool = yield* Scope.extend(pools.ofProcesses({ ...base, httpClient, password }, given), lifetime.scope)
    const cwd = base.path.resolve(".")
    const absolute = (isolation: Isolation.Isolation): Isolation.Isolation =>
      typeof isolation === "object" ? { directory: base.path.resolve(isolation.directory) } : isolation
    return yield* toService(
      given,
      base,
      {
        isLocal: true,
        isolation: absolute(isolation),
        refuseLive: (runId) => liveRuns.refuse(base, runId),
        introduce: (pid) =>
          pid === undefined ? Effect.succeed(unknown) : processList.introduce(base, pid, base.leash.program),
        problem: (options, isolation) => sandboxes.problem({ ...base, isolation }, options),
        // The server's tools see its password in their environment.
        secrets: (options) =>
          Effect.map(
            environments.secrets(base, options, options.isolation ?? absolute(isolation)),
            (secrets) => [Redacted.value(password), ...secrets]
          ),
        binary: base.binary,
        server: (options, isolation) =>
          connection.orLater(Effect.gen(function*() {
            const binary = yield* base.binary
            const dialect = yield* Effect.flatMap(
              release,
              ({ dialect, version }) => connection.withServer(binary, version, dialect)
            )
            // Two majors must not share a database.
            if (dialect.privateServer !== undefined) yield* privateTransport.privateOnly(absolute(isolation))
            const { args, config } = serverKey.split(dialect.withDefaults(options), dialect.server)
            // The sandbox of a server is that of one working directory.
            const place = given.sandbox === undefined
              ? cwd
              : base.path.resolve(options.cwd ?? ".", options.dir ?? ".")
            const key = serverKey.make({ binary, cwd: place }, { args, config }, absolute(isolation))
            return yield* pool.get({ key, binary, cwd: place, args, config, isolation: absolute(isolation), dialect })
          }))
      },
      lifetime,
      yield* Isolation.home
    )
  }).pipe(Effect.catchAll((problem) => Effect.succeed(service.refused(problem))))

/**
 * Makes the service from a running server, which is left running. Run options that only a server start could set are
 * refused. Files are sent as data, directories cannot be. `cwd` and `dir` are directories of the server's machine; `~`
 * is refused in them, because its home directory is not known here.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeAttach = (
  options: AttachOptions
): Effect.Effect<
  OpenCode.Service,
  never,
  FileSystem.FileSystem | HttpClient.HttpClient | Path.Path | Scope.Scope
> =>
  Effect.gen(function*() {
    const problem = runningProblem(options)
    if (Option.isSome(problem)) return service.refused(problem.value)
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const httpClient = yield* HttpClient.HttpClient
    const lifetime = yield* lifetimes.make("layer")
    // Most servers run as the same user, with the same variables and logins.
    const secrets = (config: RunConfig) =>
      environments.secrets(
        { fileSystem, path, environment: { extend: true, variables: {} } },
        { ...config, password: options.password },
        "none"
      )
    const attached = connection.hold(connection.attach(httpClient, {
      url: options.url,
      username: options.username,
      password: options.password,
      allowUntested: options.allowUntested,
      warned: new Set(),
      secrets: secrets(options.defaults ?? {})
    }))
    const server = yield* Scope.extend(attached, lifetime.scope)
    return yield* toService(
      options,
      { fileSystem, path },
      {
        isLocal: false,
        isolation: "none",
        problem: serverKey.refusedAttached,
        refuseLive: () => Effect.void,
        binary: Effect.succeed(connection.addressOf(options.url) ?? "the server"),
        introduce: () => Effect.succeed(unknown),
        secrets,
        server: () => Effect.succeed(server)
      },
      lifetime,
      undefined
    )
  })

/**
 * The service on its own servers.
 *
 * @example
 * ```ts
 * import { FetchHttpClient } from "@effect/platform"
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCodeServer } from "effect-opencode"
 * import { Effect, Layer } from "effect"
 *
 * export const OpenCodeLive = OpenCodeServer.layer({
 *   concurrency: 16,
 *   defaults: { model: "anthropic/claude-sonnet-4-5", timeout: "20 minutes" },
 *   onPermission: ({ patterns, permission }) =>
 *     Effect.succeed(
 *       permission === "bash" && patterns.every((command) => command.startsWith("git "))
 *         ? "once"
 *         : { reject: "Use git only." }
 *     )
 * }).pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options?: Options
): Layer.Layer<
  OpenCode.OpenCode,
  never,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | HttpClient.HttpClient | Path.Path
> => Layer.scoped(OpenCode.OpenCode, make(options))

/**
 * The service on a running server, which is left running.
 *
 * @example
 * ```ts
 * import { FetchHttpClient } from "@effect/platform"
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCodeServer } from "effect-opencode"
 * import { Config, Effect, Layer } from "effect"
 *
 * export const OpenCodeLive = Layer.unwrapEffect(Effect.gen(function*() {
 *   const password = yield* Config.redacted("OPENCODE_SERVER_PASSWORD")
 *   return OpenCodeServer.layerAttach({ url: "http://127.0.0.1:4096", password })
 * })).pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerAttach = (
  options: AttachOptions
): Layer.Layer<OpenCode.OpenCode, never, FileSystem.FileSystem | HttpClient.HttpClient | Path.Path> =>
  Layer.scoped(OpenCode.OpenCode, makeAttach(options))
