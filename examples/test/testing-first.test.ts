// #region test
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, TestClock } from "effect"
import { OpenCode } from "effect-opencode"
import { OpenCodeTest } from "effect-opencode-testing"

const { Failure, Reply } = OpenCodeTest

const explain = (model: string) => OpenCode.run("Which tests fail?", { model, timeout: "2 minutes" })

/** The program under test: two attempts by a large model half a minute apart, then one by a small model. */
const whichTestsFail = explain("acme/large").pipe(
  Effect.retry(Schedule.intersect(Schedule.recurs(1), Schedule.spaced("30 seconds"))),
  Effect.orElse(() => explain("acme/small")),
  Effect.map((result) => result.answer)
)

/** The large model never answers the first call and rejects the second one. */
const large = Reply.sequence([Reply.never, Reply.fail(Failure.session({ kind: "quota" }))])

const Agents = OpenCodeTest.layer(({ options }) => options.model === "acme/large" ? large : "Two tests fail.")

it.effect("asks the small model after the large one has hung and then failed", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(whichTestsFail)
    // the timeout, then the pause before the second attempt
    yield* TestClock.adjust("2 minutes")
    yield* TestClock.adjust("30 seconds")
    expect(yield* Fiber.join(fiber)).toBe("Two tests fail.")

    const { calls } = yield* OpenCodeTest.OpenCodeTest
    expect((yield* calls).map(({ options, outcome }) => `${options.model} ${outcome._tag}`)).toEqual([
      "acme/large Failed",
      "acme/large Failed",
      "acme/small Done"
    ])
  }).pipe(Effect.provide(Agents)))
// #endregion
