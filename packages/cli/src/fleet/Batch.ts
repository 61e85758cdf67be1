/**
 * Runs jobs, a bounded number at a time, and writes each result when its job ends.
 *
 * A failed job does not stop the others. A batch that is told to stop starts no further run and lets running ones
 * finish; jobs that were not started have no result, so the batch can be resumed with them later.
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as FleetBudget from "effect-opencode/FleetBudget"
import * as OpenCode from "effect-opencode/OpenCode"
import * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as Redaction from "effect-opencode/Redaction"
import * as RunEvent from "effect-opencode/RunEvent"
import type { Budget, RunOptions } from "effect-opencode/RunOptions"
import * as RunResult from "effect-opencode/RunResult"
import * as TokenUsage from "effect-opencode/TokenUsage"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { given } from "../commandLine/given.js"
import { Display } from "../display/LiveDisplay.js"
import { plural } from "../display/plural.js"
import * as failures from "../failures.js"
import * as Worktree from "../git/Worktree.js"
import type { Job } from "../jobs/Job.js"
import { JobResult } from "../jobs/JobResult.js"
import { FleetEvent } from "./Fleet.js"
import * as preflight from "./preflight.js"
import * as recovery from "./recovery.js"
import * as ResultsFile from "./ResultsFile.js"

/**
 * Why no further job was started: a stop was requested, a job failed (`failFast`), the budget was used up, the cost of a
 * run is unknown, so that the budget cannot be checked (`budget.unpriced`), or the batch was cancelled, on a cluster.
 */
export type Stop = "asked" | "failure" | "budget" | "unpriced" | "cancelled"

export interface Options {
  readonly jobs: ReadonlyArray<Job>
  readonly results: ResultsFile.ResultsFile
  /** The directory of the results file; transcript paths are relative to it. */
  readonly directory: string
  /** The directory of the transcripts. */
  readonly transcripts: string
  /** The base of the jobs' directories. */
  readonly cwd: string
  /** Jobs that run at the same time. */
  readonly concurrency: number
  /** Whether this resumes a batch that may have been killed: its lost runs then count as spent. Default: false. */
  readonly resume?: boolean | undefined
  /** Run jobs again whose last result is a failure. Default: false. */
  readonly retryFailed?: boolean | undefined
  /** How often the agent may correct an answer that does not satisfy the schema of its job. Default: 2. */
  readonly repairs?: number | undefined
  /** Start no further job after one has failed. Default: false. */
  readonly failFast?: boolean | undefined
  /** What all jobs may spend together, earlier results included. Default: no limits. */
  readonly budget?: Budget | undefined
  /** A worktree for each run, below this directory. Default: none. */
  readonly worktrees?: {
    readonly directory: string
    readonly base?: string | undefined
    readonly keep: Worktree.Keep
  } | undefined
  /** Completes when no further job should be started. Default: never. */
  readonly stop?: Effect.Effect<void> | undefined
  readonly forceKillAfter?: Duration.DurationInput | undefined
}

/** The outcome of a batch. */
export interface Outcome {
  /** The last result of every job that has one, earlier ones included, in the order of the jobs. */
  readonly results: ReadonlyArray<JobResult>
  /** Jobs due in this batch that have no result of it. A failed job that was not retried has an earlier result. */
  readonly undone: ReadonlyArray<Job>
  readonly stopped: Stop | undefined
}

type Ended = Data.TaggedEnum<{
  /** `value` is that of a job with a schema. */
  readonly Succeeded: { readonly result: RunResult.RunResult; readonly value?: unknown }
  readonly Failed: { readonly error: OpenCodeError.OpenCodeError; readonly toolCalls: number }
  /** Something other than the run failed. */
  readonly Broken: { readonly outcome: string; readonly message: string }
  readonly NotStarted: {}
}>

const Ended = Data.taggedEnum<Ended>()

/** The fields of a result that describe the run, not the job. */
type Facts = Pick<
  ConstructorParameters<typeof JobResult>[0],
  | "outcome"
  | "message"
  | "failure"
  | "finishReason"
  | "answer"
  | "value"
  | "sessionId"
  | "runId"
  | "usage"
  | "cost"
  | "unpriced"
  | "steps"
  | "toolCalls"
  | "attempts"
  | "lostLines"
>

const noFacts = { answer: "", usage: TokenUsage.empty, cost: 0, steps: 0, toolCalls: 0, attempts: 0 }

const facts = (ended: Exclude<Ended, { readonly _tag: "NotStarted" }>): Facts => {
  switch (ended._tag) {
    case "Succeeded": {
      const { answer, attempts, cost, finishReason, lostLines, runId, sessionId, steps, toolCalls, unpriced, usage } =
        ended.result
      return {
        outcome: "success",
        finishReason,
        answer,
        value: ended.value,
        sessionId,
        runId,
        usage,
        cost,
        unpriced,
        steps,
        toolCalls: toolCalls.length,
        attempts,
        lostLines: lostLines === 0 ? undefined : lostLines
      }
    }
    case "Failed": {
      const { error } = ended
      const partial = OpenCodeError.partialOf(error)
      const said = {
        outcome: error._tag,
        message: error.message,
        failure: { kind: failures.kindOf(error), reason: failures.reasonOf(error) }
      }
      if (error._tag === "OpenCodeOutputError") {
        const { answer, attempts, cost, runId, sessionId, steps, unpriced, usage } = error
        return {
          ...said,
          answer,
          sessionId,
          runId,
          usage,
          cost,
          unpriced,
          steps,
          toolCalls: ended.toolCalls,
          attempts
        }
      }
      if (partial === undefined) return { ...noFacts, ...said }
      const { attempts, cost, events = [], lostLines, runId, sessionId, steps, unpriced, usage } = partial
      const toolCalls = events.filter(RunEvent.isToolCall).length
      const { answer } = RunResult.fold(events)
      return { ...said, answer, sessionId, runId, usage, cost, unpriced, steps, toolCalls, attempts, lostLines }
    }
    case "Broken":
      return { ...noFacts, outcome: ended.outcome, message: ended.message }
  }
}

const isUnstarted = (error: OpenCodeError.OpenCodeError): error is OpenCodeError.OpenCodeBudgetError =>
  error._tag === "OpenCodeBudgetError" && error.scope === "fleet" && error.partial === undefined

const spentBy = (result: JobResult): FleetBudget.Spent => ({
  steps: result.steps,
  cost: result.cost,
  unpriced: result.unpriced,
  tokens: result.usage.total,
  toolCalls: result.toolCalls ?? 0
})

/** The shared budget as one job sees it. Its `check`, the last step before the run's process, also calls `onBegin`. */
const watched = (budget: FleetBudget.Service, onBegin: () => void): FleetBudget.Service => ({
  ...budget,
  check: () => Effect.tap(budget.check(), () => Effect.sync(onBegin))
})

/** The jobs that have no result, and with `retryFailed` also those whose last result is a failure. */
export const todoOf = (
  jobs: ReadonlyArray<Job>,
  before: ReadonlyArray<JobResult>,
  options: Pick<Options, "retryFailed">
): ReadonlyArray<Job> => {
  const results = ResultsFile.latest(before)
  return jobs.filter(({ id }) => {
    const result = results.get(id)
    return result === undefined || (result.outcome !== "success" && options.retryFailed === true)
  })
}

/** The results in the order of the jobs. Rows may have been added since: a result is moved to its job's current place. */
export const inOrder = (
  jobs: ReadonlyArray<Job>,
  results: ReadonlyMap<string, JobResult>
): ReadonlyArray<JobResult> =>
  jobs.flatMap(({ id, index }) => {
    const result = results.get(id)
    return result === undefined ? [] : result.index === index ? result : new JobResult({ ...result, index })
  })

/**
 * Runs the jobs that have no result. First it ends what a killed earlier batch has left of them.
 *
 * Fails before anything is started if OpenCode is not found or, with worktrees, if a job's directory is not in a
 * repository. After that it fails, and ends every run, only if a result cannot be written.
 */
export const run = (
  options: Options
): Effect.Effect<
  Outcome,
  ResultsFile.ResultsFileError | Worktree.WorktreeError | OpenCodeError.OpenCodeError,
  OpenCode.OpenCode | Display | FileSystem.FileSystem | Path.Path | CommandExecutor.CommandExecutor
> =>
  Effect.scoped(Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const opencode = yield* OpenCode.OpenCode
    const display = yield* Display
    const directoryOf = yield* preflight.directories(options.cwd)

    const results = new Map(ResultsFile.latest(options.results.before))
    const todo = todoOf(options.jobs, options.results.before, options)
    const isTodo = new Set(todo.map(({ id }) => id))

    const { worktrees: wanted } = options
    const worktrees = wanted === undefined ? undefined : yield* Worktree.make(wanted.directory)
    const origins = new Map<string, Worktree.Origin>()
    if (worktrees !== undefined) {
      for (const directory of new Set(todo.map(directoryOf))) {
        origins.set(directory, yield* worktrees.origin(directory, wanted?.base))
      }
    }

    // Without OpenCode all jobs would fail, one after the other.
    if (todo.length > 0) yield* opencode.version

    const shared = Redaction.make(yield* Redaction.ofRun({}))
    for (const { id, name } of options.jobs) yield* display.emit(FleetEvent.Queued({ id, name: shared.known(name) }))
    for (const { id } of options.jobs) if (!isTodo.has(id)) yield* display.emit(FleetEvent.Skipped({ id }))

    const { unreadable = [] } = options.results
    if (unreadable.length > 0) {
      yield* display.log(
        `${plural(unreadable.length, "earlier result")} cannot be read (line ${
          unreadable.join(", ")
        } of the results file); jobs without another result are run again.`
      )
    }
    const recovered = yield* recovery.recover({
      transcripts: options.transcripts,
      // A retry that was cut off belongs to a job that already has a result.
      jobs: new Set(options.jobs.flatMap(({ id }) => results.get(id)?.outcome === "success" ? [] : [id])),
      // A transcript can outlive results that were deleted for a fresh start.
      count: options.resume === true
        ? {
          jobs: new Set(options.budget === undefined ? [] : options.jobs.map(({ id }) => id)),
          except: new Set(options.results.before.flatMap(({ runId }) => runId ?? []))
        }
        : undefined,
      forceKillAfter: options.forceKillAfter
    })
    if (recovered.cut > 0) {
      yield* display.log(
        `An earlier batch was killed: ${plural(recovered.cut, "run")} cut off; their remaining processes were ended.`
      )
    }
    if (recovered.survivors.length > 0) {
      yield* display.log(`Could not be killed, still running: pid ${recovered.survivors.join(", ")}.`)
    }
    if (worktrees !== undefined) {
      const names = new Map(todo.map(({ id, name }) => [id, name]))
      // A path can be reused, so its last result decides.
      const lastIn = new Map(options.results.before.map((result) => [result.worktree?.path, result]))
      const isWantedStill = ({ path }: Worktree.Worktree): boolean => {
        const last = lastIn.get(path)
        return last?.worktree?.kept === true && Worktree.isKept(wanted?.keep ?? "none", last.outcome === "success")
      }
      for (const origin of new Map([...origins.values()].map((origin) => [origin.root, origin])).values()) {
        for (const { id, worktree } of yield* worktrees.leftovers(origin, new Set(names.keys()))) {
          if (isWantedStill(worktree)) continue
          const { kept, reason } = yield* worktrees.settle(worktree)
          if (kept) yield* display.log(`${worktree.path} from an earlier try of ${names.get(id)} was kept: ${reason}.`)
        }
      }
      yield* Effect.addFinalizer(() => worktrees.tidy)
    }

    const budget = yield* FleetBudget.make(options.budget ?? {})
    const earlier = options.results.before.map(spentBy).reduce(recovery.add, recovered.spent)
    if (earlier.unpriced === true && (budget.unpriced?.policy ?? "allow") !== "allow") {
      yield* display.log("Some of the cost of earlier runs is unknown: the budget of all jobs counts the known part.")
    }
    // An unknown cost stays unknown, and would block every resumed batch.
    yield* budget.add({ ...earlier, unpriced: false })

    const stopped = yield* Deferred.make<Stop>()
    const stop = (why: Stop) =>
      Effect.flatMap(
        Deferred.succeed(stopped, why),
        (isFirst) => isFirst ? display.emit(FleetEvent.Stopping()) : Effect.void
      )
    yield* Effect.forkScoped(Effect.andThen(options.stop ?? Effect.never, stop("asked")))

    /** Runs a job in a directory, unless the batch stops before its process begins. */
    const attempt = (job: Job, cwd: string, redactor: Redaction.Redactor): Effect.Effect<Ended> => {
      let isBegun = false
      const begin = () => {
        isBegun = true
      }
      let toolCalls = 0
      const runOptions: RunOptions = {
        ...job.options,
        cwd,
        transcript: path.join(options.transcripts, `${job.id}.jsonl`),
        onEvent: (event) =>
          Effect.flatMap(
            Clock.currentTimeMillis,
            (at) => {
              if (RunEvent.isToolCall(event)) toolCalls++
              return display.emit(FleetEvent.Observed({ id: job.id, event: redactor.event(event), at }))
            }
          )
      }
      const asked = job.schema === undefined
        ? Effect.map(opencode.run(job.prompt, runOptions), (result) => ({ result }))
        : opencode.runSchema(job.schema.schema, job.prompt, { ...runOptions, repairs: options.repairs })
      const run = asked.pipe(
        Effect.provideService(FleetBudget.FleetBudget, watched(budget, begin)),
        Effect.matchEffect({
          onSuccess: (answer): Effect.Effect<Ended> => Effect.succeed(Ended.Succeeded(answer)),
          onFailure: (error): Effect.Effect<Ended> =>
            isUnstarted(error)
              ? Effect.as(
                stop(error.unpriced === true ? "unpriced" : "budget"),
                // A correction that was not started belongs to a job that was.
                job.schema !== undefined && isBegun ? Ended.Failed({ error, toolCalls }) : Ended.NotStarted()
              )
              : Effect.succeed(Ended.Failed({ error, toolCalls }))
        }),
        // A defect in one job must not end the others.
        Effect.catchAllDefect((defect) =>
          Effect.succeed(Ended.Broken({ outcome: "Defect", message: Cause.pretty(Cause.die(defect)) }))
        )
      )
      const unlessBegun = Effect.flatMap(
        Deferred.await(stopped),
        () => isBegun ? Effect.never : Effect.succeed(Ended.NotStarted())
      )
      return Effect.raceFirst(run, unlessBegun)
    }

    /** Why a worktree stays although removing it would lose nothing. */
    const keepReason = (ended: Ended): string | undefined => {
      if (wanted === undefined || ended._tag === "NotStarted") return undefined
      const survivors = ended._tag === "Failed" ? OpenCodeError.partialOf(ended.error)?.survivors ?? [] : []
      if (survivors.length > 0) return "processes of the run are still running"
      const succeeded = ended._tag === "Succeeded"
      return Worktree.isKept(wanted.keep, succeeded)
        ? `the run ${succeeded ? "succeeded" : "failed"}, and its worktree was to be kept`
        : undefined
    }

    interface Done {
      readonly ended: Ended
      readonly cwd: string
      readonly worktree?: JobResult["worktree"]
    }

    const inWorktree = (
      all: Worktree.Worktrees,
      job: Job,
      cwd: string,
      origin: Worktree.Origin,
      redactor: Redaction.Redactor
    ): Effect.Effect<Done> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const made = yield* all.add(origin, job.id)
          const warning = made.warning === undefined ? undefined : redactor.text(made.warning)
          const worktree = { ...made, warning }
          if (warning !== undefined) yield* display.log(`The worktree of ${job.name} was created, but ${warning}`)
          const exit = yield* Effect.exit(restore(attempt(job, worktree.directory, redactor)))
          const settled = yield* all.settle(worktree, {
            keep: Exit.match(exit, { onFailure: () => undefined, onSuccess: keepReason })
          })
          if (Exit.isFailure(exit) && settled.kept) {
            yield* display.log(`${settled.path} of ${job.name}, which was interrupted, was kept: ${settled.reason}.`)
          }
          const done: Done = { ended: yield* exit, cwd: worktree.directory, worktree: settled }
          return done
        })
      ).pipe(
        Effect.catchTag("WorktreeError", ({ _tag, message }) => {
          const done: Done = { ended: Ended.Broken({ outcome: _tag, message }), cwd }
          return Effect.succeed(done)
        })
      )

    const carryOut = (job: Job, redactor: Redaction.Redactor): Effect.Effect<Done> => {
      const cwd = directoryOf(job)
      const origin = origins.get(cwd)
      return worktrees !== undefined && origin !== undefined
        ? inWorktree(worktrees, job, cwd, origin, redactor)
        : Effect.map(attempt(job, cwd, redactor), (ended) => ({ ended, cwd }))
    }

    const toResult = (job: Job, ended: Exclude<Ended, { readonly _tag: "NotStarted" }>, done: Done, at: {
      readonly startedAt: number
      readonly endedAt: number
      readonly redactor: Redaction.Redactor
    }) =>
      Effect.gen(function*() {
        const { cell, id, index, name, options: { agent, model }, prompt, repeat } = job
        const transcript = path.join(options.transcripts, `${id}.jsonl`)
        const hasTranscript = yield* Effect.orElseSucceed(fileSystem.exists(transcript), () => false)
        return new JobResult(given({
          id,
          index,
          ...at.redactor.inside({ name, prompt, cwd: done.cwd, model, agent, cell, ...facts(ended) }),
          repeat,
          startedAt: at.startedAt,
          duration: Duration.millis(at.endedAt - at.startedAt),
          transcript: hasTranscript ? path.relative(options.directory, transcript) : undefined,
          worktree: at.redactor.inside(done.worktree)
        }))
      })

    const ended = new Set<string>()

    const work = (job: Job) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          if (yield* Deferred.isDone(stopped)) return
          const startedAt = yield* Clock.currentTimeMillis
          yield* display.emit(FleetEvent.Started({ id: job.id, at: startedAt }))
          const redactor = Redaction.make(yield* Redaction.ofRun(job.options))
          const done = yield* restore(carryOut(job, redactor))
          const endedAt = yield* Clock.currentTimeMillis
          if (done.ended._tag === "NotStarted") {
            return yield* display.emit(FleetEvent.Returned({ id: job.id, at: endedAt }))
          }
          // From here on there is a result, and an interruption must not lose it.
          const result = yield* toResult(job, done.ended, done, { startedAt, endedAt, redactor })
          yield* options.results.append(result)
          results.set(job.id, result)
          ended.add(job.id)
          yield* display.emit(FleetEvent.Ended({ id: job.id, result, at: endedAt }))
          if (options.failFast === true && result.outcome !== "success") yield* stop("failure")
        })
      )

    yield* Effect.forEach(todo, work, { concurrency: options.concurrency, discard: true })

    const why = yield* Deferred.poll(stopped)
    return {
      results: inOrder(options.jobs, results),
      undone: todo.filter(({ id }) => !ended.has(id)),
      stopped: Option.isSome(why) ? yield* why.value : undefined
    }
  }))
