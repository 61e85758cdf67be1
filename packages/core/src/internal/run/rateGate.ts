import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as check from "../opencode/check.js"
import type { Problem } from "../opencode/problem.js"
import * as monotonicClock from "../util/monotonicClock.js"

/** Holds back new starts while a provider limits the rate. */
export interface RateGate {
  /** True if the provider may be asked; `undefined` stands for OpenCode's default model. */
  readonly isOpen: (provider: string | undefined) => Effect.Effect<boolean>
  /** Waits until the provider may be asked again. */
  readonly wait: (provider: string | undefined) => Effect.Effect<void>
  /** Called when a provider rate-limits a run. */
  readonly onRateLimited: (
    provider: string | undefined,
    retryAfter: Duration.Duration | undefined
  ) => Effect.Effect<void>
}

const off: RateGate = { isOpen: () => Effect.succeed(true), wait: () => Effect.void, onRateLimited: () => Effect.void }

const now = Effect.clockWith((clock) => Effect.sync(() => monotonicClock.millis(clock)))

export const make = (fallback: Duration.Duration): RateGate => {
  const until = new Map<string, number>()
  const key = (provider: string | undefined) => provider ?? ""

  const left = (provider: string | undefined) => Effect.map(now, (now) => (until.get(key(provider)) ?? now) - now)

  const wait: RateGate["wait"] = (provider) =>
    Effect.flatMap(left(provider), (left) =>
      // Another run may have extended the wait meanwhile.
      left > 0 ? Effect.andThen(Effect.sleep(left), wait(provider)) : Effect.void)

  return {
    isOpen: (provider) => Effect.map(left(provider), (left) => left <= 0),
    wait,
    onRateLimited: (provider, retryAfter) =>
      Effect.map(now, (now) => {
        const end = now + Duration.toMillis(retryAfter ?? fallback)
        until.set(key(provider), Math.max(until.get(key(provider)) ?? end, end))
      })
  }
}

type Setting = boolean | { readonly fallback: Duration.DurationInput } | undefined

/** Makes the gate for a layer's option. */
export const of = (setting: Setting): RateGate =>
  setting === undefined || setting === false
    ? off
    : make(Duration.decode(setting === true ? "30 seconds" : setting.fallback))

export const problem = (setting: Setting): Option.Option<Problem> =>
  typeof setting === "object" ? check.duration("rateLimitGate.fallback", setting.fallback) : Option.none()
