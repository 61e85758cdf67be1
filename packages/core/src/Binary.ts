/**
 * Where the `opencode` binary is.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Effect from "effect/Effect"
import * as binary from "./internal/binary.js"
import type { OpenCodeBinaryNotFoundError } from "./OpenCodeError.js"

/**
 * Finds the binary as the layer does: one that is asked for is taken as a file if there is such a file, else looked up on
 * `PATH`. Without one: `OPENCODE_BINARY`, an `opencode-ai` in the `node_modules` of the working directory or above it,
 * then `opencode` on `PATH`.
 *
 * @example
 * ```ts
 * import { Binary } from "effect-opencode"
 * import { Console, Effect } from "effect"
 *
 * export const program = Effect.flatMap(Binary.resolve(), (file) => Console.log(file))
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const resolve = (
  asked?: string
): Effect.Effect<string, OpenCodeBinaryNotFoundError, FileSystem.FileSystem | Path.Path> => binary.resolve(asked)
