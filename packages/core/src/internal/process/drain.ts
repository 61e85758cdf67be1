import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as runtime from "../util/runtime.js"

/**
 * How long a source may stay silent after its process has ended before it is given up: another process holds it open.
 */
export const patience = Duration.seconds(1)

/** The patience is split, so that a program that was suspended for longer still reads what arrived meanwhile. */
const looks = 10

/** The progress of the readers of the sources. */
export interface Progress {
  readonly reads: () => number
  /** False while back-pressure from the consumer blocks the readers. */
  readonly isReading: () => boolean
}

/**
 * Waits until the readers reach the end of their sources; gives up if those stay silent, but not if the consumer is
 * slow.
 */
export const until = (
  readers: ReadonlyArray<runtime.Forked<unknown, unknown>>,
  progress: Progress
): Effect.Effect<void> => {
  const silent = (left: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const reads = progress.reads()
      return Effect.flatMap(Effect.sleep(Duration.toMillis(patience) / looks), () => {
        const isSilent = progress.isReading() && progress.reads() === reads
        return isSilent && left === 1 ? Effect.void : silent(isSilent ? left - 1 : looks)
      })
    })
  return Effect.suspend(() => {
    if (readers.every(runtime.hasEnded)) return Effect.void
    return Effect.flatMap(
      Effect.fork(Effect.andThen(silent(looks), Fiber.interruptAll(readers))),
      (watch) => Effect.andThen(Fiber.awaitAll(readers), Effect.sync(() => runtime.interrupt(watch)))
    )
  })
}
