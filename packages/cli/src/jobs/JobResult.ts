/** The result of one job: one line of the results file, and one row of the table and of the report. */
import * as TokenUsage from "effect-opencode/TokenUsage"
import * as Schema from "effect/Schema"
import * as failures from "../failures.js"

/** The worktree of a job in a batch with `--worktree`. */
export const Worktree = Schema.Struct({
  path: Schema.String,
  branch: Schema.String,
  /** The commit that the branch started from. */
  base: Schema.String,
  /** Whether the directory was kept. */
  kept: Schema.Boolean,
  /** Why it was kept or removed, for a person. */
  reason: Schema.String,
  /** Commits on the branch that are not in the base. */
  commits: Schema.Number,
  /** The problem of a worktree that was created all the same: a hook failed. */
  warning: Schema.optional(Schema.String)
})

/** An ended job. */
export class JobResult extends Schema.Class<JobResult>("effect-opencode-cli/JobResult")({
  /** The same job of the same input always has the same id. */
  id: Schema.String,
  /** The job's position in the input, from 0. */
  index: Schema.Number,
  /** The job's name for people. */
  name: Schema.String,
  prompt: Schema.String,
  cwd: Schema.String,
  model: Schema.optional(Schema.String),
  agent: Schema.optional(Schema.String),
  /** The job's value on each axis of the matrix; empty without a matrix. */
  cell: Schema.Record({ key: Schema.String, value: Schema.String }),
  /** From 1. */
  repeat: Schema.Number,
  /** `"success"`, or the tag of the error. */
  outcome: Schema.String,
  /** The message of the error. */
  message: Schema.optional(Schema.String),
  /** The failure for people: `quota`, `timeout`, …, and the reason. Results of earlier versions lack it. */
  failure: Schema.optional(Schema.Struct({ kind: Schema.String, reason: Schema.String })),
  finishReason: Schema.optional(Schema.String),
  /** The text of the final message; of a failed job, what the agent said last. */
  answer: Schema.String,
  /** The JSON value of a job with a `schema`. */
  value: Schema.optional(Schema.Unknown),
  sessionId: Schema.optional(Schema.String),
  runId: Schema.optional(Schema.String),
  usage: TokenUsage.TokenUsage,
  /** US dollars. */
  cost: Schema.Number,
  /** `true` if some of the cost is unknown and not in `cost`: OpenCode reports 0 for a model without a price. */
  unpriced: Schema.optional(Schema.Boolean),
  /** Steps that began. */
  steps: Schema.Number,
  /** Unknown of a job that failed on a cluster. */
  toolCalls: Schema.optional(Schema.Number),
  attempts: Schema.Number,
  /** Lines from OpenCode that look like events but cannot be read; omitted if there are none. */
  lostLines: Schema.optional(Schema.Number),
  /** Milliseconds since the epoch. */
  startedAt: Schema.Number,
  /** Waiting included. In JSON: milliseconds. */
  duration: Schema.DurationFromMillis,
  /** The runner of the cluster that ran the job. */
  runner: Schema.optional(Schema.String),
  /** The branch that a job with `--workspace` has pushed. */
  branch: Schema.optional(Schema.String),
  /** The job's transcript, relative to the results file. */
  transcript: Schema.optional(Schema.String),
  worktree: Schema.optional(Worktree)
}) {
  /** `success`, or the kind of the failure. */
  get kind(): string {
    return this.outcome === "success" ? "success" : this.failure?.kind ?? failures.kindOfOutcome(this.outcome)
  }

  /** Why the job failed, for people; empty if nothing is known or it succeeded. */
  get reason(): string {
    return this.failure?.reason ?? this.message ?? ""
  }
}
