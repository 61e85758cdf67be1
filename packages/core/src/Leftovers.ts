/**
 * Finds and ends processes, and removes directories, that a killed program left behind. A program that ends in any
 * other way leaves nothing.
 *
 * @since 0.1.0
 */
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as directories from "./internal/launch/directories.js"
import * as orphans from "./internal/process/orphans.js"
import * as ownership from "./internal/process/ownership.js"
import * as processTable from "./internal/process/table.js"

/**
 * The environment variable by which the processes of a run are found, even after they detach: the ids of the run and of
 * the runs around it, separated by colons.
 *
 * @since 0.1.0
 * @category constants
 */
export const variable: string = processTable.variable

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
  const services = {
    executor: yield* CommandExecutor.CommandExecutor,
    fileSystem: yield* FileSystem.FileSystem,
    path: yield* Path.Path
  }
  const table = yield* processTable.make(services)
  const forceKillAfter = Duration.decode(options?.forceKillAfter ?? "5 seconds")
  yield* orphans.end({ ...services, table, forceKillAfter }, runId)
  return yield* orphans.left(table, runId)
})

/**
 * True if a directory is private to this user: not a symbolic link, owned by the user, and inaccessible to others. In a
 * shared temporary directory anybody can create one of any name. On Windows every directory counts as private.
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
