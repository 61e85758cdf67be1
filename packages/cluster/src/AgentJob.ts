/**
 * A job for an agent, and how it can end. A job is data: it is stored in the database of the cluster, and runs on
 * whichever runner owns it.
 *
 * @since 0.1.0
 */
import * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as RunOptions from "effect-opencode/RunOptions"
import * as TokenUsage from "effect-opencode/TokenUsage"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as jobs from "./internal/jobs.js"

/**
 * The version of the stored form of a job. A runner reads jobs of its own version and of the one before; it leaves jobs
 * of a later version to runners that know it.
 *
 * @since 0.1.0
 * @category constants
 */
export const currentVersion: number = jobs.currentVersion

/**
 * What happens to a job whose runner died, or left, while its agent worked:
 *
 * - `"fail"` (default): the job ends with {@link JobLostError}. No second agent is ever started.
 * - `"restart"`: another agent starts from the beginning, at most `maxCrashes` times.
 * - `"resume"`: as `"restart"`, but the session continues if its data directory is reachable by the new runner: on the
 *   same machine, or on a shared disk. The model repeats the tool call that was cut off. Not with a `workspace`, whose tree
 *   is new for each attempt.
 *
 * An agent that was never given its prompt does not count: starting again then repeats nothing.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AfterCrash = Schema.Literal("fail", "restart", "resume")

/**
 * What happens to a job whose runner died, or left, while its agent worked.
 *
 * @since 0.1.0
 * @category models
 */
export type AfterCrash = typeof AfterCrash.Type

const { isolation: _, keepRaw: __, password: ___, runId: ____, ...fields } = RunOptions.Data.fields

/**
 * The options of a job's run: those of `RunOptions.Data` that make sense on another machine. The id of the run and its
 * data directory are the runner's, and a secret is named in `secrets` of the job instead.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Options = Schema.Struct(fields).annotations({
  identifier: "AgentJob.Options",
  message: () => "an object was expected",
  parseOptions: { onExcessProperty: "error" }
})

/**
 * The options of a job's run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Schema.Schema.Type<typeof Options> {}

/**
 * A git repository that the agent works on. Each machine keeps a mirror of it; each attempt gets a working tree of its
 * own, on a branch `opencode/<id>/<attempt>`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Workspace = Schema.Struct({
  /** What `git clone` takes, without credentials: git on the runner has its own. */
  url: Schema.String,
  /** A branch, a tag or a commit. Default: the default branch. */
  ref: Schema.optional(Schema.String),
  /** Pushes the branch of the attempt that succeeded. Default: true; otherwise the result has the change as a patch. */
  publish: Schema.optional(Schema.Boolean)
}).annotations({
  identifier: "AgentJob.Workspace",
  message: () => "an object was expected",
  parseOptions: { onExcessProperty: "error" }
})

/**
 * A git repository that the agent works on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Workspace extends Schema.Schema.Type<typeof Workspace> {}

/**
 * The Schema of an {@link AgentJob}. It refuses unknown fields.
 *
 * @example
 * ```ts
 * import { AgentJob } from "effect-opencode-cluster"
 * import { Schema } from "effect"
 *
 * const job = Schema.decodeUnknownSync(AgentJob.AgentJob)({
 *   id: "node-22/api",
 *   prompt: "Upgrade to Node 22 and make the tests pass.",
 *   options: { model: "anthropic/claude-sonnet-4-5", timeout: "1 hour" },
 *   afterCrash: "restart"
 * })
 * console.log(job.id) // "node-22/api"
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const AgentJob = Schema.Struct({
  /**
   * 1 to 200 characters without control characters, unique in the cluster. A job is run once, however often it is
   * submitted; the same id with other content is refused with {@link JobConflictError}.
   */
  id: Schema.String.pipe(
    Schema.filter(jobs.isId, { message: () => "1 to 200 characters, without control characters" })
  ),
  prompt: Schema.String,
  options: Schema.optional(Options),
  workspace: Schema.optional(Workspace),
  /** Default: `"fail"`. */
  afterCrash: Schema.optional(AfterCrash),
  /** How many crashes a job survives with `"restart"` and `"resume"`; the next one ends it. Default: 1. */
  maxCrashes: Schema.optional(Schema.NonNegativeInt),
  /** Names of secrets that the runner supplies as environment variables of the agent, see `Cluster.layerRunner`. */
  secrets: Schema.optional(Schema.Array(Schema.String)),
  /** Default: {@link currentVersion}. */
  version: Schema.optional(Schema.NonNegativeInt)
}).annotations({
  identifier: "AgentJob",
  message: () => "an object was expected",
  parseOptions: { onExcessProperty: "error" }
})

/**
 * A job for an agent.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentJob extends Schema.Schema.Type<typeof AgentJob> {}

/**
 * Returns the first reason to refuse a job, or `undefined`. `AgentRun` refuses it with the same error.
 *
 * @example
 * ```ts
 * import { AgentJob } from "effect-opencode-cluster"
 *
 * const problem = AgentJob.check({ id: "a", prompt: "Deploy", options: { extraEnv: { DEPLOY_TOKEN: "6a1c0e44" } } })
 * console.log(problem?.path) // "options"
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const check = (job: AgentJob): OpenCodeError.OpenCodeConfigError | undefined =>
  Either.match(jobs.encode(AgentJob, job), { onLeft: (error) => error, onRight: () => undefined })

/**
 * The result of a job whose agent finished: what is worth keeping of a `RunResult`. The events are in `AgentRun.events`
 * while the job runs, and in its transcript.
 *
 * @since 0.1.0
 * @category models
 */
export class JobResult extends Schema.Class<JobResult>("effect-opencode-cluster/JobResult")({
  id: Schema.String,
  runId: Schema.String,
  /** The runner that ran it. */
  runner: Schema.String,
  /** From 1. */
  attempt: Schema.Number,
  /** True if the attempt continued the session of an earlier one. */
  resumed: Schema.optional(Schema.Boolean),
  /** The text of the final message. */
  answer: Schema.String,
  /** Everything that the agent said. */
  text: Schema.String,
  /** True if `text` or `answer` was longer than 1 MiB: its end was kept. */
  truncated: Schema.optional(Schema.Boolean),
  sessionId: Schema.optional(Schema.String),
  usage: TokenUsage.TokenUsage,
  /** US dollars, of this attempt. */
  cost: Schema.Number,
  /** `true` if some of the cost is unknown and not in `cost`. */
  unpriced: Schema.optional(Schema.Boolean),
  /** Steps that began. */
  steps: Schema.Number,
  toolCalls: Schema.optional(Schema.Number),
  finishReason: Schema.String,
  /** Of the attempt. In JSON: milliseconds. */
  duration: Schema.DurationFromMillis,
  /** The branch with the change, if the job has a `workspace` that is published and something was changed. */
  branch: Schema.optional(Schema.String),
  /** The change as a patch, with `publish: false`. */
  patch: Schema.optional(Schema.String)
}) {}

const sessionOf = (error: { readonly runId?: string | undefined; readonly sessionId?: string | undefined }): string =>
  error.runId === undefined
    ? ""
    : ` Its last run was ${error.runId}${error.sessionId === undefined ? "" : `, session ${error.sessionId}`}.`

/**
 * A job whose agent was cut off: its runner died or left, and the job's `afterCrash` and `maxCrashes` do not allow
 * another start. What the agent did until then stays done.
 *
 * @since 0.1.0
 * @category errors
 */
export class JobLostError extends Schema.TaggedError<JobLostError>("effect-opencode-cluster/JobLostError")(
  "JobLostError",
  {
    id: Schema.String,
    /** `runner-gone`: the runner died or left. `defect`: an unexpected failure on the runner, see `detail`. */
    reason: Schema.Literal("runner-gone", "defect"),
    /** The runner of the last attempt. */
    runner: Schema.optional(Schema.String),
    runId: Schema.optional(Schema.String),
    sessionId: Schema.optional(Schema.String),
    /** Agents that were started. */
    attempts: Schema.Number,
    detail: Schema.optional(Schema.String)
  }
) {
  override get message(): string {
    const what = this.reason === "runner-gone"
      ? `runner ${this.runner ?? "unknown"} died or left while its agent worked`
      : `unexpected failure on runner ${this.runner ?? "unknown"}: ${this.detail ?? "no detail"}`
    return `Job "${this.id}" is lost after ${this.attempts} attempt${this.attempts === 1 ? "" : "s"}: ${what}.${
      sessionOf(this)
    } Look at what it left, then submit it under another id.`
  }
}

/**
 * A job that was cancelled with `AgentRun.cancel`.
 *
 * @since 0.1.0
 * @category errors
 */
export class JobCancelledError
  extends Schema.TaggedError<JobCancelledError>("effect-opencode-cluster/JobCancelledError")("JobCancelledError", {
    id: Schema.String,
    reason: Schema.String,
    /** The run that was ended; `undefined` if no agent had been started. */
    runId: Schema.optional(Schema.String),
    sessionId: Schema.optional(Schema.String)
  })
{
  override get message(): string {
    return `Job "${this.id}" was cancelled: ${this.reason}.${sessionOf(this)}`
  }
}

/**
 * The id belongs to a job with other content.
 *
 * @since 0.1.0
 * @category errors
 */
export class JobConflictError
  extends Schema.TaggedError<JobConflictError>("effect-opencode-cluster/JobConflictError")("JobConflictError", {
    id: Schema.String,
    /** The fields that differ. */
    fields: Schema.Array(Schema.String)
  })
{
  override get message(): string {
    return `Job "${this.id}" exists with another ${this.fields.join(", ")}; submit it under another id.`
  }
}

/**
 * There is no job with this id: it was never submitted, or its result is older than the retention.
 *
 * @since 0.1.0
 * @category errors
 */
export class JobUnknownError
  extends Schema.TaggedError<JobUnknownError>("effect-opencode-cluster/JobUnknownError")("JobUnknownError", {
    id: Schema.String
  })
{
  override get message(): string {
    return `There is no job "${this.id}": it was not submitted, or its result is older than the retention.`
  }
}

/**
 * The working tree of a job could not be made, or its branch could not be published.
 *
 * @since 0.1.0
 * @category errors
 */
export class JobWorkspaceError
  extends Schema.TaggedError<JobWorkspaceError>("effect-opencode-cluster/JobWorkspaceError")("JobWorkspaceError", {
    id: Schema.String,
    /** `unreachable`: no clone or fetch. `unknown-ref`: the repository has no such ref. `publish`: the push failed, or a patch has more than 1 MiB. */
    reason: Schema.Literal("unreachable", "unknown-ref", "failed", "publish"),
    /** What git said. */
    detail: Schema.String
  })
{
  override get message(): string {
    const what = {
      unreachable: "the repository cannot be fetched",
      "unknown-ref": "the repository has no such ref",
      failed: "git failed",
      publish: "the change could not be published"
    }
    return `The workspace of job "${this.id}": ${what[this.reason]} (${this.detail})`
  }
}

/**
 * The Schema of {@link JobError}. Errors of a run are without events.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JobError = Schema.Union(
  OpenCodeError.Slim(OpenCodeError.RunError),
  JobLostError,
  JobCancelledError,
  JobConflictError,
  JobWorkspaceError
)

/**
 * How a job can end without a result.
 *
 * @since 0.1.0
 * @category errors
 */
export type JobError = typeof JobError.Type

/**
 * The Schema of the outcome of a job, as it is stored.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Outcome = Schema.Either({ left: JobError, right: JobResult })

/**
 * The outcome of a job.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = Either.Either<JobResult, JobError>
