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
import { makeDirectories } from "../util/makeDirectories.js"
import { removeTree } from "../util/removeTree.js"
import * as systemError from "../util/systemError.js"
import * as logins from "./logins.js"

/** The directories of one attempt, as environment variables for OpenCode. */
export interface Isolated {
  /** The temporary directory, removed when the scope closes; it contains the private data directory. */
  readonly directory: string
  /** The variables that point at the temporary directory. */
  readonly temporary: { readonly [name: string]: string }
  /** The variable for the directory where OpenCode unpacks its library, if that is not the temporary directory. */
  readonly unpacked: { readonly [name: string]: string }
  /** The variables that point at the data directory; empty if it is OpenCode's own. */
  readonly data: { readonly [name: string]: string }
}

interface Services {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
  readonly leash: Leash
  /** Set if an agent must not change more than what it is given. */
  readonly sandboxing?: unknown
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
    // OpenCode treats an empty value as unset.
    if (xdg !== undefined && xdg !== "") return xdg
    const user = env["HOME"] ?? (yield* home)
    return user === undefined || user === "" ? undefined : path.join(user, ".local", "share")
  })

/** Removes a directory recursively. Logs a warning if that fails. */
export const remove = (fileSystem: FileSystem.FileSystem, directory: string): Effect.Effect<void> =>
  Effect.catchAll(
    removeTree(fileSystem, directory),
    (error) =>
      Effect.logWarning(`A temporary directory could not be removed (${systemError.describe(error)}): ${directory}`)
  )

/** Creates a temporary directory that is removed when the scope closes. */
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
        // `Effect.acquireRelease` would lose an interruption that arrives while the directory is being removed (Effect
        // 3.22: it restores the fiber's earlier references), and the run would continue with another attempt.
        Effect.tap((directory) => Scope.addFinalizer(scope, remove(fileSystem, directory))),
        Effect.uninterruptible
      )
  )

/** Creates a directory in the system's temporary directory, removed when the scope closes. */
export const temporary = (
  services: Pick<Services, "fileSystem" | "leash">
): Effect.Effect<string, OpenCodeConfigError, Scope.Scope> =>
  Effect.mapError(made(services), (error) =>
    new OpenCodeConfigError({
      path: "isolation",
      reason: `cannot create a temporary directory (${systemError.describe(error)})`
    }))

/**
 * The private data directory in a temporary one. Its name starts with a dot, so that `rm -rf "$TMPDIR"/*` by the agent
 * spares it.
 */
export const dataIn = (path: Path.Path, directory: string): string => path.join(directory, ".data")

/**
 * Chooses where OpenCode unpacks its 5.6 MB library, which it leaves behind (1.18.33): below `BUN_TMPDIR`, meant for
 * machines whose temporary directory is small or not executable, else below `TMPDIR`. A directory named by the caller
 * or the machine is shared, so a private one is created in it.
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
 * Prepares the directories of a process that works in `cwd`. `env` holds the caller's variables for it, which locate
 * the stored credentials.
 */
export const make = (
  services: Services,
  isolation: Isolation,
  env: { readonly [name: string]: string },
  cwd: string
): Effect.Effect<Isolated, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const { path } = services
    const directory = yield* temporary(services)
    const shared = {
      directory,
      temporary: { TMPDIR: directory, TMP: directory, TEMP: directory },
      unpacked: yield* unpacked(services, env, cwd, directory)
    }
    if (isolation === "none") return { ...shared, data: {} }

    const data = isolation === "run" ? dataIn(path, directory) : path.resolve(isolation.directory)
    const own = path.join(data, "opencode")
    // OpenCode would create a missing directory. We create a kept one first, so that a failure is our error.
    if (isolation !== "run") yield* makeDirectories(services, own)
    const named = yield* dataHome(path, env)
    const source = named === undefined ? undefined : path.resolve(cwd, named)
    if (source !== undefined && source !== data) {
      yield* logins.link(
        services,
        path.join(source, "opencode"),
        own,
        services.sandboxing === undefined ? undefined : logins.renewed
      )
    }
    const database = env[variableNames.database] ?? (yield* variable(variableNames.database))
    return {
      ...shared,
      data: {
        [variableNames.dataHome]: data,
        // It names the database itself, so all isolated runs would share it.
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
