// #region imports
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { Events, MockCommandExecutor, OpenCodeTest } from "effect-opencode-testing"
import { rate, review, reviewAll } from "../testing/review.js"

const { Failure, Reply } = OpenCodeTest
// #endregion

// #region happy
it.effect("returns what the agent said", () =>
  Effect.gen(function*() {
    expect(yield* review("a.ts")).toBe("a.ts: Looks good.")

    const { calls } = yield* OpenCodeTest.OpenCodeTest
    const [call] = yield* calls
    expect(call?.prompt).toBe("Review a.ts")
    expect(call?.options.permission).toMatchObject({ edit: "deny", bash: "deny" })
  }).pipe(Effect.provide(OpenCodeTest.layer({ "Review a.ts": "Looks good." }))))
// #endregion

// #region timeout
const stuckInATool = Reply.events([
  Events.turn(["Let me run the tests.", Events.tool({ tool: "read", input: { filePath: "a.ts" } })]),
  MockCommandExecutor.never
])

it.effect("stops an agent that is silent for three minutes", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Effect.flip(review("a.ts")))
    yield* TestClock.adjust("3 minutes")
    const error = yield* Fiber.join(fiber)

    expect(error).toMatchObject({
      _tag: "OpenCodeTimeoutError",
      phase: "idle",
      partial: { text: "Let me run the tests.", steps: 1 }
    })
  }).pipe(Effect.provide(OpenCodeTest.layer({ "Review a.ts": stuckInATool }))))
// #endregion

// #region sqlite
it.effect("survives a crash of two agents that start at the same time", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(review("a.ts"))
    // the layer restarts a crashed process after a second
    yield* TestClock.adjust("1 second")
    expect(yield* Fiber.join(fiber)).toBe("a.ts: Looks good.")

    const { calls } = yield* OpenCodeTest.OpenCodeTest
    expect((yield* calls)[0]?.attempts).toBe(2)
  }).pipe(
    Effect.provide(OpenCodeTest.layer({ "Review a.ts": Reply.attempts([Reply.sqliteCrash, "Looks good."]) }))
  ))
// #endregion

// #region budget
it.effect("stops an agent that spends too much", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(review("a.ts"))
    expect(error).toMatchObject({ _tag: "OpenCodeBudgetError", limit: "cost", max: 0.5, reached: 0.6 })
  }).pipe(
    Effect.provide(OpenCodeTest.layer({
      "Review a.ts": Reply.events([
        Events.turn(Events.tool({ tool: "grep" }), { cost: 0.3 }),
        Events.turn(Events.tool({ tool: "grep" }), { cost: 0.3 }),
        Events.turn("Never said.")
      ])
    }))
  ))
// #endregion

// #region rate-limit
const slowDown = Reply.events([
  Events.error({ message: "Rate limit reached", statusCode: 429, responseHeaders: { "retry-after": "20" } })
])

it.effect("waits as long as the provider asks", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(review("a.ts"))
    yield* TestClock.adjust("19 seconds")
    const { calls } = yield* OpenCodeTest.OpenCodeTest
    expect(yield* calls).toHaveLength(1)

    yield* TestClock.adjust("1 second")
    expect(yield* Fiber.join(fiber)).toBe("a.ts: Looks good.")
    expect((yield* calls).map(({ outcome }) => outcome._tag)).toEqual(["Failed", "Done"])
  }).pipe(Effect.provide(OpenCodeTest.layer({ "Review a.ts": Reply.sequence([slowDown, "Looks good."]) }))))
// #endregion

// #region fan-out
it.effect("reports the failed review and all the others", () =>
  Effect.gen(function*() {
    const report = yield* reviewAll(["a.ts", "b.ts", "c.ts"])
    expect(report).toEqual({
      reviews: ["a.ts: Looks good.", "c.ts: Needs work."],
      failures: ["OpenCodeProcessError"]
    })
  }).pipe(
    Effect.provide(OpenCodeTest.layer({
      "Review a.ts": "Looks good.",
      "Review b.ts": Reply.fail(Failure.process({ exitCode: 137 })),
      "Review c.ts": "Needs work."
    }))
  ))
// #endregion

// #region structured
it.effect("asks again when a rating does not decode", () =>
  Effect.gen(function*() {
    expect(yield* rate("a.ts")).toMatchObject({ stars: 4, reason: "clear" })

    const { calls } = yield* OpenCodeTest.OpenCodeTest
    expect((yield* calls)[0]?.attempts).toBe(2)
  }).pipe(
    Effect.provide(OpenCodeTest.layer({
      "Rate a.ts": Reply.attempts(["Four stars!", "```json\n{ \"stars\": 4, \"reason\": \"clear\" }\n```"])
    }))
  ))

it.effect("gives up on an agent that never returns a rating", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(rate("a.ts"))

    expect(error).toMatchObject({ _tag: "OpenCodeOutputError", reason: "no-json", attempts: 3, answer: "Four stars!" })
  }).pipe(Effect.provide(OpenCodeTest.layer({ "Rate a.ts": "Four stars!" }))))
// #endregion
