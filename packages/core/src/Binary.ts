/**
 * Finds the `opencode` binary.
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Effect from "effect/Effect"
import * as binary from "./internal/launch/binary.js"
import type { OpenCodeBinaryNotFoundError } from "./OpenCodeError.js"

/**
 * Finds the binary as the layer does: a path names the file itself, a bare name is looked up on `PATH` only. Without
 * one: `OPENCODE_BINARY` in the same way, an `opencode-ai` in the `node_modules` of the program (of the directory of
 * its main file, or above it), then `opencode` on `PATH`.
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
