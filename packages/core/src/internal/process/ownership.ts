import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/**
 * True for a directory as created by `mkdtemp` for this user, or a file in it: not a symbolic link, and not writable by
 * others. In a shared temporary directory anybody can create anything under any name.
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

/** The user of this process, as the owner of a file that it creates. */
export const user = (fileSystem: FileSystem.FileSystem): Effect.Effect<Option.Option<number>> =>
  Effect.scoped(Effect.flatMap(
    fileSystem.makeTempDirectoryScoped({ prefix: "effect-opencode-" }),
    (directory) => Effect.map(fileSystem.stat(directory), ({ uid }) => uid)
  )).pipe(Effect.orElseSucceed(() => Option.none()))
