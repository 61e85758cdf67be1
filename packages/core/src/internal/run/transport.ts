import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Conversation } from "../../Conversation.js"
import type {
  OpenCodeConfigError,
  OpenCodeTimeoutError,
  QueryError,
  RunError,
  SessionOpenError
} from "../../OpenCodeError.js"
import type { RunConfig } from "../../RunConfig.js"
import type { RunOptions } from "../../RunOptions.js"
import type { Location } from "../../Session.js"
import type { Version } from "../../Version.js"
import type { Dialect } from "../opencode/dialect.js"
import type { Problem } from "../opencode/problem.js"
import type { Summary } from "../opencode/summary.js"
import type * as verdicts from "../opencode/verdict.js"
import type { LineTail } from "../util/tail.js"
import type { Plan } from "./plan.js"
import type { Recorder } from "./recorder.js"
import type { Watchdog } from "./watchdog.js"

/**
 * What carries runs: a process for each, or a server. It starts them, says what they report and ends them; all else
 * about a run is the same whatever carries it.
 */
export interface Transport {
  /** What of a run's options cannot be used here, as far as they alone can tell. */
  readonly problem: (options: RunOptions) => Option.Option<Problem>
  /** The secret values among what OpenCode is given, inherits and finds. */
  readonly secrets: (config: RunConfig) => Effect.Effect<ReadonlyArray<string>>
  /** Looks at what the run needs on the disk. */
  readonly checkFiles: (plan: Plan) => Effect.Effect<void, OpenCodeConfigError>
  /** What is to be found out, and to be waited for, before the run waits for its place. Gives what makes its attempts. */
  readonly acquire: (plan: Plan, request: Request) => Effect.Effect<Prepare, RunError, Scope.Scope>
  /** What carries the turns of a conversation, which see each other's data, as long as the scope is open. */
  readonly forSession: (plan: Plan) => Effect.Effect<Transport, SessionOpenError, Scope.Scope>
  /** What carries the turns of a conversation of an earlier program. */
  readonly forLocation: (location: Location) => Effect.Effect<Transport>
  /** The data directory that all runs share; `undefined` where it is OpenCode's own. */
  readonly directory: string | undefined
  /** A whole session, as it is seen in a run with these options. */
  readonly conversation: (
    run: Pick<Plan, "options" | "cwd">,
    sessionId: string
  ) => Effect.Effect<Conversation, QueryError>
  readonly version: Effect.Effect<Version, QueryError>
  readonly models: Effect.Effect<ReadonlyArray<string>, QueryError>
}

export interface Request {
  /** Cuts a wait short when the run's total time is over. */
  readonly inTime: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | OpenCodeTimeoutError, R>
}

/** Prepares an attempt; nothing that OpenCode does has begun after it. */
export type Prepare = (request: Request) => Effect.Effect<Prepared, RunError, Scope.Scope>

export interface Prepared {
  /** How the OpenCode that carries the attempt speaks. */
  readonly dialect: Dialect
  /** The data directory; `undefined` where it is OpenCode's own. */
  readonly directory: string | undefined
  /** The temporary directory, where it is this attempt's own. */
  readonly temporary?: string | undefined
  /** Starts; what it reports goes to the sink until `stop` has returned. It is ended at the latest with the scope. */
  readonly start: (sink: Sink) => Effect.Effect<Running, RunError, Scope.Scope>
  /** A session of the attempt, asked for after its end. */
  readonly conversation: (sessionId: string) => Effect.Effect<Conversation, QueryError>
}

/** Where everything goes that an attempt reports, and its end with `watchdog.ended`. */
export interface Sink {
  readonly state: Summary
  readonly watchdog: Watchdog
  readonly stderr: LineTail
  /** Collects the lines as they were printed, where they are kept. */
  readonly rawLines: Array<string> | undefined
  readonly recorder: Recorder
  /** The provider has asked for patience, and perhaps said for how long. */
  readonly onRateLimited: (retryAfter: Duration.Duration | undefined) => Effect.Effect<void>
}

export interface Running {
  /** Ends what is left of it, politely unless `force`; returns when the sink has seen everything. */
  readonly stop: (options: { readonly force: boolean }) => Effect.Effect<Stopped>
}

export interface Stopped {
  readonly exit: verdicts.Exit
  /** Processes that could not be ended. */
  readonly survivors: ReadonlyArray<number>
  /** The end of stderr without the texts of the model in it, where there is one. */
  readonly ownStderr?: string | undefined
}
