/**
 * Spaces out the starts of OpenCode processes: they are at their heaviest, and on one data directory at their most
 * fragile, while they start.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"

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
