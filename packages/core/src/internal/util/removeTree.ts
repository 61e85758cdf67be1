import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"

/** Makes all directories of a tree writable, without following links. */
const unlock = (fileSystem: FileSystem.FileSystem, directory: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (yield* Effect.isSuccess(fileSystem.readLink(directory))) return
    const { mode, type } = yield* fileSystem.stat(directory)
    if (type !== "Directory") return
    if ((mode & 0o700) !== 0o700) yield* fileSystem.chmod(directory, (mode & 0o777) | 0o700)
    const names = yield* fileSystem.readDirectory(directory)
    yield* Effect.forEach(names, (name) => unlock(fileSystem, `${directory}/${name}`), { discard: true })
  }).pipe(Effect.ignore)

/** Removes a directory recursively, including read-only trees (Go's module cache). */
export const removeTree = (
  fileSystem: FileSystem.FileSystem,
  directory: string
): Effect.Effect<void, PlatformError> => {
  const removed = fileSystem.remove(directory, { recursive: true, force: true })
  // A file that appears while the directory is being removed fails the first try.
  return Effect.orElse(
    removed,
    () => Effect.retry(Effect.andThen(unlock(fileSystem, directory), removed), { times: 1 })
  )
}
