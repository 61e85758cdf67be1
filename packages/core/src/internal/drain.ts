import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Guards } from "./guards.js"

/** How long a source may be silent, after it has ended, before it is given up: something else holds it. */
export const patience = Duration.seconds(1)

/** Waits for a reader to reach the end of its source; gives up when that stays silent, not when the consumer is slow. */
export const until = <A, E>(reader: Fiber.RuntimeFiber<A, E>, guard: Guards): Effect.Effect<void> => {
  const silent: Effect.Effect<void> = Effect.suspend(() => {
    const reads = guard.reads()
    return Effect.flatMap(
      Effect.sleep(patience),
      () => guard.isReading() && guard.reads() === reads ? Effect.void : silent
    )
  })
  return Effect.flatMap(Fiber.poll(reader), (ended) =>
    Option.isSome(ended) ? Effect.void : Effect.zipRight(
      Effect.raceFirst(Effect.asVoid(Fiber.await(reader)), silent),
      Effect.asVoid(Fiber.interrupt(reader))
    ))
}
