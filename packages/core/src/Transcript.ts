/**
 * A file that receives every event of a run as a JSON line before anybody else sees it, so that progress survives a
 * crash of the program.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { OpenCodeConfigError } from "./OpenCodeError.js"
import type { RunEvent } from "./RunEvent.js"
import { toWire } from "./RunEvent.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Transcript {
  /** Returns when the operating system has the lines. A failure is logged as a warning: the run goes on. */
  readonly write: (events: ReadonlyArray<RunEvent>) => Effect.Effect<void>
}

/**
 * Opens a file for appending; missing directories are made. `clean` sees each line before it is written.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = (
  file: string,
  options?: { readonly clean?: ((line: string) => string) | undefined }
): Effect.Effect<Transcript, OpenCodeConfigError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const target = path.resolve(file)
    yield* fileSystem.makeDirectory(path.dirname(target), { recursive: true })
    const handle = yield* fileSystem.open(target, { flag: "a" })
    const encoder = new TextEncoder()
    const clean = options?.clean ?? ((line: string) => line)
    const lock = yield* Effect.makeSemaphore(1)
    return {
      write: (events: ReadonlyArray<RunEvent>) =>
        events.length === 0 ? Effect.void : Effect.suspend(() =>
          handle.writeAll(
            encoder.encode(events.map((event) => `${clean(JSON.stringify(toWire(event)))}\n`).join(""))
          )
        ).pipe(
          lock.withPermits(1),
          Effect.catchAll((error) =>
            Effect.logWarning(`A transcript could not be written (${error.message}): ${target}`)
          )
        )
    }
  }).pipe(
    Effect.catchAll((error) =>
      new OpenCodeConfigError({
        path: "transcript",
        reason: `the file cannot be opened for appending (${error._tag === "SystemError" ? error.reason : error._tag})`
      })
    )
  )
