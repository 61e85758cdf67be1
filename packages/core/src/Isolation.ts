/**
 * Where a run keeps its data. OpenCode processes that share a fresh data directory can crash each other's start
 * (1.15.13 to 1.18.33), so by default every run has a directory of its own, which goes with the run.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as directories from "./internal/launch/directories.js"
import * as leash from "./internal/process/leash.js"
import type { OpenCodeConfigError } from "./OpenCodeError.js"

/**
 * - `"run"`: a private data directory for each attempt, in its temporary directory and removed on every way out. Stored
 *   logins are linked into it: `auth.json`, `mcp-auth.json`, and what plugins name alike. Sessions cannot be continued.
 * - `"none"`: OpenCode's own data directory, shared with everything else.
 * - `{ directory }`: a data directory of yours, made if needed and kept, with the stored logins linked into it; `~` is the
 *   home directory.
 *
 * The temporary directory is private in every mode: each OpenCode start unpacks a library of 5.6 MB there and leaves
 * it behind (1.18.33). With `BUN_TMPDIR` it is a private one in that directory. A directory that cannot be removed is a
 * warning in the log.
 *
 * Logins to OpenCode's own console are rows of the database (`account`, 1.18.33), and only `"none"` has them.
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
  /** The temporary directory, which goes with the scope; a private data directory is in it. */
  readonly directory: string
  /** The variables that point at the temporary directory. */
  readonly temporary: { readonly [name: string]: string }
  /** The variable that says where OpenCode's start unpacks its library, if the temporary directory is not the place. */
  readonly unpacked: { readonly [name: string]: string }
  /** The variables that point at the data directory; none where it is OpenCode's own. */
  readonly data: { readonly [name: string]: string }
}

/** For directories of a program's own. */
const untied = leash.none(Effect.succeed(undefined))

/**
 * The user's home directory, from `HOME` or `USERPROFILE`. Without them it is unknown, although OpenCode finds it in the
 * system's list of users then: stored logins are not linked.
 *
 * @since 0.1.0
 * @category getters
 */
export const home: Effect.Effect<string | undefined> = directories.home

/**
 * A temporary directory that goes with the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const temporaryDirectory: Effect.Effect<string, OpenCodeConfigError, Scope.Scope | FileSystem.FileSystem> =
  Effect.flatMap(
    FileSystem.FileSystem,
    (fileSystem) => directories.temporary({ fileSystem, leash: untied })
  )

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
  Effect.flatMap(
    Effect.zip(FileSystem.FileSystem, Path.Path),
    ([fileSystem, path]) => directories.make({ fileSystem, path, leash: untied }, isolation, env, path.resolve("."))
  )
