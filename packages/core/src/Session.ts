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
 * What the turns of a session, or of several, add up to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Spent {
  readonly usage: TokenUsage
  /** US dollars. */
  readonly cost: number
  /** `true` where some of the cost is unknown and not in `cost`. */
  readonly unpriced?: boolean | undefined
  /** Steps that began. */
  readonly steps: number
}

type Settled = "cwd" | "sessionId" | "continueSession" | "fork"

/**
 * The options of a turn: those of a run, but for what the session has settled.
 *
 * @since 0.1.0
 * @category models
 */
export interface TurnOptions extends Omit<RunOptions, Settled> {}

/**
 * The options of a turn whose answer is decoded by a Schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface SchemaTurnOptions extends Omit<SchemaOptions, Settled> {}

/**
 * Turns of one session run one at a time, in the order in which they were asked for; waiting for an earlier turn does
 * not count towards a turn's `timeout`. Different sessions run in parallel.
 *
 * @since 0.1.0
 * @category models
 */
export interface Session {
  /** The session's id; `undefined` before the first turn has shown an event. */
  readonly id: Effect.Effect<string | undefined>
  /** The data directory; `undefined` where it is OpenCode's own. */
  readonly directory: string | undefined
  /** The working directory of every turn: OpenCode hangs where a session is continued from another one (1.18.33). */
  readonly cwd: string
  readonly run: (prompt: string, options?: TurnOptions) => Effect.Effect<RunResult, RunError>
  readonly stream: (prompt: string, options?: TurnOptions) => Stream.Stream<RunEvent, RunError>
  /**
   * Asks for an answer that decodes by a Schema. What does not decode is given back to the agent, in the same session,
   * at most `repairs` times; then it is an `OpenCodeOutputError`.
   */
  readonly runSchema: <A, I>(
    schema: Schema.Schema<A, I>,
    prompt: string,
    options?: SchemaTurnOptions
  ) => Effect.Effect<Answer<A>, SchemaError>
  /**
   * A branch that does not disturb this session. OpenCode makes it when its first turn starts: it begins with what was
   * said until then.
   */
  readonly fork: () => Effect.Effect<Session, OpenCodeConfigError, Scope.Scope>
  /** The whole conversation. */
  readonly export: () => Effect.Effect<Conversation, QueryError>
  /** The sum over the turns of this object, those that failed or were interrupted included. */
  readonly usage: Effect.Effect<Spent>
}

/**
 * Where a kept session is: what `Transcript.read` gives, or what a program has noted of a {@link Session}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Location {
  readonly sessionId?: string | undefined
  readonly cwd?: string | undefined
  /** The data directory; without one the session is in OpenCode's own. */
  readonly directory?: string | undefined
  /** The run whose program died: what is left of its processes is ended first. */
  readonly runId?: string | undefined
}
