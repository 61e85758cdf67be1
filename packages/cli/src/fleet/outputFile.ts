/** Files that a command writes: whether two are the same, whether they can be written, and atomic writes. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** Resolves links, also to a file that does not exist yet. */
export const follow = (file: string, links = 40): Effect.Effect<string, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const real = yield* Effect.option(fileSystem.realPath(file))
    if (Option.isSome(real)) return real.value
    const directory = yield* Effect.orElseSucceed(fileSystem.realPath(path.dirname(file)), () => path.dirname(file))
    const link = links > 0 ? yield* Effect.option(fileSystem.readLink(file)) : Option.none()
    return Option.isSome(link)
      ? yield* follow(path.resolve(directory, link.value), links - 1)
      : path.join(directory, path.basename(file))
  })

/** Whether two paths, however they are written, name the same file. */
export const areSame = (self: string, that: string) =>
  Effect.gen(function*() {
    if ((yield* follow(self)) === (yield* follow(that))) return true
    const fileSystem = yield* FileSystem.FileSystem
    const [one, other] = yield* Effect.all([Effect.option(fileSystem.stat(self)), Effect.option(fileSystem.stat(that))])
    if (Option.isNone(one) || Option.isNone(other)) return false
    return Option.isSome(one.value.ino) && one.value.dev === other.value.dev &&
      one.value.ino.value === Option.getOrUndefined(other.value.ino)
  })

/** Creates a directory and its parents. Node's own recursive call never returns for paths such as `/proc/x`. */
export const makeDirectory = (
  directory: string
): Effect.Effect<
  void,
  Effect.Effect.Error<ReturnType<FileSystem.FileSystem["makeDirectory"]>>,
  FileSystem.FileSystem | Path.Path
> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    if (yield* fileSystem.exists(directory)) return
    const above = path.dirname(directory)
    if (above !== directory) yield* makeDirectory(above)
    yield* Effect.catchIf(
      fileSystem.makeDirectory(directory),
      (error) => error._tag === "SystemError" && error.reason === "AlreadyExists",
      () => Effect.void
    )
  })

/** Where to write. A pipe or a device cannot be replaced by another file, so it has no temporary file. */
const prepare = (file: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* makeDirectory(path.dirname(file))
    const target = yield* follow(file)
    const isThere = yield* fileSystem.exists(target)
    if (isThere) yield* fileSystem.access(target, { writable: true })
    const type = isThere ? (yield* fileSystem.stat(target)).type : "File"
    if (type !== "File" && type !== "Directory") return { target, temporary: undefined }
    const temporary = yield* fileSystem.makeTempFileScoped({
      directory: path.dirname(target),
      prefix: ".effect-opencode-"
    })
    // Fails if a directory has this name.
    if (type === "Directory") yield* fileSystem.rename(temporary, target)
    return { target, temporary }
  })

/** Fails if a file cannot be written. Its content stays; missing directories are created. */
export const check = (file: string) => Effect.scoped(Effect.asVoid(prepare(file)))

/** Writes a file atomically: readers never see a part of it. */
export const write = (file: string, text: string) =>
  Effect.scoped(Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const { target, temporary } = yield* prepare(file)
    yield* fileSystem.writeFileString(temporary ?? target, text)
    if (temporary !== undefined) yield* fileSystem.rename(temporary, target)
  }))
