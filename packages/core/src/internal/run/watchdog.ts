import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ProviderRetry, RunEvent, ToolUse } from "../../RunEvent.js"
import type * as Verdict from "../../Verdict.js"
import * as budgets from "../opencode/budget.js"
import * as providerErrors from "../opencode/providerErrors.js"
import type { Summary } from "../opencode/summary.js"
import type { AgentFallback } from "../opencode/v1/stderrFacts.js"
import * as monotonicClock from "../util/monotonicClock.js"
import { isObject } from "../util/object.js"
import type { Plan } from "./plan.js"

/** OpenCode gives up after so many attempts at one step, so a later failure is that of another (1.18.33). */
const maxInARow = 6

/** Its first pause between two attempts is longer. */
const apart = Duration.seconds(1)

/** How long OpenCode may take to say by an event that it gives up; it asks again after two seconds (1.18.33). */
const patience = Duration.seconds(1)

/** Watches one attempt, and remembers the first guard that fires. */
export interface Watchdog {
  /** A chunk of stdout has arrived, whatever is in it. */
  readonly read: () => void
  readonly reads: () => number
  /** Whether we wait for the child, or the child (so to say) for our consumer. */
  readonly reading: (isReading: boolean) => void
  readonly isReading: () => boolean
  readonly now: () => number
  /** Something shows that OpenCode works, although it is no event: the time without one begins anew after the first. */
  readonly alive: () => void
  /** An event was added to the summary; `now` is the time at which it came. */
  readonly seen: (event: RunEvent, state: Summary, now: number) => void
  /** The run has spent more than the cost that is known. */
  readonly unpriced: (cost: number) => void
  /** It has begun to work on something more, although the conversation had come to an end. */
  readonly resumed: () => void
  /** The provider has answered a sub-agent, by its session. */
  readonly recovered: (sessionId: string) => void
  readonly agentFallback: (fallback: AgentFallback) => void
  readonly fired: () => Verdict.Guard | undefined
  /** What carries the run has ended by itself. */
  readonly ended: () => void
  /** Runs the timers; returns when a guard has fired or `ended` was called. Before and after it no time is over. */
  readonly watch: Effect.Effect<void>
}

/** A limit of cost that cannot be kept where the cost is unknown, and whose it is. */
export interface Unpriced {
  readonly scope: "run" | "fleet"
  readonly max: number
}

/** By `monotonic.millis`: when it starts, and when the run's total time is over. */
export const make = (
  plan: Plan,
  now: number,
  expiresAt: number,
  unpriced?: Unpriced | undefined
): Effect.Effect<Watchdog> =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const fiberId = yield* Effect.fiberId
    /** Wakes the watch: a deadline has come or a nearer one has come up, a guard has fired, or it is over. */
    let wake = Deferred.unsafeMake<void>(fiberId)
    let armed = Number.POSITIVE_INFINITY
    let fired: Verdict.Guard | undefined
    let hasEnded = false
    let hasEvent = false
    let last = now
    let blocked = 0
    let blockedSince = now
    let reads = 0
    /** Failed attempts in a row, by session: those of one conversation say nothing of another. */
    const failures = new Map<string | undefined, { readonly count: number; readonly at: number }>()
    /** A failed attempt that no further one can mend. OpenCode is to say so itself, where it does. */
    let hopeless: { readonly retry: ProviderRetry; at: number } | undefined
    let finishedAt: number | undefined

    const fire = (guard: Verdict.Guard): void => {
      if (fired !== undefined) return
      fired = guard
      Deferred.unsafeDone(wake, Effect.void)
    }

    const check = (limit: keyof Plan["budget"], reached: number): void => {
      const max = plan.budget[limit]
      if (budgets.isCrossed(reached, max)) fire({ _tag: "Budget", limit, max, reached })
    }

    const unpricedAt = (cost: number): void => {
      if (unpriced === undefined) return
      fire({ _tag: "Budget", limit: "cost", max: unpriced.max, reached: cost, unpriced: unpriced.scope })
    }

    const overBudget = (state: Summary): void => {
      check("steps", state.steps)
      check("cost", state.cost)
      check("tokens", state.usage.total)
      check("toolCalls", state.toolCalls)
      if (state.unpriced) unpricedAt(state.cost)
    }

    const isOwn = (sessionId: string | undefined, state: Summary): boolean =>
      sessionId === undefined || state.sessionId === undefined || sessionId === state.sessionId

    const failed = (retry: ProviderRetry, state: Summary, now: number): void => {
      const own = isOwn(retry.sessionId, state)
      const id = own ? undefined : retry.sessionId
      const before = failures.get(id)
      const isAnother = before === undefined ||
        (!own && before.count >= maxInARow && now - before.at >= Duration.toMillis(apart))
      const count = isAnother ? 1 : before.count + 1
      failures.set(id, { count, at: now })
      if (count >= plan.maxProviderRetries) {
        return fire({ _tag: "ProviderRetries", retry: { ...retry, attempt: count } })
      }
      // A sub-agent with a model of its own can fail for good, and the run go on.
      const isDecisive = own || plan.options.model === `${retry.provider}/${retry.model}`
      if (isDecisive && providerErrors.isHopeless(retry.kind, retry.reason, count)) {
        hopeless ??= { retry: { ...retry, attempt: count }, at: now + Duration.toMillis(patience) }
        wakeFor(hopeless.at)
      }
    }

    /** The provider has answered a conversation. */
    const recovered = (id: string | undefined): void => {
      failures.delete(id)
      if (hopeless !== undefined && (id === undefined || hopeless.retry.sessionId === id)) hopeless = undefined
    }

    const taskEnded = ({ metadata }: ToolUse): void => {
      const child = isObject(metadata) ? metadata["sessionId"] : undefined
      if (typeof child === "string") return recovered(child)
      for (const id of failures.keys()) {
        if (id !== undefined) recovered(id)
      }
    }

    /** A deadline that moves away is found out when the old one comes up. */
    const wakeFor = (at: number): void => {
      if (at < armed) Deferred.unsafeDone(wake, Effect.void)
    }

    const exitGrace = Duration.toMillis(plan.exitGrace)
    const idle = Duration.toMillis(plan.idleTimeout)
    const startup = Duration.toMillis(plan.startupTimeout)

    const deadline = (): number =>
      finishedAt !== undefined ? finishedAt + exitGrace : last + (hasEvent ? idle : startup)

    /** What it means when the deadline has come. */
    const meaning = (): Verdict.Guard =>
      finishedAt !== undefined
        ? { _tag: "ExitGrace" }
        : hasEvent
        ? { _tag: "Timeout", phase: "idle", limit: idle }
        : { _tag: "Timeout", phase: "startup", limit: startup }

    const sleep = (millis: number): Effect.Effect<void> => {
      wake = Deferred.unsafeMake(fiberId)
      const woken = Deferred.await(wake)
      if (millis === Number.POSITIVE_INFINITY) return woken
      // A fiber that sleeps is half of a race.
      return Effect.flatMap(
        Effect.fork(Effect.delay(Deferred.succeed(wake, undefined), millis)),
        (alarm) => Effect.zipRight(woken, Effect.sync(() => alarm.unsafeInterruptAsFork(fiberId)))
      )
    }

    const watch: Effect.Effect<void> = Effect.suspend(() => {
      if (fired !== undefined || hasEnded) return Effect.void
      const now = monotonicClock.millis(clock)
      armed = deadline()
      // A consumer that is slow holds the child up: that time is not the child's.
      const silence = armed - (blocked > 0 ? blockedSince : now)
      const left = expiresAt - now
      const doomed = hopeless === undefined ? Infinity : hopeless.at - (blocked > 0 ? blockedSince : now)
      if (left > 0 && silence > 0 && doomed > 0) {
        armed = Math.min(armed, hopeless?.at ?? Infinity)
        return Effect.zipRight(sleep(Math.min(silence, left, doomed)), watch)
      }
      if (hopeless !== undefined && doomed <= 0) {
        fire({ _tag: "ProviderRetries", retry: hopeless.retry, isHopeless: true })
        return Effect.void
      }
      // A program that was stopped sees both at once.
      fire(left <= silence ? { _tag: "Timeout", phase: "total", limit: Duration.toMillis(plan.timeout) } : meaning())
      return Effect.void
    })

    const alive = (): void => {
      if (hasEvent) last = monotonicClock.millis(clock)
    }

    return {
      read: () => {
        reads++
      },
      alive,
      reads: () => reads,
      reading: (isReading) => {
        const now = monotonicClock.millis(clock)
        if (!isReading && blocked === 0) blockedSince = now
        blocked += isReading ? -1 : 1
        if (isReading && blocked === 0) {
          last += now - blockedSince
          if (hopeless !== undefined) hopeless.at += now - blockedSince
        }
      },
      isReading: () => blocked === 0,
      now: () => monotonicClock.millis(clock),
      seen: (event, state, now) => {
        if (event._tag === "ProviderRetry") {
          failed(event, state, now)
          return
        }
        switch (event._tag) {
          case "Diagnostic":
          case "PermissionRejected":
          case "PermissionAsked":
            return
          case "TextDelta":
            alive()
            return
        }
        if (event._tag === "StepFinish") recovered(undefined)
        else if (event._tag === "ToolUse" && event.tool === "task") taskEnded(event)
        else if (event._tag === "SessionError" || event._tag === "StepStart") hopeless = undefined
        hasEvent = true
        last = now
        // Words alone spend nothing.
        if (event._tag !== "Text" && event._tag !== "Reasoning") overBudget(state)
        finishedAt = state.finished && state.pendingError === undefined ? now : undefined
        wakeFor(deadline())
      },
      unpriced: unpricedAt,
      resumed: () => {
        if (finishedAt === undefined) return
        finishedAt = undefined
        last = monotonicClock.millis(clock)
        wakeFor(deadline())
      },
      recovered,
      agentFallback: (fallback) => fire({ _tag: "AgentFallback", ...fallback }),
      fired: () => fired,
      ended: () => {
        hasEnded = true
        Deferred.unsafeDone(wake, Effect.void)
      },
      watch
    }
  })
