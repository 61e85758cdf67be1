/**
 * Spaces out the starts of OpenCode processes: they are at their heaviest, and on one data directory at their most
 * fragile, while they start.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as telemetry from "./internal/telemetry.js"
import * as turnstile from "./internal/turnstile.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface StartupGate {
  /**
   * Waits for a place among the processes that are starting. The place is let go by `opened`, at the latest when the
   * scope closes; `started` begins the window after which it is let go in any case.
   */
  readonly enter: Effect.Effect<Pass, never, Scope.Scope>
  /** Takes a place where nobody has to wait for it. */
  readonly tryEnter: Effect.Effect<Option.Option<Pass>, never, Scope.Scope>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Pass {
  /** The process was spawned: the window begins. */
  readonly started: Effect.Effect<void, never, Scope.Scope>
  /** The first event was seen, or the process has died. Calling it again does nothing. */
  readonly opened: Effect.Effect<void>
}

/**
 * How starts are spaced.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Processes that may be starting at the same time. Default: 1. */
  readonly concurrency?: number | "unbounded" | undefined
  /** The longest time that a start holds its place. Default: 300 milliseconds. */
  readonly window?: Duration.DurationInput | undefined
}

/**
 * A gate whose waiters pass in the order in which they came.
 *
 * @example
 * ```ts
 * import { StartupGate } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const gate = yield* StartupGate.make({ concurrency: 2, window: "1 second" })
 *   yield* Effect.scoped(Effect.flatMap(gate.enter, (pass) => pass.opened))
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: Options): Effect.Effect<StartupGate> =>
  Effect.gen(function*() {
    const concurrency = options?.concurrency ?? 1
    const window = Duration.decode(options?.window ?? Duration.millis(300))
    const permits = concurrency === "unbounded" ? turnstile.unlimited : yield* turnstile.make(concurrency)
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
