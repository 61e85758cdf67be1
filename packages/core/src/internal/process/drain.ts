import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"

/** How long a source may be silent, after it has ended, before it is given up: something else holds it. */
export const patience = Duration.seconds(1)

/** A program that was held up for longer than the patience has not yet read what has come meanwhile. */
const looks = 10

/** Counts what is read from the sources. */
export interface Progress {
  readonly reads: () => number
  /** False while back-pressure from the consumer blocks the readers. */
  readonly isReading: () => boolean
}

/** Waits for readers to reach the end of their sources; gives up when those stay silent, not when the consumer is slow. */
export const until = (
  readers: ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>>,
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
    if (readers.every((reader) => reader.unsafePoll() !== null)) return Effect.void
    return Effect.flatMap(
      Effect.fork(Effect.andThen(silent(looks), Fiber.interruptAll(readers))),
      (watch) => Effect.andThen(Fiber.awaitAll(readers), Effect.sync(() => watch.unsafeInterruptAsFork(FiberId.none)))
    )
  })
}
