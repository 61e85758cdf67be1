import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"

const isNotFound = (error: PlatformError): boolean => error._tag === "SystemError" && error.reason === "NotFound"

/**
 * Creates a directory and those above it. Node's own recursive creation never returns for a path below a file system that
 * cannot create directories, such as `/proc/nowhere` (Node 20.20).
 */
export const makeDirectories = (
  services: { readonly fileSystem: FileSystem.FileSystem; readonly path: Path.Path },
  directory: string
): Effect.Effect<void, PlatformError> => {
  const { fileSystem, path } = services
  const make = fileSystem.makeDirectory(directory)
  const parent = path.dirname(directory)
  const made = Effect.catchIf(
    make,
    (error) => isNotFound(error) && parent !== directory,
    () => Effect.andThen(makeDirectories(services, parent), make)
  )
  // One that exists, or that another process creates meanwhile, is as good; a file in its place is not.
  return Effect.catchAll(made, (error) =>
    Effect.flatMap(
      Effect.orElseSucceed(Effect.map(fileSystem.stat(directory), ({ type }) => type === "Directory"), () => false),
      (isThere) => isThere ? Effect.void : Effect.fail(error)
    ))
}
