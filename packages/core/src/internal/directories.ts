import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Isolated, Isolation } from "../Isolation.js"
import { OpenCodeConfigError } from "../OpenCodeError.js"
import { variable } from "./variable.js"

interface Services {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
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
    const xdg = env["XDG_DATA_HOME"] ?? (yield* variable("XDG_DATA_HOME"))
    if (xdg !== undefined) return xdg
    const user = env["HOME"] ?? (yield* home)
    return user === undefined ? undefined : path.join(user, ".local", "share")
  })

/** A temporary directory that goes with the scope. */
export const temporary = (
  fileSystem: FileSystem.FileSystem
): Effect.Effect<string, OpenCodeConfigError, Scope.Scope> => {
  const removed = (directory: string) => fileSystem.remove(directory, { recursive: true, force: true })
  return Effect.flatMap(Effect.scope, (scope) =>
    fileSystem.makeTempDirectory({ prefix: "effect-opencode-" }).pipe(
      Effect.mapError((error) =>
        new OpenCodeConfigError({
          path: "isolation",
          reason: `no temporary directory can be made (${error._tag === "SystemError" ? error.reason : error._tag})`
        })
      ),
      // `Effect.acquireRelease` would forget an interruption that comes while the directory is being removed (Effect
      // 3.22: it puts the fiber's references back as they were before), and the run would go on with another attempt.
      Effect.tap((directory) =>
        Scope.addFinalizer(
          scope,
          removed(directory).pipe(
            // A file that appears while the directory is being removed fails the first try.
            Effect.orElse(() => Effect.retry(removed(directory), { times: 1 })),
            Effect.ignoreLogged
          )
        )
      ),
      Effect.uninterruptible
    ))
}

/**
 * The private data directory in a temporary one. Hidden from an agent that empties its temporary directory with
 * `rm -rf "$TMPDIR"/*`.
 */
export const dataIn = (path: Path.Path, directory: string): string => path.join(directory, ".data")

/**
 * Whether a file is there. By the names in its directory first: to ask for one that is not there costs an error, and most
 * machines have no stored credentials.
 */
const exists = ({ fileSystem, path }: Services, file: string): Effect.Effect<boolean, PlatformError> =>
  fileSystem.readDirectory(path.dirname(file)).pipe(
    Effect.map((names) => names.includes(path.basename(file))),
    // One that cannot be listed can hold it all the same.
    Effect.catchAll((error) => Effect.succeed(error._tag !== "SystemError" || error.reason !== "NotFound")),
    Effect.flatMap((isNamed) => isNamed ? fileSystem.exists(file) : Effect.succeed(false))
  )

export const make = (
  services: Services,
  isolation: Isolation,
  env: { readonly [name: string]: string }
): Effect.Effect<Isolated, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const { fileSystem, path } = services
    const directory = yield* temporary(fileSystem)
    const variables = { TMPDIR: directory, TMP: directory, TEMP: directory }
    if (isolation === "none") return { directory, temporary: variables, data: {} }

    const isFresh = isolation === "run"
    const data = isFresh ? dataIn(path, directory) : path.resolve(isolation.directory)
    const own = path.join(data, "opencode")
    const credentials = path.join(own, "auth.json")
    const source = yield* dataHome(path, env)
    const stored = source === undefined || path.resolve(source) === data
      ? undefined
      : path.join(source, "opencode", "auth.json")
    const wanted = stored !== undefined && (yield* exists(services, stored)) &&
      (isFresh || !(yield* fileSystem.exists(credentials)))
    // OpenCode makes a directory that is missing. One that is kept is tried here, so that the error is ours.
    if (wanted || !isFresh) yield* fileSystem.makeDirectory(own, { recursive: true })
    if (wanted) {
      // A link, so that a refreshed token is kept; a copy where links are not allowed.
      yield* fileSystem.symlink(stored, credentials).pipe(
        Effect.orElse(() => fileSystem.copyFile(stored, credentials))
      )
    }
    const database = env["OPENCODE_DB"] ?? (yield* variable("OPENCODE_DB"))
    return {
      directory,
      temporary: variables,
      data: {
        XDG_DATA_HOME: data,
        // It names the database alone, and would lead every isolated run to the same one.
        ...(database === undefined ? {} : { OPENCODE_DB: path.join(data, "opencode", "opencode.db") })
      }
    }
  }).pipe(
    Effect.catchAll((error) =>
      error._tag === "OpenCodeConfigError" ? error : new OpenCodeConfigError({
        path: "isolation",
        reason: `the run's directories could not be prepared (${
          error._tag === "SystemError" ? `${error.reason} in ${error.method}` : error._tag
        })`
      })
    ),
    Effect.withSpan("OpenCode.isolation", { captureStackTrace: false })
  )
