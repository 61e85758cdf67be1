import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import type * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import type { TokenUsage } from "../../TokenUsage.js"
import * as runtime from "../util/runtime.js"

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

export const tokens = (type: string) =>
  runtime.taggedCounter("effect_opencode_tokens_total", "Tokens of finished steps, by type", {
    key: "type",
    value: type
  })

const input = tokens("input")
const output = tokens("output")
const reasoning = tokens("reasoning")
const cacheRead = tokens("cache_read")
const cacheWrite = tokens("cache_write")

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
  Effect.andThen(
    Metric.update(Metric.tagged(runs, "outcome", outcome), 1),
    Metric.update(Metric.tagged(duration, "outcome", outcome), millis / 1000)
  )

/** One effect for all metrics, because it runs for every chunk of events. */
export const spent = (usage: TokenUsage, dollars: number): Effect.Effect<void> =>
  Effect.map(runtime.metricLabels, (labels) => {
    input.unsafeUpdate(usage.input, labels)
    output.unsafeUpdate(usage.output, labels)
    reasoning.unsafeUpdate(usage.reasoning, labels)
    cacheRead.unsafeUpdate(usage.cacheRead, labels)
    cacheWrite.unsafeUpdate(usage.cacheWrite, labels)
    cost.unsafeUpdate(dollars, labels)
  })

/**
 * By the GenAI semantic conventions, input tokens include cached ones and output tokens include reasoning. OpenCode
 * counts them separately.
 */
export const usageAttributes = ({ cacheRead, cacheWrite, input, output, reasoning }: TokenUsage) => ({
  "gen_ai.usage.input_tokens": input + cacheRead + cacheWrite,
  "gen_ai.usage.output_tokens": output + reasoning,
  "gen_ai.usage.cache_read.input_tokens": cacheRead,
  "gen_ai.usage.cache_creation.input_tokens": cacheWrite
})

/**
 * Opens a span that lasts as long as the scope. Without a stack trace into our own code, which costs more than the rest
 * of the span.
 */
export const inSpan =
  (name: string, attributes: { readonly [name: string]: unknown } = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Tracer.ParentSpan> | Scope.Scope> =>
    Effect.flatMap(
      Effect.makeSpanScoped(name, { attributes, captureStackTrace: false }),
      (span) => Effect.withParentSpan(effect, span)
    )

/** The current span of `inSpan`. */
export const span: Effect.Effect<Tracer.Span> = Effect.orDie(Effect.currentSpan)
