/**
 * Where a run keeps its data. OpenCode processes that share a fresh data directory can crash each other at start-up
 * (1.15.13 to 1.18.33), so by default every run has its own directory, which is removed when the run ends.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as directories from "./internal/launch/directories.js"

/**
 * - `"run"`: a private data directory for each attempt, in its temporary directory and removed however the attempt
 *   ends. Stored logins are linked into it: `auth.json`, `mcp-auth.json`, and similarly named files of plugins.
 *   Sessions cannot be continued.
 * - `"none"`: OpenCode's own data directory, shared with everything else. Refused with OpenCode 2, which would ruin a
 *   database of OpenCode 1 there.
 * - `{ directory }`: your own data directory, created if needed and kept, with the stored logins linked into it; `~` is
 *   the home directory.
 *
 * The temporary directory is private in every mode: each OpenCode start unpacks a library of 5.6 MB there and leaves it
 * behind (1.18.33). With `BUN_TMPDIR` it is created in that directory. A directory that cannot be removed is logged as
 * a warning.
 *
 * OpenCode 2 reads no stored logins in a data directory of its own (2.0.14).
 *
 * Logins to OpenCode's own console are rows of the database (`account`, 1.18.33), and only `"none"` has them.
 *
 * @since 0.1.0
 * @category models
 */
export type Isolation = "run" | "none" | { readonly directory: string }

/**
 * The user's home directory, from `HOME` or `USERPROFILE`. Without them it is unknown and stored logins are not linked,
 * although OpenCode itself then looks it up in the system's user database.
 *
 * @since 0.1.0
 * @category getters
 */
export const home: Effect.Effect<string | undefined> = directories.home
