/**
 * Spaces out the starts of OpenCode processes: they are at their heaviest, and on one data directory at their most
 * fragile, while they start.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as telemetry from "./internal/run/telemetry.js"
import * as fairSemaphore from "./internal/util/fairSemaphore.js"

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
 * The processors of the machine, as far as they are known: a number below 1 or none at all says that they are not.
 * Default: `navigator.hardwareConcurrency`, which Node has since 21 and Bun has, too. A program on Node 20 can provide
 * `os.availableParallelism()`. Node often gives the processors of the host where a container may use only some of them:
 * provide their number there.
 *
 * @since 0.1.0
 * @category references
 */
export class Processors extends Context.Reference<Processors>()("effect-opencode/StartupGate/Processors", {
  defaultValue: (): number | undefined =>
    (globalThis as { readonly navigator?: { readonly hardwareConcurrency?: number } }).navigator?.hardwareConcurrency
}) {}

/**
 * How starts are spaced that have nothing in common but the machine: one for each processor, each until its first event
 * and for at most 4 seconds. A start takes 3.9 seconds of processor time (1.18.33), so the machine starts as many as it
 * can, and few runs spend their `startupTimeout` in a crowd of others that are starting, too. Eight runs on two cores took
 * 1.6 GB of memory together instead of the 3.6 GB with a start every 300 milliseconds, and a run ended after 11.4 seconds
 * on average instead of 18.6.
 *
 * @since 0.1.0
 * @category constructors
 */
export const forProcessors = (processors: number): Options => ({
  concurrency: Math.max(1, Math.floor(processors)),
  window: Duration.seconds(4)
})

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
