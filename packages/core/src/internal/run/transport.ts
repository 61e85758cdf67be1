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
import type { RunOptions, Started } from "../../RunOptions.js"
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
 * Carries runs, by a process for each or by a server. It starts them, reports their events and ends them; everything
 * else about a run does not depend on it.
 */
export interface Transport {
  /** What carries the runs, as the service says it. */
  readonly carrier: "process" | "server" | "attached"
  /** The first problem with a run's options for this transport, found from the options alone. */
  readonly problem: (options: RunOptions) => Option.Option<Problem>
  /** The secret values that OpenCode is given, inherits or finds. */
  readonly secrets: (options: RunOptions) => Effect.Effect<ReadonlyArray<string>>
  /** Checks the files and directories that the run needs. */
  readonly checkFiles: (plan: Plan) => Effect.Effect<void, OpenCodeConfigError>
  /** Acquires what the run needs before it waits for its slot. Returns the function that prepares its attempts. */
  readonly acquire: (plan: Plan, request: Request) => Effect.Effect<Prepare, RunError, Scope.Scope>
  /** The transport for the turns of one conversation, which share their data, while the scope is open. */
  readonly forSession: (plan: Plan) => Effect.Effect<Transport, SessionOpenError, Scope.Scope>
  /** The transport for the turns of an earlier program's conversation. */
  readonly forLocation: (location: Location) => Effect.Effect<Transport>
  /** The data directory that all runs share; `undefined` if it is OpenCode's own. */
  readonly directory: string | undefined
  /** Writes a conversation into the data directory of a run with this plan, so that it can be continued there. */
  readonly importing: (plan: Plan, conversation: Conversation) => Effect.Effect<Location, QueryError>
  /** Reads a whole session, as a run with these options sees it. */
  readonly conversation: (
    run: Pick<Plan, "options" | "cwd">,
    sessionId: string
  ) => Effect.Effect<Conversation, QueryError>
  readonly version: Effect.Effect<Version, QueryError>
  readonly models: Effect.Effect<ReadonlyArray<string>, QueryError>
}

export interface Request {
  /** Interrupts a wait when the run's total time is over. */
  readonly inTime: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | OpenCodeTimeoutError, R>
}

/** Prepares an attempt without starting anything in OpenCode. */
export type Prepare = (request: Request) => Effect.Effect<Prepared, RunError, Scope.Scope>

export interface Prepared {
  /** The dialect of the OpenCode that carries the attempt. */
  readonly dialect: Dialect
  /** True if this OpenCode loses the last events of every run. */
  readonly losesEnd: boolean
  /** The data directory; `undefined` if it is OpenCode's own. */
  readonly directory: string | undefined
  /** The temporary directory, if this attempt has its own. */
  readonly temporary?: string | undefined
  /** The data directory that runs outside of the layer's isolation share; starts in it must not overlap. */
  readonly shared?: string | undefined
  /** True if the attempt uses what runs already, so that it need not wait for the starts of others. */
  readonly startsNothing?: boolean | undefined
  /**
   * Starts the attempt, which reports to the sink until `stop` has returned. It ends at the latest when the scope
   * closes.
   */
  readonly start: (sink: Sink) => Effect.Effect<Running, RunError, Scope.Scope>
  /** Reads a session of the attempt after its end. */
  readonly conversation: (sessionId: string) => Effect.Effect<Conversation, QueryError>
}

/** Receives everything that an attempt reports; its end is reported by `watchdog.ended`. */
export interface Sink {
  readonly state: Summary
  readonly watchdog: Watchdog
  readonly stderr: LineTail
  /** Collects the printed lines, if they are kept. */
  readonly rawLines: Array<string> | undefined
  readonly recorder: Recorder
  /** Run once the attempt has a process, before its prompt is sent; the prompt waits for it. */
  readonly onStart: (started: Effect.Effect<Pick<Started, "process" | "program">>) => Effect.Effect<void>
  /** Run once for each session of the attempt, with the session of the agent that started it. */
  readonly onSession: (sessionId: string, parentId?: string) => Effect.Effect<void>
  /** Called when the provider limits the rate, with the time to wait if it names one. */
  readonly onRateLimited: (retryAfter: Duration.Duration | undefined) => Effect.Effect<void>
}

export interface Running {
  /** Ends what is still running, gracefully unless `force`; returns when the sink has received everything. */
  readonly stop: (options: { readonly force: boolean }) => Effect.Effect<Stopped>
}

export interface Stopped {
  readonly exit: verdicts.Exit
  /** Processes that could not be ended. */
  readonly survivors: ReadonlyArray<number>
  /** The end of stderr without text of the model, if there is a stderr. */
  readonly ownStderr?: string | undefined
}
