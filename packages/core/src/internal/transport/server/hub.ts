import type * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import * as protocol from "./protocol.js"
import * as sse from "./sse.js"

/**
 * Events were lost: the connection was reopened (`reconnected`), the subscriber was too slow (`overflow`), or something
 * unreadable arrived (`unreadable`). Events after it are complete again, so a subscriber that receives one now asks the
 * server for messages, children, status and open requests.
 */
export interface Gap {
  readonly type: "gap"
  readonly reason: "reconnected" | "overflow" | "unreadable"
}

/** One event of a session or of one of its children, however deep. */
export interface Delivery<E = protocol.Event> {
  readonly type: "event"
  /** The session of the event: the subscribed one or a child. */
  readonly sessionId: string
  readonly event: E
}

export interface Subscription<E = protocol.Event> {
  /** Takes what has arrived since the last call, in order; waits for the first. Fails when the server is gone. */
  readonly take: Effect.Effect<ReadonlyArray<Delivery<E> | Gap>, OpenCodeServerError>
  /** The session and its known children. */
  readonly sessions: () => ReadonlySet<string>
  /** Adds a child whose creation was not seen: after a gap, or in a continued session. */
  readonly follow: (sessionId: string) => void
}

/** One subscription to all events of a server, distributed by session. */
export interface Hub<E = protocol.Event> {
  /** Subscribes to a session; returns when the server's events are known to arrive. */
  readonly subscribe: (sessionId: string) => Effect.Effect<Subscription<E>, OpenCodeServerError, Scope.Scope>
  /** Returns the error when the events were given up: the server no longer answers, or is gone. */
  readonly failed: Effect.Effect<OpenCodeServerError>
}

export interface Options {
  /** Opens the event stream of all directories. */
  readonly open: Effect.Effect<
    Stream.Stream<Uint8Array, OpenCodeServerError>,
    OpenCodeServerError,
    Scope.Scope
  >
  /** Makes the error for a stream that has ended or gone silent. */
  readonly lost: (detail: string) => OpenCodeServerError
  /** Returns the error when the server is known to be gone. */
  readonly gone: Effect.Effect<OpenCodeServerError>
  /** When to reopen the stream; restarts with every connection. Default: for two minutes. */
  readonly reconnect?: Schedule.Schedule<unknown, OpenCodeServerError> | undefined
  /** The queue limit of one subscriber, in characters of JSON. Default: 8 Mi. */
  readonly maxQueued?: number | undefined
  /** How long the stream may be silent. Default: 25 seconds. */
  readonly patience?: Duration.Duration | undefined
}

/** How a server's frames are read. */
export interface Protocol<E> {
  readonly receive: (frame: string) =>
    | { readonly _tag: "Connected" | "Ignored" | "Unreadable" }
    | { readonly _tag: "Event"; readonly event: E }
  readonly sessionOf: (event: E) => string
  /** The session that a sub-agent's session belongs to, if the event names it. */
  readonly parentOf: (event: E) => string | undefined
}

/** OpenCode sends a heartbeat every 10 seconds (1.18.33): at this point two are missing. */
const patienceDefault = Duration.seconds(25)

const reconnectDefault: Schedule.Schedule<unknown, OpenCodeServerError> = Schedule.exponential("200 millis").pipe(
  Schedule.either(Schedule.spaced("5 seconds")),
  Schedule.upTo("2 minutes")
)

const maxQueuedDefault = 8 * 1024 * 1024

interface Subscriber<E> {
  readonly sessions: Set<string>
  readonly deliver: (delivery: Delivery<E>, size: number) => void
  readonly gap: (reason: Gap["reason"]) => void
  readonly fail: (error: () => OpenCodeServerError) => void
  readonly take: Subscription<E>["take"]
}

/**
 * Makes a queue whose producer never waits. When it is full, new events are dropped until the consumer takes the rest,
 * which ends with a gap.
 */
const makeSubscriber = <E>(limit: number): Subscriber<E> => {
  const latch = Effect.unsafeMakeLatch(false)
  let items: Array<Delivery<E> | Gap> = []
  let size = 0
  let isLossy = false
  let error: (() => OpenCodeServerError) | undefined

  const offer = (item: Delivery<E> | Gap) => {
    items.push(item)
    latch.unsafeOpen()
  }
  const gap = (reason: Gap["reason"]) => {
    // One gap is enough, because its receiver asks for everything.
    if (items[items.length - 1]?.type !== "gap") offer({ type: "gap", reason })
  }
  const take: Subscription<E>["take"] = Effect.suspend(() => {
    if (items.length > 0) {
      const taken = items
      items = []
      size = 0
      isLossy = false
      latch.unsafeClose()
      return Effect.succeed(taken)
    }
    return error === undefined ? Effect.andThen(latch.await, take) : Effect.failSync(error)
  })

  return {
    sessions: new Set(),
    take,
    gap,
    deliver: (delivery, length) => {
      if (isLossy) return
      if (size > 0 && size + length > limit) {
        isLossy = true
        gap("overflow")
        return
      }
      size += length
      offer(delivery)
    },
    fail: (reason) => {
      error = reason
      latch.unsafeOpen()
    }
  }
}

/** Reads the events of a shared server (1.18.33). */
const shared: Protocol<protocol.Event> = {
  receive: protocol.receive,
  sessionOf: protocol.sessionOf,
  // Both, because the creation of a child can have been in a gap.
  parentOf: (event) =>
    event.type === "session.created" || event.type === "session.updated"
      ? event.properties.info.parentID ?? undefined
      : undefined
}

/** Subscribes to the events of a server and reconnects when the stream ends. */
export const make = (options: Options): Effect.Effect<Hub, never, Scope.Scope> => makeFor(shared, options)

/** The same for a server whose frames are read in this way. */
export const makeFor = <E>(
  protocol: Protocol<E>,
  options: Options
): Effect.Effect<Hub<E>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const limit = options.maxQueued ?? maxQueuedDefault
    const patience = options.patience ?? patienceDefault
    const failed = yield* Deferred.make<OpenCodeServerError>()
    const bySession = new Map<string, Set<Subscriber<E>>>()
    const subscribers = new Set<Subscriber<E>>()
    const ready = Effect.unsafeMakeLatch(false)
    let isConnected = false
    let error: OpenCodeServerError | undefined

    const follow = (subscriber: Subscriber<E>, sessionId: string): void => {
      // The subscriber has gone, so nobody would empty its queue.
      if (!subscribers.has(subscriber)) return
      subscriber.sessions.add(sessionId)
      const followers = bySession.get(sessionId)
      if (followers === undefined) {
        bySession.set(sessionId, new Set([subscriber]))
      } else {
        followers.add(subscriber)
      }
    }

    const leave = (subscriber: Subscriber<E>): void => {
      subscribers.delete(subscriber)
      // No more events will arrive, so nobody may wait for one.
      const earlier = error
      subscriber.fail(() => earlier ?? options.lost("the subscription was ended"))
      for (const sessionId of subscriber.sessions) {
        const followers = bySession.get(sessionId)
        followers?.delete(subscriber)
        if (followers?.size === 0) bySession.delete(sessionId)
      }
    }

    const gaps = (reason: Gap["reason"]): void => {
      for (const subscriber of subscribers) subscriber.gap(reason)
    }

    const deliver = (event: E, size: number): void => {
      const sessionId = protocol.sessionOf(event)
      const parent = protocol.parentOf(event)
      if (parent !== undefined) {
        for (const subscriber of bySession.get(parent) ?? []) follow(subscriber, sessionId)
      }
      const followers = bySession.get(sessionId)
      if (followers === undefined) return
      const delivery: Delivery<E> = { type: "event", sessionId, event }
      for (const subscriber of followers) subscriber.deliver(delivery, size)
    }

    /** Returns true if this frame opened the connection. */
    const onFrame = (frame: sse.Frame): boolean => {
      if (typeof frame !== "string") {
        gaps("unreadable")
        return false
      }
      const received = protocol.receive(frame)
      switch (received._tag) {
        case "Connected":
          if (isConnected) return false
          isConnected = true
          // Later subscribers have missed nothing.
          gaps("reconnected")
          ready.unsafeOpen()
          return true
        case "Event":
          deliver(received.event, frame.length)
          return false
        case "Ignored":
          return false
        case "Unreadable":
          gaps("unreadable")
          return false
      }
    }

    const retries = yield* Schedule.driver(options.reconnect ?? reconnectDefault)

    /** Reads one connection to its end, which always means lost events. */
    const read: Effect.Effect<never, OpenCodeServerError> = Effect.scoped(Effect.gen(function*() {
      const clock = yield* Effect.clock
      const parser = sse.make()
      let heard = clock.unsafeCurrentTimeMillis()

      const onChunk = (chunk: Chunk.Chunk<Uint8Array>): Effect.Effect<void> => {
        heard = clock.unsafeCurrentTimeMillis()
        let isNew = false
        for (const bytes of chunk) {
          for (const frame of parser.push(bytes)) isNew = onFrame(frame) || isNew
        }
        return isNew ? retries.reset : Effect.void
      }
      const pump = Effect.flatMap(
        options.open,
        (stream) =>
          Effect.flatMap(Stream.toPull(stream), (pull) => Effect.forever(Effect.flatMap(pull, onChunk))).pipe(
            Effect.mapError(Option.getOrElse(() => options.lost("its events ended")))
          )
      )
      const silent: Effect.Effect<never, OpenCodeServerError> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const rest = heard + Duration.toMillis(patience) - now
        return rest <= 0
          ? Effect.fail(options.lost(`it sent nothing for ${Duration.toSeconds(patience)} s`))
          : Effect.andThen(Effect.sleep(rest), silent)
      })
      return yield* Effect.raceFirst(pump, silent)
    }))

    const keep: Effect.Effect<OpenCodeServerError> = Effect.flatMap(Effect.flip(read), (lost) => {
      isConnected = false
      ready.unsafeClose()
      return lost.reason === "unauthorized"
        ? Effect.succeed(lost)
        : Effect.matchEffect(retries.next(lost), {
          onFailure: () => Effect.succeed(lost),
          onSuccess: () => keep
        })
    })

    const giveUp = (reason: OpenCodeServerError): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (error !== undefined) return Effect.void
        error = reason
        for (const subscriber of subscribers) subscriber.fail(() => reason)
        return Effect.andThen(ready.open, Deferred.succeed(failed, reason))
      })

    // Nobody may keep waiting for a server that is no longer needed.
    yield* Effect.addFinalizer(() => giveUp(options.lost("it was released")))
    yield* Effect.raceFirst(keep, options.gone).pipe(
      Effect.flatMap(giveUp),
      Effect.catchAllCause((cause) =>
        Effect.andThen(Effect.logDebug(cause), giveUp(options.lost("its events failed")))
      ),
      Effect.forkIn(scope)
    )

    const enter: Effect.Effect<Subscriber<E>, OpenCodeServerError> = Effect.suspend(() => {
      if (error !== undefined) return Effect.fail(error)
      if (!isConnected) return Effect.andThen(Effect.interruptible(ready.await), enter)
      const subscriber = makeSubscriber<E>(limit)
      subscribers.add(subscriber)
      return Effect.succeed(subscriber)
    })

    return {
      failed: Deferred.await(failed),
      subscribe: (sessionId) =>
        Effect.map(
          Effect.acquireRelease(enter, (subscriber) => Effect.sync(() => leave(subscriber))),
          (subscriber) => {
            follow(subscriber, sessionId)
            return {
              take: subscriber.take,
              sessions: () => subscriber.sessions,
              follow: (child) => follow(subscriber, child)
            }
          }
        )
    }
  })
