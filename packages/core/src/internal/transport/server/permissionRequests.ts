import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { RunEvent } from "../../../RunEvent.js"
import type { PermissionRequest } from "../../opencode/privateServer.js"
import type { Watchdog } from "../../run/watchdog.js"
import type { PermissionReply } from "./api.js"

/** The answer to a permission request. */
export type Answer = "once" | "reject" | { readonly reject: string }

/** The permission requests of one run, sub-agents included. Each is answered on its own fiber. */
export interface Asks {
  /** Handles a request and returns the events to emit. A request can arrive twice: as an event, and by polling. */
  readonly asked: (request: PermissionRequest) => Effect.Effect<ReadonlyArray<RunEvent>>
  /** Handles an answer to a request, from us or anyone else. */
  readonly replied: (requestId: string, reply: string) => Effect.Effect<ReadonlyArray<RunEvent>>
  /** Called when the prompt is being aborted: ends all open decisions. */
  readonly close: Effect.Effect<void>
  /** Fails if an answer could not be sent, because the agent would wait for it for ever. */
  readonly failed: Effect.Effect<never, OpenCodeServerError>
}

export interface Options {
  readonly reply: (
    request: PermissionRequest,
    reply: PermissionReply
  ) => Effect.Effect<unknown, OpenCodeServerError>
  readonly watchdog: Pick<Watchdog, "reading">
  readonly decide: (request: PermissionRequest) => Effect.Effect<Answer>
}

interface Open {
  readonly request: PermissionRequest
  isDeciding: boolean
  isAnswered: boolean
  fiber: Fiber.Fiber<unknown> | undefined
}

export const make = ({ decide, reply: send, watchdog }: Options): Effect.Effect<Asks, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const failed = yield* Deferred.make<never, OpenCodeServerError>()
    const open = new Map<string, Open>()
    const known = new Set<string>()
    let isClosed = false

    /** The time for a decision does not count as the agent's silence. */
    const setDeciding = (self: Open, isDeciding: boolean): void => {
      if (self.isDeciding === isDeciding) return
      self.isDeciding = isDeciding
      watchdog.reading(!isDeciding)
    }

    const giveUp = (self: Open): Effect.Effect<void> =>
      self.fiber === undefined || self.isAnswered ? Effect.void : Fiber.interruptFork(self.fiber)

    const answer = (self: Open): Effect.Effect<void> =>
      Effect.acquireUseRelease(
        Effect.sync(() => setDeciding(self, true)),
        () => decide(self.request),
        () => Effect.sync(() => setDeciding(self, false))
      ).pipe(
        Effect.flatMap((decision) => {
          self.isAnswered = true
          const reply = decision === "once" ? decision : { reject: decision === "reject" ? undefined : decision.reject }
          return send(self.request, reply)
        }),
        Effect.catchAll((error) => Deferred.fail(failed, error)),
        Effect.asVoid
      )

    return {
      asked: (request) =>
        Effect.suspend(() => {
          if (known.has(request.id)) return Effect.succeed([])
          const self: Open = { request, isDeciding: false, isAnswered: false, fiber: undefined }
          open.set(request.id, self)
          known.add(request.id)
          return Effect.map(isClosed ? Effect.succeed(undefined) : Effect.forkIn(answer(self), scope), (fiber) => {
            self.fiber = fiber
            return [{
              _tag: "PermissionAsked" as const,
              sessionId: request.sessionId,
              requestId: request.id,
              permission: request.permission,
              patterns: request.patterns,
              callId: request.callId,
              metadata: request.metadata
            }]
          })
        }),
      replied: (requestId, reply) =>
        Effect.suspend(() => {
          const self = open.get(requestId)
          if (self === undefined) return Effect.succeed([])
          open.delete(requestId)
          const { patterns, permission } = self.request
          const rejected: ReadonlyArray<RunEvent> = reply === "reject"
            ? [{ _tag: "PermissionRejected", permission, patterns }]
            : []
          // Rejecting one request rejects all others of its session (1.18.33).
          return Effect.as(giveUp(self), rejected)
        }),
      close: Effect.suspend(() => {
        isClosed = true
        // Decisions may end slowly; until then they must not count as waiting for a decision.
        for (const self of open.values()) setDeciding(self, false)
        return Effect.forEach(open.values(), giveUp, { discard: true })
      }),
      failed: Deferred.await(failed)
    }
  })
