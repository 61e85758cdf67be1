/** What only Effect 3 has: ids of fibers, its own references, and metrics by their keys. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import type * as MetricLabel from "effect/MetricLabel"

/** A fiber that was forked here. */
export type Forked<A, E = never> = Fiber.RuntimeFiber<A, E>

/** An interruption from outside of any fiber. */
export const interruption: Cause.Cause<never> = Cause.interrupt(FiberId.none)

/** Makes a `Deferred` at once, between two steps that nothing may separate. */
export const deferred = <A, E = never>(): Deferred.Deferred<A, E> => Deferred.unsafeMake(FiberId.none)

/** Interrupts a fiber at once, without waiting for its end. */
export const interrupt = (fiber: Forked<unknown, unknown>): void => fiber.unsafeInterruptAsFork(FiberId.none)

export const hasEnded = (fiber: Forked<unknown, unknown>): boolean => fiber.unsafePoll() !== null

/** The labels of metrics that the caller's program has set. */
export const metricLabels: Effect.Effect<ReadonlyArray<MetricLabel.MetricLabel>> = FiberRef.get(
  FiberRef.currentMetricLabels
)

/** Makes a counter that only increases. The tag is part of its key, because `Metric.tagged` looks the metric up at every update. */
export const taggedCounter = (
  name: string,
  description: string,
  tag: { readonly key: string; readonly value: string }
): Metric.Metric.Counter<number> =>
  Metric.fromMetricKey(
    MetricKey.tagged(MetricKey.counter(name, { description, incremental: true }), tag.key, tag.value)
  )
