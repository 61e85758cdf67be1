import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type * as StartupGate from "../../StartupGate.js"
import * as fairSemaphore from "../util/fairSemaphore.js"
import * as keyedLock from "../util/keyedLock.js"
import * as telemetry from "./telemetry.js"

export interface Gate {
  /**
   * Waits for a start slot. `opened` releases the slot, at the latest the closing of the scope does; `started` begins
   * the window after which it is released in any case.
   */
  readonly enter: Effect.Effect<Pass, never, Scope.Scope>
  /** The same after the other starts in a data directory, which can crash each other. */
  readonly enterIn: (directory: string) => Effect.Effect<Pass, never, Scope.Scope>
  /** Takes a start slot if one is free. */
  readonly tryEnter: Effect.Effect<Option.Option<Pass>, never, Scope.Scope>
}

export interface Pass {
  /** Call when the process was spawned: begins the window. */
  readonly started: Effect.Effect<void, never, Scope.Scope>
  /** Call when the first event was seen or the process has died. Further calls do nothing. */
  readonly opened: Effect.Effect<void>
}

/** Makes a gate that waiters pass in order of arrival. */
export const make = (options?: StartupGate.Options): Effect.Effect<Gate> =>
  Effect.gen(function*() {
    const concurrency = options?.concurrency ?? 1
    const window = Duration.decode(options?.window ?? Duration.millis(300))
    const permits = concurrency === "unbounded" ? fairSemaphore.unlimited : yield* fairSemaphore.make(concurrency)
    const directories = keyedLock.make()
    // Forked, because waiting between the spawn and the first read would lose the output of a child that ends at once.
    const closing = (release: Effect.Effect<void>): Pass => ({
      started: Effect.asVoid(Effect.forkScoped(Effect.delay(release, window))),
      opened: release
    })
    const pass = (release: Effect.Effect<void>): Pass =>
      concurrency === "unbounded" ? { started: Effect.void, opened: release } : closing(release)
    const timed = <A, R>(enter: Effect.Effect<A, never, R>): Effect.Effect<A, never, R> =>
      Effect.gen(function*() {
        const before = yield* Clock.currentTimeMillis
        const entered = yield* enter
        const after = yield* Clock.currentTimeMillis
        yield* telemetry.gateWait(after - before)
        return entered
      })
    return {
      enter: Effect.map(timed(permits.enter), pass),
      enterIn: (directory) =>
        timed(Effect.gen(function*() {
          const own = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
          yield* Scope.extend(Effect.andThen(directories.enter(directory), permits.enter), own)
          return closing(Scope.close(own, Exit.void))
        })),
      tryEnter: Effect.tap(
        Effect.map(permits.tryEnter, Option.map(pass)),
        (entered) => Option.isSome(entered) ? telemetry.gateWait(0) : Effect.void
      )
    }
  })
