import * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

const error = (reason: PlatformError.SystemErrorReason, method: string, path: string) =>
  new PlatformError.SystemError({ reason, module: "FileSystem", method, pathOrDescriptor: path })

/** In-memory files without delay, so that only the test clock decides what happens when. */
export const layer: Layer.Layer<FileSystem.FileSystem> = Layer.sync(FileSystem.FileSystem, () => {
  const files = new Map<string, string>()
  const decoder = new TextDecoder()
  return FileSystem.makeNoop({
    makeDirectory: () => Effect.void,
    readDirectory: (directory) =>
      Effect.sync(() =>
        [...files.keys()].filter((path) => path.startsWith(`${directory}/`)).map((path) =>
          path.slice(directory.length + 1)
        )
      ),
    readFileString: (path) =>
      Effect.suspend(() => {
        const text = files.get(path)
        return text === undefined ? Effect.fail(error("NotFound", "readFileString", path)) : Effect.succeed(text)
      }),
    open: (path) =>
      Effect.suspend(() => {
        if (files.has(path)) return Effect.fail(error("AlreadyExists", "open", path))
        files.set(path, "")
        const file: FileSystem.File = {
          [FileSystem.FileTypeId]: FileSystem.FileTypeId,
          fd: FileSystem.FileDescriptor(0),
          stat: Effect.die("stat"),
          seek: () => Effect.void,
          sync: Effect.void,
          read: () => Effect.succeed(FileSystem.Size(0)),
          readAlloc: () => Effect.succeed(Option.none()),
          truncate: () => Effect.void,
          write: (bytes) => Effect.succeed(FileSystem.Size(bytes.length)),
          writeAll: (bytes) =>
            Effect.sync(() => {
              files.set(path, files.get(path) + decoder.decode(bytes))
            })
        }
        return Effect.succeed(file)
      })
  })
})
