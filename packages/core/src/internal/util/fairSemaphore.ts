import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

/** Takes permits one caller after the other, in the order of arrival. */
export interface Turnstile {
  /** Waits for a permit; it is returned by the effect that this gives, at the latest when the scope closes. */
  readonly enter: Effect.Effect<Effect.Effect<void>, never, Scope.Scope>
  /** Takes a permit where nobody has to wait for it. */
  readonly tryEnter: Effect.Effect<Option.Option<Effect.Effect<void>>, never, Scope.Scope>
}

export const unlimited: Turnstile = {
  enter: Effect.succeed(Effect.void),
  tryEnter: Effect.succeed(Option.some(Effect.void))
}

/**
 * A semaphore that never sees a waiter. Effect's own (3.22) wakes all of them at every release: a thousand waiting
 * fibers took 973 MB. The crowd waits in a queue here, and whoever leaves hands the permit on to its head. Only the
 * waiting can be interrupted: between a permit and its finalizer there is no place to lose it.
 */
export const make = (permits: number): Effect.Effect<Turnstile> =>
  Effect.map(Effect.makeSemaphore(permits), (semaphore) => {
    const crowd = new Set<Deferred.Deferred<void>>()
    let free = permits

    const handOn = Effect.suspend(() => {
      for (const first of crowd) {
        crowd.delete(first)
        return Effect.asVoid(Deferred.succeed(first, undefined))
      }
      free++
      return Effect.void
    })

    const turn = (restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
      Effect.fiberIdWith((id) => {
        if (free > 0) {
          free--
          return Effect.void
        }
        const called = Deferred.unsafeMake<void>(id)
        crowd.add(called)
        return restore(Deferred.await(called)).pipe(
          // Not in the crowd any more: the turn had come just before the interruption.
          Effect.onInterrupt(() => crowd.delete(called) ? Effect.void : handOn)
        )
      })

    const permit = Effect.gen(function*() {
      yield* semaphore.take(1)
      let held = true
      const release = Effect.uninterruptible(Effect.suspend(() => {
        if (!held) return Effect.void
        held = false
        return Effect.andThen(semaphore.release(1), handOn)
      }))
      yield* Effect.addFinalizer(() => release)
      return release
    })

    return {
      enter: Effect.uninterruptibleMask((restore) => Effect.andThen(turn(restore), permit)),
      tryEnter: Effect.uninterruptible(Effect.suspend(() => {
        if (free === 0) return Effect.succeedNone
        free--
        return Effect.asSome(permit)
      }))
    }
  })
