import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Mailbox from "effect/Mailbox"
import type * as FleetBudget from "../../FleetBudget.js"
import type { RunError } from "../../OpenCodeError.js"
import type { RunEvent } from "../../RunEvent.js"
import * as TokenUsage from "../../TokenUsage.js"
import type { Transcript } from "../../Transcript.js"
import type { Summary } from "../opencode/summary.js"
import type * as sessionExport from "./sessionExport.js"
import * as telemetry from "./telemetry.js"
import type { Watchdog } from "./watchdog.js"

/** What was added since the last call. */
export interface Progress {
  readonly sessionId: string | undefined
  readonly usage: TokenUsage.TokenUsage
  readonly cost: number
  /** True if some of the cost so far is unknown. */
  readonly unpriced: boolean
  readonly steps: number
}

/** The callbacks of a run for its attempts. */
export interface Sinks {
  readonly transcript: Transcript | undefined
  readonly fleet: FleetBudget.Service | undefined
  readonly onTool: (event: RunEvent) => void
  /** Called whenever events have arrived. */
  readonly onProgress: (progress: Progress) => void
  /** Run when a step has used tokens at an unknown cost. */
  readonly onUnpriced: Effect.Effect<void>
}

/** Records what one attempt does. */
export interface Recorder {
  /**
   * Makes the entry point for one source of events: each event is counted, checked by the watchdog, written to the
   * transcript, then passed on. The call itself counts; its effect does the rest and waits for the consumer.
   */
  readonly source: () => (arrived: ReadonlyArray<RunEvent>) => Effect.Effect<void>
  /** Adds what was spent without an event. */
  readonly hidden: (hidden: sessionExport.Hidden) => Effect.Effect<void>
}

export interface Options extends Sinks {
  readonly state: Summary
  readonly watchdog: Watchdog
  /** Carries the events to the consumer; absent without one. */
  readonly outbox: Mailbox.Mailbox<Chunk.Chunk<RunEvent>, RunError> | undefined
  /** Run when the first event has been seen. */
  readonly opened: Effect.Effect<void>
  /** Run when an event shows the session, if somebody wants to know. */
  readonly onSession: ((sessionId: string) => Effect.Effect<void>) | undefined
  /** Collects the events, if they are kept. */
  readonly events: Array<RunEvent> | undefined
  readonly parts: sessionExport.Parts | undefined
}

export const make = (options: Options): Recorder => ({
  source: () => source(options),
  hidden: (hidden) => addHidden(options, hidden)
})

const addHidden = ({ fleet, watchdog, onProgress, onUnpriced, state }: Options, hidden: sessionExport.Hidden) =>
  Effect.gen(function*() {
    onProgress({ sessionId: state.sessionId, ...hidden, steps: 0 })
    if (fleet !== undefined) {
      yield* fleet.add({
        steps: 0,
        cost: hidden.cost,
        ...(hidden.unpriced ? { unpriced: true } : {}),
        tokens: hidden.usage.total,
        toolCalls: 0
      })
    }
    if (hidden.unpriced) {
      watchdog.unpriced(state.cost + hidden.cost)
      yield* onUnpriced
    }
  })

const source = (options: Options): (arrived: ReadonlyArray<RunEvent>) => Effect.Effect<void> => {
  const { events, fleet, watchdog, outbox, parts, state, transcript } = options
  // The events wait here instead of in the effect: a fiber retains what its effects close over until it leaves the
  // young generation, and collecting that took as long as parsing.
  let pending: ReadonlyArray<RunEvent> = []
  let isFirst = false
  let isNamed = false
  let spent: FleetBudget.Spent | undefined
  let usage = TokenUsage.empty

  const announce = Effect.gen(function*() {
    if (isFirst) yield* options.opened
    if (isNamed) yield* options.onSession!(state.sessionId!)
    if (spent !== undefined) {
      yield* telemetry.spent(usage, spent.cost)
      if (fleet !== undefined) yield* fleet.add(spent)
      if (state.unpriced) yield* options.onUnpriced
    }
    if (transcript !== undefined) yield* transcript.write(pending.filter((event) => event._tag !== "TextDelta"))
  })

  const offer = outbox === undefined ? Effect.void : Effect.suspend(() => {
    const chunk = Chunk.unsafeFromArray(pending)
    pending = []
    return outbox.unsafeOffer(chunk) ? Effect.void : outbox.offer(chunk)
  })

  const ready = Effect.sync(() => watchdog.reading(true))

  const deliver = Effect.andThen(Effect.andThen(announce, offer), ready)
  const deliverOnly = Effect.andThen(offer, ready)

  return (arrived) => {
    if (arrived.length === 0) return Effect.void
    const before = { steps: state.steps, cost: state.cost, toolCalls: state.toolCalls }
    const usageBefore = state.usage
    const hadEvent = state.eventCount > 0
    const hadSession = state.sessionId !== undefined
    const now = watchdog.now()
    for (const event of arrived) {
      state.add(event)
      watchdog.seen(event, state, now)
      // The whole parts repeat the deltas.
      if (event._tag !== "TextDelta") events?.push(event)
      parts?.add(event)
      if (event._tag === "ToolUse") options.onTool(event)
    }
    pending = arrived
    isFirst = !hadEvent && state.eventCount > 0
    isNamed = options.onSession !== undefined && !hadSession && state.sessionId !== undefined
    const hasSpent = usageBefore !== state.usage
    usage = hasSpent ? TokenUsage.subtract(state.usage, usageBefore) : TokenUsage.empty
    const cost = state.cost - before.cost
    spent = hasSpent || fleet !== undefined
      ? {
        steps: state.steps - before.steps,
        cost,
        ...(state.unpriced ? { unpriced: true } : {}),
        tokens: usage.total,
        toolCalls: state.toolCalls - before.toolCalls
      }
      : undefined
    options.onProgress({
      sessionId: state.sessionId,
      usage,
      cost,
      unpriced: state.unpriced,
      steps: state.steps - before.steps
    })
    watchdog.reading(false)
    return isFirst || isNamed || spent !== undefined || transcript !== undefined ? deliver : deliverOnly
  }
}
