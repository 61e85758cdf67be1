/**
 * Where a run keeps its data. OpenCode processes that share a fresh data directory can crash each other's start
 * (1.15.13 to 1.18.33), so by default every run has a directory of its own, which goes with the run.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as directories from "./internal/launch/directories.js"

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
 * The user's home directory, from `HOME` or `USERPROFILE`. Without them it is unknown, although OpenCode finds it in the
 * system's list of users then: stored logins are not linked.
 *
 * @since 0.1.0
 * @category getters
 */
export const home: Effect.Effect<string | undefined> = directories.home
