import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as lineSplitter from "../util/lines.js"

/** In bytes. OpenCode does not print longer lines. */
const maxLine = 1024 * 1024

/** Passes the lines of a pipe to a consumer, to its end, because a full pipe would block the process. */
export const toEnd = <E>(
  pipe: Stream.Stream<Uint8Array, E>,
  onLine: (line: lineSplitter.Line) => void,
  onChunk: () => void = () => {}
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const lines = lineSplitter.make(maxLine)
    const consume = (found: ReadonlyArray<lineSplitter.Line>): void => {
      for (const line of found) onLine(line)
    }
    return Stream.runForEachChunk(pipe, (chunk) =>
      Effect.sync(() => {
        onChunk()
        for (const bytes of chunk) consume(lines.push(bytes))
      })).pipe(
        Effect.ignore,
        Effect.ensuring(Effect.sync(() => consume(lines.flush())))
      )
  })
