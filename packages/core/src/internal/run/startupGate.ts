import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as StartupGate from "../../StartupGate.js"
import * as fairSemaphore from "../util/fairSemaphore.js"
import * as telemetry from "./telemetry.js"

export interface Gate {
  /**
   * Waits for a place among the processes that are starting. The place is let go by `opened`, at the latest when the
   * scope closes; `started` begins the window after which it is let go in any case.
   */
  readonly enter: Effect.Effect<Pass, never, Scope.Scope>
  /** Takes a place where nobody has to wait for it. */
  readonly tryEnter: Effect.Effect<Option.Option<Pass>, never, Scope.Scope>
}

export interface Pass {
  /** The process was spawned: the window begins. */
  readonly started: Effect.Effect<void, never, Scope.Scope>
  /** The first event was seen, or the process has died. Calling it again does nothing. */
  readonly opened: Effect.Effect<void>
}

/** A gate whose waiters pass in the order in which they came. */
export const make = (options?: StartupGate.Options): Effect.Effect<Gate> =>
  Effect.gen(function*() {
    const concurrency = options?.concurrency ?? 1
    const window = Duration.decode(options?.window ?? Duration.millis(300))
    const permits = concurrency === "unbounded" ? fairSemaphore.unlimited : yield* fairSemaphore.make(concurrency)
    const pass = (release: Effect.Effect<void>): Pass => ({
      // Forked: a wait between the spawn and the first read would lose the output of a child that ends at once.
      started: concurrency === "unbounded"
        ? Effect.void
        : Effect.asVoid(Effect.forkScoped(Effect.delay(release, window))),
      opened: release
    })
    return {
      enter: Effect.gen(function*() {
        const before = yield* Clock.currentTimeMillis
        const release = yield* permits.enter
        const after = yield* Clock.currentTimeMillis
        yield* telemetry.gateWait(after - before)
        return pass(release)
      }),
      tryEnter: Effect.tap(
        Effect.map(permits.tryEnter, Option.map(pass)),
        (entered) => Option.isSome(entered) ? telemetry.gateWait(0) : Effect.void
      )
    }
  })
