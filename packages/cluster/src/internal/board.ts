import type * as ShardId from "@effect/cluster/ShardId"
import type * as Sharding from "@effect/cluster/Sharding"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Service as Ledger } from "../RunLedger.js"

/** A job as its runner has it in hand. */
export interface Entry {
  readonly id: string
  readonly shardId: ShardId.ShardId
  readonly isBusy: () => boolean
  readonly onCancel: (reason: string) => void
  /** Called once when the job belongs to another runner, or this one is leaving. */
  readonly onLeaving: () => void
}

/** All jobs that a runner has in hand: one statement says so for all of them, and brings back who is cancelled. */
export interface Board {
  readonly add: (entry: Entry) => Effect.Effect<void, never, Scope.Scope>
}

export const make = (options: {
  readonly ledger: Ledger
  readonly sharding: Sharding.Sharding["Type"]
}): Effect.Effect<Board, never, Scope.Scope> =>
  Effect.gen(function*() {
    const entries = new Set<Entry>()
    const leaving = new WeakSet<Entry>()

    const beat = Effect.suspend(() => {
      const busy = [...entries].filter((entry) => entry.isBusy())
      return Effect.map(options.ledger.seen(busy.map(({ id }) => id)), (cancelled) => {
        for (const { cancel, id } of cancelled) busy.find((entry) => entry.id === id)?.onCancel(cancel)
      })
    }).pipe(Effect.catchAll((error) => Effect.logDebug("The heartbeat failed", error)))

    const look = Effect.sync(() => {
      for (const entry of entries) {
        if (leaving.has(entry) || options.sharding.hasShardId(entry.shardId)) continue
        leaving.add(entry)
        entry.onLeaving()
      }
    })

    yield* Effect.forkScoped(Effect.repeat(beat, Schedule.spaced("2 seconds")))
    yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("500 millis")))

    return {
      add: (entry) =>
        Effect.acquireRelease(
          Effect.sync(() => entries.add(entry)),
          () => Effect.sync(() => entries.delete(entry))
        )
    }
  })
