import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as runtime from "./runtime.js"

/** A semaphore that grants permits in order of arrival. */
export interface FairSemaphore {
  /** Waits for a permit and returns an effect that releases it; the closing of the scope does so at the latest. */
  readonly enter: Effect.Effect<Effect.Effect<void>, never, Scope.Scope>
  /** Takes a permit if one is free. */
  readonly tryEnter: Effect.Effect<Option.Option<Effect.Effect<void>>, never, Scope.Scope>
}

export const unlimited: FairSemaphore = {
  enter: Effect.succeed(Effect.void),
  tryEnter: Effect.succeed(Option.some(Effect.void))
}

/**
 * Makes a semaphore with its own queue: Effect's (3.22) wakes all waiters at every release, and a thousand waiting
 * fibers took 973 MB. A release passes the permit to the head of the queue. Only the waiting is interruptible, so that
 * a permit cannot be lost before its finalizer is registered.
 */
export const make = (permits: number): Effect.Effect<FairSemaphore> =>
  Effect.sync(() => {
    const waiting = new Set<Deferred.Deferred<void>>()
    let free = permits

    const handOn = Effect.suspend(() => {
      for (const first of waiting) {
        waiting.delete(first)
        return Effect.asVoid(Deferred.succeed(first, undefined))
      }
      free++
      return Effect.void
    })

    const turn = (restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
      Effect.suspend(() => {
        if (free > 0) {
          free--
          return Effect.void
        }
        const called = runtime.deferred<void>()
        waiting.add(called)
        return restore(Deferred.await(called)).pipe(
          // If it was already called, the permit came just before the interruption.
          Effect.onInterrupt(() => waiting.delete(called) ? Effect.void : handOn)
        )
      })

    const permit = Effect.suspend(() => {
      let held = true
      const release = Effect.uninterruptible(Effect.suspend(() => {
        if (!held) return Effect.void
        held = false
        return handOn
      }))
      return Effect.as(Effect.addFinalizer(() => release), release)
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
