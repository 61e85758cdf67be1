/**
 * What a batch keeps of each job: one line of the results file, and one row of the table and of the report.
 *
 * @since 0.1.0
 */
import * as TokenUsage from "effect-opencode/TokenUsage"
import * as Schema from "effect/Schema"

/**
 * Where a job of a batch with `--worktree` has worked.
 *
 * @since 0.1.0
 * @category models
 */
export const Worktree = Schema.Struct({
  path: Schema.String,
  branch: Schema.String,
  /** The commit from which the branch was made. */
  base: Schema.String,
  /** Whether the directory is still there. */
  kept: Schema.Boolean,
  /** Why it was kept or removed, for a person. */
  reason: Schema.String,
  /** Commits on the branch that the base has not. */
  commits: Schema.Number,
  /** What went wrong when it was made, although it was: a hook that failed. */
  warning: Schema.optional(Schema.String)
})

/**
 * A job that has ended.
 *
 * @since 0.1.0
 * @category models
 */
export class JobResult extends Schema.Class<JobResult>("effect-opencode-cli/JobResult")({
  /** The same for the same job of the same input. */
  id: Schema.String,
  /** The job's place in the input, from 0. */
  index: Schema.Number,
  /** What a person calls the job. */
  name: Schema.String,
  prompt: Schema.String,
  cwd: Schema.String,
  model: Schema.optional(Schema.String),
  agent: Schema.optional(Schema.String),
  /** The job's value on each axis of the matrix; empty without one. */
  cell: Schema.Record({ key: Schema.String, value: Schema.String }),
  /** From 1. */
  repeat: Schema.Number,
  /** `"success"`, or the tag of the error. */
  outcome: Schema.String,
  /** What the error says. */
  message: Schema.optional(Schema.String),
  finishReason: Schema.optional(Schema.String),
  /** The text of the final message; of a failed job, what the agent said last. */
  answer: Schema.String,
  sessionId: Schema.optional(Schema.String),
  runId: Schema.optional(Schema.String),
  usage: TokenUsage.TokenUsage,
  /** US dollars. */
  cost: Schema.Number,
  /** `true` where some of the cost is unknown and not in `cost`: OpenCode reports 0 for a model without a price. */
  unpriced: Schema.optional(Schema.Boolean),
  /** Steps that began. */
  steps: Schema.Number,
  toolCalls: Schema.Number,
  attempts: Schema.Number,
  /** Lines of OpenCode that could be events and cannot be read; left out if there are none. */
  lostLines: Schema.optional(Schema.Number),
  /** Milliseconds since the epoch. */
  startedAt: Schema.Number,
  /** Waiting included. In JSON: milliseconds. */
  duration: Schema.DurationFromMillis,
  /** The job's transcript, relative to the results file. */
  transcript: Schema.optional(Schema.String),
  worktree: Schema.optional(Worktree)
}) {}
