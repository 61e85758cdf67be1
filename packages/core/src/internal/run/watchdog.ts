import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ProviderRetry, RunEvent, ToolUse } from "../../RunEvent.js"
import * as budgets from "../opencode/budget.js"
import * as providerErrors from "../opencode/providerErrors.js"
import type { AgentFallback } from "../opencode/stderr.js"
import type { Summary } from "../opencode/summary.js"
import type * as verdicts from "../opencode/verdict.js"
import * as monotonicClock from "../util/monotonicClock.js"
import { isObject } from "../util/object.js"
import * as runtime from "../util/runtime.js"
import type { Plan } from "./plan.js"

/** OpenCode gives up after this many attempts at one step, so a later failure belongs to another step (1.18.33). */
const maxInARow = 6

/** Less than OpenCode's first pause between two attempts. */
const apart = Duration.seconds(1)

/** How long OpenCode may take to report by an event that it gives up; it retries after two seconds (1.18.33). */
const patience = Duration.seconds(1)

/** Watches one attempt and remembers the first guard that fires. */
export interface Watchdog {
  /** Called when a chunk of stdout has arrived, whatever it contains. */
  readonly read: () => void
  readonly reads: () => number
  /** Called with false while back-pressure from the consumer blocks the child. */
  readonly reading: (isReading: boolean) => void
  readonly isReading: () => boolean
  readonly now: () => number
  /**
   * Called when something other than an event shows that OpenCode works: after the first event it restarts the idle
   * time.
   */
  readonly alive: () => void
  /** Called when an event was added to the summary; `now` is its time of arrival. */
  readonly seen: (event: RunEvent, state: Summary, now: number) => void
  /** Called when the run has spent more than the known cost. */
  readonly unpriced: (cost: number) => void
  /** Called when OpenCode continues to work although the conversation had finished. */
  readonly resumed: () => void
  /** Called with the session of a sub-agent that the provider has answered. */
  readonly recovered: (sessionId: string) => void
  readonly agentFallback: (fallback: AgentFallback) => void
  readonly fired: () => verdicts.Guard | undefined
  /** Called when the attempt has ended by itself. */
  readonly ended: () => void
  /** Runs the timers; returns when a guard has fired or `ended` was called. Deadlines only expire while it runs. */
  readonly watch: Effect.Effect<void>
}

/** A cost limit that cannot be enforced if the cost is unknown, and its owner. */
export interface Unpriced {
  readonly scope: "run" | "fleet"
  readonly max: number
}

/** Makes a watchdog. Times are by `monotonic.millis`: the start, and the end of the run's total time. */
export const make = (
  plan: Plan,
  now: number,
  expiresAt: number,
  unpriced?: Unpriced | undefined
): Effect.Effect<Watchdog> =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    /** Wakes the watch: a deadline has passed, a nearer one was set, a guard has fired, or the attempt has ended. */
    let wake = runtime.deferred<void>()
    let armed = Number.POSITIVE_INFINITY
    let fired: verdicts.Guard | undefined
    let hasEnded = false
    let hasEvent = false
    let last = now
    let blocked = 0
    let blockedSince = now
    let reads = 0
    /** Consecutive failed attempts by session, because conversations fail independently. */
    const failures = new Map<string | undefined, { readonly count: number; readonly at: number }>()
    /** A failed attempt that retrying cannot fix. OpenCode gets a moment to report it itself. */
    let hopeless: { readonly retry: ProviderRetry; at: number } | undefined
    let finishedAt: number | undefined

    const fire = (guard: verdicts.Guard): void => {
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
      // A sub-agent with its own model can fail permanently while the run continues.
      const isDecisive = own || plan.options.model === `${retry.provider}/${retry.model}`
      if (isDecisive && providerErrors.isHopeless(retry.kind, retry.reason, count)) {
        hopeless ??= { retry: { ...retry, attempt: count }, at: now + Duration.toMillis(patience) }
        wakeFor(hopeless.at)
      }
    }

    /** The provider has answered a conversation, so its failures no longer count. */
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

    /** A deadline that moved away is noticed when the old one passes. */
    const wakeFor = (at: number): void => {
      if (at < armed) Deferred.unsafeDone(wake, Effect.void)
    }

    const exitGrace = Duration.toMillis(plan.exitGrace)
    const idle = Duration.toMillis(plan.idleTimeout)
    const startup = Duration.toMillis(plan.startupTimeout)

    const deadline = (): number =>
      finishedAt !== undefined ? finishedAt + exitGrace : last + (hasEvent ? idle : startup)

    /** The guard that the deadline stands for. */
    const meaning = (): verdicts.Guard =>
      finishedAt !== undefined
        ? { _tag: "ExitGrace" }
        : hasEvent
        ? { _tag: "Timeout", phase: "idle", limit: plan.idleTimeout }
        : { _tag: "Timeout", phase: "startup", limit: plan.startupTimeout }

    const sleep = (millis: number): Effect.Effect<void> => {
      wake = runtime.deferred()
      const woken = Deferred.await(wake)
      if (millis === Number.POSITIVE_INFINITY) return woken
      // A sleeping fiber costs half as much as a race.
      return Effect.flatMap(
        Effect.fork(Effect.delay(Deferred.succeed(wake, undefined), millis)),
        (alarm) => Effect.andThen(woken, Effect.sync(() => runtime.interrupt(alarm)))
      )
    }

    const watch: Effect.Effect<void> = Effect.suspend(() => {
      if (fired !== undefined || hasEnded) return Effect.void
      const now = monotonicClock.millis(clock)
      armed = deadline()
      // A slow consumer blocks the child, so that time does not count as silence.
      const silence = armed - (blocked > 0 ? blockedSince : now)
      const left = expiresAt - now
      const doomed = hopeless === undefined ? Infinity : hopeless.at - (blocked > 0 ? blockedSince : now)
      if (left > 0 && silence > 0 && doomed > 0) {
        armed = Math.min(armed, hopeless?.at ?? Infinity)
        return Effect.andThen(sleep(Math.min(silence, left, doomed)), watch)
      }
      if (hopeless !== undefined && doomed <= 0) {
        fire({ _tag: "ProviderRetries", retry: hopeless.retry, isHopeless: true })
        return Effect.void
      }
      // A suspended program sees both deadlines at once.
      fire(left <= silence ? { _tag: "Timeout", phase: "total", limit: plan.timeout } : meaning())
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
        // Texts do not change what was spent.
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
