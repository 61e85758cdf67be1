/**
 * Where a run keeps its data. OpenCode processes that share a fresh data directory can crash each other's start
 * (1.15.13 to 1.18.33), so by default every run has a directory of its own, which goes with the run.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { variable } from "./internal/variable.js"
import { OpenCodeConfigError } from "./OpenCodeError.js"

/**
 * - `"run"`: a private data directory for each attempt, removed on every way out. Stored credentials (`auth.json`) are
 *   linked into it. Sessions cannot be continued.
 * - `"none"`: OpenCode's own data directory, shared with everything else.
 * - `{ directory }`: a data directory of yours, made if needed and kept, with the stored credentials linked into it.
 *
 * The temporary directory is private in every mode: each OpenCode start unpacks a library of 5.6 MB there and leaves
 * it behind (1.18.33).
 *
 * @since 0.1.0
 * @category models
 */
export type Isolation = "run" | "none" | { readonly directory: string }

/**
 * @since 0.1.0
 * @category models
 */
export interface Isolated {
  /** A temporary directory that goes with the scope; the private ones are in it. */
  readonly directory: string
  /** The variables that point at the temporary directory. */
  readonly temporary: { readonly [name: string]: string }
  /** The variables that point at the data directory; none where it is OpenCode's own. */
  readonly data: { readonly [name: string]: string }
}

/**
 * The user's home directory, from `HOME` or `USERPROFILE`.
 *
 * @since 0.1.0
 * @category getters
 */
export const home: Effect.Effect<string | undefined> = Effect.flatMap(
  variable("HOME"),
  (home) => home === undefined ? variable("USERPROFILE") : Effect.succeed(home)
)

/** OpenCode keeps its data in the XDG directory on every platform (1.18.33). */
const dataHome = (
  path: Path.Path,
  env: { readonly [name: string]: string }
): Effect.Effect<string | undefined> =>
  Effect.gen(function*() {
    const xdg = env["XDG_DATA_HOME"] ?? (yield* variable("XDG_DATA_HOME"))
    if (xdg !== undefined) return xdg
    const user = env["HOME"] ?? (yield* home)
    return user === undefined ? undefined : path.join(user, ".local", "share")
  })

/**
 * A temporary directory that goes with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const temporaryDirectory: Effect.Effect<string, OpenCodeConfigError, Scope.Scope | FileSystem.FileSystem> =
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const scope = yield* Effect.scope
    return yield* fileSystem.makeTempDirectory({ prefix: "effect-opencode-" }).pipe(
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
          // A file that appears while the directory is being removed fails the first try.
          fileSystem.remove(directory, { recursive: true, force: true }).pipe(
            Effect.retry({ times: 2 }),
            Effect.ignoreLogged
          )
        )
      ),
      Effect.uninterruptible
    )
  })

/**
 * Prepares the directories of one attempt and gives the variables that point OpenCode at them. `env` are the
 * variables that the caller sets for the child: they say where the stored credentials are.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  isolation: Isolation,
  env: { readonly [name: string]: string }
): Effect.Effect<Isolated, OpenCodeConfigError, Scope.Scope | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = yield* temporaryDirectory
    const temporary = path.join(directory, "tmp")
    yield* fileSystem.makeDirectory(temporary)
    const temporaryEnv = { TMPDIR: temporary, TMP: temporary, TEMP: temporary }
    if (isolation === "none") return { directory, temporary: temporaryEnv, data: {} }

    const isFresh = isolation === "run"
    const data = isFresh ? path.join(directory, "data") : path.resolve(isolation.directory)
    const own = path.join(data, "opencode")
    const credentials = path.join(own, "auth.json")
    const source = yield* dataHome(path, env)
    const stored = source === undefined || path.resolve(source) === data
      ? undefined
      : path.join(source, "opencode", "auth.json")
    const wanted = stored !== undefined && (yield* fileSystem.exists(stored)) &&
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
      temporary: temporaryEnv,
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
