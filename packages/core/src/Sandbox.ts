/**
 * Keeps a run, its tools included, from writing outside of its working directory and from reading the credentials of
 * other programs. Linux with bubblewrap; `docs/sandbox.md` has a table of what it holds against and what not.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Layer } from "effect"
 *
 * export const OpenCodeLive = OpenCode.layer({
 *   sandbox: { write: ["~/.cache/go-build"], network: { allow: ["api.github.com"] } }
 * }).pipe(Layer.provide(NodeContext.layer))
 * ```
 *
 * @since 0.1.0
 */
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as hiddenPaths from "./internal/launch/hiddenPaths.js"
import * as sandboxTools from "./internal/launch/sandboxTools.js"

/**
 * What a run can reach:
 *
 * - `"all"`: everything that the machine reaches.
 * - `"none"`: the provider of the model and the MCP servers with an address, as far as `configOverrides` and `mcp` name
 *   them or the provider is well known. A run whose provider is unknown is refused.
 * - `{ allow }`: these hosts, too, as `host` (port 443) or `host:port`. A name stands for itself, not for what is below
 *   it.
 *
 * @since 0.1.0
 * @category models
 */
export type Network = "none" | "all" | { readonly allow: ReadonlyArray<string> }

/**
 * What a run can reach of the machine. Paths begin at the root, at the working directory of the program, or with `~`.
 * Symbolic links are followed when the run starts. The deepest path decides: a hidden directory in a writable one is
 * hidden, a writable directory in a hidden one is writable.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sandbox {
  /** Writable files and directories besides the working directory. They must exist. */
  readonly write?: ReadonlyArray<string> | undefined
  /**
   * Files and directories that are visible, read-only, although a directory around them is hidden (like `/tmp`), or
   * although they are in `Sandbox.hidden`. They must exist.
   */
  readonly read?: ReadonlyArray<string> | undefined
  /** Files and directories that cannot be read, besides `Sandbox.hidden`. One that does not exist is ignored. */
  readonly hide?: ReadonlyArray<string> | undefined
  /** Default: `"all"`. */
  readonly network?: Network | undefined
}

/**
 * The credentials of other programs that a run cannot read. Directories are empty in it, files as well. Further ones are
 * hidden if a variable names them (`KUBECONFIG`, `SSH_AUTH_SOCK`, `DOCKER_HOST`, …), and `/run`, `/tmp` and `/var/tmp`
 * are empty, because other programs have their sockets there.
 *
 * @since 0.1.0
 * @category constants
 */
export const hidden: ReadonlyArray<string> = hiddenPaths.all

/**
 * Why this machine cannot do something.
 *
 * @since 0.1.0
 * @category models
 */
export interface Support {
  /** Why there are no sandboxes; `undefined` if there are. */
  readonly missing: string | undefined
  /** Why a sandbox cannot have a `network` other than `"all"`; `undefined` if it can. */
  readonly missingForNetwork: string | undefined
}

/**
 * Tries what this machine can do, by starting a program in a sandbox.
 *
 * @since 0.1.0
 * @category getters
 */
export const support: Effect.Effect<
  Support,
  never,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
> = Effect.gen(function*() {
  const services = {
    executor: yield* CommandExecutor.CommandExecutor,
    fileSystem: yield* FileSystem.FileSystem,
    path: yield* Path.Path
  }
  const reason = (network: boolean) =>
    Effect.match(sandboxTools.find(services, network), {
      onFailure: (reason) => reason,
      onSuccess: () => undefined
    })
  return { missing: yield* reason(false), missingForNetwork: yield* reason(true) }
})
