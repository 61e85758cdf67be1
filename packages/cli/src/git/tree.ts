/** Removes directories, whatever an agent has put into them. */
import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"

interface Services {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
}

/** Makes directories writable: entries of a read-only directory, such as Go's module cache, cannot be removed. */
const makeWritable = ({ fileSystem, path }: Services, directory: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (yield* Effect.isSuccess(fileSystem.readLink(directory))) return
    if ((yield* fileSystem.stat(directory)).type !== "Directory") return
    yield* fileSystem.chmod(directory, 0o700)
    const names = yield* fileSystem.readDirectory(directory)
    yield* Effect.forEach(names, (name) => makeWritable({ fileSystem, path }, path.join(directory, name)), {
      discard: true
    })
  }).pipe(Effect.ignore)

/** Removes a directory and everything in it. */
export const remove = (services: Services, directory: string): Effect.Effect<void, PlatformError> => {
  const removed = services.fileSystem.remove(directory, { recursive: true, force: true })
  return Effect.orElse(removed, () => Effect.andThen(makeWritable(services, directory), removed))
}
