import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Isolation } from "../../../Isolation.js"
import type { OpenCodeConfigError, QueryError, SessionOpenError } from "../../../OpenCodeError.js"
import type { RunOptions, Started } from "../../../RunOptions.js"
import type { PermissionRequest } from "../../opencode/privateServer.js"
import type { Problem } from "../../opencode/problem.js"
import type * as plans from "../../run/plan.js"
import type { KeyedLock } from "../../util/keyedLock.js"
import type { Server } from "./connection.js"
import type { Answer } from "./permissionRequests.js"
import type * as rules from "./rules.js"

/** A permission request of a run. */
export interface Question {
  readonly plan: plans.Plan
  /** The run's session; the request has the sub-agent's, if one asks. */
  readonly sessionId: string
  readonly request: PermissionRequest
}

export interface Services {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
  readonly defaults: RunOptions
  readonly isolation: Isolation
  /** True if the server sees our files. */
  readonly isLocal: boolean
  readonly rules: rules.Options
  /** The first of a run's options that the server does not support with this isolation. */
  readonly problem: (options: RunOptions, isolation: Isolation) => Option.Option<Problem>
  readonly secrets: (options: RunOptions) => Effect.Effect<ReadonlyArray<string>>
  /** Fails if a process of this machine belongs to a run with this id. */
  readonly refuseLive: (runId: string) => Effect.Effect<void, OpenCodeConfigError>
  /** This program, and the server's process if the program has started it. */
  readonly introduce: (pid: number | undefined) => Effect.Effect<Pick<Started, "process" | "program">>
  /** Returns the server shared by runs with these options, while the scope is open. */
  readonly server: (
    options: RunOptions,
    isolation: Isolation
  ) => Effect.Effect<Server, SessionOpenError, Scope.Scope>
  /** The binary of the servers, or the address of the one. */
  readonly binary: Effect.Effect<string, QueryError>
  /** The turns in the sessions that runs continue. */
  readonly locks: KeyedLock
  readonly decide: (question: Question) => Effect.Effect<Answer>
  /** How long a server may take to abort a prompt. */
  readonly patience: Duration.Duration
}
