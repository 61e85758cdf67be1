/**
 * Finds and ends what a dead program has left of its runs. The layer's watchdog (`leash`) does the same at once; this is
 * for programs without one, or whose watchdog was killed with them.
 *
 * @since 0.1.0
 */
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as directories from "./internal/launch/directories.js"
import * as abandoned from "./internal/process/abandoned.js"
import * as orphans from "./internal/process/orphans.js"
import * as ownership from "./internal/process/ownership.js"
import * as processTable from "./internal/process/table.js"
import * as orphanedServers from "./internal/transport/server/orphanedServers.js"

/**
 * The environment variable by which the processes of a run are found again, also in sessions of their own: the ids of the
 * run and of the runs around it, separated by colons. A process that was started with an empty environment lacks it.
 *
 * @since 0.1.0
 * @category constants
 */
export const variable: string = processTable.variable

const services = Effect.map(
  Effect.all([CommandExecutor.CommandExecutor, FileSystem.FileSystem, Path.Path]),
  ([executor, fileSystem, path]) => ({ executor, fileSystem, path })
)

/**
 * Ends the processes of a run whose program is dead, shell commands of the agent included: SIGTERM, then SIGKILL for
 * those that still run after `forceKillAfter` (default: 5 seconds). Returns the pids that could not be ended. The run's
 * id is in its transcript, which survives a killed program. Only processes that carry the id in their environment, and
 * their descendants, are ended. A run whose program is still alive is left running with a warning, and its pids are
 * returned, too. On Windows nothing is found.
 *
 * @example
 * ```ts
 * import { Leftovers, Transcript } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const clear = Effect.gen(function*() {
 *   const { outcome, runId } = yield* Transcript.read("runs/nightly.jsonl")
 *   return outcome === undefined ? yield* Leftovers.end(runId) : []
 * })
 * ```
 *
 * @since 0.1.0
 * @category destructors
 */
export const end: (
  runId: string,
  options?: { readonly forceKillAfter?: Duration.DurationInput | undefined }
) => Effect.Effect<
  ReadonlyArray<number>,
  never,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
> = Effect.fn("Leftovers.end")(function*(
  runId: string,
  options?: { readonly forceKillAfter?: Duration.DurationInput | undefined }
) {
  const platform = yield* services
  const table = yield* processTable.make(platform)
  const forceKillAfter = Duration.decode(options?.forceKillAfter ?? "5 seconds")
  yield* orphans.end({ ...platform, table, forceKillAfter }, runId)
  return yield* orphans.remaining(table, runId)
})

/**
 * The processes of one run, or of one server, on this machine.
 *
 * @since 0.1.0
 * @category models
 */
export interface Run {
  /** The id of the run; of a server, its own. */
  readonly runId: string
  /** The program that has started it. */
  readonly program: {
    readonly pid: number
    /** When it began, in the kernel's ticks since the start of the machine; empty if the system does not tell. */
    readonly started: string
    /** The start of the machine, as the kernel names it; empty if the system does not tell. */
    readonly boot: string
  }
  /**
   * False only if the program is certain to be gone, and every program around it: of a program in another container
   * (another pid namespace) nothing is known, so it counts as alive.
   */
  readonly isAlive: boolean
  readonly pids: ReadonlyArray<number>
}

/**
 * The runs and servers of this machine that have processes, of living programs and of dead ones. On Windows nothing is
 * found.
 *
 * @since 0.1.0
 * @category getters
 */
export const list: Effect.Effect<
  ReadonlyArray<Run>,
  never,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
> = Effect.flatMap(services, abandoned.list).pipe(
  Effect.map((runs) =>
    runs.map(({ isAlive, processes, program: { boot, pid, started }, runId }): Run => ({
      runId,
      program: { pid, started, boot },
      isAlive,
      pids: processes.map(({ pid }) => pid)
    }))
  ),
  Effect.withSpan("Leftovers.list")
)

/**
 * Ends the processes of all runs and servers whose program is dead, for a supervisor that starts: SIGTERM, and SIGKILL to
 * what is there after `forceKillAfter` (default: 5 seconds). Returns the pids of what could not be ended. Runs of living
 * programs are left alone. If all have ended, the temporary directories of the servers are removed. Those of runs are in
 * their transcripts, see {@link remove}.
 *
 * @example
 * ```ts
 * import { Leftovers } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const start = Effect.gen(function*() {
 *   const stuck = yield* Leftovers.endAll()
 *   if (stuck.length > 0) yield* Effect.logWarning(`still running: pid ${stuck.join(", ")}`)
 * })
 * ```
 *
 * @since 0.1.0
 * @category destructors
 */
export const endAll: (
  options?: { readonly forceKillAfter?: Duration.DurationInput | undefined }
) => Effect.Effect<
  ReadonlyArray<number>,
  never,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
> = Effect.fn("Leftovers.endAll")(function*(
  options?: { readonly forceKillAfter?: Duration.DurationInput | undefined }
) {
  const platform = yield* services
  const left = yield* abandoned.end(
    platform,
    yield* processTable.make(platform),
    Duration.decode(options?.forceKillAfter ?? "5 seconds")
  )
  if (left.length === 0) {
    const { fileSystem } = platform
    yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-opencode-" }).pipe(
      Effect.flatMap((directory) => orphanedServers.removeDirectories(platform, directory)),
      Effect.scoped,
      Effect.ignore
    )
  }
  return left.map(({ pid }) => pid)
})

/**
 * Whether a directory is a private one of this user: no symbolic link, the user's own, and closed to everybody else. In a
 * temporary directory that many share, anybody can make one of any name. On Windows every directory is taken for one.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isOwn: (
  directory: string
) => Effect.Effect<boolean, never, FileSystem.FileSystem | Path.Path> = Effect.fn("Leftovers.isOwn")(function*(
  directory: string
) {
  const fileSystem = yield* FileSystem.FileSystem
  const { sep } = yield* Path.Path
  return sep === "\\" || (yield* ownership.isOwn(fileSystem, directory, "Directory", yield* ownership.user(fileSystem)))
})

/**
 * Removes the temporary directory that a dead program left, if it is private to this user ({@link isOwn}). A directory
 * that cannot be removed is logged as a warning.
 *
 * @since 0.1.0
 * @category destructors
 */
export const remove: (
  directory: string
) => Effect.Effect<void, never, FileSystem.FileSystem | Path.Path> = Effect.fn("Leftovers.remove")(function*(
  directory: string
) {
  if (yield* isOwn(directory)) yield* directories.remove(yield* FileSystem.FileSystem, directory)
})
