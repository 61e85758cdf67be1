/**
 * A conversation: several turns that share one OpenCode session and one data directory.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Conversation } from "./Conversation.js"
import type { OpenCodeConfigError, QueryError, RunError, SchemaError } from "./OpenCodeError.js"
import type { RunEvent } from "./RunEvent.js"
import type { RunOptions, SchemaOptions } from "./RunOptions.js"
import type { RunResult } from "./RunResult.js"
import type { Answer } from "./StructuredOutput.js"
import type { TokenUsage } from "./TokenUsage.js"

/**
 * The total usage and cost of the turns of one or more sessions.
 *
 * @since 0.1.0
 * @category models
 */
export interface Spent {
  readonly usage: TokenUsage
  /** US dollars. */
  readonly cost: number
  /** `true` if some of the cost is unknown and not in `cost`. */
  readonly unpriced?: boolean | undefined
  /** Steps that began. */
  readonly steps: number
}

type Settled = "cwd" | "sessionId" | "continueSession" | "fork" | "forkAfter" | "isolation"

/**
 * Where a branch begins.
 *
 * @since 0.1.0
 * @category models
 */
export interface ForkOptions {
  /** The last message of the branch, by the `messageId` of its events. Default: the last one of the session. */
  readonly after?: string | undefined
}

/**
 * The options of all turns of a session. Each turn is a run with an id of its own.
 *
 * @since 0.1.0
 * @category models
 */
export interface SessionOptions extends Omit<RunOptions, "runId"> {}

/**
 * The options of a kept session, whose location names its data directory.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResumeOptions extends Omit<SessionOptions, "isolation"> {}

/**
 * The options of a turn: those of a run, except the ones that the session fixes.
 *
 * @since 0.1.0
 * @category models
 */
export interface TurnOptions extends Omit<RunOptions, Settled> {}

/**
 * The options of a turn whose answer is decoded with a Schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface SchemaTurnOptions extends Omit<SchemaOptions, Settled> {}

/**
 * Turns of one session run one at a time, in the order of the calls; waiting for an earlier turn does not count towards
 * a turn's `timeout`. Different sessions run in parallel.
 *
 * @since 0.1.0
 * @category models
 */
export interface Session {
  /** The session's id; `undefined` before the first turn has shown an event. */
  readonly id: Effect.Effect<string | undefined>
  /** The data directory; `undefined` if it is OpenCode's own. */
  readonly directory: string | undefined
  /** The working directory of every turn: OpenCode hangs if a session is continued from another one (1.18.33). */
  readonly cwd: string
  readonly run: (prompt: string, options?: TurnOptions) => Effect.Effect<RunResult, RunError>
  readonly stream: (prompt: string, options?: TurnOptions) => Stream.Stream<RunEvent, RunError>
  /**
   * Asks for an answer that decodes by a Schema. An answer that does not decode is returned to the agent, in the same
   * session, at most `repairs` times; after that the turn fails with `OpenCodeOutputError`.
   */
  readonly runSchema: <A, I>(
    schema: Schema.Schema<A, I>,
    prompt: string,
    options?: SchemaTurnOptions
  ) => Effect.Effect<Answer<A>, SchemaError>
  /**
   * Creates a branch that does not affect this session. OpenCode creates it when its first turn starts, with everything
   * said until then, or until the message `after`. A message that the session does not have fails that turn with
   * `OpenCodeConfigError`.
   */
  readonly fork: (options?: ForkOptions) => Effect.Effect<Session, OpenCodeConfigError, Scope.Scope>
  /** Reads the whole conversation. */
  readonly export: () => Effect.Effect<Conversation, QueryError>
  /** The total over the turns of this object, including failed and interrupted ones. */
  readonly usage: Effect.Effect<Spent>
}

/**
 * Where an imported session is going to continue.
 *
 * @since 0.1.0
 * @category models
 */
export interface ImportOptions extends Pick<RunOptions, "cwd" | "isolation"> {}

/**
 * The location of a kept session, as returned by `Transcript.read` or stored from a {@link Session}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Location {
  readonly sessionId?: string | undefined
  readonly cwd?: string | undefined
  /** The data directory; without one the session is in OpenCode's own. */
  readonly directory?: string | undefined
  /** The run whose program died: its remaining processes are ended first. */
  readonly runId?: string | undefined
}
