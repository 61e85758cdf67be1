import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** Fails with an error of ours when an effect takes longer than this. */
export const orFail =
  <E2>(limit: Duration.DurationInput, onTimeout: () => E2) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R> =>
    Effect.flatMap(
      Effect.timeoutOption(effect, limit),
      Option.match({ onNone: () => Effect.fail(onTimeout()), onSome: Effect.succeed })
    )
