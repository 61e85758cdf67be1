/**
 * What a program that was killed has left behind of its runs. A program that ends in any other way leaves nothing.
 *
 * @since 0.1.0
 */
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as leftovers from "./internal/leftovers.js"
import * as processTable from "./internal/processTable.js"

/**
 * The environment variable by which the processes of a run are found again, wherever they have gone: the ids of the
 * run and of the runs around it, separated by colons.
 *
 * @since 0.1.0
 * @category constants
 */
export const variable: string = processTable.variable

/**
 * Ends the processes of a run whose program is dead, shell commands of the agent included: SIGTERM, and SIGKILL to what
 * is there after `forceKillAfter` (default: 5 seconds). Gives the pids of what could not be ended. The run's id is in
 * its transcript, which a program that is killed leaves behind. Never call it for a run that is under way elsewhere:
 * nothing tells the two apart. On Windows nothing is found.
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
  const table = yield* processTable.make({
    executor: yield* CommandExecutor.CommandExecutor,
    fileSystem: yield* FileSystem.FileSystem,
    path: yield* Path.Path
  })
  yield* leftovers.end({ table, forceKillAfter: Duration.decode(options?.forceKillAfter ?? "5 seconds") }, runId)
  return yield* leftovers.left(table, runId)
})
