/**
 * What a single run can be told besides its prompt.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as checks from "./internal/opencode/check.js"
import { OpenCodeConfigError } from "./OpenCodeError.js"
import type { RunConfig } from "./RunConfig.js"
import type { RunEvent } from "./RunEvent.js"

/**
 * What happens under a limit of cost when OpenCode does not know what a step costs.
 *
 * @since 0.1.0
 * @category models
 */
export type Unpriced = "warn" | "error" | "allow"

/**
 * Limits of one run. Crossing one ends the run with `OpenCodeBudgetError`; a limit may be reached.
 *
 * @since 0.1.0
 * @category models
 */
export interface Budget {
  /**
   * Steps that begin, repetitions after a cut stream included. Default 500: OpenCode goes on for ever where a provider
   * never gives a finish reason or the model repeats one call (1.18.33), and its own `steps` setting does not stop
   * that. `Infinity` for no limit.
   */
  readonly steps?: number | undefined
  /** US dollars, by OpenCode's price list. Default: no limit. */
  readonly cost?: number | undefined
  /**
   * What happens under a limit of `cost` when OpenCode does not know what a step costs: it reports a cost of 0 for a model
   * without a price. `"warn"` (default) logs a warning, and `RunResult.unpriced` says so. `"error"` ends the run with
   * `OpenCodeBudgetError`. `"allow"` says nothing. A price in `configOverrides.provider.<id>.models.<id>.cost` makes
   * the cost of `model` known; one of 0 says that it is free.
   */
  readonly unpriced?: Unpriced | undefined
  /** Tokens, cached ones included. Default: no limit. */
  readonly tokens?: number | undefined
  /** Tool calls that end. Default: no limit. */
  readonly toolCalls?: number | undefined
}

/**
 * A run's {@link RunConfig} and how it is to be run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions extends RunConfig {
  /** The working directory; `~` is the home directory. Default: that of the process. */
  readonly cwd?: string | undefined
  /**
   * The time for everything, waiting and retries included. Default: 2 hours, so that no run goes on for ever;
   * `Infinity` for no limit.
   */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * The time from the start of the process to its first event. Default: 4 minutes: a cold start takes 4 seconds, but
   * 47 were measured with eight at once on two cores, and OpenCode 1.18.33 retries a failing provider silently for up
   * to 110 seconds before its first event.
   */
  readonly startupTimeout?: Duration.DurationInput | undefined
  /**
   * The time without an event after the first one. Default: 30 minutes: OpenCode prints nothing while a tool or a
   * sub-agent works or an answer streams, so this is the longest tool call that a run may make. A server
   * (`OpenCodeServer`) shows more: there it is the time without any sign of work.
   */
  readonly idleTimeout?: Duration.DurationInput | undefined
  /**
   * How long the process may take to exit after the conversation has finished. The result is kept, the process is
   * ended. Default: 30 seconds.
   */
  readonly exitGrace?: Duration.DurationInput | undefined
  /** Limits of this run. */
  readonly budget?: Budget | undefined
  /**
   * Failed attempts at the provider without a finished step in between, after which the run is ended with an
   * `OpenCodeSessionError`. Those of each conversation are counted by themselves, a sub-agent's until its task has ended.
   * Default: 10; OpenCode 1.18.33 itself gives up after 6. `Infinity` for no limit. Whatever it is, a run ends after one
   * second where its provider says that the account is used up or the key is wrong, and OpenCode would ask again.
   */
  readonly maxProviderRetries?: number | undefined
  /**
   * A file that receives every event as a JSON line before you see it; it is appended to, directories are made. Known
   * secrets are masked. Default: none.
   */
  readonly transcript?: string | undefined
  /**
   * How the prompt travels. Default `"stdin"`. With `"argv"` OpenCode wraps a prompt that holds a space in double
   * quotes (1.14.34 to 1.18.33), and 128 KiB are the limit.
   */
  readonly promptVia?: "stdin" | "argv" | undefined
  /**
   * What to do when OpenCode ended well but stdout lacks the end of the conversation (a defect of several versions,
   * 1.14 to 1.18): with `"export"` the session is asked for what is missing, and the result is marked as `recovered`.
   * Default: the run fails with `OpenCodeIncompleteError`. With `OpenCodeServer` a gap in the events is always made up for.
   */
  readonly recover?: "export" | undefined
  /**
   * With `"deep"` the usage and cost of sub-agents, which OpenCode's events do not show, are asked for after the run
   * (one start of the binary for each) and added. Default: they are not.
   */
  readonly usage?: "deep" | undefined
  /** Keep the lines of stdout in `RunResult.rawLines`. Default: false. */
  readonly keepRaw?: boolean | undefined
  /**
   * Is given every event as it comes, for progress where the result is wanted, too. The run waits for it: one that is
   * slow slows OpenCode down. Default: none.
   */
  readonly onEvent?: ((event: RunEvent) => Effect.Effect<void>) | undefined
}

/**
 * The options of a run whose answer is decoded by a Schema. `timeout` and `budget` are for all turns together.
 *
 * @since 0.1.0
 * @category models
 */
export interface SchemaOptions extends RunOptions {
  /** How often the agent may correct an answer that does not decode, each time with a turn. Default: 2. */
  readonly repairs?: number | undefined
}

/**
 * The first reason for which a run with this prompt and these options would be refused; `undefined` if there is none, as far as it can be told without
 * the layer's `defaults` and without looking at the disk: for programs that check a whole list before they start.
 *
 * @example
 * ```ts
 * import { RunOptions } from "effect-opencode"
 *
 * const problem = RunOptions.check("Fix the test", { model: "gpt-5" })
 * console.log(problem?.path) // "model"
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const check = (prompt: string, options?: RunOptions): OpenCodeConfigError | undefined =>
  Option.match(checks.run(prompt, options ?? {}), {
    onNone: () => undefined,
    onSome: (problem) => new OpenCodeConfigError(problem)
  })
