import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { RunEvent } from "../../../RunEvent.js"
import type {
  Event,
  Happening,
  Mapper,
  PermissionRequest,
  PrivateServer,
  Rule,
  Signal
} from "../../opencode/privateServer.js"
import type { Sink } from "../../run/transport.js"
import * as json from "../../util/json.js"
import type { WireObject } from "../../util/object.js"
import type { Delivery, Gap, Subscription } from "../server/hub.js"
import * as permissionRequests from "../server/permissionRequests.js"
import type { Answer } from "../server/permissionRequests.js"
import type { Requests } from "../server/request.js"

/** After this time without an event the server is asked whether it still works. */
const silence = Duration.seconds(30)

/** After this time a prompt that the server does not work on is lost. */
const lostAfter = Duration.minutes(2)

export interface Options {
  readonly server: PrivateServer
  readonly requests: Requests
  readonly subscription: Subscription<Event>
  readonly mapper: Mapper
  readonly sink: Sink
  readonly sessionId: string
  /** The last message that is older than the answer; `undefined` if there is none. */
  readonly anchor: string | undefined
  /** The rules that every sub-agent must have, too. */
  readonly rules: ReadonlyArray<Rule>
  /** The requests of the agent and of its sub-agents. */
  readonly asks: permissionRequests.Asks
  /** True to emit the requests themselves, for somebody who decides about them. */
  readonly announces: boolean
}

/** Answers the requests for permissions of one prompt. */
export const asksOf = (
  { requests, server: { routes }, sink: { watchdog } }: Pick<Options, "requests" | "server" | "sink">,
  decide: (request: PermissionRequest) => Effect.Effect<Answer>
): Effect.Effect<permissionRequests.Asks, never, Scope.Scope> =>
  permissionRequests.make({
    watchdog,
    decide,
    reply: ({ id, sessionId }, reply) =>
      unlessGone(
        reply === "once"
          ? requests.send(routes.answer(sessionId, id, "once"))
          : Effect.andThen(
            requests.send(routes.answer(sessionId, id, "reject", reply.reject)),
            reply.reject === undefined
              ? Effect.void
              : Effect.logDebug("OpenCode has the reason of the rejection; 2.0.14 does not show it to the model")
          )
      )
  })

/** A request that was answered meanwhile, or whose session has ended, does not count as a failure. */
const unlessGone = (call: Effect.Effect<unknown, OpenCodeServerError>): Effect.Effect<void, OpenCodeServerError> =>
  Effect.asVoid(Effect.catchIf(call, ({ status }) => status === 404 || status === 409, () => Effect.void))

const isSame = (a: Rule, b: Rule): boolean =>
  a.action === b.action && a.resource === b.resource && a.effect === b.effect

/** True if the rules end with these, so that these decide. */
export const endsWith = (all: ReadonlyArray<Rule>, end: ReadonlyArray<Rule>): boolean =>
  all.length >= end.length && end.every((rule, index) => isSame(rule, all[all.length - end.length + index]!))

interface Later {
  /** The oldest first; all of the session if it does not have the message. */
  readonly messages: ReadonlyArray<WireObject>
  readonly isFound: boolean
}

/** Returns the messages after one. */
export const after = (
  { anchor, requests, server, sessionId }: Pick<Options, "anchor" | "requests" | "server" | "sessionId">
): Effect.Effect<Later, OpenCodeServerError> => {
  const page = (
    cursor: string | undefined,
    later: ReadonlyArray<WireObject>
  ): Effect.Effect<Later, OpenCodeServerError> =>
    Effect.flatMap(
      requests.read(server.routes.messages(sessionId, cursor), server.replies.messages),
      ({ messages, next }) => {
        const at = messages.findIndex(({ id }) => id === anchor)
        const found = [...messages.slice(0, at === -1 ? undefined : at)].reverse()
        const all = [...found, ...later]
        return at !== -1 || next === undefined || messages.length === 0
          ? Effect.succeed({ messages: all, isFound: at !== -1 })
          : page(next, all)
      }
    )
  return page(undefined, [])
}

/**
 * Passes on the events of a prompt, and returns when it has ended. The server reports exactly one end. After a gap in the
 * events, the messages of the session show what was missed.
 */
export const follow = (options: Options): Effect.Effect<void, OpenCodeServerError, Scope.Scope> =>
  Effect.gen(function*() {
    const { announces, asks, mapper, requests, server, sink, subscription } = options
    const { routes } = server
    const { rawLines, watchdog } = sink
    const feed = sink.recorder.source()
    let hasEnded = false

    const emit = (says: ReadonlyArray<RunEvent>): Effect.Effect<void> => {
      if (rawLines !== undefined) {
        for (const event of says) if ("raw" in event) rawLines.push(json.stringify(event.raw))
      }
      return feed(says)
    }

    const react = (signal: Signal): Effect.Effect<void, OpenCodeServerError> => {
      switch (signal._tag) {
        case "Alive":
          return Effect.sync(watchdog.alive)
        case "Ended":
          return Effect.sync(() => {
            hasEnded = true
          })
        case "Asked":
          return Effect.flatMap(asks.asked(signal.request), (events) => announces ? emit(events) : Effect.void)
        case "Replied":
          return Effect.flatMap(asks.replied(signal.requestId, signal.reply), emit)
        case "Form":
          return unlessGone(requests.send(routes.decline(signal.sessionId, signal.formId)))
        case "Child":
          return Effect.andThen(
            endsWith(signal.rules, options.rules)
              ? Effect.void
              : unlessGone(
                requests.send(routes.setRules(signal.sessionId, [...signal.rules, ...options.rules]))
              ),
            sink.onSession(signal.sessionId, signal.parentId)
          )
        case "Delegated":
          return subscription.sessions().has(signal.sessionId) ? Effect.void : unlessGone(adopt(signal.sessionId))
        case "Model":
          return Effect.sync(() => sink.state.answeredBy(signal.model))
        case "Recovered":
          return Effect.sync(() => watchdog.recovered(signal.sessionId))
        case "Unexpected":
          return requests.failure(routes.events, "unexpected-reply", { detail: signal.shape })
        case "RateLimited":
          return Effect.flatMap(Clock.currentTimeMillis, (now) =>
            sink.onRateLimited(
              signal.until === undefined ? undefined : Duration.millis(signal.until - now)
            ))
      }
    }

    /** Follows a sub-agent whose creation was not seen: it is of an earlier prompt, or its event did not name its parent. */
    const adopt = (childId: string): Effect.Effect<void, OpenCodeServerError> =>
      Effect.gen(function*() {
        const { parentId, rules } = yield* requests.read(routes.session(childId), server.replies.session)
        // It gets our rules and our answers, so it must be ours: a server can have sessions of other people.
        if (parentId === undefined || !subscription.sessions().has(parentId)) {
          return yield* requests.failure(routes.session(childId), "unexpected-reply", {
            detail: `the sub-agent's session ${childId} is not below the session of the run`
          })
        }
        subscription.follow(childId)
        yield* react({ _tag: "Child", sessionId: childId, parentId, rules })
        yield* answerAll(childId)
      })

    const take = ({ says, signals }: Happening): Effect.Effect<void, OpenCodeServerError> =>
      Effect.andThen(emit(says), Effect.forEach(signals, react, { discard: true }))

    /** Answers what was asked during a gap. */
    const answerAll = (sessionId: string): Effect.Effect<void, OpenCodeServerError> =>
      Effect.gen(function*() {
        for (const request of yield* requests.read(routes.requests(sessionId), server.replies.requests)) {
          yield* react({ _tag: "Asked", request })
        }
        for (const formId of yield* requests.read(routes.forms(sessionId), server.replies.ids)) {
          yield* react({ _tag: "Form", sessionId, formId })
        }
      })

    /** When the server was last known to work on the prompt. */
    let workedAt = yield* Clock.currentTimeMillis

    /** Asks for what works before the messages, so that those of a session that rests are all there are. */
    const catchUp = Effect.gen(function*() {
      const active = yield* requests.read(routes.active, server.replies.active)
      const { messages } = yield* after(options)
      const now = yield* Clock.currentTimeMillis
      yield* take(mapper.repair(messages, now))
      const isActive = active.includes(options.sessionId)
      if (isActive) workedAt = now
      // A rejection leaves no message about the end (2.0.14). A prompt without any message has not begun.
      hasEnded ||= messages.length > 0 && !isActive
      if (hasEnded) return
      yield* Effect.forEach(subscription.sessions(), (id) => unlessGone(answerAll(id)), { discard: true })
      if (now - workedAt >= Duration.toMillis(lostAfter)) {
        return yield* requests.failure(routes.prompt(options.sessionId, "", []), "unexpected-reply", {
          detail: "the prompt was admitted, and the server does not work on it"
        })
      }
    })

    const receive = (delivery: Delivery<Event> | Gap): Effect.Effect<void, OpenCodeServerError> =>
      Effect.suspend(() => {
        if (hasEnded) return Effect.void
        return delivery.type === "gap"
          ? catchUp
          : Effect.flatMap(Clock.currentTimeMillis, (now) => take(mapper.event(delivery.event, now)))
      })

    /** The end may have come by an event that is not known: a session that no longer works has ended. */
    const lookAround = Effect.gen(function*() {
      const active = yield* requests.read(routes.active, server.replies.active)
      if (active.includes(options.sessionId)) workedAt = yield* Clock.currentTimeMillis
      else yield* catchUp
    })

    const all = Effect.gen(function*() {
      while (!hasEnded) {
        const batch = yield* Effect.timeoutOption(subscription.take, silence)
        if (Option.isNone(batch)) yield* lookAround
        else {
          if (batch.value.some(({ type }) => type === "event")) workedAt = yield* Clock.currentTimeMillis
          watchdog.read()
          yield* Effect.forEach(batch.value, receive, { discard: true })
        }
      }
    })
    return yield* Effect.raceFirst(all, asks.failed)
  })
