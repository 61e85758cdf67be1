import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Takes permits one caller after the other, in the order of arrival. */
export interface Turnstile {
  /** Waits for a permit; it is returned by the effect that this gives, at the latest when the scope closes. */
  readonly enter: Effect.Effect<Effect.Effect<void>, never, Scope.Scope>
}

export const unlimited: Turnstile = { enter: Effect.succeed(Effect.void) }

/**
 * A semaphore that only ever sees one waiter. Effect's own (3.22) wakes all of them at every release: a thousand
 * waiting fibers took 973 MB. The crowd waits in a queue here, and its head alone asks for the permit.
 */
export const make = (permits: number): Effect.Effect<Turnstile> =>
  Effect.map(Effect.makeSemaphore(permits), (semaphore) => {
    const crowd = new Set<Deferred.Deferred<void>>()
    let occupied = false

    const next = Effect.suspend(() => {
      for (const first of crowd) {
        crowd.delete(first)
        return Effect.asVoid(Deferred.succeed(first, undefined))
      }
      occupied = false
      return Effect.void
    })

    const reachHead = Effect.suspend(() => {
      if (!occupied) {
        occupied = true
        return Effect.void
      }
      return Effect.flatMap(Deferred.make<void>(), (turn) => {
        crowd.add(turn)
        return Deferred.await(turn).pipe(
          // Not in the crowd any more: the turn had come just before the interruption.
          Effect.onInterrupt(() => crowd.delete(turn) ? Effect.void : next)
        )
      })
    })

    return {
      enter: Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          yield* restore(reachHead)
          yield* Effect.ensuring(restore(semaphore.take(1)), next)
          let held = true
          const release = Effect.suspend(() => {
            if (!held) return Effect.void
            held = false
            return Effect.asVoid(semaphore.release(1))
          })
          yield* Effect.addFinalizer(() => release)
          return release
        })
      )
    }
  })
