/**
 * The state of a batch while it works: pure data, and how each event changes it. An event costs the same however many
 * came before it, and the state grows with the jobs, never with the events.
 */
import * as RunEvent from "effect-opencode/RunEvent"
import * as TokenUsage from "effect-opencode/TokenUsage"
import * as Data from "effect/Data"
import { pipe } from "effect/Function"
import * as HashMap from "effect/HashMap"
import * as Iterable from "effect/Iterable"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as SortedMap from "effect/SortedMap"
import { isUnpriced } from "../display/format.js"
import type { JobResult } from "../jobs/JobResult.js"

/**
 * What a job is doing.
 *
 * - `waiting`: waits for its turn in the batch
 * - `starting`: at the start-up gate, or its process has not reported anything yet
 * - `running`: it has reported at least one event
 * - `ending`: its conversation has finished; its process and leftovers are being cleaned up
 * - `done`, `failed`: it has ended
 * - `skipped`: an earlier batch already has its result
 */
export type State = "waiting" | "starting" | "running" | "ending" | "done" | "failed" | "skipped"

export interface Job {
  readonly id: string
  /** What a person calls the job. */
  readonly name: string
  /** The job's position in the order of registration, from 0. */
  readonly place: number
  readonly state: State
  /** The last tool call or text, as one short line. */
  readonly activity: string
  readonly steps: number
  readonly usage: TokenUsage.TokenUsage
  /** US dollars. */
  readonly cost: number
  /** `true` where some of the cost is unknown and not in `cost`. */
  readonly unpriced?: boolean | undefined
  /** Milliseconds since the epoch; `undefined` before the start. */
  readonly startedAt: number | undefined
  /** The runner of the cluster that has the job. */
  readonly runner?: string | undefined
}

/** Sums over jobs. */
export interface Totals {
  readonly steps: number
  readonly usage: TokenUsage.TokenUsage
  /** US dollars. */
  readonly cost: number
  /** `true` where some of the cost is unknown and not in `cost`. */
  readonly unpriced?: boolean | undefined
}

/** A batch in progress. */
export interface Fleet {
  /** Every known job. */
  readonly jobs: HashMap.HashMap<string, Job>
  /** The ids of the jobs that wait for their turn, by place. */
  readonly waiting: SortedMap.SortedMap<number, string>
  /** The ids of the jobs that are `starting`, `running` or `ending`, by place. */
  readonly active: SortedMap.SortedMap<number, string>
  /** Jobs that have ended, by outcome: `success`, or the tag of an error. */
  readonly outcomes: { readonly [outcome: string]: number }
  readonly done: number
  readonly failed: number
  readonly skipped: number
  /** Sums over the ended jobs. */
  readonly ended: Totals
  /** When the first job started, in milliseconds since the epoch. */
  readonly startedAt: number | undefined
  /** Whether the batch starts no further job. */
  readonly stopping: boolean
}

/** What happens to a batch. Times are in milliseconds since the epoch. */
export type FleetEvent = Data.TaggedEnum<{
  /** The job waits for its turn. */
  readonly Queued: { readonly id: string; readonly name: string }
  /** It is the job's turn; it may wait at the start-up gate. */
  readonly Started: { readonly id: string; readonly at: number; readonly runner?: string | undefined }
  /** The job was not started after all and waits again. */
  readonly Returned: { readonly id: string; readonly at: number }
  readonly Observed: { readonly id: string; readonly event: RunEvent.RunEvent; readonly at: number }
  readonly Ended: { readonly id: string; readonly result: JobResult; readonly at: number }
  /** An earlier batch already has the job's result. */
  readonly Skipped: { readonly id: string }
  /** From now on no job starts. */
  readonly Stopping: {}
}>

export const FleetEvent = Data.taggedEnum<FleetEvent>()

const nothing: Totals = { steps: 0, usage: TokenUsage.empty, cost: 0 }

/** The initial state: no jobs, nothing spent. */
export const empty: Fleet = {
  jobs: HashMap.empty(),
  waiting: SortedMap.empty(Order.number),
  active: SortedMap.empty(Order.number),
  outcomes: {},
  done: 0,
  failed: 0,
  skipped: 0,
  ended: nothing,
  startedAt: undefined,
  stopping: false
}

const add = (self: Totals, that: Totals): Totals => ({
  steps: self.steps + that.steps,
  usage: TokenUsage.add(self.usage, that.usage),
  cost: self.cost + that.cost,
  unpriced: self.unpriced === true || that.unpriced === true
})

const isActive = (job: Job): boolean => job.state === "starting" || job.state === "running" || job.state === "ending"

const hasEnded = (job: Job): boolean => job.state === "done" || job.state === "failed" || job.state === "skipped"

/** Adds a job to the map of all jobs, and to the waiting or active ones. */
const put = (self: Fleet, job: Job): Fleet => {
  const place = <A>(map: SortedMap.SortedMap<number, A>, belongs: boolean, value: A) =>
    belongs === SortedMap.has(map, job.place)
      ? map
      : belongs
      ? SortedMap.set(map, job.place, value)
      : SortedMap.remove(map, job.place)
  return {
    ...self,
    jobs: HashMap.set(self.jobs, job.id, job),
    waiting: place(self.waiting, job.state === "waiting", job.id),
    active: place(self.active, isActive(job), job.id)
  }
}

/** The job with that id; an unregistered job is named by its id. */
const find = (self: Fleet, id: string): Job =>
  Option.getOrElse(HashMap.get(self.jobs, id), () => ({
    id,
    name: id,
    place: HashMap.size(self.jobs),
    state: "waiting",
    activity: "",
    steps: 0,
    usage: TokenUsage.empty,
    cost: 0,
    startedAt: undefined
  }))

/** The job's current activity according to an event; `undefined` if the event has none. */
const activityOf = (event: RunEvent.RunEvent): string | undefined => {
  switch (event._tag) {
    case "StepStart":
    case "StepFinish":
    case "Diagnostic":
    case "Unknown":
      return undefined
    default:
      return RunEvent.describe(event)
  }
}

/** Finish reasons after which the model is called again. */
const goesOn = (reason: string | undefined): boolean =>
  reason === undefined || reason === "tool-calls" || reason === "unknown"

const observe = (job: Job, event: RunEvent.RunEvent): Job => {
  const activity = activityOf(event) ?? job.activity
  return event._tag === "StepFinish"
    ? {
      ...job,
      state: goesOn(event.reason) ? "running" : "ending",
      usage: TokenUsage.add(job.usage, event.tokens),
      cost: job.cost + event.cost,
      unpriced: job.unpriced === true || isUnpriced(event.cost, event.tokens)
    }
    : {
      ...job,
      state: job.state === "ending" && event._tag !== "StepStart" ? "ending" : "running",
      steps: job.steps + (event._tag === "StepStart" ? 1 : 0),
      activity
    }
}

/** A batch begins with its first job. */
const begun = (self: Fleet, at: number): Fleet => self.startedAt === undefined ? { ...self, startedAt: at } : self

const end = (self: Fleet, job: Job, result: JobResult): Fleet => {
  const succeeded = result.outcome === "success"
  const spent: Totals = { steps: result.steps, usage: result.usage, cost: result.cost, unpriced: result.unpriced }
  return {
    ...put(self, { ...job, ...spent, state: succeeded ? "done" : "failed", activity: succeeded ? "" : result.kind }),
    outcomes: { ...self.outcomes, [result.outcome]: (self.outcomes[result.outcome] ?? 0) + 1 },
    done: self.done + (succeeded ? 1 : 0),
    failed: self.failed + (succeeded ? 0 : 1),
    ended: add(self.ended, spent)
  }
}

/**
 * The state after an event. Total: an unregistered job is added under its id, and events of an ended job change
 * nothing.
 */
export const update = (self: Fleet, event: FleetEvent): Fleet => {
  if (event._tag === "Stopping") return self.stopping ? self : { ...self, stopping: true }
  const job = find(self, event.id)
  if (hasEnded(job)) return self
  switch (event._tag) {
    case "Queued":
      return HashMap.has(self.jobs, event.id) ? self : put(self, { ...job, name: event.name })
    case "Started":
      // On a cluster a job that lost its runner starts again, on another one.
      return isActive(job)
        ? event.runner === undefined ? self : put(self, { ...job, state: "starting", runner: event.runner })
        : begun(
          put(self, { ...job, state: "starting", startedAt: event.at, runner: event.runner }),
          event.at
        )
    case "Returned":
      return job.state === "starting" ? put(self, { ...job, state: "waiting", startedAt: undefined }) : self
    case "Observed":
      return begun(put(self, observe({ ...job, startedAt: job.startedAt ?? event.at }, event.event)), event.at)
    case "Ended":
      return end(self, HashMap.has(self.jobs, event.id) ? job : { ...job, name: event.result.name }, event.result)
    case "Skipped":
      return isActive(job) ? self : { ...put(self, { ...job, state: "skipped" }), skipped: self.skipped + 1 }
  }
}

const select = (self: Fleet, ids: SortedMap.SortedMap<number, string>): Iterable<Job> =>
  Iterable.filterMap(SortedMap.values(ids), (id) => HashMap.get(self.jobs, id))

/** The jobs that are starting, running or ending, in their order. */
export const active = (self: Fleet): ReadonlyArray<Job> => [...select(self, self.active)]

/** The first jobs that wait for their turn. */
export const next = (self: Fleet, count: number): ReadonlyArray<Job> => [
  ...pipe(select(self, self.waiting), Iterable.take(count))
]

/** The amount spent so far by ended and running jobs. */
export const totals = (self: Fleet): Totals => active(self).reduce<Totals>(add, self.ended)

/** The number of known jobs, skipped ones included. */
export const size = (self: Fleet): number => HashMap.size(self.jobs)

/** The job with the given id. */
export const get = (self: Fleet, id: string): Option.Option<Job> => HashMap.get(self.jobs, id)

/** Milliseconds since the job started; 0 before. */
export const elapsed = (job: Job, now: number): number =>
  job.startedAt === undefined ? 0 : Math.max(0, now - job.startedAt)
