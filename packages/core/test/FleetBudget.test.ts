import { assert, describe, it } from "@effect/vitest"
import { FleetBudget, OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as T from "./support/mock.js"

const step = (
  spent: { readonly cost?: number; readonly input?: number; readonly output?: number },
  reason = "tool-calls"
) => [
  T.stepStart(),
  T.stepFinish(reason, spent)
]

/** A process that would run for ever; crossing the budget ends it. */
const endless = (values: ReadonlyArray<unknown>) => Mock.script(Mock.lines(values), Mock.never)

describe("the budget of a run", () => {
  it.effect("of steps counts repetitions of one message", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeBudgetError")(OpenCode.run("x", { budget: { steps: 3 } }))
      assert.strictEqual(error.scope, "run")
      assert.strictEqual(error.limit, "steps")
      assert.strictEqual(error.max, 3)
      assert.strictEqual(error.reached, 4)
      assert.strictEqual(error.partial?.eventCount, 4)
      assert.deepStrictEqual((yield* T.only).signals, ["SIGTERM"])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([endless(Array.from({ length: 4 }, () => T.stepStart("the same")))]))))

  it.effect("of steps defaults to 500", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeBudgetError")(OpenCode.run("x"))
      assert.strictEqual(error.max, 500)
      assert.strictEqual(error.reached, 501)
    }).pipe(Effect.provide(T.layer([endless(Array.from({ length: 501 }, (_, n) => T.stepStart(`msg_${n}`)))]))))

  const crossing = [
    ["cost", { cost: 1 }, [...step({ cost: 0.6 }), ...step({ cost: 0.5 })], 1.1],
    ["tokens", { tokens: 250 }, [...step({ input: 100, output: 20 }), ...step({ input: 100, output: 20 })], 270],
    ["toolCalls", { toolCalls: 1 }, [T.stepStart(), T.toolUse("read"), T.toolUse("edit")], 2]
  ] as const
  for (const [limit, budget, values, reached] of crossing) {
    it.effect(`of ${limit} ends the run at the event that crosses it`, () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeBudgetError")(OpenCode.run("x", { budget }))
        assert.strictEqual(error.limit, limit)
        assert.strictEqual(error.max, Object.values(budget)[0])
        assert.closeTo(error.reached, reached, 1e-9)
        assert.strictEqual(error.partial?.events?.length, values.length)
        assert.match(error.message, new RegExp(`crossed its ${limit} budget`))
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([endless(values)]))))

    it.effect(`of ${limit} can be used up exactly`, () =>
      Effect.gen(function*() {
        const result = yield* OpenCode.run("x", { budget: { [limit]: reached + 1e-9 } })
        assert.strictEqual(result.finishReason, "stop")
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.lines(values), Mock.lines([{ ...T.stepFinish("stop"), part: { reason: "stop" } }]))
      ]))))
  }

  it.effect("applies to a stream as well", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeBudgetError")(
        Stream.runDrain(OpenCode.stream("x", { budget: { toolCalls: 1 } }))
      )
      assert.strictEqual(error.partial?.eventCount, 3)
    }).pipe(Effect.provide(T.layer([endless([T.stepStart(), T.toolUse("read"), T.toolUse("read")])]))))
})

describe("FleetBudget", () => {
  it.effect("adds up live spending and refuses a start once a limit is crossed", () => {
    const goOn = Effect.unsafeMakeLatch(false)
    return Effect.gen(function*() {
      const fleet = yield* FleetBudget.FleetBudget
      const first = yield* Effect.fork(OpenCode.run("first"))
      yield* T.until("live spending", Effect.map(fleet.spent, (spent) => spent.cost >= 1))
      assert.deepStrictEqual(yield* fleet.spent, { steps: 1, cost: 1, tokens: 135, toolCalls: 1 })
      const error = yield* T.failsWith("OpenCodeBudgetError")(OpenCode.run("second"))
      assert.deepStrictEqual({ ...error }, {
        _tag: "OpenCodeBudgetError",
        scope: "fleet",
        limit: "cost",
        max: 0.9,
        reached: 1
      })
      assert.isUndefined(error.partial)
      assert.match(error.message, /was not started: .* \(\$1\.00 of \$0\.90\)/)
      assert.strictEqual((yield* T.commands).length, 1)
      // the running one continues
      yield* goOn.open
      assert.strictEqual((yield* Fiber.join(first)).text, "done")
      assert.strictEqual((yield* fleet.spent).cost, 1.25)
      yield* T.expectClean
    }).pipe(
      Effect.provide(FleetBudget.layer({ cost: 0.9 })),
      Effect.provide(T.layer([
        Mock.script(
          Mock.lines([T.stepStart(), T.toolUse("read"), T.stepFinish("tool-calls", { cost: 1 })]),
          Mock.waitFor(goOn.await),
          Mock.lines(T.answer("done"))
        )
      ]))
    )
  })

  it.effect("is checked after the gate: a run that waited there is refused too", () => {
    const goOn = Effect.unsafeMakeLatch(false)
    return Effect.gen(function*() {
      const first = yield* Effect.fork(OpenCode.run("first"))
      yield* T.untilStarted(1)
      const second = yield* Effect.fork(T.failsWith("OpenCodeBudgetError")(OpenCode.run("second")))
      yield* T.settle
      yield* goOn.open
      assert.strictEqual((yield* Fiber.join(second)).scope, "fleet")
      yield* Fiber.join(first)
      assert.strictEqual((yield* T.commands).length, 1)
    }).pipe(
      Effect.provide(FleetBudget.layer({ steps: 0.5 })),
      Effect.provide(T.layer(
        () => Mock.script(Mock.waitFor(goOn.await), Mock.lines(T.answer("x"))),
        { concurrency: 1 }
      ))
    )
  })

  for (const limit of ["steps", "tokens", "toolCalls"] as const) {
    it.effect(`lets runs start until their limit of ${limit} is crossed`, () =>
      Effect.gen(function*() {
        const results = yield* Effect.all([1, 2, 3, 4].map(() => Effect.either(OpenCode.run("x"))))
        assert.deepStrictEqual(results.map(Either.isRight), [true, true, false, false])
        const [, , third] = results
        const error = Either.getOrThrow(Either.flip(third!))
        if (error._tag === "OpenCodeBudgetError") {
          assert.strictEqual(error.limit, limit)
          assert.strictEqual(error.scope, "fleet")
        } else assert.fail("an OpenCodeBudgetError was expected")
      }).pipe(
        Effect.provide(FleetBudget.layer({ [limit]: { steps: 1, tokens: 136, toolCalls: 1 }[limit] })),
        Effect.provide(
          T.layer(() => Mock.script(Mock.lines([T.stepStart(), T.toolUse("read"), T.text("x"), T.stepFinish("stop")])))
        )
      ))
  }

  const spending = { steps: 3, cost: 0.3, tokens: 405, toolCalls: 3 } as const
  for (const limit of ["steps", "cost", "tokens", "toolCalls"] as const) {
    it.effect(`has the meaning of a run's budget: a limit of ${limit} can be used up exactly`, () =>
      Effect.gen(function*() {
        // 0.1 + 0.1 + 0.1 is a little more than 0.3.
        const fleet = yield* FleetBudget.make({ [limit]: spending[limit] })
        for (const _ of [1, 2, 3]) yield* fleet.add({ steps: 1, cost: 0.1, tokens: 135, toolCalls: 1 })
        const run = OpenCode.run("x", { budget: { [limit]: spending[limit] } })
        assert.strictEqual((yield* run).finishReason, "stop")
        yield* fleet.check()
        yield* fleet.add({ steps: 1, cost: 0.1, tokens: 135, toolCalls: 1 })
        assert.strictEqual((yield* T.failsWith("OpenCodeBudgetError")(run)).limit, limit)
        const crossed = yield* Effect.flip(fleet.check())
        assert.strictEqual(crossed._tag, "OpenCodeBudgetError")
        if (limit === "cost") assert.include(crossed.message, "($0.40 of $0.30)")
      }).pipe(Effect.provide(T.layer([3, 4].map((count) =>
        Mock.script(
          Mock.lines(
            Array.from({ length: count }, (_, n) => [
              T.stepStart(),
              T.toolUse("read"),
              T.stepFinish(n + 1 === count ? "stop" : "tool-calls", { cost: 0.1 })
            ]).flat()
          ),
          Mock.exit(0)
        )
      )))))
  }

  it.effect("counts nothing and refuses nothing where no budget is set", () =>
    Effect.gen(function*() {
      const fleet = yield* FleetBudget.FleetBudget
      assert.strictEqual(fleet, FleetBudget.unlimited)
      yield* OpenCode.run("x")
      yield* fleet.check()
      assert.deepStrictEqual(yield* fleet.spent, { steps: 0, cost: 0, tokens: 0, toolCalls: 0 })
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))

  it.effect("counts what a failed run has spent", () =>
    Effect.gen(function*() {
      const fleet = yield* FleetBudget.FleetBudget
      yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x"))
      assert.strictEqual((yield* fleet.spent).cost, 0.25)
      yield* T.failsWith("OpenCodeBudgetError")(OpenCode.run("x"))
    }).pipe(
      Effect.provide(FleetBudget.layer({ cost: 0.2 })),
      Effect.provide(T.layer([Mock.script(Mock.lines([T.stepStart(), T.stepFinish("tool-calls")]), Mock.exit(1))]))
    ))

  it.effect("with an unusable limit refuses every run", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
      assert.strictEqual(error.path, "FleetBudget.cost")
      assert.deepStrictEqual(yield* T.commands, [])
    }).pipe(Effect.provide(FleetBudget.layer({ cost: -1 })), Effect.provide(T.layer([]))))
})
