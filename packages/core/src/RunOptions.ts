/**
 * The options of a single run.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as checks from "./internal/opencode/check.js"
import { DurationInputInMillis } from "./internal/util/durationInMillis.js"
import * as schemas from "./internal/util/schemas.js"
import type { Isolation } from "./Isolation.js"
import { OpenCodeConfigError } from "./OpenCodeError.js"
import { RunConfig } from "./RunConfig.js"
import type { RunEvent } from "./RunEvent.js"

/**
 * What a cost limit does when OpenCode does not know what a step costs.
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
   * Steps that begin, repetitions after a cut stream included. Default: 500, because OpenCode never stops if a provider
   * sends no finish reason or the model repeats one call (1.18.33), and its own `steps` setting does not help.
   * `Infinity` for no limit.
   */
  readonly steps?: number | undefined
  /** US dollars, by OpenCode's price list. Default: no limit. */
  readonly cost?: number | undefined
  /**
   * What a limit of `cost` does when OpenCode does not know what a step costs: it reports 0 for a model without a
   * price. `"warn"` (default) logs a warning and sets `RunResult.unpriced`. `"error"` ends the run with
   * `OpenCodeBudgetError`. `"allow"` does nothing. A price in `configOverrides.provider.<id>.models.<id>.cost` makes
   * the cost of `model` known; 0 means free.
   */
  readonly unpriced?: Unpriced | undefined
  /** Tokens, cached ones included. Default: no limit. */
  readonly tokens?: number | undefined
  /** Tool calls that end. Default: no limit. */
  readonly toolCalls?: number | undefined
}

/**
 * An attempt of a run that is about to get its prompt: everything that a supervisor needs to find it again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Started {
  readonly runId: string
  /** From 1, in each turn of a `runSchema`. */
  readonly attempt: number
  /** OpenCode's process, or the server; `undefined` with a server that this program has not started. */
  readonly process: {
    readonly pid: number
    /** When it began, in the kernel's ticks since the start of the machine; empty if the system does not tell. */
    readonly started: string
  } | undefined
  /** This program, as `Leftovers.list` names it; `undefined` if the system does not tell. */
  readonly program: {
    readonly pid: number
    readonly started: string
    readonly boot: string
  } | undefined
  readonly cwd: string
  /** The data directory; `undefined` if it is OpenCode's own. With isolation `"run"` it is removed with the attempt. */
  readonly directory: string | undefined
  /** The temporary directory, removed when the attempt ends; `undefined` with `OpenCodeServer`. */
  readonly temporary: string | undefined
}

/**
 * A session that an attempt of a run works in: its own, or one of its sub-agents.
 *
 * @since 0.1.0
 * @category models
 */
export interface SessionStarted {
  readonly runId: string
  /** From 1, in each turn of a `runSchema`. */
  readonly attempt: number
  readonly sessionId: string
  /** The session of the agent that started this one; `undefined` for the run's own. */
  readonly parentId: string | undefined
}

/**
 * A run's {@link RunConfig}, and how it is carried out.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions extends RunConfig {
  /** The working directory; `~` is the home directory. Default: that of the process. */
  readonly cwd?: string | undefined
  /**
   * The id of the run: 1 to 64 letters, digits, `.`, `_` or `-`, the first one a letter or a digit. It is in the
   * environment of the run's processes, the transcript, the spans, the result and the errors. While a run with the same
   * id is live on this machine, a second one is refused with `OpenCodeConfigError`. Not for `defaults` or a session,
   * whose turns are runs of their own; the turns of a `runSchema` share it. Default: 15 random characters.
   */
  readonly runId?: string | undefined
  /**
   * Where this run keeps its data, instead of the layer's `isolation`. Runs that name the same directory start one after
   * the other. Not for `defaults`, nor for a turn of a session. With `OpenCodeServer` it selects a server. Default: the
   * layer's.
   */
  readonly isolation?: Isolation | undefined
  /**
   * Called for each attempt when its process exists, and awaited before the prompt is sent: nothing is done before a
   * supervisor knows of the run. Its time counts towards `timeout`, not towards `startupTimeout`. A defect or an
   * interruption in it ends the run with that cause. Default: none.
   */
  readonly onStart?: ((started: Started) => Effect.Effect<void>) | undefined
  /**
   * Called once for each session of an attempt. With `OpenCodeServer` and with OpenCode 2 it is awaited for the run's own
   * session before the prompt is sent, and called for the session of a sub-agent when the server reports it, which the
   * sub-agent does not wait for. A process of OpenCode 1 shows only the run's own session, with its first event. A defect
   * in it ends the run with that cause. Default: none.
   */
  readonly onSession?: ((session: SessionStarted) => Effect.Effect<void>) | undefined
  /**
   * The time limit for everything, waiting and retries included. Default: 2 hours, so that every run ends; `Infinity`
   * for no limit.
   */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * The time limit from the start of the process to its first event. Default: 4 minutes: a cold start takes 4 seconds,
   * but took 47 with eight at once on two cores, and OpenCode 1.18.33 retries a failing provider silently for up to 110
   * seconds before its first event.
   */
  readonly startupTimeout?: Duration.DurationInput | undefined
  /**
   * The time limit between events, after the first one. Default: 30 minutes: OpenCode prints nothing while a tool or a
   * sub-agent works or an answer streams, so this limits the longest tool call of a run. A server (`OpenCodeServer`)
   * reports more: with it, this is the time without any sign of work.
   */
  readonly idleTimeout?: Duration.DurationInput | undefined
  /**
   * How long the process may take to exit after the conversation has finished. After that the process is ended and the
   * result is kept. Default: 30 seconds.
   */
  readonly exitGrace?: Duration.DurationInput | undefined
  /** Limits of this run. */
  readonly budget?: Budget | undefined
  /**
   * Consecutive failed attempts at the provider, without a finished step in between, after which the run is ended with
   * an `OpenCodeSessionError`. Each conversation is counted separately, a sub-agent's until its task has ended.
   * Default: 10; OpenCode 1.18.33 itself gives up after 6. `Infinity` for no limit. Independent of this limit, a run
   * ends after one second if its provider reports an exhausted account or a wrong key and OpenCode would retry.
   */
  readonly maxProviderRetries?: number | undefined
  /**
   * A file to which every event is appended as a JSON line before you see it; directories are created. Known secrets
   * are masked. Default: none.
   */
  readonly transcript?: string | undefined
  /**
   * How the prompt is passed. Default: `"stdin"`. With `"argv"` OpenCode wraps a prompt that contains a space in double
   * quotes (1.14.34 to 1.18.33), and the limit is 128 KiB.
   */
  readonly promptVia?: "stdin" | "argv" | undefined
  /**
   * What to do when OpenCode exited normally but stdout lacks the end of the conversation (a defect of several
   * versions, 1.14 to 1.18): with `"export"` the missing part is read from the session, and the result is marked as
   * `recovered`. Default: the run fails with `OpenCodeIncompleteError`. With `OpenCodeServer` missing events are always
   * recovered.
   */
  readonly recover?: "export" | undefined
  /**
   * With `"deep"` the usage and cost of sub-agents, which OpenCode's events do not show, are read after the run (one
   * start of the binary for each) and added. Default: they are not included.
   */
  readonly usage?: "deep" | undefined
  /** Keep the lines of stdout in `RunResult.rawLines`. Default: false. */
  readonly keepRaw?: boolean | undefined
  /**
   * Called with every event; use it to show progress while still collecting a RunResult. The run waits for it, so a
   * slow callback slows OpenCode down. Default: none.
   */
  readonly onEvent?: ((event: RunEvent) => Effect.Effect<void>) | undefined
}

/**
 * The options of a run whose answer is decoded with a Schema. `timeout` and `budget` apply to all turns together.
 *
 * @since 0.1.0
 * @category models
 */
export interface SchemaOptions extends RunOptions {
  /** How often the agent may correct an answer that does not decode, one turn each. Default: 2. */
  readonly repairs?: number | undefined
}

/**
 * The names of the options that are functions: everything else is {@link Data}.
 *
 * @since 0.1.0
 * @category models
 */
export type CallbackName = "onEvent" | "onSession" | "onStart"

/**
 * Observes runs; its functions are called like those of the same name in {@link RunOptions}, before them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Observer {
  readonly onEvent?: ((event: RunEvent) => Effect.Effect<void>) | undefined
  readonly onSession?: ((session: SessionStarted) => Effect.Effect<void>) | undefined
}

/**
 * Observes the runs in a region of a program. For libraries that wrap runs and must leave `onEvent` and `onSession`, which
 * an inner layer replaces, to the program. Default: nothing.
 *
 * @example
 * ```ts
 * import { OpenCode, RunOptions } from "effect-opencode"
 * import { Console, Effect } from "effect"
 *
 * export const watched = OpenCode.run("Explain this repository").pipe(
 *   Effect.provideService(RunOptions.CurrentObserver, { onEvent: (event) => Console.error(event._tag) })
 * )
 * ```
 *
 * @since 0.1.0
 * @category references
 */
export class CurrentObserver extends Context.Reference<CurrentObserver>()("effect-opencode/CurrentObserver", {
  defaultValue: (): Observer => ({})
}) {}

const IsolationData: Schema.Schema<Isolation> = Schema.Union(
  Schema.Literal("run", "none"),
  Schema.Struct({ directory: Schema.String })
)

const BudgetData = Schema.Struct({
  steps: Schema.optional(schemas.AnyNumber),
  cost: Schema.optional(schemas.AnyNumber),
  unpriced: Schema.optional(Schema.Literal("warn", "error", "allow")),
  tokens: Schema.optional(schemas.AnyNumber),
  toolCalls: Schema.optional(schemas.AnyNumber)
})

/**
 * The options of a run that are data, for files, queues and other processes. A decoded value means the same as the
 * encoded one.
 *
 * - A duration is milliseconds in JSON, an infinite one `"Infinity"`; `"5 minutes"` can be decoded, too. A limit of
 *   `Infinity` is `"Infinity"` as well.
 * - An unknown option is refused, also inside of `budget`, and so is an option that is a function.
 * - A `Redacted` value is refused at any depth: a secret belongs neither in a queue nor in a file. Send its name, and
 *   add the value where the run is started.
 *
 * The error names the option, not its value.
 *
 * @example
 * ```ts
 * import { RunOptions } from "effect-opencode"
 * import { Schema } from "effect"
 *
 * const Message = Schema.parseJson(RunOptions.Data)
 * const message = Schema.encodeSync(Message)({ model: "anthropic/claude-sonnet-4-5", timeout: "5 minutes" })
 * console.log(message) // {"model":"anthropic/claude-sonnet-4-5","timeout":300000}
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const Data = Schema.Struct({
  ...RunConfig.fields,
  cwd: Schema.optional(Schema.String),
  runId: Schema.optional(Schema.String),
  isolation: Schema.optional(IsolationData),
  timeout: Schema.optional(DurationInputInMillis),
  startupTimeout: Schema.optional(DurationInputInMillis),
  idleTimeout: Schema.optional(DurationInputInMillis),
  exitGrace: Schema.optional(DurationInputInMillis),
  budget: Schema.optional(BudgetData),
  maxProviderRetries: Schema.optional(schemas.AnyNumber),
  transcript: Schema.optional(Schema.String),
  promptVia: Schema.optional(Schema.Literal("stdin", "argv")),
  recover: Schema.optional(Schema.Literal("export")),
  usage: Schema.optional(Schema.Literal("deep")),
  keepRaw: Schema.optional(Schema.Boolean)
}).annotations({ identifier: "RunOptions.Data", ...schemas.complete })

/**
 * The options of a run that are data.
 *
 * @since 0.1.0
 * @category models
 */
export interface Data extends Schema.Schema.Type<typeof Data> {}

/**
 * {@link Data} for a run whose answer is decoded with a Schema.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SchemaData = Schema.Struct({
  ...Data.fields,
  repairs: Schema.optional(schemas.AnyNumber)
}).annotations({ identifier: "RunOptions.SchemaData", ...schemas.complete })

/**
 * {@link Data} for a run whose answer is decoded with a Schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface SchemaData extends Schema.Schema.Type<typeof SchemaData> {}

/**
 * Returns the first reason to refuse a run with this prompt and these options, or `undefined`. The layer's `defaults`
 * and the disk are not consulted. For programs that check a whole list before they start.
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
