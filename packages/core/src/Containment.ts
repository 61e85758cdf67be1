/**
 * What a machine has to hold the processes of a run together, so that nothing of it outlives it.
 *
 * @since 0.1.0
 */
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as limitMark from "./internal/process/limitMark.js"
import * as namespaces from "./internal/process/namespace.js"

/**
 * What this user can do on this machine.
 *
 * @since 0.1.0
 * @category models
 */
export interface Machine {
  /**
   * Whether runs can have process namespaces (`containment: "namespace"`): `"privileged"`, `"user"` if each takes a user
   * namespace as well, or the reason why not.
   */
  readonly namespace: "privileged" | "user" | { readonly refused: string }
  /**
   * The limit by which processes with an empty environment are found: `"used"`, `"taken"` by the run that this program is
   * a part of, at whose end they are found, or `"none"`, because the system has no `/proc`.
   */
  readonly limit: "used" | "taken" | "none"
}

/**
 * Finds out what this user can do on this machine, by making a namespace.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Containment, OpenCode } from "effect-opencode"
 * import { Effect, Layer } from "effect"
 *
 * export const OpenCodeLive = Layer.unwrapEffect(Effect.map(
 *   Containment.look,
 *   ({ namespace }) => OpenCode.layer({ containment: typeof namespace === "string" ? "namespace" : undefined })
 * )).pipe(Layer.provide(NodeContext.layer))
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const look: Effect.Effect<Machine, never, CommandExecutor.CommandExecutor | FileSystem.FileSystem> = Effect.gen(
  function*() {
    const executor = yield* CommandExecutor.CommandExecutor
    const fileSystem = yield* FileSystem.FileSystem
    const found = yield* Effect.either(namespaces.find({ executor }))
    const limit = yield* limitMark.read({ fileSystem }, "self")
    return {
      namespace: Either.match(found, {
        onLeft: (refused): Machine["namespace"] => ({ refused }),
        onRight: ({ user }) => user ? "user" : "privileged"
      }),
      limit: limit === undefined ? "none" : limit === "unlimited" ? "used" : "taken"
    }
  }
)
