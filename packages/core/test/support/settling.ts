/** Waits until real files are no longer read and written, while the clock of a test stands still. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"

/** Calls of the file system that have not returned, of all tests in a file. */
let underWay = 0

/** Counts the calls, so that a test can tell whether anything still happens. */
export const counted = (fileSystem: FileSystem.FileSystem): FileSystem.FileSystem =>
  new Proxy(fileSystem, {
    get: (target, name, receiver) => {
      const member: unknown = Reflect.get(target, name, receiver)
      if (typeof member !== "function") return member
      return (...args: ReadonlyArray<unknown>): unknown => {
        const result: unknown = member(...args)
        if (!Effect.isEffect(result)) return result
        return Effect.suspend(() => {
          underWay++
          return Effect.ensuring(
            result,
            Effect.sync(() => {
              underWay--
            })
          )
        })
      }
    }
  })

/** A turn of the real event loop: real files are read and written while the TestClock stands still. */
export const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Enough turns for everything that does not wait for the clock: 30 turns without any reading or writing. */
export const settle: Effect.Effect<void> = Effect.suspend(() => {
  const rest = (quiet: number): Effect.Effect<void> =>
    quiet === 30 ? Effect.void : Effect.flatMap(turn, () => rest(underWay === 0 ? quiet + 1 : 0))
  return rest(0)
})
