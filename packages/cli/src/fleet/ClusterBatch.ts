/**
 * Submits the jobs of a batch to a cluster and writes each result when its job ends. The jobs belong to the cluster: they
 * go on when this program ends, and the same batch, resumed, waits for them.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import type * as AgentJob from "effect-opencode-cluster/AgentJob"
import * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as Redaction from "effect-opencode/Redaction"
import * as TokenUsage from "effect-opencode/TokenUsage"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { CliError } from "../CliError.js"
import { given } from "../commandLine/given.js"
import { Display } from "../display/LiveDisplay.js"
import { plural } from "../display/plural.js"
import * as failures from "../failures.js"
import * as clusterJob from "../jobs/clusterJob.js"
import type { Job } from "../jobs/Job.js"
import { JobResult } from "../jobs/JobResult.js"
import * as Batch from "./Batch.js"
import * as clusterClient from "./clusterClient.js"
import { FleetEvent } from "./Fleet.js"
import * as outputFile from "./outputFile.js"
import * as ResultsFile from "./ResultsFile.js"

const Identity = Schema.parseJson(Schema.Struct({ batch: Schema.String.pipe(Schema.pattern(/^[0-9a-z-]{1,64}$/)) }))

/** Whether the file of a submitted batch is there. */
export const wasSubmitted = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => Effect.orElseSucceed(fileSystem.exists(file), () => false))

/**
 * The name of the batch in the cluster, which its jobs begin with: another batch with the same jobs runs them again. It
 * is kept beside the results file, and written before the first job is submitted.
 */
export const identity = (file: string, options: { readonly resume: boolean }) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    if (!(yield* wasSubmitted(file))) {
      const batch = crypto.randomUUID()
      yield* outputFile.write(file, `${yield* Effect.orDie(Schema.encode(Identity)({ batch }))}\n`).pipe(
        Effect.mapError((cause) => new CliError({ reason: `${file} cannot be written; nothing was submitted.`, cause }))
      )
      return batch
    }
    if (!options.resume) {
      return yield* new CliError({
        reason: `The jobs were submitted before, according to ${file}.`,
        hint: "--resume waits for their results; delete the file to submit the jobs again"
      })
    }
    const { batch } = yield* fileSystem.readFileString(file).pipe(
      Effect.flatMap(Schema.decode(Identity)),
      Effect.mapError((cause) => new CliError({ reason: `${file} does not name a batch of a cluster.`, cause }))
    )
    return batch
  })

export interface Options {
  readonly jobs: ReadonlyArray<Job>
  readonly results: ResultsFile.ResultsFile
  readonly client: clusterClient.Client
  /** See {@link identity}. */
  readonly batch: string
  readonly shared: clusterJob.Shared
  /** Jobs of this batch that are in the cluster at the same time. */
  readonly concurrency: number | "unbounded"
  /** Run jobs again whose last result is a failure. Default: false. */
  readonly retryFailed?: boolean | undefined
  /** Submit no further job after one has failed. Default: false. */
  readonly failFast?: boolean | undefined
  /** Cancel jobs that were submitted and have no result, instead of submitting any. Default: false. */
  readonly cancel?: boolean | undefined
  /** Completes when this program is to leave the jobs alone. Default: never. */
  readonly detach?: Effect.Effect<void> | undefined
}

export interface Outcome extends Batch.Outcome {
  /** Those of the undone jobs that continue in the cluster. */
  readonly submitted: number
}

type Facts = Omit<
  ConstructorParameters<typeof JobResult>[0],
  "id" | "index" | "name" | "prompt" | "cwd" | "cell" | "repeat" | "startedAt" | "duration" | "model" | "agent"
>

const nothing = { answer: "", usage: TokenUsage.empty, cost: 0, steps: 0, attempts: 0 }

/** What the outcome says of the run. Tool calls of a failed one are not known: its events stayed on the runner. */
const facts: (outcome: AgentJob.Outcome) => Facts = Either.match({
  onRight: (result): Facts => ({
    outcome: "success",
    finishReason: result.finishReason,
    answer: result.answer,
    sessionId: result.sessionId,
    runId: result.runId,
    runner: result.runner,
    branch: result.branch,
    usage: result.usage,
    cost: result.cost,
    unpriced: result.unpriced,
    steps: result.steps,
    toolCalls: result.toolCalls,
    attempts: result.attempt
  }),
  onLeft: (error): Facts => {
    const said = { outcome: error._tag, message: error.message }
    switch (error._tag) {
      case "JobLostError": {
        const { attempts, runId, runner, sessionId } = error
        return { ...nothing, ...said, runner, runId, sessionId, attempts }
      }
      case "JobCancelledError":
        return { ...nothing, ...said, runId: error.runId, sessionId: error.sessionId }
      case "JobConflictError":
      case "JobWorkspaceError":
        return { ...nothing, ...said }
      default: {
        const failure = { kind: failures.kindOf(error), reason: failures.reasonOf(error) }
        const partial = OpenCodeError.partialOf(error)
        if (partial === undefined) return { ...nothing, ...said, failure }
        const { attempts, cost, lostLines, runId, sessionId, steps, unpriced, usage } = partial
        return {
          ...nothing,
          ...said,
          failure,
          attempts,
          cost,
          lostLines: lostLines === 0 ? undefined : lostLines,
          runId,
          sessionId,
          steps,
          unpriced,
          usage
        }
      }
    }
  }
})

/** More at the same time only wait for a connection to the database. */
const entering = 8

/** Running jobs of the whole cluster that a round looks through to find ours. */
const seen = 1000

/**
 * Submits the jobs that have no result, and waits for those that were submitted before. Fails if the database does not
 * answer, if a result cannot be written, or if a job was submitted with other options.
 */
export const run = (options: Options): Effect.Effect<Outcome, CliError | ResultsFile.ResultsFileError, Display> =>
  Effect.scoped(Effect.gen(function*() {
    const { client: { ledger, runs }, shared } = options
    const display = yield* Display
    const results = new Map(ResultsFile.latest(options.results.before))

    /** A job that is run again is another one for the cluster. */
    const tries = new Map<string, number>()
    for (const { id } of options.results.before) tries.set(id, (tries.get(id) ?? 0) + 1)
    const idOf = ({ id }: Job): string => [options.batch, id, ...tries.has(id) ? [tries.get(id)] : []].join("/")

    const isTodo = new Set(Batch.todoOf(options.jobs, options.results.before, options).map(({ id }) => id))
    const failed = options.jobs.filter(({ id }) => !isTodo.has(id) && results.get(id)?.outcome !== "success")
    // A try that was submitted and left continues, although the one before it has a result.
    const left = yield* Effect.filter(
      failed,
      (job) => Effect.map(ledger.job(idOf(job)), Option.isSome),
      { concurrency: entering }
    ).pipe(Effect.mapError(clusterClient.failed))
    for (const { id } of left) isTodo.add(id)
    const todo = options.jobs.filter(({ id }) => isTodo.has(id))

    const known = Redaction.make(yield* Redaction.inherited)
    for (const { id, name } of options.jobs) yield* display.emit(FleetEvent.Queued({ id, name: known.known(name) }))
    for (const { id } of options.jobs) if (!isTodo.has(id)) yield* display.emit(FleetEvent.Skipped({ id }))

    const detached = yield* Deferred.make<void>()
    yield* Effect.forkScoped(Effect.andThen(options.detach ?? Effect.never, Deferred.succeed(detached, undefined)))
    let failedOne = false

    const follow = (job: Job) =>
      runs.events(idOf(job)).pipe(
        Stream.runForEach((event) =>
          Effect.flatMap(Clock.currentTimeMillis, (at) => {
            switch (event._tag) {
              case "Started":
                return display.emit(FleetEvent.Started({ id: job.id, at, runner: event.runner }))
              case "Progress":
                return display.emit(FleetEvent.Observed({ id: job.id, event: event.event, at }))
              case "Asked":
                return display.log(
                  `${job.name} waits for permission (${event.permission}: ${event.patterns.join(", ")}), which a ` +
                    `program can give with AgentRun.answer(${JSON.stringify(idOf(job))}, ${
                      JSON.stringify(event.ask)
                    }, …).`
                )
              case "Gap":
              case "Ended":
                return Effect.void
            }
          })
        ),
        // What is seen of a job is a courtesy; its outcome comes from the ledger.
        Effect.catchAllCause((cause) => Effect.logDebug(`The events of ${job.name} cannot be followed`, cause))
      )

    // Only running jobs have events, and there are never more than the runners have slots.
    const waiting = new Map(todo.map((job) => [idOf(job), job]))
    yield* ledger.list({ state: "running", limit: seen }).pipe(
      Effect.flatMap((running) =>
        Effect.forEach(running, ({ id }) => {
          const job = waiting.get(id)
          if (job === undefined) return Effect.void
          waiting.delete(id)
          return Effect.forkScoped(follow(job))
        }, { discard: true })
      ),
      Effect.catchAll((error) => Effect.logDebug("The running jobs of the cluster cannot be listed", error)),
      Effect.repeat({ schedule: Schedule.spaced("1 second"), while: () => waiting.size > 0 }),
      Effect.forkScoped
    )

    const submitted = new Set<string>()
    const ended = new Set<string>()
    const entrance = yield* Effect.makeSemaphore(entering)

    /** Submits or cancels the job. False if it is not in the cluster. */
    const enter = (job: Job): Effect.Effect<boolean, CliError | AgentJob.JobError> => {
      const id = idOf(job)
      const asked = options.cancel === true
        ? Effect.as(runs.cancel(id, "by effect-opencode batch --cancel"), true).pipe(
          Effect.catchTag("JobUnknownError", () => Effect.succeed(false))
        )
        : Effect.as(runs.submit(clusterJob.make(id, job, shared)), true)
      return entrance.withPermits(1)(asked).pipe(
        Effect.tap((isThere) => isThere ? Effect.sync(() => submitted.add(job.id)) : Effect.void),
        Effect.catchTags({
          LedgerError: (error) => clusterClient.failed(error),
          JobConflictError: ({ fields }) =>
            new CliError({
              reason: `${job.name} was submitted with another ${fields.join(", ")}.`,
              hint: "give the same options with --resume; or cancel the jobs first, with --resume --cancel"
            })
        })
      )
    }

    const resultOf = (job: Job): Effect.Effect<AgentJob.JobResult, CliError | AgentJob.JobError> =>
      runs.result(idOf(job)).pipe(
        Effect.catchTags({ LedgerError: clusterClient.failed, JobUnknownError: clusterClient.failed })
      )

    /** Without a value if the job is not in the cluster. */
    const outcomeOf = (job: Job): Effect.Effect<Option.Option<AgentJob.Outcome>, CliError> =>
      Effect.flatMap(enter(job), (isThere) => Effect.when(resultOf(job), () => isThere)).pipe(
        Effect.map(Option.map((result): AgentJob.Outcome => Either.right(result))),
        Effect.catchAll((error) =>
          error._tag === "CliError" ? error : Effect.succeedSome<AgentJob.Outcome>(Either.left(error))
        )
      )

    const toResult = (job: Job, outcome: AgentJob.Outcome, begunAt: number) =>
      Effect.gen(function*() {
        const { cell, id, index, name, options: { agent, model }, prompt, repeat } = job
        const entry = Option.getOrUndefined(yield* Effect.mapError(ledger.job(idOf(job)), clusterClient.failed))
        const now = yield* Clock.currentTimeMillis
        const [startedAt, endedAt] = [entry?.acceptedAt ?? begunAt, entry?.settledAt ?? now]
        const cwd = clusterJob.make(id, job, shared).options?.cwd ?? shared.workspace?.url ?? ""
        return new JobResult(given({
          id,
          index,
          ...known.inside({ name, prompt, cwd, model, agent, cell, ...facts(outcome) }),
          repeat,
          startedAt,
          duration: Duration.millis(Math.max(0, endedAt - startedAt))
        }))
      })

    const work = (job: Job) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          if (failedOne || (yield* Deferred.isDone(detached))) return
          const begunAt = yield* Clock.currentTimeMillis
          const outcome = yield* restore(
            Effect.raceFirst(outcomeOf(job), Effect.as(Deferred.await(detached), Option.none()))
          )
          if (Option.isNone(outcome)) return
          const result = yield* restore(toResult(job, outcome.value, begunAt))
          yield* options.results.append(result)
          results.set(job.id, result)
          ended.add(job.id)
          waiting.delete(idOf(job))
          yield* display.emit(FleetEvent.Ended({ id: job.id, result, at: yield* Clock.currentTimeMillis }))
          // Every job is cancelled, whatever became of the others.
          if (options.failFast === true && options.cancel !== true && result.outcome !== "success" && !failedOne) {
            failedOne = true
            yield* display.log("A job has failed: no further job is submitted.")
          }
        })
      )

    // A cancel does not wait for another one.
    yield* Effect.forEach(todo, work, {
      concurrency: options.cancel === true ? "unbounded" : options.concurrency,
      discard: true
    })

    const undone = todo.filter(({ id }) => !ended.has(id))
    return {
      results: Batch.inOrder(options.jobs, results),
      undone,
      submitted: undone.filter(({ id }) => submitted.has(id)).length,
      stopped: undone.length === 0
        ? undefined
        : options.cancel === true && !(yield* Deferred.isDone(detached))
        ? "cancelled"
        : failedOne
        ? "failure"
        : "asked"
    }
  }))

/** What becomes of the jobs without a result. */
export const farewell = ({ submitted, undone }: Outcome): string =>
  [
    ...submitted > 0
      ? [
        `${plural(submitted, "job")} ${
          submitted === 1 ? "continues" : "continue"
        } in the cluster: --resume waits for the ` +
        "results, --resume --cancel cancels."
      ]
      : [],
    ...undone.length > submitted
      ? [`${plural(undone.length - submitted, "job")} not submitted, as far as is known.`]
      : []
  ].join(" ")
