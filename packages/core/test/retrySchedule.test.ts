import { describe, expect, it } from "@effect/vitest"
import { OpenCodeError as E, RunEvent } from "effect-opencode"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { partial } from "./support/facts.js"

const untouched = partial({ steps: 0, eventCount: 1 })
const begun = partial({ steps: 1, eventCount: 2 })

const session = (fields: Partial<ConstructorParameters<typeof E.OpenCodeSessionError>[0]> = {}) =>
  new E.OpenCodeSessionError({
    kind: "rate-limit",
    errorName: "APIError",
    reason: "slow down",
    retryable: true,
    providerRetries: 5,
    partial: untouched,
    ...fields
  })

const server = (reason: E.OpenCodeServerError["reason"], seen?: E.RunSnapshot) =>
  new E.OpenCodeServerError({ reason, stderr: "", partial: seen })

const cases: ReadonlyArray<readonly [error: E.OpenCodeError, isRetryable: boolean, what: string]> = [
  [session(), true, "a rate limit before the first step"],
  [session({ kind: "provider-unavailable" }), true, "a provider that is down before the first step"],
  [session({ retryable: undefined }), true, "a rate limit of which OpenCode says no more"],
  [session({ partial: begun }), false, "a rate limit after a step began"],
  [session({ retryable: false }), false, "a rate limit that OpenCode calls final"],
  [session({ partial: partial({ steps: 0, lostLines: 1 }) }), false, "a rate limit after lost events"],
  [session({ partial: partial({ steps: 0, survivors: [4711] }) }), false, "a rate limit with processes that remain"],
  ...RunEvent.SessionErrorKind.literals.filter((kind) => kind !== "rate-limit" && kind !== "provider-unavailable")
    .map((kind) => [session({ kind }), false, kind] as const),
  [new E.OpenCodeSqliteError({ signature: "database is locked", partial: untouched }), true, "a SQLite crash"],
  [server("start-failed"), true, "a server that does not start"],
  [server("start-timeout"), true, "a server that does not listen"],
  [server("exited"), true, "a server that ended before the run"],
  [server("exited", untouched), false, "a server that ended during the run"],
  [server("unreachable"), true, "a server that cannot be reached before the run"],
  [server("unreachable", untouched), false, "a server that cannot be reached during the run"],
  [server("unauthorized"), false, "a wrong password"],
  [server("refused"), false, "a refused request"],
  [
    new E.OpenCodeTimeoutError({ phase: "startup", limit: Duration.minutes(4), partial: untouched }),
    true,
    "a start that takes too long"
  ],
  [new E.OpenCodeTimeoutError({ phase: "idle", limit: Duration.minutes(4), partial: begun }), false, "a stall"],
  [
    new E.OpenCodeTimeoutError({ phase: "total", limit: Duration.hours(2), partial: untouched }),
    false,
    "the time limit"
  ],
  [new E.OpenCodeSpawnError({ binary: "opencode", cwd: "/", reason: "EAGAIN" }), true, "too many processes"],
  [new E.OpenCodeSpawnError({ binary: "opencode", cwd: "/", reason: "PermissionDenied" }), false, "a forbidden binary"],
  [new E.OpenCodeConfigError({ path: "model", reason: "unknown" }), false, "an invalid option"],
  [new E.OpenCodeBinaryNotFoundError({ binary: "opencode", reason: "not-found", searched: [] }), false, "no binary"],
  [new E.OpenCodeVersionError({ binary: "opencode", reason: "too old" }), false, "an unsupported version"],
  [new E.OpenCodeProcessError({ exitCode: 1, partial: untouched }), false, "a crash of OpenCode"],
  [new E.OpenCodePermissionError({ permission: "bash", patterns: [], partial: begun }), false, "a permission"],
  [new E.OpenCodeIncompleteError({ exitCode: 0, partial: untouched }), false, "a lost end"],
  [
    new E.OpenCodeBudgetError({ scope: "fleet", limit: "cost", max: 1, reached: 2 }),
    false,
    "a used-up budget"
  ],
  [new E.OpenCodeCancelledError({ signal: "SIGTERM", partial: untouched }), false, "a cancellation"]
]

describe("isRetryable", () => {
  it.each(cases.map(([error, retryable, what]) => ({ error, retryable, what })))(
    "$what: $retryable",
    ({ error, retryable }) => {
      expect(E.isRetryable(error)).toBe(retryable)
    }
  )
})

/** The times at which a program starts that always fails. */
const starts = (error: E.OpenCodeError) =>
  Effect.gen(function*() {
    const times: Array<number> = []
    const fiber = yield* Effect.fork(
      Clock.currentTimeMillis.pipe(
        Effect.flatMap((now) => {
          times.push(now / 1000)
          return Effect.fail(error)
        }),
        Effect.retry(E.retrySchedule)
      )
    )
    yield* TestClock.adjust("1 hour")
    expect(Exit.isFailure(yield* Fiber.await(fiber))).toBe(true)
    return times
  })

describe("retrySchedule", () => {
  it.effect("starts four times more, after twice as long each time", () =>
    Effect.gen(function*() {
      const times = yield* starts(session())
      expect(times).toHaveLength(5)
      const waits = times.slice(1).map((time, index) => time - times[index]!)
      for (const [index, expected] of [2, 4, 8, 16].entries()) {
        expect(waits[index]).toBeGreaterThanOrEqual(expected * 0.8 - 0.001)
        expect(waits[index]).toBeLessThanOrEqual(expected * 1.2 + 0.001)
      }
    }))

  it.effect("waits as long as the provider asked", () =>
    Effect.gen(function*() {
      const times = yield* starts(session({ retryAfter: Duration.minutes(2) }))
      expect(times).toEqual([0, 120, 240, 360, 480])
    }))

  it.effect("fails at once if the provider asks for more than five minutes", () =>
    Effect.gen(function*() {
      expect(yield* starts(session({ retryAfter: Duration.minutes(6) }))).toEqual([0])
    }))

  it.effect("fails at once with an error that is not retryable", () =>
    Effect.gen(function*() {
      expect(yield* starts(session({ partial: begun }))).toEqual([0])
    }))
})
