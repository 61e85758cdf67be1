import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Status } from "../RunLedger.js"

const settledJobs = Metric.counter("opencode_cluster_jobs_settled", {
  description: "Jobs that got their verdict on this runner, by status",
  incremental: true
})

const startedAgents = Metric.counter("opencode_cluster_agents_started", {
  description: "Agents that this runner has started",
  incremental: true
})

const takenOver = Metric.counter("opencode_cluster_takeovers", {
  description: "Agents that this runner has started after an attempt that was cut off",
  incremental: true
})

const revivedJobs = Metric.counter("opencode_cluster_jobs_revived", {
  description: "Jobs that no runner had in hand and that the watchdog has sent again",
  incremental: true
})

const waitingJobs = Metric.gauge("opencode_cluster_jobs_waiting", {
  description: "Jobs that wait for a slot of this runner"
})

const runningAgents = Metric.gauge("opencode_cluster_agents_running", {
  description: "Slots of this runner that are in use"
})

export const settled = (status: Status): Effect.Effect<void> =>
  Metric.increment(Metric.tagged(settledJobs, "status", status))

export const started = (attempt: number): Effect.Effect<void> =>
  Effect.andThen(Metric.increment(startedAgents), attempt > 1 ? Metric.increment(takenOver) : Effect.void)

export const revived: Effect.Effect<void> = Metric.increment(revivedJobs)

export const slots = (waiting: number, used: number): Effect.Effect<void> =>
  Effect.andThen(Metric.set(waitingJobs, waiting), Metric.set(runningAgents, used))
