/**
 * What the agents leave on the machine: processes and temporary directories.
 */
import type { Path } from "@effect/platform"
import { type CommandExecutor, FileSystem } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import { Leftovers } from "effect-opencode"

export interface Left {
  /** Numbers of the processes that still run. */
  readonly processes: ReadonlyArray<number>
  readonly directories: ReadonlyArray<string>
  /** How many directories were made. */
  readonly made: number
}

export class Traces extends Context.Tag("demo/Traces")<Traces, {
  /** Looks for processes of this program's runs, for these ones, and for every temporary directory that was made. */
  readonly left: (
    processes: ReadonlyArray<number>
  ) => Effect.Effect<Left, never, CommandExecutor.CommandExecutor | Path.Path>
}>() {}

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** A file system that remembers the temporary directories made with it, and `Traces`. */
export const layer: Layer.Layer<FileSystem.FileSystem | Traces, never, FileSystem.FileSystem> = Layer.effectContext(
  Effect.map(FileSystem.FileSystem, (base) => {
    const made: Array<string> = []
    const remember = (directory: string) => Effect.sync(() => void made.push(directory))
    const fileSystem = FileSystem.FileSystem.of({
      ...base,
      makeTempDirectory: (options) => Effect.tap(base.makeTempDirectory(options), remember),
      makeTempDirectoryScoped: (options) => Effect.tap(base.makeTempDirectoryScoped(options), remember)
    })
    const left = (processes: ReadonlyArray<number>) =>
      Effect.gen(function*() {
        const runs = yield* Effect.provideService(Leftovers.list, FileSystem.FileSystem, base)
        const ours = runs.filter(({ program }) => program.pid === process.pid).flatMap(({ pids }) => pids)
        const directories = yield* Effect.filter(made, (directory) =>
          Effect.orElseSucceed(base.exists(directory), () => true))
        return { processes: [...new Set([...ours, ...processes.filter(isRunning)])], directories, made: made.length }
      })
    return Context.make(FileSystem.FileSystem, fileSystem).pipe(Context.add(Traces, { left }))
  })
)
