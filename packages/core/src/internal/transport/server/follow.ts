import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { RunEvent } from "../../../RunEvent.js"
import * as finishReason from "../../opencode/finishReason.js"
import * as providerErrors from "../../opencode/providerErrors.js"
import type { RetryCount } from "../../opencode/retryCount.js"
import type { Sink } from "../../run/transport.js"
import * as json from "../../util/json.js"
import type { ApiConnection } from "./connection.js"
import * as eventMapper from "./eventMapper.js"
import type { Mapper } from "./eventMapper.js"
import type { Delivery, Gap, Subscription } from "./hub.js"
import type { Asks } from "./permissionRequests.js"
import * as protocol from "./protocol.js"

export interface Options {
  readonly connection: ApiConnection
  readonly directory: string
  readonly sessionId: string
  readonly subscription: Subscription
  readonly mapper: Mapper
  readonly asks: Asks
  readonly sink: Sink
  readonly retries: RetryCount
  /** Called when the server works on the prompt. */
  readonly onBegin: () => void
  /** Returns true while the prompt is being aborted: texts up to then are emitted after its end. */
  readonly isClosing: () => boolean
}

/** The pauses between polls for an end that was not reported. */
const pauses = ["500 millis", "1 second", "2 seconds", "5 seconds"] as const

export const isIdle = (status: protocol.Status | undefined): boolean => status === undefined || status.type === "idle"

const hasError = ({ info }: protocol.Message): boolean => info.error !== undefined && info.error !== null

/** True if a message is the agent's and will not change any more. */
export const isClosed = (message: protocol.Message): boolean =>
  message.info.role === "assistant" && (typeof message.info.time?.completed === "number" || hasError(message))

/**
 * Passes on the events of a prompt, and returns when it has ended. An idle session is not enough evidence: it becomes
 * idle twice after an error, sends nothing for an unknown agent, and may report the idle state of an earlier prompt
 * (1.18.33). If the events do not show an end, and after a gap, the server is polled.
 */
export const make = (options: Options): Effect.Effect<void, OpenCodeServerError, Scope.Scope> =>
  Effect.gen(function*() {
    const { asks, connection: { api, dialect }, directory, isClosing, mapper, sessionId, sink, subscription } = options
    const { watchdog, rawLines, state } = sink
    const clock = yield* Effect.clock
    const scope = yield* Effect.scope
    const feed = sink.recorder.source()
    const repeated = dialect.repeatedStep(options.retries)

    let hasBegun = false
    let hasRested = false
    let hasEnded = false
    /** True if only the server knows whether the prompt has ended. */
    let inDoubt = false
    /** The polls since the last event. */
    let polls = 0

    const hearModel = (info: protocol.MessageInfo): void => {
      const { modelID, providerID } = info
      const isAnswer = info.role === "assistant" && !eventMapper.isSummary(info)
      if (isAnswer && typeof modelID === "string" && typeof providerID === "string") {
        state.answeredBy(`${providerID}/${modelID}`)
      }
    }

    const begin = (): void => {
      hasBegun = true
      options.onBegin()
    }

    const emit = (said: ReadonlyArray<RunEvent>): Effect.Effect<void> => {
      const arrived: Array<RunEvent> = []
      let limited: Effect.Effect<void> = Effect.void
      for (const event of said) {
        // We aborted it.
        if (event._tag === "SessionError" && event.kind === "aborted" && isClosing()) continue
        const retry = repeated(event)
        if (retry !== undefined) arrived.push(retry)
        arrived.push(event)
        if (event._tag === "SessionError" && event.kind === "rate-limit") limited = sink.onRateLimited(event.retryAfter)
        if (rawLines !== undefined && "raw" in event) rawLines.push(json.stringify(event.raw))
      }
      return Effect.andThen(limited, feed(arrived))
    }

    /** True if the events alone show an end. */
    const isClear = (): boolean => state.finished || state.pendingError !== undefined || state.rejection !== undefined

    /** Polls the server and emits what no event has reported. */
    const poll: Effect.Effect<ReadonlyArray<protocol.Message>, OpenCodeServerError> = Effect.gen(function*() {
      const status = (yield* api.status(directory))[sessionId]
      const messages = yield* api.messages(sessionId)
      yield* emit(mapper.repair(messages, clock.unsafeCurrentTimeMillis()))
      const turn = mapper.turn(messages) ?? []
      for (const { info } of turn) hearModel(info)
      inDoubt = isIdle(status)
      if (!inDoubt) {
        begin()
        return turn
      }
      polls++
      const last = turn.at(-1)
      const isDone = last !== undefined && isClosed(last)
      const isFinal = isDone && (hasError(last) || finishReason.isFinal(last.info.finish ?? undefined))
      hasEnded = isFinal || isClear() || (hasRested && (isDone || isClosing())) ||
        // There is no sign of an end and none of work, as after a server restart, which loses the status (1.18.33).
        (polls >= pauses.length && (hasRested || hasBegun || last !== undefined))
      return turn
    })

    const followChildren = (of: string, known: Set<string>): Effect.Effect<void, OpenCodeServerError> =>
      Effect.flatMap(
        api.children(of),
        (children) =>
          Effect.forEach(children.filter(({ id }) => !known.has(id)), ({ id }) => {
            known.add(id)
            subscription.follow(id)
            return Effect.andThen(sink.onSession(id, of), followChildren(id, known))
          }, { discard: true })
      )

    /** Recovers lost events. */
    const catchUp = Effect.gen(function*() {
      yield* followChildren(sessionId, new Set())
      const turn = new Set((yield* poll).map(({ info }) => info.id))
      if (hasEnded) return
      const sessions = subscription.sessions()
      for (const request of yield* api.permissions(directory)) {
        // A question of an aborted prompt can still be open (1.18.33).
        const message = request.tool?.messageID ?? undefined
        const isStale = request.sessionID === sessionId && message !== undefined && !turn.has(message)
        if (sessions.has(request.sessionID) && !isStale) {
          yield* Effect.flatMap(asks.asked(protocol.toRequest(request)), emit)
        }
      }
      for (const question of yield* api.questions(directory)) {
        if (sessions.has(question.sessionID)) yield* api.rejectQuestion(directory, question.id)
      }
    })

    const onIdle = Effect.suspend(() => {
      hasRested = true
      // The text of an aborted answer arrives after its end.
      if (!isClear() || isClosing()) return Effect.asVoid(poll)
      hasEnded = true
      return Effect.void
    })

    const retry = ({ message, next }: protocol.Status): Effect.Effect<void> =>
      providerErrors.kindOfText(message ?? "") === "rate-limit"
        ? sink.onRateLimited(
          typeof next === "number" ? Duration.millis(next - clock.unsafeCurrentTimeMillis()) : undefined
        )
        : Effect.void

    /** The known messages, and the time of the newest. */
    const known = new Set<string>()
    let newest = 0

    /** True if a message is newer than all known ones: someone else's prompt, or OpenCode's own after a compaction. */
    const isNews = ({ id, time }: protocol.MessageInfo): boolean => {
      const created = time?.created ?? 0
      const isNew = !known.has(id) && created >= newest
      known.add(id)
      newest = Math.max(newest, created)
      return isNew
    }

    /** The reaction to an event besides emitting it. */
    const reaction = ({ event, sessionId: of }: Delivery): Effect.Effect<void, OpenCodeServerError> | undefined => {
      switch (event.type) {
        case "session.created":
        case "session.updated": {
          const { id, parentID } = event.properties.info
          return id === sessionId || typeof parentID !== "string" ? undefined : sink.onSession(id, parentID)
        }
        case "permission.asked":
          return Effect.flatMap(asks.asked(protocol.toRequest(event.properties)), emit)
        case "permission.replied":
          return Effect.flatMap(asks.replied(event.properties.requestID, event.properties.reply), emit)
        case "question.asked":
          return Effect.asVoid(api.rejectQuestion(directory, event.properties.id))
        case "message.updated":
          // This revokes an earlier end: OpenCode continues, and can take long before the next part.
          if (of === sessionId && isNews(event.properties.info)) watchdog.resumed()
          if (of === sessionId) hearModel(event.properties.info)
          return undefined
        case "message.part.updated":
          if (of !== sessionId && event.properties.part.type === "step-finish") watchdog.recovered(of)
          watchdog.alive()
          return undefined
        case "message.part.delta":
          watchdog.alive()
          return undefined
        case "session.error":
        case "session.deleted":
          if (of === sessionId) inDoubt = true
          return undefined
        case "session.status": {
          const { status } = event.properties
          if (of !== sessionId) return status.type === "retry" ? retry(status) : undefined
          if (isIdle(status)) return hasBegun ? onIdle : undefined
          begin()
          return status.type === "retry" ? retry(status) : undefined
        }
        default:
          return undefined
      }
    }

    const take = (batch: ReadonlyArray<Delivery | Gap>): Effect.Effect<void, OpenCodeServerError> =>
      Effect.gen(function*() {
        let said: Array<RunEvent> = []
        for (const delivery of batch) {
          if (hasEnded) break
          if (delivery.type === "event") {
            const isOwn = delivery.sessionId === sessionId
            if (isOwn) polls = 0
            const event = isOwn
              ? mapper.event(delivery.event, clock.unsafeCurrentTimeMillis())
              : mapper.child(delivery.event)
            if (event !== undefined) said.push(event)
          }
          const action = delivery.type === "gap" ? catchUp : reaction(delivery)
          if (action === undefined) continue
          yield* emit(said)
          said = []
          yield* action
        }
        yield* emit(said)
      })

    /** Kept across loops instead of interrupted, because the taken events would be lost. */
    let pending: Fiber.Fiber<ReadonlyArray<Delivery | Gap>, OpenCodeServerError> | undefined
    const next = Effect.gen(function*() {
      if (!inDoubt && pending === undefined) return Option.some(yield* subscription.take)
      pending ??= yield* Effect.forkIn(subscription.take, scope)
      const pause = pauses[Math.min(polls, pauses.length - 1)]!
      const batch = inDoubt
        ? yield* Effect.timeoutOption(Fiber.join(pending), pause)
        : Option.some(yield* Fiber.join(pending))
      if (Option.isSome(batch)) pending = undefined
      return batch
    })

    const all = Effect.gen(function*() {
      while (!hasEnded) {
        const batch = yield* next
        if (Option.isSome(batch)) watchdog.read()
        yield* Option.match(batch, { onNone: () => Effect.asVoid(poll), onSome: take })
      }
    })
    return yield* Effect.raceFirst(all, asks.failed)
  })
