/**
 * Spaces out the starts of OpenCode processes, because starting needs the most resources and is fragile on a shared
 * data directory.
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
  /** How many processes may be starting at the same time. Default: 1. */
  readonly concurrency?: number | "unbounded" | undefined
  /** The longest time that a start holds its place. Default: 300 milliseconds. */
  readonly window?: Duration.DurationInput | undefined
}

/**
 * The number of processors of the machine; below 1 or `undefined` means unknown. Default:
 * `navigator.hardwareConcurrency`, which Node 21 and later and Bun have. A program on Node 20 can provide
 * `os.availableParallelism()`. In a container that may use only some of the host's processors, Node often reports all
 * of them: provide the right number there.
 *
 * @since 0.1.0
 * @category references
 */
export class Processors extends Context.Reference<Processors>()("effect-opencode/StartupGate/Processors", {
  defaultValue: (): number | undefined =>
    (globalThis as { readonly navigator?: { readonly hardwareConcurrency?: number } }).navigator?.hardwareConcurrency
}) {}

/**
 * Returns options for starts that share only the machine: one per processor, each until its first event and for at most
 * 4 seconds. A start takes 3.9 seconds of processor time (1.18.33), so the machine starts as many as it can, and few
 * runs spend their `startupTimeout` competing with other starts. Eight runs on two cores took 1.6 GB of memory together
 * instead of the 3.6 GB with a start every 300 milliseconds, and a run ended after 11.4 seconds on average instead of
 * 18.6.
 *
 * @since 0.1.0
 * @category constructors
 */
export const forProcessors = (processors: number): Options => ({
  concurrency: Math.max(1, Math.floor(processors)),
  window: Duration.seconds(4)
})
