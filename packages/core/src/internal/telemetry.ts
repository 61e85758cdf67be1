import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import type { TokenUsage } from "../TokenUsage.js"

const seconds = MetricBoundaries.exponential({ start: 0.25, factor: 2, count: 16 })

export const runs = Metric.counter("effect_opencode_runs_total", {
  description: "Runs that ended, by outcome (`success`, or the tag of the error)",
  incremental: true
})

export const duration = Metric.histogram(
  "effect_opencode_run_duration_seconds",
  seconds,
  "Time from the call to the outcome, by outcome"
)

export const tokens = Metric.counter("effect_opencode_tokens_total", {
  description: "Tokens of finished steps, by type",
  incremental: true
})

export const cost = Metric.counter("effect_opencode_cost_usd_total", {
  description: "Cost of finished steps in US dollars",
  incremental: true
})

export const retries = Metric.counter("effect_opencode_retries_total", {
  description: "Starts repeated after a SQLite crash",
  incremental: true
})

export const gateWaiting = Metric.histogram(
  "effect_opencode_gate_wait_seconds",
  MetricBoundaries.exponential({ start: 0.001, factor: 4, count: 12 }),
  "Time that a start waited at the gate"
)

export const gateWait = (millis: number): Effect.Effect<void> => Metric.update(gateWaiting, millis / 1000)

export const runEnded = (outcome: string, millis: number): Effect.Effect<void> =>
  Effect.zipRight(
    Metric.update(Metric.tagged(runs, "outcome", outcome), 1),
    Metric.update(Metric.tagged(duration, "outcome", outcome), millis / 1000)
  )

export const spent = (usage: TokenUsage, dollars: number): Effect.Effect<void> =>
  Effect.all([
    Metric.update(Metric.tagged(tokens, "type", "input"), usage.input),
    Metric.update(Metric.tagged(tokens, "type", "output"), usage.output),
    Metric.update(Metric.tagged(tokens, "type", "reasoning"), usage.reasoning),
    Metric.update(Metric.tagged(tokens, "type", "cache_read"), usage.cacheRead),
    Metric.update(Metric.tagged(tokens, "type", "cache_write"), usage.cacheWrite),
    Metric.update(cost, dollars)
  ], { discard: true })
