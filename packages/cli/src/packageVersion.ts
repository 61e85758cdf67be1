import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"

/** The version of this package, read on demand. */
export const packageVersion: Effect.Effect<string, never, FileSystem.FileSystem | Path.Path> = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const manifest = yield* path.fromFileUrl(new URL("../package.json", import.meta.url))
  return String(JSON.parse(yield* fileSystem.readFileString(manifest)).version)
}).pipe(Effect.orDie)
