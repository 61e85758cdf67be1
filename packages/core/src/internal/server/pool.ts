import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Isolation } from "../../Isolation.js"
import type { RunConfig } from "../../RunConfig.js"
import type { Server } from "./connection.js"

/** What cannot be changed while a server runs. */
export interface Spec {
  /** A hash of all the rest: equal keys share a server. */
  readonly key: string
  readonly binary: string
  /** The directory of the process, and of requests that name none. */
  readonly cwd: string
  /** Further arguments of `opencode serve`. */
  readonly args: ReadonlyArray<string>
  /** What the environment is made of: the configuration's content, variables, credentials. */
  readonly config: RunConfig
  readonly isolation: Isolation
}

/** Servers by what they were started with. */
export interface Pool {
  /**
   * The server of this kind, for as long as the scope is open. Waits where there are as many servers in use as there
   * may be; one that nobody uses gives way to a new one.
   */
  readonly get: (spec: Spec) => Effect.Effect<Server, never, Scope.Scope>
}
