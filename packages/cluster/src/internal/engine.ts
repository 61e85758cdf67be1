import type * as MessageStorage from "@effect/cluster/MessageStorage"
import * as Messages from "@effect/cluster/MessageStorage"
import * as RunnerAddress from "@effect/cluster/RunnerAddress"
import * as RunnerHealth from "@effect/cluster/RunnerHealth"
import * as Runners from "@effect/cluster/Runners"
import * as RunnerStorage from "@effect/cluster/RunnerStorage"
import * as Sharding from "@effect/cluster/Sharding"
import * as ShardingConfig from "@effect/cluster/ShardingConfig"
import * as SocketRunner from "@effect/cluster/SocketRunner"
import * as SqlMessageStorage from "@effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "@effect/cluster/SqlRunnerStorage"
import * as NodeClusterSocket from "@effect/platform-node/NodeClusterSocket"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RunLedger from "../RunLedger.js"
import * as ledgerSql from "./ledgerSql.js"
import * as migrations from "./migrations.js"
import * as renewal from "./renewal.js"
import * as transactions from "./transactions.js"

/** What a runner's part of the settings depends on. */
export interface Settings {
  readonly lockExpiration: Duration.Duration
  readonly drain: Duration.Duration
}

export const defaults = {
  /** A runner that dies is replaced after it. Also the least: there must be time to end an agent. */
  lockExpiration: Duration.seconds(12),
  /** As long as the longest run by default. */
  drain: Duration.hours(2),
  /** One process has nobody to hand its jobs to. */
  drainEmbedded: Duration.seconds(5)
}

/**
 * Settings of the engine that suit agents, which take minutes or hours and cannot be repeated.
 *
 * - Locks are rows, not advisory locks: PostgreSQL keeps those of a machine that lost its network for up to two hours.
 * - A runner that loses the database ends its agents before the locks expire.
 * - A runner that leaves, or loses shards to one that joins, finishes the agents it has.
 */
const sharding = ({ drain, lockExpiration }: Settings): Partial<ShardingConfig.ShardingConfig["Type"]> => ({
  shardLockDisableAdvisory: true,
  shardLockExpiration: lockExpiration,
  shardLockRefreshInterval: renewal.engineIntervalOf(lockExpiration),
  entityTerminationTimeout: drain,
  entityMessagePollInterval: Duration.seconds(3),
  refreshAssignmentsInterval: Duration.seconds(1),
  runnerHealthCheckInterval: Duration.seconds(5)
})

/** The address of a program that only asks. */
const nobody = { runnerAddress: Option.none() }

const ledger = Layer.effect(
  RunLedger.RunLedger,
  ledgerSql.make((operation, cause) => new RunLedger.LedgerError({ operation, cause }), migrations.run)
)

/** Makes tables while no other program does. */
const underLock = <A, E, R>(layer: Layer.Layer<A, E, R>) =>
  Layer.scopedContext(Effect.flatMap(Effect.scope, (scope) => migrations.underLock(Layer.buildWithScope(layer, scope))))
    .pipe(
      Layer.mapError((cause) =>
        cause instanceof RunLedger.LedgerError ? cause : new RunLedger.LedgerError({ operation: "migrate", cause })
      )
    )

const sql = ({ lockExpiration }: Settings) =>
  underLock(Layer.mergeAll(
    ledger,
    SqlMessageStorage.layer,
    Layer.scoped(
      RunnerStorage.RunnerStorage,
      Effect.flatMap(RunnerStorage.RunnerStorage, (storage) => renewal.make(storage, lockExpiration))
    ).pipe(Layer.provide(SqlRunnerStorage.layer))
  )).pipe(Layer.provide(transactions.layer))

export type Engine = Sharding.Sharding | MessageStorage.MessageStorage | RunLedger.RunLedger

/** A runner among others, on sockets. */
export const runner = (
  options: Settings & {
    readonly host: string
    readonly port: number
    readonly listenHost: string | undefined
    readonly listenPort: number | undefined
    readonly weight: number
    readonly health: "ping" | { readonly namespace?: string | undefined; readonly labelSelector?: string | undefined }
  }
) =>
  Layer.provide(SocketRunner.layer, [NodeClusterSocket.layerSocketServer, NodeClusterSocket.layerClientProtocol]).pipe(
    Layer.provide(
      options.health === "ping"
        ? RunnerHealth.layerPing.pipe(
          Layer.provide(Runners.layerRpc),
          Layer.provide(NodeClusterSocket.layerClientProtocol)
        )
        : RunnerHealth.layerK8s(options.health).pipe(Layer.provide(NodeClusterSocket.layerK8sHttpClient))
    ),
    Layer.provideMerge(sql(options)),
    Layer.provide(ShardingConfig.layer({
      ...sharding(options),
      runnerAddress: Option.some(RunnerAddress.make(options.host, options.port)),
      runnerListenAddress: Option.some(
        RunnerAddress.make(options.listenHost ?? options.host, options.listenPort ?? options.port)
      ),
      runnerShardWeight: options.weight
    })),
    Layer.provide(RpcSerialization.layerMsgPack)
  )

/** A program that asks runners. */
export const client = (options: Settings) =>
  Layer.provide(SocketRunner.layerClientOnly, NodeClusterSocket.layerClientProtocol).pipe(
    Layer.provideMerge(sql(options)),
    Layer.provide(ShardingConfig.layer({ ...sharding(options), ...nobody })),
    Layer.provide(RpcSerialization.layerMsgPack)
  )

const alone = (settings: Partial<ShardingConfig.ShardingConfig["Type"]>) =>
  Layer.provide([RunnerStorage.layerMemory, RunnerHealth.layerNoop, ShardingConfig.layer(settings)])

/** The only runner of a database. */
export const embedded = (options: Settings) =>
  Sharding.layer.pipe(
    Layer.provideMerge(Runners.layerNoop),
    Layer.provideMerge(underLock(Layer.mergeAll(ledger, SqlMessageStorage.layer))),
    alone({ ...sharding(options), simulateRemoteSerialization: false })
  )

/** The only runner, without a database. */
export const memory = (options: Settings) =>
  Sharding.layer.pipe(
    Layer.provideMerge(Runners.layerNoop),
    Layer.provideMerge(Messages.layerMemory),
    Layer.provideMerge(RunLedger.layerMemory),
    alone(sharding(options))
  )

/** As many symbolic links as Linux follows. */
const mostLinks = 40

/**
 * The file behind a path: the same for all relative paths and symbolic links that lead to it, also before it exists.
 * `undefined` if it has other names that cannot be found out (hard links).
 */
const fileOf = (
  filename: string,
  links = 0
): Effect.Effect<string | undefined, PlatformError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const link = yield* Effect.option(fileSystem.readLink(filename))
    // Also one that leads nowhere yet: SQLite makes the file where it leads to.
    if (Option.isSome(link) && links < mostLinks) {
      return yield* fileOf(path.resolve(path.dirname(filename), link.value), links + 1)
    }
    const real = path.join(yield* fileSystem.realPath(path.dirname(path.resolve(filename))), path.basename(filename))
    const info = yield* Effect.option(fileSystem.stat(real))
    const names = Option.flatMap(info, ({ nlink }) => nlink)
    return Option.isSome(names) && names.value > 1 ? undefined : real
  })

/**
 * A database in a file. SQLite can be opened by several processes, and fails under their load: a second one is refused,
 * whatever path it takes to the file. The lock is a file of its own beside it, held by the kernel for as long as the
 * process lives, so that the database itself can be looked at meanwhile.
 */
export const sqlite = <E>(
  filename: string,
  inUse: E
): Layer.Layer<SqlClient.SqlClient, E, FileSystem.FileSystem | Path.Path> => {
  // A file that is no database is found out when it is opened.
  const database = (filename: string) => Layer.catchAllCause(SqliteClient.layer({ filename }), () => Layer.fail(inUse))
  if (filename === ":memory:") return database(filename)
  const lock = (filename: string) =>
    Layer.scopedDiscard(Effect.gen(function*() {
      const context = yield* Layer.build(SqliteClient.layer({ filename: `${filename}-lock`, disableWAL: true }))
      const connection = yield* Context.get(context, SqlClient.SqlClient).reserve
      yield* connection.executeUnprepared("PRAGMA busy_timeout = 0", [], undefined)
      yield* connection.executeUnprepared("BEGIN EXCLUSIVE", [], undefined)
      yield* Effect.addFinalizer(() => Effect.ignore(connection.executeUnprepared("ROLLBACK", [], undefined)))
    })).pipe(Layer.catchAllCause(() => Layer.fail(inUse)))
  return Layer.unwrapEffect(Effect.match(fileOf(filename), {
    onFailure: () => Layer.fail(inUse),
    onSuccess: (file) => file === undefined ? Layer.fail(inUse) : Layer.provideMerge(database(file), lock(file))
  }))
}
