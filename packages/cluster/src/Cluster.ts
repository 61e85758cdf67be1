/**
 * The engine of `@effect/cluster` with settings that suit agents, as layers: one process and a file, or any number of
 * machines and PostgreSQL. The same program runs on both.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { AgentRun, Cluster } from "effect-opencode-cluster"
 * import { Effect, Layer } from "effect"
 *
 * const Agent = OpenCode.layer().pipe(Layer.provideMerge(NodeContext.layer))
 *
 * export const program = AgentRun.execute({ id: "notes-1.4", prompt: "Write the release notes of 1.4" }).pipe(
 *   Effect.provide(Cluster.layerEmbedded({ filename: "agents.db" }).pipe(Layer.provide(Agent)))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as MessageStorage from "@effect/cluster/MessageStorage"
import type * as Sharding from "@effect/cluster/Sharding"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import type * as SocketServer from "@effect/platform/SocketServer"
import type * as SqlClient from "@effect/sql/SqlClient"
import type * as OpenCode from "effect-opencode/OpenCode"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as AgentRun from "./AgentRun.js"
import * as engine from "./internal/engine.js"
import * as checks from "./internal/options.js"
import type * as RunLedger from "./RunLedger.js"

/**
 * A cluster cannot be started with these options, or not here.
 *
 * @since 0.1.0
 * @category errors
 */
export class ClusterConfigError
  extends Schema.TaggedError<ClusterConfigError>("effect-opencode-cluster/ClusterConfigError")("ClusterConfigError", {
    /** The option: `agents`, `filename`, … */
    path: Schema.String,
    reason: Schema.String
  })
{
  override get message(): string {
    return `Invalid option "${this.path}" of the cluster: ${this.reason}`
  }
}

/**
 * What every layer of this module provides: the jobs, and the engine's services for workflows and entities of your own.
 *
 * @since 0.1.0
 * @category models
 */
export type Provided = AgentRun.AgentRun | RunLedger.RunLedger | Sharding.Sharding | MessageStorage.MessageStorage

/**
 * What runs agents: OpenCode, and the platform.
 *
 * @since 0.1.0
 * @category models
 */
export type Agents =
  | OpenCode.OpenCode
  | CommandExecutor.CommandExecutor
  | FileSystem.FileSystem
  | Path.Path

/**
 * Options of {@link layerEmbedded}.
 *
 * @since 0.1.0
 * @category models
 */
export interface EmbeddedOptions extends Omit<AgentRun.RunnerOptions, "name"> {
  /** The SQLite file, created if needed; `:memory:` for none. */
  readonly filename: string
  /** The name of the runner in results. Default: `"embedded"`. */
  readonly name?: string | undefined
  /** How long running agents may take to finish when the program ends. Default: 5 seconds. */
  readonly drain?: Duration.DurationInput | undefined
}

/**
 * Options of {@link layerRunner}.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunnerOptions extends Omit<AgentRun.RunnerOptions, "name"> {
  /** The name or address by which the other programs of the cluster reach this one. */
  readonly host: string
  readonly port: number
  /**
   * Default: `host`. Every program that reaches it can cancel jobs and read their events: keep it in a private network.
   */
  readonly listenHost?: string | undefined
  /** Default: `port`. */
  readonly listenPort?: number | undefined
  /** The name of the runner in results. Default: `host:port`. */
  readonly name?: string | undefined
  /** How many jobs are placed on this runner in relation to the others: from 0.1 to 100. Default: 1. */
  readonly weight?: number | undefined
  /**
   * How long running agents may take to finish when the runner leaves. Jobs that wait go to other runners at once.
   * Default: 2 hours, the longest run by default.
   */
  readonly drain?: Duration.DurationInput | undefined
  /**
   * When the jobs of a runner that died go to others. At least 12 seconds, so that a runner that has only lost the
   * database can end its agents before. A longer time tolerates longer stalls of the database: a runner ends its agents
   * when it does not answer for what is beyond 8 seconds, at most a third of it all and a second. The same for all
   * runners. Default: 12 seconds.
   */
  readonly lockExpiration?: Duration.DurationInput | undefined
  /**
   * How runners look after each other. Default: `"ping"`. With `{ namespace, labelSelector }` they ask Kubernetes about
   * their pods, whose names must be in `host`.
   */
  readonly health?:
    | "ping"
    | { readonly namespace?: string | undefined; readonly labelSelector?: string | undefined }
    | undefined
}

/**
 * Options of {@link layerClient}.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions {
  /** As with the runners. */
  readonly lockExpiration?: Duration.DurationInput | undefined
}

/**
 * Options of {@link layerTest}.
 *
 * @since 0.1.0
 * @category models
 */
export interface TestOptions extends Partial<Omit<AgentRun.RunnerOptions, "dataDirectory">> {}

const isPort = (value: number): boolean => checks.isPositiveInt(value) && value <= 65_535

const isFinite = (value: Duration.DurationInput | undefined): boolean =>
  value === undefined || Duration.isFinite(Duration.decode(value))

/** Every option of a runner that can be wrong. */
const problemOf = (options: Partial<RunnerOptions>): checks.Problem | undefined => {
  if (options.host !== undefined && (options.host === "" || options.host.length > 200)) {
    return { path: "host", reason: "must be a host name or address" }
  }
  if (options.port !== undefined && !isPort(options.port)) return { path: "port", reason: "must be from 1 to 65535" }
  if (options.listenPort !== undefined && !isPort(options.listenPort)) {
    return { path: "listenPort", reason: "must be from 1 to 65535" }
  }
  // The engine makes 128 entries for a weight of 1.
  if (options.weight !== undefined && !(options.weight >= 0.1 && options.weight <= 100)) {
    return { path: "weight", reason: "must be from 0.1 to 100" }
  }
  if (!checks.isTime(options.drain, 0)) {
    return { path: "drain", reason: "must be a duration; use one like \"2 hours\"" }
  }
  const least = Duration.toMillis(engine.defaults.lockExpiration)
  if (!checks.isTime(options.lockExpiration, least) || !isFinite(options.lockExpiration)) {
    return { path: "lockExpiration", reason: `must be at least ${least / 1000} seconds, and not endless` }
  }
  return checks.ofRunner(options)
}

/** Its options have been checked. */
const service = (options: AgentRun.RunnerOptions) => Layer.orDie(AgentRun.layer(options))

const checked = <A, E, R>(
  options: Partial<RunnerOptions>,
  layer: () => Layer.Layer<A, E, R>
): Layer.Layer<A, E | ClusterConfigError, R> =>
  Layer.suspend((): Layer.Layer<A, E | ClusterConfigError, R> => {
    const problem = problemOf(options)
    return problem === undefined ? layer() : Layer.fail(new ClusterConfigError(problem))
  })

const settingsOf = (
  options: ClientOptions & { readonly drain?: Duration.DurationInput | undefined }
): engine.Settings => ({
  lockExpiration: Duration.decode(options.lockExpiration ?? engine.defaults.lockExpiration),
  drain: Duration.decode(options.drain ?? engine.defaults.drain)
})

/**
 * One process and a file. Jobs that the process leaves behind when it ends are carried on by the next one, as their
 * `afterCrash` says. A second process on the same file is refused with {@link ClusterConfigError}.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerEmbedded = (
  options: EmbeddedOptions
): Layer.Layer<Provided, ClusterConfigError | RunLedger.LedgerError, Agents> =>
  checked(options, () =>
    service({ ...options, name: options.name ?? "embedded" }).pipe(
      Layer.provideMerge(engine.embedded(settingsOf({ drain: options.drain ?? engine.defaults.drainEmbedded }))),
      Layer.provide(engine.sqlite(
        options.filename,
        new ClusterConfigError({
          path: "filename",
          reason:
            `${options.filename} cannot be opened, has hard links, or another process works with it. SQLite is for one process: ` +
            "end the other one, or use PostgreSQL with `layerRunner` and `layerClient`."
        })
      ))
    ))

/**
 * One of many runners, on PostgreSQL. Runners can join and leave at any time.
 *
 * - A runner that is ended with SIGTERM finishes the agents it has (`drain`), and gives waiting jobs away.
 * - A runner that is killed loses its agents within seconds (the leash of `OpenCode.layer`); its jobs go to others after
 *   `lockExpiration`.
 * - A runner that loses the database ends its agents before its jobs go to others.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRunner = (
  options: RunnerOptions
): Layer.Layer<
  Provided,
  ClusterConfigError | RunLedger.LedgerError | SocketServer.SocketServerError,
  Agents | SqlClient.SqlClient
> =>
  checked(options, () =>
    service({ ...options, name: options.name ?? `${options.host}:${options.port}` }).pipe(
      Layer.provideMerge(engine.runner({
        ...settingsOf(options),
        host: options.host,
        port: options.port,
        listenHost: options.listenHost,
        listenPort: options.listenPort,
        weight: options.weight ?? 1,
        health: options.health ?? "ping"
      }))
    ))

/**
 * A program that submits jobs and asks about them, on the database of the runners. It can end at any time: its jobs go
 * on.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = (
  options?: ClientOptions
): Layer.Layer<Provided, ClusterConfigError | RunLedger.LedgerError, SqlClient.SqlClient> =>
  checked(
    options ?? {},
    () => AgentRun.layerClient.pipe(Layer.provideMerge(engine.client(settingsOf(options ?? {}))))
  )

/** The processes and files of a cluster in memory: none. */
const NoPlatform = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Layer.succeed(
    CommandExecutor.CommandExecutor,
    CommandExecutor.makeExecutor(() =>
      Effect.fail(
        new PlatformError.SystemError({
          module: "Command",
          method: "start",
          reason: "NotFound",
          description: "a cluster in memory starts no processes"
        })
      )
    )
  )
)

/**
 * A whole cluster in memory, for tests of programs that submit jobs. Its agents are those of the `OpenCode` it is given,
 * such as `OpenCodeTest` of `effect-opencode-testing`. Jobs with a `workspace` fail.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerTest = (options?: TestOptions): Layer.Layer<Provided, ClusterConfigError, OpenCode.OpenCode> =>
  checked(
    options ?? {},
    () =>
      service({ ...options, name: options?.name ?? "test", dataDirectory: "/nowhere" }).pipe(
        Layer.provideMerge(engine.memory(settingsOf({ drain: 0 }))),
        Layer.provide(NoPlatform)
      )
  )
