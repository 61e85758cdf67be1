import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Service as Ledger } from "../RunLedger.js"

/** Waits for verdicts: one question for all callers of a program, and none while nobody waits. */
export interface Waiters {
  /** Waits until the job is settled, or gone. */
  readonly settled: (id: string) => Effect.Effect<void>
  /** A job was settled by this program. */
  readonly notify: (id: string) => void
}

const interval = "200 millis"

export const make = (ledger: Ledger): Effect.Effect<Waiters, never, Scope.Scope> =>
  Effect.gen(function*() {
    const waiting = new Map<string, Set<() => void>>()
    const some = Effect.unsafeMakeLatch(false)

    const notify = (id: string): void => {
      const calls = waiting.get(id)
      waiting.delete(id)
      for (const resume of calls ?? []) resume()
    }

    const look = Effect.suspend(() => ledger.settledOf([...waiting.keys()])).pipe(
      Effect.map((ids) => ids.forEach(notify)),
      Effect.catchAll((error) => Effect.logDebug("Looking for verdicts failed", error))
    )

    yield* some.await.pipe(
      Effect.andThen(look),
      Effect.andThen(Effect.sync(() => waiting.size === 0 ? some.unsafeClose() : undefined)),
      Effect.andThen(Effect.sleep(interval)),
      Effect.forever,
      Effect.forkScoped
    )

    return {
      notify,
      settled: (id) =>
        Effect.async<void>((resume) => {
          const done = () => resume(Effect.void)
          const calls = waiting.get(id) ?? new Set()
          calls.add(done)
          waiting.set(id, calls)
          some.unsafeOpen()
          return Effect.sync(() => {
            calls.delete(done)
            if (calls.size === 0 && waiting.get(id) === calls) waiting.delete(id)
          })
        })
    }
  })
