/**
 * Working trees for jobs: a mirror of each repository per machine, and a tree per attempt. A repetition never sees what
 * an earlier attempt has left, and only the attempt whose verdict counts is published.
 *
 * @since 0.1.0
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { JobWorkspaceError } from "./AgentJob.js"
import * as workspaces from "./internal/workspaces.js"

/**
 * What an attempt has changed: nothing, a branch that was pushed, or a patch.
 *
 * @since 0.1.0
 * @category models
 */
export interface Change {
  readonly branch?: string | undefined
  readonly patch?: string | undefined
}

/**
 * An attempt that has pushed what it changed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pushed {
  readonly id: string
  readonly attempt: number
  readonly url: string
}

/**
 * The working tree of an attempt.
 *
 * @since 0.1.0
 * @category models
 */
export interface Opened {
  readonly directory: string
  /**
   * Commits everything that was changed, and pushes it unless `publish` is false: to a ref below `refs/opencode`, which
   * no clone fetches, until the attempt has won and `publish` makes it a branch.
   */
  readonly finish: (message: string) => Effect.Effect<Change, JobWorkspaceError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Makes the working tree of an attempt; it is removed with the scope. */
  readonly open: (attempt: {
    readonly id: string
    readonly attempt: number
    readonly url: string
    readonly ref?: string | undefined
    readonly publish?: boolean | undefined
  }) => Effect.Effect<Opened, JobWorkspaceError, Scope.Scope>
  /**
   * Makes a branch of what the attempt has pushed, from any machine. It can be repeated.
   */
  readonly publish: (attempt: Pushed) => Effect.Effect<void, JobWorkspaceError>
  /** Removes what an attempt has pushed that has not won. */
  readonly discard: (attempt: Pushed) => Effect.Effect<void>
}

/**
 * The working trees of a runner.
 *
 * @since 0.1.0
 * @category tags
 */
export class Workspace extends Context.Tag("effect-opencode-cluster/Workspace")<Workspace, Service>() {}

/**
 * Working trees below a directory, made with the `git` on `PATH`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: {
  readonly directory: string
}): Layer.Layer<Workspace, never, CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path> =>
  Layer.effect(Workspace, workspaces.make(options.directory))
