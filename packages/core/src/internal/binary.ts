import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { OpenCodeBinaryNotFoundError } from "../OpenCodeError.js"
import * as directories from "./directories.js"

type State = "executable" | "not-executable" | "missing"

const stateOf = (fileSystem: FileSystem.FileSystem, file: string): Effect.Effect<State> =>
  fileSystem.stat(file).pipe(
    Effect.flatMap((info) => {
      if (info.type !== "File") return Effect.succeed<State>("not-executable")
      // Any of the three execute bits; Windows has none and decides by the file's ending.
      return Effect.succeed<State>((info.mode & 0o111) !== 0 ? "executable" : "not-executable")
    }),
    Effect.orElseSucceed((): State => "missing")
  )

/** `~` and `~/…` stand for the home directory. */
export const expand = (file: string): Effect.Effect<string, never, Path.Path> =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    if (file !== "~" && !/^~[/\\]/.test(file)) return file
    const home = yield* directories.home
    return home === undefined ? file : path.join(home, file.slice(1))
  })

const ancestors = (path: Path.Path, from: string): ReadonlyArray<string> => {
  const parent = path.dirname(from)
  return parent === from ? [from] : [from, ...ancestors(path, parent)]
}

/** Where `npm install opencode-ai` puts the binary: it has this name on every platform (1.18.33). */
const installed = ["node_modules", "opencode-ai", "bin", "opencode.exe"]

const pathDirectories: Effect.Effect<ReadonlyArray<string>, never, Path.Path> = Effect.gen(function*() {
  const path = yield* Path.Path
  const value = yield* Config.string("PATH").pipe(Effect.option)
  return Option.match(value, {
    onNone: () => [],
    onSome: (text) => text.split(path.sep === "\\" ? ";" : ":").filter((directory) => directory !== "")
  })
})

/**
 * Finds the binary. One that is asked for is taken as a file if there is such a file, else looked up on `PATH`. Without
 * one: `OPENCODE_BINARY`, an `opencode-ai` installed in the working directory or above it, then `opencode` on `PATH`.
 */
export const resolve = (
  asked: string | undefined
): Effect.Effect<string, OpenCodeBinaryNotFoundError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const fromEnv = yield* Config.string("OPENCODE_BINARY").pipe(Effect.option)
    const named = asked ?? Option.getOrUndefined(Option.filter(fromEnv, (value) => value !== ""))
    const binary = named ?? "opencode"
    const windows = path.sep === "\\"
    const names = windows && path.extname(binary) === "" ? [`${binary}.exe`, `${binary}.cmd`, binary] : [binary]

    const direct = named === undefined
      ? ancestors(path, path.resolve(".")).map((directory) => path.join(directory, ...installed))
      : [path.resolve(yield* expand(named))]
    const isPath = binary.includes("/") || binary.includes(path.sep)
    const looked = isPath && named !== undefined ? [] : yield* pathDirectories
    const candidates = [...direct, ...looked.flatMap((directory) => names.map((name) => path.join(directory, name)))]

    let blocked: string | undefined
    for (const candidate of candidates) {
      const state = yield* stateOf(fileSystem, candidate)
      if (state === "executable" || (windows && state !== "missing")) return candidate
      if (state === "not-executable" && (yield* isFile(fileSystem, candidate))) blocked ??= candidate
    }
    return yield* new OpenCodeBinaryNotFoundError(
      blocked === undefined
        ? { binary, reason: "not-found", searched: [...direct, ...looked] }
        : { binary: blocked, reason: "not-executable", searched: [...direct, ...looked] }
    )
  })

const isFile = (fileSystem: FileSystem.FileSystem, file: string): Effect.Effect<boolean> =>
  fileSystem.stat(file).pipe(Effect.map((info) => info.type === "File"), Effect.orElseSucceed(() => false))
