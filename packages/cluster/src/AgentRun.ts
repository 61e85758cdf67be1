/**
 * Jobs for agents that outlive their caller: submitted once, run once, by whichever runner of the cluster, with one
 * outcome that everybody gets who asks.
 *
 * @example
 * ```ts
 * import { AgentRun } from "effect-opencode-cluster"
 * import { Console, Effect } from "effect"
 *
 * export const program = Effect.gen(function*() {
 *   const { answer, runner } = yield* AgentRun.execute({ id: "notes-1.4", prompt: "Write the release notes of 1.4" })
 *   yield* Console.log(`${runner}: ${answer}`)
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as MessageStorage from "@effect/cluster/MessageStorage"
import type * as Sharding from "@effect/cluster/Sharding"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Activity from "@effect/workflow/Activity"
import type * as OpenCode from "effect-opencode/OpenCode"
import { OpenCodeConfigError } from "effect-opencode/OpenCodeError"
import type { PermissionAnswer, PermissionRequest } from "effect-opencode/OpenCodeServer"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as AgentJob from "./AgentJob.js"
import * as clients from "./internal/client.js"
import * as liveJobs from "./internal/liveJobs.js"
import * as checks from "./internal/options.js"
import * as runners from "./internal/runnerLayer.js"
import type { LiveEvent } from "./LiveEvent.js"
import * as RunLedger from "./RunLedger.js"

/**
 * Where a job is.
 *
 * @since 0.1.0
 * @category models
 */
export type JobState =
  /** No runner has begun it. */
  | { readonly _tag: "Accepted"; readonly acceptedAt: number }
  | {
    readonly _tag: "Running"
    readonly attempt: number
    readonly runner: string
    readonly runId: string
    readonly sessionId: string | undefined
    readonly begunAt: number
  }
  | { readonly _tag: "Settled"; readonly status: RunLedger.Status; readonly outcome: AgentJob.Outcome }

/**
 * How much work this runner has, and how much there is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Health {
  /** This runner's; `undefined` in a program that is a client only. */
  readonly runner: {
    readonly name: string
    readonly agents: number
    readonly running: number
    readonly waiting: number
  } | undefined
  readonly cluster: RunLedger.Counts
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Submits a job, unless it was before, and waits for its outcome. Interruption leaves the job running. */
  readonly execute: (
    job: AgentJob.AgentJob
  ) => Effect.Effect<AgentJob.JobResult, AgentJob.JobError | AgentJob.JobUnknownError | RunLedger.LedgerError>
  /** Submits a job and returns as soon as it is stored. True if it is new. */
  readonly submit: (job: AgentJob.AgentJob) => Effect.Effect<boolean, AgentJob.JobError | RunLedger.LedgerError>
  /** Waits for the outcome of a job that was submitted before. */
  readonly result: (
    id: string
  ) => Effect.Effect<AgentJob.JobResult, AgentJob.JobError | AgentJob.JobUnknownError | RunLedger.LedgerError>
  readonly poll: (id: string) => Effect.Effect<JobState, AgentJob.JobUnknownError | RunLedger.LedgerError>
  /**
   * Cancels a job, whether it waits or runs: its agent is ended, and it fails with `JobCancelledError`. Returns when the
   * request is stored. False if the job was settled before.
   */
  readonly cancel: (
    id: string,
    reason: string
  ) => Effect.Effect<boolean, AgentJob.JobUnknownError | RunLedger.LedgerError>
  /**
   * What happens with a job, from the latest 1000 events on. The stream continues after a takeover, with a `Gap`, and
   * ends with `Ended`.
   */
  readonly events: (id: string) => Stream.Stream<LiveEvent, AgentJob.JobUnknownError | RunLedger.LedgerError>
  /** Answers an `Asked`. False if nobody waits for this answer any more. */
  readonly answer: (
    id: string,
    ask: string,
    reply: PermissionAnswer
  ) => Effect.Effect<boolean, AgentJob.JobUnknownError | RunLedger.LedgerError>
  readonly health: Effect.Effect<Health, RunLedger.LedgerError>
}

/**
 * The service tag.
 *
 * @since 0.1.0
 * @category tags
 */
export class AgentRun extends Context.Tag("effect-opencode-cluster/AgentRun")<AgentRun, Service>() {}

/**
 * How a runner works.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunnerOptions {
  /** Its name in results, errors and the ledger. */
  readonly name: string
  /** How many agents run at the same time; other jobs wait. Default: 4. */
  readonly agents?: number | undefined
  /**
   * The values of secrets that jobs may name. Each becomes an environment variable of the agents of the jobs that name
   * it, and is masked in what is stored. A job that names another one fails. Default: none.
   */
  readonly secrets?: { readonly [name: string]: Redacted.Redacted } | undefined
  /**
   * Where sessions of jobs with `afterCrash: "resume"`, mirrors and working trees are. On a disk that runners share,
   * a session continues on another machine. Default: `effect-opencode-cluster` in `XDG_STATE_HOME`.
   */
  readonly dataDirectory?: string | undefined
  /** How long settled jobs are kept. Default: 30 days. */
  readonly retention?: Duration.DurationInput | undefined
}

/**
 * The service of a program that only submits jobs.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient: Layer.Layer<AgentRun, never, Sharding.Sharding | RunLedger.RunLedger> = Layer.scoped(
  AgentRun,
  clients.make
)

/**
 * The service of a program that runs jobs, on any engine of `@effect/cluster`. `Cluster` has layers with an engine whose
 * settings suit agents. Options that cannot be used are refused with `OpenCodeConfigError`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: RunnerOptions
): Layer.Layer<
  AgentRun,
  OpenCodeConfigError,
  | Sharding.Sharding
  | MessageStorage.MessageStorage
  | RunLedger.RunLedger
  | OpenCode.OpenCode
  | CommandExecutor.CommandExecutor
  | FileSystem.FileSystem
  | Path.Path
> =>
  Layer.suspend(() => {
    const problem = checks.ofRunner(options)
    return problem === undefined
      ? runners.make(AgentRun, options)
      : Layer.fail(new OpenCodeConfigError(problem))
  })

/**
 * Submits a job, unless it was before, and waits for its outcome, see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const execute = (
  job: AgentJob.AgentJob
): Effect.Effect<
  AgentJob.JobResult,
  AgentJob.JobError | AgentJob.JobUnknownError | RunLedger.LedgerError,
  AgentRun
> => Effect.flatMap(AgentRun, (service) => service.execute(job))

/**
 * Submits a job and returns as soon as it is stored, see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const submit = (
  job: AgentJob.AgentJob
): Effect.Effect<boolean, AgentJob.JobError | RunLedger.LedgerError, AgentRun> =>
  Effect.flatMap(AgentRun, (service) => service.submit(job))

/**
 * Waits for the outcome of a job that was submitted before, see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const result = (
  id: string
): Effect.Effect<
  AgentJob.JobResult,
  AgentJob.JobError | AgentJob.JobUnknownError | RunLedger.LedgerError,
  AgentRun
> => Effect.flatMap(AgentRun, (service) => service.result(id))

/**
 * Returns where a job is, see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const poll = (
  id: string
): Effect.Effect<JobState, AgentJob.JobUnknownError | RunLedger.LedgerError, AgentRun> =>
  Effect.flatMap(AgentRun, (service) => service.poll(id))

/**
 * Cancels a job, see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const cancel = (
  id: string,
  reason: string
): Effect.Effect<boolean, AgentJob.JobUnknownError | RunLedger.LedgerError, AgentRun> =>
  Effect.flatMap(AgentRun, (service) => service.cancel(id, reason))

/**
 * Streams what happens with a job, see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const events = (
  id: string
): Stream.Stream<LiveEvent, AgentJob.JobUnknownError | RunLedger.LedgerError, AgentRun> =>
  Stream.unwrap(Effect.map(AgentRun, (service) => service.events(id)))

/**
 * Answers a request for permission, see {@link Service}.
 *
 * @since 0.1.0
 * @category accessors
 */
export const answer = (
  id: string,
  ask: string,
  reply: PermissionAnswer
): Effect.Effect<boolean, AgentJob.JobUnknownError | RunLedger.LedgerError, AgentRun> =>
  Effect.flatMap(AgentRun, (service) => service.answer(id, ask, reply))

/**
 * Returns how much work there is, and fails if the database does not answer. A runner that has free slots while jobs are
 * `stuck` is not well.
 *
 * @since 0.1.0
 * @category accessors
 */
export const health: Effect.Effect<Health, RunLedger.LedgerError, AgentRun> = Effect.flatMap(
  AgentRun,
  (service) => service.health
)

/**
 * For the `onPermission` of `OpenCodeServer`: a permission that nobody has decided is asked about in the events of the
 * job, and its agent waits for `answer`. A run that belongs to no job is refused.
 *
 * @example
 * ```ts
 * import { OpenCodeServer } from "effect-opencode"
 * import { AgentRun } from "effect-opencode-cluster"
 *
 * export const Agent = OpenCodeServer.layer({ ask: ["bash"], onPermission: AgentRun.onPermission })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const onPermission: (request: PermissionRequest) => Effect.Effect<PermissionAnswer> = liveJobs.ask

/**
 * The Schema of what an {@link activity} fails with.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ActivityError = Schema.Union(AgentJob.JobError, AgentJob.JobUnknownError, RunLedger.LedgerError)

/**
 * A job as an activity of a workflow of yours. The workflow can be repeated as often as the engine likes: the job is run
 * once.
 *
 * @example
 * ```ts
 * import { AgentRun } from "effect-opencode-cluster"
 * import { Workflow } from "@effect/workflow"
 * import { Effect, Schema } from "effect"
 *
 * const Release = Workflow.make({
 *   name: "Release",
 *   payload: { version: Schema.String },
 *   idempotencyKey: ({ version }) => version,
 *   success: Schema.String,
 *   error: AgentRun.ActivityError
 * })
 *
 * export const ReleaseLive = Release.toLayer(({ version }) =>
 *   Effect.gen(function*() {
 *     const notes = yield* AgentRun.activity("notes", { id: `notes/${version}`, prompt: `Write the notes of ${version}` })
 *     return notes.answer
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const activity = (
  name: string,
  job: AgentJob.AgentJob
): Activity.Activity<typeof AgentJob.JobResult, typeof ActivityError, AgentRun> =>
  Activity.make({ name, success: AgentJob.JobResult, error: ActivityError, execute: execute(job) })
