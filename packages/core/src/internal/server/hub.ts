import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { OpenCodeServerError } from "../../OpenCodeError.js"
import type * as wire from "./wire.js"

/**
 * Events have been lost: the connection was made anew (`reconnected`), the subscriber was too slow (`overflow`), or
 * something arrived that could not be read (`unreadable`). What follows is complete again, so whoever gets one asks the
 * server now for the messages, the children, the status and what waits for an answer.
 */
export interface Gap {
  readonly type: "gap"
  readonly reason: "reconnected" | "overflow" | "unreadable"
}

/** One event of a session or of one of its children, however deep. */
export interface Delivery {
  readonly type: "event"
  /** The session that it is of; a child's has another id than the one that was subscribed to. */
  readonly sessionId: string
  readonly event: wire.Event
}

export interface Subscription {
  /** What has arrived since the last time, in order; waits for the first. Fails when the server is gone. */
  readonly take: Effect.Effect<ReadonlyArray<Delivery | Gap>, OpenCodeServerError>
  /** The session and its children, as far as they are known. */
  readonly sessions: () => ReadonlySet<string>
  /** Adds a child whose creation was not seen: after a gap, or in a session that goes on. */
  readonly follow: (sessionId: string) => void
}

/** One subscription to all events of a server, handed out by session. */
export interface Hub {
  /** Returns when the server's events are known to arrive. */
  readonly subscribe: (sessionId: string) => Effect.Effect<Subscription, OpenCodeServerError, Scope.Scope>
  /** Never returns before the events have been given up: the server does not answer any more. */
  readonly failed: Effect.Effect<OpenCodeServerError>
}
