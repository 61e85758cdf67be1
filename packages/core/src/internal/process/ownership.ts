import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/**
 * Whether something is what `mkdtemp` makes, or a file in it, for this user: no symbolic link, and nobody else could
 * have written to it. In a temporary directory everybody can put anything under any name.
 */
export const isOwn = (
  fileSystem: FileSystem.FileSystem,
  file: string,
  type: "Directory" | "File",
  uid: Option.Option<number>
): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    if (yield* Effect.isSuccess(fileSystem.readLink(file))) return false
    const info = yield* fileSystem.stat(file)
    return info.type === type && Option.isSome(uid) && Option.getOrUndefined(info.uid) === uid.value &&
      (type === "File" || (info.mode & 0o777) === 0o700)
  }).pipe(Effect.orElseSucceed(() => false))

/** The user of this process, as the files tell that it makes. */
export const user = (fileSystem: FileSystem.FileSystem): Effect.Effect<Option.Option<number>> =>
  Effect.scoped(Effect.flatMap(
    fileSystem.makeTempDirectoryScoped({ prefix: "effect-opencode-" }),
    (directory) => Effect.map(fileSystem.stat(directory), ({ uid }) => uid)
  )).pipe(Effect.orElseSucceed(() => Option.none()))
