import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

const often = Schedule.union(Schedule.exponential("200 millis", 2), Schedule.spaced("5 seconds"))

/** Repeats until the database answers: a job waits for it, whatever it takes. */
export const forever = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, never, R> =>
  Effect.suspend(() => {
    let isTold = false
    return effect.pipe(
      Effect.tapError((error) => {
        if (isTold) return Effect.void
        isTold = true
        return Effect.logWarning("Waiting for the database of the cluster", error)
      }),
      Effect.retry(often),
      Effect.orDie
    )
  })

/** Repeats for about ten seconds, through a restart of the database. */
export const briefly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, Schedule.intersect(often, Schedule.recurs(6)))

/** For what is done on the way out, which may not wait for a database that does not answer. */
export const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  millis: number
): Effect.Effect<void, never, R> =>
  effect.pipe(Effect.interruptible, Effect.disconnect, Effect.timeout(millis), Effect.ignoreLogged)
