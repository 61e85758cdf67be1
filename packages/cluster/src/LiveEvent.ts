/**
 * What is seen of a job while it runs, on whichever runner.
 *
 * @since 0.1.0
 */
import * as RunEvent from "effect-opencode/RunEvent"
import * as Schema from "effect/Schema"

/**
 * An agent was started.
 *
 * @since 0.1.0
 * @category models
 */
export interface Started extends Schema.Schema.Type<typeof Started> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Started = Schema.TaggedStruct("Started", {
  attempt: Schema.Number,
  runner: Schema.String,
  runId: Schema.String,
  /** True if it continues the session of an earlier attempt. */
  resumed: Schema.Boolean
})

/**
 * An event of the agent's run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress extends Schema.Schema.Type<typeof Progress> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Progress = Schema.TaggedStruct("Progress", { attempt: Schema.Number, event: RunEvent.RunEvent })

/**
 * The agent waits for a person's permission: answer with `AgentRun.answer`. Only with `OpenCodeServer`, see
 * `AgentRun.onPermission`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Asked extends Schema.Schema.Type<typeof Asked> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Asked = Schema.TaggedStruct("Asked", {
  attempt: Schema.Number,
  /** What `AgentRun.answer` names. */
  ask: Schema.String,
  /** `bash`, `edit`, … */
  permission: Schema.String,
  /** What is requested: a command, a file, a directory. */
  patterns: Schema.Array(Schema.String)
})

/**
 * Events are missing here: the runner died and its events with it, or the reader was too slow. `missed` is how many, if
 * that is known.
 *
 * @since 0.1.0
 * @category models
 */
export interface Gap extends Schema.Schema.Type<typeof Gap> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Gap = Schema.TaggedStruct("Gap", { missed: Schema.optional(Schema.Number) })

/**
 * The job is settled: the last event.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ended extends Schema.Schema.Type<typeof Ended> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const Ended = Schema.TaggedStruct("Ended", {
  status: Schema.Literal("succeeded", "failed", "lost", "cancelled")
})

/**
 * The Schema of a {@link LiveEvent}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LiveEvent = Schema.Union(Started, Progress, Asked, Gap, Ended)

/**
 * What is seen of a job while it runs.
 *
 * @since 0.1.0
 * @category models
 */
export type LiveEvent = Started | Progress | Asked | Gap | Ended
