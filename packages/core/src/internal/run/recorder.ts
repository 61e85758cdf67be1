import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Mailbox from "effect/Mailbox"
import type * as FleetBudget from "../../FleetBudget.js"
import type { OpenCodeError } from "../../OpenCodeError.js"
import type { RunEvent } from "../../RunEvent.js"
import * as TokenUsage from "../../TokenUsage.js"
import type { Transcript } from "../../Transcript.js"
import type { Summary } from "../opencode/summary.js"
import type * as sessionExport from "./sessionExport.js"
import * as telemetry from "./telemetry.js"
import type { Watchdog } from "./watchdog.js"

/** What has been added since the last time. */
export interface Progress {
  readonly sessionId: string | undefined
  readonly usage: TokenUsage.TokenUsage
  readonly cost: number
  /** Some of the cost so far is unknown. */
  readonly unpriced: boolean
  readonly turns: number
}

/** What a run wants to know of its attempts. */
export interface Sinks {
  readonly transcript: Transcript | undefined
  readonly fleet: FleetBudget.Service | undefined
  readonly onTool: (event: RunEvent) => void
  /** Called every time that events have arrived. */
  readonly onProgress: (progress: Progress) => void
  /** A step has used tokens at an unknown cost. */
  readonly onUnpriced: Effect.Effect<void>
}

/** Records what one attempt does. */
export interface Recorder {
  /**
   * Makes the entrance of one source of events, through which each of them passes: counted, guarded, written down, then
   * handed on. It counts when it is called; its effect does the rest and waits for the consumer.
   */
  readonly source: () => (arrived: ReadonlyArray<RunEvent>) => Effect.Effect<void>
  /** Adds what was spent without an event. */
  readonly hidden: (hidden: sessionExport.Hidden) => Effect.Effect<void>
}

export interface Options extends Sinks {
  readonly state: Summary
  readonly watchdog: Watchdog
  /** Takes the events to whoever reads them; there is none where nobody does. */
  readonly outbox: Mailbox.Mailbox<Chunk.Chunk<RunEvent>, OpenCodeError> | undefined
  /** The first event has been seen. */
  readonly opened: Effect.Effect<void>
  /** Collects the events, where they are kept. */
  readonly events: Array<RunEvent> | undefined
  readonly parts: sessionExport.Parts | undefined
}

export const make = (options: Options): Recorder => ({
  source: () => source(options),
  hidden: (hidden) => addHidden(options, hidden)
})

const addHidden = ({ fleet, watchdog, onProgress, onUnpriced, state }: Options, hidden: sessionExport.Hidden) =>
  Effect.gen(function*() {
    onProgress({ sessionId: state.sessionId, ...hidden, turns: 0 })
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
  // The events wait here, and not in the effect: what a fiber's effects close over is held so long that it outlives
  // the young generation, and collecting it took as much time as parsing.
  let pending: ReadonlyArray<RunEvent> = []
  let isFirst = false
  let spent: FleetBudget.Spent | undefined
  let usage = TokenUsage.empty

  const announce = Effect.gen(function*() {
    if (isFirst) yield* options.opened
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

  const deliver = Effect.zipRight(Effect.zipRight(announce, offer), ready)
  const deliverOnly = Effect.zipRight(offer, ready)

  return (arrived) => {
    if (arrived.length === 0) return Effect.void
    const before = { steps: state.steps, cost: state.cost, toolCalls: state.toolCalls, turns: state.turns }
    const usageBefore = state.usage
    const hadEvent = state.eventCount > 0
    const now = watchdog.now()
    for (const event of arrived) {
      state.add(event)
      watchdog.seen(event, state, now)
      // The whole parts say it again.
      if (event._tag !== "TextDelta") events?.push(event)
      parts?.add(event)
      if (event._tag === "ToolUse") options.onTool(event)
    }
    pending = arrived
    isFirst = !hadEvent && state.eventCount > 0
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
      turns: state.turns - before.turns
    })
    watchdog.reading(false)
    return isFirst || spent !== undefined || transcript !== undefined ? deliver : deliverOnly
  }
}
