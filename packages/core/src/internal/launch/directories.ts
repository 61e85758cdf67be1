import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { variable } from "../../HostEnvironment.js"
import type { Isolation } from "../../Isolation.js"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import { variableNames } from "../opencode/variables.js"
import type { Leash } from "../process/leash.js"
import * as systemError from "../util/systemError.js"
import * as logins from "./logins.js"

/** The directories of one attempt, as the variables that point OpenCode at them. */
export interface Isolated {
  /** The temporary directory, which goes with the scope; a private data directory is in it. */
  readonly directory: string
  /** The variables that point at the temporary directory. */
  readonly temporary: { readonly [name: string]: string }
  /** The variable that says where OpenCode's start unpacks its library, if the temporary directory is not the place. */
  readonly unpacked: { readonly [name: string]: string }
  /** The variables that point at the data directory; none where it is OpenCode's own. */
  readonly data: { readonly [name: string]: string }
}

interface Services {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
  readonly leash: Leash
}

export const home: Effect.Effect<string | undefined> = Effect.flatMap(
  variable("HOME"),
  (home) => home === undefined ? variable("USERPROFILE") : Effect.succeed(home)
)

/** OpenCode keeps its data in the XDG directory on every platform (1.18.33). */
export const dataHome = (
  path: Path.Path,
  env: { readonly [name: string]: string }
): Effect.Effect<string | undefined> =>
  Effect.gen(function*() {
    const xdg = env[variableNames.dataHome] ?? (yield* variable(variableNames.dataHome))
    // An empty one is none to OpenCode.
    if (xdg !== undefined && xdg !== "") return xdg
    const user = env["HOME"] ?? (yield* home)
    return user === undefined || user === "" ? undefined : path.join(user, ".local", "share")
  })

/** Makes the directories of a tree writable that are not; links in it are not followed. */
const unlock = (fileSystem: FileSystem.FileSystem, directory: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (yield* Effect.isSuccess(fileSystem.readLink(directory))) return
    const { mode, type } = yield* fileSystem.stat(directory)
    if (type !== "Directory") return
    if ((mode & 0o700) !== 0o700) yield* fileSystem.chmod(directory, (mode & 0o777) | 0o700)
    const names = yield* fileSystem.readDirectory(directory)
    yield* Effect.forEach(names, (name) => unlock(fileSystem, `${directory}/${name}`), { discard: true })
  }).pipe(Effect.ignore)

/**
 * Removes a directory with all that is in it, trees that their maker has closed to itself, too (Go's module cache). What
 * cannot be removed is said.
 */
export const remove = (fileSystem: FileSystem.FileSystem, directory: string): Effect.Effect<void> => {
  const removed = fileSystem.remove(directory, { recursive: true, force: true })
  return removed.pipe(
    // A file that appears while the directory is being removed fails the first try.
    Effect.orElse(() => Effect.retry(Effect.andThen(unlock(fileSystem, directory), removed), { times: 1 })),
    Effect.catchAll((error) =>
      Effect.logWarning(`A temporary directory could not be removed (${systemError.describe(error)}): ${directory}`)
    )
  )
}

/** A temporary directory that goes with the scope. */
const made = (
  { fileSystem, leash }: Pick<Services, "fileSystem" | "leash">,
  parent?: string
): Effect.Effect<string, PlatformError, Scope.Scope> =>
  Effect.flatMap(
    Effect.tap(Effect.scope, () => leash.fasten),
    (scope) =>
      fileSystem.makeTempDirectory({
        prefix: leash.prefix,
        ...(parent === undefined ? {} : { directory: parent })
      }).pipe(
        // `Effect.acquireRelease` would forget an interruption that comes while the directory is being removed (Effect
        // 3.22: it puts the fiber's references back as they were before), and the run would go on with another attempt.
        Effect.tap((directory) => Scope.addFinalizer(scope, remove(fileSystem, directory))),
        Effect.uninterruptible
      )
  )

/** A temporary directory that goes with the scope, where the system has them. */
export const temporary = (
  services: Pick<Services, "fileSystem" | "leash">
): Effect.Effect<string, OpenCodeConfigError, Scope.Scope> =>
  Effect.mapError(made(services), (error) =>
    new OpenCodeConfigError({
      path: "isolation",
      reason: `no temporary directory can be made (${systemError.describe(error)})`
    }))

/**
 * The private data directory in a temporary one. Hidden from an agent that empties its temporary directory with
 * `rm -rf "$TMPDIR"/*`.
 */
export const dataIn = (path: Path.Path, directory: string): string => path.join(directory, ".data")

/**
 * Where a start unpacks its library of 5.6 MB, which it leaves behind (1.18.33): in the directory of `BUN_TMPDIR`, which is
 * for machines whose temporary one is small or may not hold programs, else in that of `TMPDIR`. One that the caller or the
 * machine names is not private, so a private one is made in it.
 */
const unpacked = (
  services: Services,
  env: { readonly [name: string]: string },
  cwd: string,
  directory: string
): Effect.Effect<{ readonly [name: string]: string }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const named = env[variableNames.bunTemporary] ?? (yield* variable(variableNames.bunTemporary))
    const place = named === undefined || named === "" ? env["TMPDIR"] : named
    if (place === undefined || place === "") return {}
    const parent = services.path.resolve(cwd, place)
    yield* services.leash.watch(parent)
    return { [variableNames.bunTemporary]: yield* Effect.orElseSucceed(made(services, parent), () => directory) }
  })

/**
 * The directories of a process that works in `cwd`. `env` are the variables that the caller sets for it: they say where
 * the stored credentials are.
 */
export const make = (
  services: Services,
  isolation: Isolation,
  env: { readonly [name: string]: string },
  cwd: string
): Effect.Effect<Isolated, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const { fileSystem, path } = services
    const directory = yield* temporary(services)
    const shared = {
      directory,
      temporary: { TMPDIR: directory, TMP: directory, TEMP: directory },
      unpacked: yield* unpacked(services, env, cwd, directory)
    }
    if (isolation === "none") return { ...shared, data: {} }

    const data = isolation === "run" ? dataIn(path, directory) : path.resolve(isolation.directory)
    const own = path.join(data, "opencode")
    // OpenCode makes a directory that is missing. One that is kept is tried here, so that the error is ours.
    if (isolation !== "run") yield* fileSystem.makeDirectory(own, { recursive: true })
    const named = yield* dataHome(path, env)
    const source = named === undefined ? undefined : path.resolve(cwd, named)
    if (source !== undefined && source !== data) yield* logins.link(services, path.join(source, "opencode"), own)
    const database = env[variableNames.database] ?? (yield* variable(variableNames.database))
    return {
      ...shared,
      data: {
        [variableNames.dataHome]: data,
        // It names the database alone, and would lead every isolated run to the same one.
        ...(database === undefined ? {} : { [variableNames.database]: path.join(own, "opencode.db") })
      }
    }
  }).pipe(
    Effect.catchAll((error) =>
      error._tag === "OpenCodeConfigError" ? error : new OpenCodeConfigError({
        path: "isolation",
        reason: `the run's directories could not be prepared (${
          error._tag === "SystemError" ? `${error.method}: ` : ""
        }${systemError.describe(error)})`
      })
    ),
    Effect.withSpan("OpenCode.isolation", { captureStackTrace: false })
  )
