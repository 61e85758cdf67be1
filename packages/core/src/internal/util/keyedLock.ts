import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fairSemaphore from "./fairSemaphore.js"

/** A lock per key, granted in order of arrival. */
export interface KeyedLock {
  /** Held until the scope closes. */
  readonly enter: (key: string) => Effect.Effect<void, never, Scope.Scope>
}

interface Lock {
  readonly semaphore: fairSemaphore.FairSemaphore
  users: number
}

export const make = (): KeyedLock => {
  const locks = new Map<string, Lock>()

  const use = (key: string): Effect.Effect<Lock, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.map(fairSemaphore.make(1), (made) => {
        const lock = locks.get(key) ?? { semaphore: made, users: 0 }
        locks.set(key, lock)
        lock.users++
        return lock
      }),
      (lock) =>
        Effect.sync(() => {
          lock.users--
          if (lock.users === 0) locks.delete(key)
        })
    )

  return { enter: (key) => Effect.asVoid(Effect.flatMap(use(key), (lock) => lock.semaphore.enter)) }
}
