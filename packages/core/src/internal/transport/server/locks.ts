import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fairSemaphore from "../../util/fairSemaphore.js"

/** A lock per session, granted in order of arrival. */
export interface Locks {
  /** Held until the scope closes. */
  readonly enter: (sessionId: string) => Effect.Effect<void, never, Scope.Scope>
}

interface Lock {
  readonly semaphore: fairSemaphore.FairSemaphore
  users: number
}

export const make = (): Locks => {
  const locks = new Map<string, Lock>()

  const use = (sessionId: string): Effect.Effect<Lock, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.map(fairSemaphore.make(1), (made) => {
        const lock = locks.get(sessionId) ?? { semaphore: made, users: 0 }
        locks.set(sessionId, lock)
        lock.users++
        return lock
      }),
      (lock) =>
        Effect.sync(() => {
          lock.users--
          if (lock.users === 0) locks.delete(sessionId)
        })
    )

  return { enter: (sessionId) => Effect.asVoid(Effect.flatMap(use(sessionId), (lock) => lock.semaphore.enter)) }
}
