import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { OpenCodeError, OpenCodeServerError } from "../../OpenCodeError.js"
import type { Version } from "../../Version.js"
import type { Api } from "./api.js"
import type { Subscription } from "./hub.js"

/** A server that answers, until it does not. */
export interface Connection {
  readonly api: Api
  readonly version: Version
  /** The data directory; `undefined` where it is OpenCode's own or not on this machine. */
  readonly directory: string | undefined
  /** Returns when events of the session are known to arrive: prompt after it. */
  readonly subscribe: (sessionId: string) => Effect.Effect<Subscription, OpenCodeServerError, Scope.Scope>
  /** Returns when the server is gone, and why. Subscriptions fail with the same error. */
  readonly died: Effect.Effect<OpenCodeServerError>
}

/** A server that is started, or looked for, when it is needed. */
export interface Server {
  /**
   * The connection that there is, or a new one. Callers that come while a server starts share its start and its
   * failure; the next caller tries again.
   */
  readonly connect: Effect.Effect<Connection, OpenCodeError>
}
