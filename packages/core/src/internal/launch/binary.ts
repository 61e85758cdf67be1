import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as HostEnvironment from "../../HostEnvironment.js"
import { OpenCodeBinaryNotFoundError } from "../../OpenCodeError.js"
import { variableNames } from "../opencode/variables.js"
import * as expandHome from "./expandHome.js"

type State = "executable" | "not-executable" | "missing"

const stateOf = (fileSystem: FileSystem.FileSystem, file: string): Effect.Effect<State> =>
  fileSystem.stat(file).pipe(
    Effect.flatMap((info) => {
      if (info.type !== "File") return Effect.succeed<State>("not-executable")
      // Any of the three execute bits counts; Windows has none and decides by the file extension.
      return Effect.succeed<State>((info.mode & 0o111) !== 0 ? "executable" : "not-executable")
    }),
    Effect.orElseSucceed((): State => "missing")
  )

const ancestors = (path: Path.Path, from: string): ReadonlyArray<string> => {
  const parent = path.dirname(from)
  return parent === from ? [from] : [from, ...ancestors(path, parent)]
}

/**
 * Where `npm install opencode-ai` (1.18.33) and `npm install @opencode/cli` (2.x) put the binary: it has this name on
 * every platform.
 */
const installed = [
  ["node_modules", "opencode-ai", "bin", "opencode.exe"],
  ["node_modules", "@opencode", "cli", "bin", "opencode.exe"]
]

/**
 * The absolute directories of `PATH`. Relative and empty entries resolve to the working directory, where a project
 * could place a program.
 */
const pathDirectories: Effect.Effect<ReadonlyArray<string>, never, Path.Path> = Effect.gen(function*() {
  const path = yield* Path.Path
  const { variables } = yield* HostEnvironment.facts
  return (variables["PATH"] ?? "").split(path.sep === "\\" ? ";" : ":").filter((directory) =>
    path.isAbsolute(directory)
  )
})

/**
 * Where the program's own packages are: from its main file upwards, as Node looks for them. Without a main file, from
 * the working directory upwards. Otherwise the working directory is not searched, because a project that the program
 * works on could place its own executable there.
 */
const packages: Effect.Effect<ReadonlyArray<string>, never, Path.Path> = Effect.gen(function*() {
  const path = yield* Path.Path
  const { mainFile } = yield* HostEnvironment.facts
  const from = mainFile === undefined ? path.resolve(".") : path.dirname(path.resolve(mainFile))
  return ancestors(path, from).flatMap((directory) => installed.map((place) => path.join(directory, ...place)))
})

const notFound = (binary: string, searched: ReadonlyArray<string>): OpenCodeBinaryNotFoundError =>
  new OpenCodeBinaryNotFoundError({ binary, reason: "not-found", searched })

/**
 * Finds the binary. A path names the file itself, a bare name is looked up on `PATH` only. Without one:
 * `OPENCODE_BINARY` in the same way, an `opencode-ai` or `@opencode/cli` that is installed with the program, then
 * `opencode` on `PATH`.
 */
export const resolve = (
  asked: string | undefined
): Effect.Effect<string, OpenCodeBinaryNotFoundError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const named = asked ?? (yield* HostEnvironment.variable(variableNames.binary))
    const binary = named ?? "opencode"
    const windows = path.sep === "\\"
    const names = windows && path.extname(binary) === "" ? [`${binary}.exe`, `${binary}.cmd`, binary] : [binary]
    // `C:name` is also a path.
    const isPath = named !== undefined &&
      (/^~|\//.test(named) || named.includes(path.sep) || (windows && /^.:/.test(named)))

    const direct = isPath
      ? [path.resolve(
        yield* Effect.mapError(expandHome.expand(path, "binary", named), ({ reason }) => notFound(named, [reason]))
      )]
      : named === undefined
      ? yield* packages
      : []
    const looked = isPath ? [] : yield* pathDirectories
    const candidates = [
      ...direct,
      ...looked.flatMap((directory) => names.map((name) => path.join(directory, name)))
    ]

    let blocked: string | undefined
    for (const candidate of candidates) {
      const state = yield* stateOf(fileSystem, candidate)
      if (state === "executable" || (windows && state !== "missing")) return candidate
      if (state === "not-executable" && (yield* isFile(fileSystem, candidate))) blocked ??= candidate
    }
    return yield* blocked === undefined
      ? notFound(binary, [...direct, ...looked])
      : new OpenCodeBinaryNotFoundError({ binary: blocked, reason: "not-executable", searched: [...direct, ...looked] })
  })

const isFile = (fileSystem: FileSystem.FileSystem, file: string): Effect.Effect<boolean> =>
  fileSystem.stat(file).pipe(Effect.map((info) => info.type === "File"), Effect.orElseSucceed(() => false))
