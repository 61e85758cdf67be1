import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { optionIn } from "./support/facts.js"
import * as T from "./support/mock.js"

const Answer = Schema.Struct({ count: Schema.Int })

const right = "Here:\n```json\n{\"count\": 3}\n```"
const wrong = "```json\n{\"count\": \"three\"}\n```"

/** A turn that takes some time of the test clock. */
const taking = (minutes: number, said: string) =>
  Mock.script(
    Mock.awaitStdin,
    Mock.lines([T.stepStart()]),
    Mock.sleep(minutes * 60_000),
    Mock.lines([T.text(said), T.stepFinish("stop")]),
    Mock.exit(0)
  )

const saying = (...texts: ReadonlyArray<string>) =>
  texts.map((said) => Mock.script(Mock.awaitStdin, Mock.lines(T.answer(said)), Mock.exit(0)))

const stdins = Effect.map(T.commands, (all) => all.map(({ stdin }) => stdin))

const sessions = Effect.map(
  T.commands,
  (all) => all.map(({ args }) => optionIn(args, "--session"))
)

/** Sets the clock to a time at which something, a scripted process as a rule, is to go on. */
const at = (minutes: number) => T.advanceTo(minutes * 60_000)

const patient = { defaults: { idleTimeout: "5 hours" } } as const

describe("runSchema", () => {
  it.effect("sends the JSON Schema to the agent and decodes the answer", () =>
    Effect.gen(function*() {
      const { result, value } = yield* OpenCode.runSchema(Answer, "How many?")
      assert.deepStrictEqual(value, { count: 3 })
      assert.strictEqual(result.steps, 1)
      const [prompt] = yield* stdins
      assert.isTrue(prompt!.startsWith("How many?\n\n"))
      assert.include(prompt, "\"integer\"")
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(saying(right)))))

  it.effect("returns the issues in the same session and adds the turns up", () =>
    Effect.gen(function*() {
      const { result, value } = yield* OpenCode.runSchema(Answer, "How many?")
      assert.deepStrictEqual(value, { count: 3 })
      assert.deepStrictEqual(yield* sessions, [undefined, "ses_1", "ses_1"])
      const [, first, second] = yield* stdins
      assert.include(first, "count")
      assert.notInclude(first, "How many?")
      assert.include(second, "no JSON value")
      assert.strictEqual(result.text, right)
      assert.strictEqual(result.steps, 3)
      assert.strictEqual(result.cost, 0.75)
      assert.strictEqual(result.usage.total, 3 * 135)
      assert.lengthOf(result.events, 9)
      const directories = (yield* T.commands).map(({ env }) => env["XDG_DATA_HOME"])
      assert.strictEqual(new Set(directories).size, 1)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer(saying(wrong, "three", right)))))

  it.effect("asks for two corrections by default", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeOutputError")(OpenCode.runSchema(Answer, "How many?"))
      assert.strictEqual(error.attempts, 3)
      assert.strictEqual(error.reason, "mismatch")
      assert.strictEqual(error.answer, wrong)
      assert.include(error.issues, "count")
      assert.strictEqual(error.cost, 0.75)
      assert.strictEqual(error.sessionId, "ses_1")
      assert.lengthOf(yield* T.commands, 3)
    }).pipe(Effect.provide(T.layer(saying(wrong, wrong, wrong, right)))))

  for (const [repairs, attempts] of [[0, 1], [1, 2]] as const) {
    it.effect(`asks for ${repairs} corrections if allowed`, () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeOutputError")(OpenCode.runSchema(Answer, "How many?", { repairs }))
        assert.strictEqual(error.attempts, attempts)
        assert.lengthOf(yield* T.commands, attempts)
      }).pipe(Effect.provide(T.layer(saying(wrong, wrong, right)))))
  }

  it.effect("refuses unusable options before anything starts", () =>
    Effect.gen(function*() {
      const refused = T.failsWith("OpenCodeConfigError")
      assert.strictEqual((yield* refused(OpenCode.runSchema(Answer, "How many?", { repairs: -1 }))).path, "repairs")
      assert.strictEqual((yield* refused(OpenCode.runSchema(Answer, "How many?", { timeout: 0 }))).path, "timeout")
      assert.strictEqual(
        (yield* refused(OpenCode.runSchema(Answer, "How many?", { sessionId: "ses_1" }))).path,
        "sessionId"
      )
      const NoSchema = Schema.Struct({ at: Schema.instanceOf(Map) })
      assert.strictEqual((yield* refused(OpenCode.runSchema(NoSchema, "How many?"))).path, "schema")
      assert.deepStrictEqual(yield* T.commands, [])
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([]))))

  it.effect("fails with the error of a failed turn", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.runSchema(Answer, "How many?"))
      assert.strictEqual(error.reason, "no")
      assert.lengthOf(yield* T.commands, 2)
    }).pipe(
      Effect.provide(T.layer([
        ...saying(wrong),
        Mock.script(Mock.lines([T.error("APIError", { message: "no" })]), Mock.exit(1))
      ]))
    ))

  it.effect("continues a session, and is a method of one", () =>
    Effect.gen(function*() {
      yield* OpenCode.runSchema(Answer, "How many?", { sessionId: "ses_0" })
      const session = yield* OpenCode.session()
      yield* session.run("Count them")
      const { value } = yield* session.runSchema(Answer, "How many?")
      assert.deepStrictEqual(value, { count: 3 })
      assert.deepStrictEqual(yield* sessions, ["ses_0", undefined, "ses_1", "ses_1"])
      assert.strictEqual((yield* session.usage).steps, 3)
    }).pipe(Effect.scoped, Effect.provide(T.layer(saying(right, "yes", wrong, right), { isolation: "none" }))))

  it.effect("lets no other turn of the session come between an answer and its correction", () =>
    Effect.gen(function*() {
      const session = yield* OpenCode.session()
      const asked = yield* Effect.fork(session.runSchema(Answer, "How many?"))
      yield* T.untilStarted(1)
      const other = yield* Effect.fork(session.run("Something else"))
      yield* at(1)
      yield* Fiber.join(asked)
      yield* Fiber.join(other)
      const prompts = yield* stdins
      assert.lengthOf(prompts, 3)
      assert.include(prompts[1], "corrected")
      assert.strictEqual(prompts[2], "Something else")
    }).pipe(Effect.scoped, Effect.provide(T.layer([taking(1, wrong), ...saying(right, "ok")]))))

  describe("has one timeout for all turns:", () => {
    it.effect("the time of the first turn is missing from the second", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          T.failsWith("OpenCodeTimeoutError")(OpenCode.runSchema(Answer, "How many?", { timeout: "10 minutes" }))
        )
        yield* at(6)
        // The second turn has begun to work.
        yield* T.settle
        yield* at(10)
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error.phase, "total")
        // The requested limit, and the facts of all turns.
        assert.strictEqual(Duration.toMillis(error.limit), 600_000)
        assert.strictEqual(Duration.toMillis(error.partial.duration), 600_000)
        assert.strictEqual(error.partial.steps, 2)
        assert.strictEqual(error.partial.cost, 0.25)
        assert.strictEqual(error.partial.sessionId, "ses_1")
        assert.deepStrictEqual(error.partial.events?.map(({ _tag }) => _tag), [
          "StepStart",
          "Text",
          "StepFinish",
          "StepStart"
        ])
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([taking(6, wrong), taking(6, right)]))))

    it.effect("the default applies to all turns", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.runSchema(Answer, "How many?")))
        yield* at(90)
        yield* T.settle
        yield* at(120)
        assert.strictEqual(Duration.toMillis((yield* Fiber.join(fiber)).limit), 2 * 3_600_000)
      }).pipe(Effect.provide(T.layer([taking(90, wrong), taking(90, right)], patient))))

    it.effect("an answer within the time is accepted", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.runSchema(Answer, "How many?", { timeout: "13 minutes" }))
        yield* at(6)
        yield* at(12)
        assert.strictEqual(Duration.toMillis((yield* Fiber.join(fiber)).result.duration), 12 * 60_000)
      }).pipe(Effect.provide(T.layer([taking(6, wrong), taking(6, right)]))))

    it.effect("an infinite one sets no limit", () =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.runSchema(Answer, "How many?", { timeout: Infinity }))
        yield* at(90)
        yield* at(180)
        assert.deepStrictEqual((yield* Fiber.join(fiber)).value, { count: 3 })
      }).pipe(Effect.provide(T.layer([taking(90, wrong), taking(90, right)], patient))))

    it.effect("the wait for an earlier turn of the session does not count", () =>
      Effect.gen(function*() {
        const session = yield* OpenCode.session()
        const earlier = yield* Effect.fork(session.run("Something else"))
        yield* T.untilStarted(1)
        const fiber = yield* Effect.fork(session.runSchema(Answer, "How many?", { timeout: "10 minutes" }))
        yield* at(9)
        yield* at(13)
        yield* at(17)
        assert.deepStrictEqual((yield* Fiber.join(fiber)).value, { count: 3 })
        yield* Fiber.join(earlier)
      }).pipe(Effect.scoped, Effect.provide(T.layer([taking(9, "ok"), taking(4, wrong), taking(4, right)]))))
  })

  describe("has one budget for all turns:", () => {
    it.effect("a turn gets the rest, and the error reports the total", () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeBudgetError")(
          OpenCode.runSchema(Answer, "How many?", { budget: { cost: 0.4 } })
        )
        assert.deepStrictEqual(
          { scope: error.scope, limit: error.limit, max: error.max, reached: error.reached },
          { scope: "run", limit: "cost", max: 0.4, reached: 0.5 }
        )
        assert.strictEqual(error.partial?.cost, 0.5)
        assert.strictEqual(error.partial?.usage.total, 270)
        assert.strictEqual(error.partial?.steps, 2)
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer(saying(wrong, right)))))

    for (const [limit, max, reached] of [["steps", 2, 2], ["tokens", 270, 270]] as const) {
      it.effect(`nothing starts when no ${limit} are left`, () =>
        Effect.gen(function*() {
          const error = yield* T.failsWith("OpenCodeBudgetError")(
            OpenCode.runSchema(Answer, "How many?", { budget: { [limit]: max } })
          )
          assert.deepStrictEqual({ limit: error.limit, max: error.max, reached: error.reached }, {
            limit,
            max,
            reached
          })
          assert.strictEqual(error.partial?.steps, 2)
          assert.strictEqual(error.partial?.text, wrong)
          assert.lengthOf(yield* T.commands, 2)
        }).pipe(Effect.provide(T.layer(saying(wrong, wrong, right)))))
    }

    it.effect("started steps count, as for a run", () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeBudgetError")(
          OpenCode.runSchema(Answer, "How many?", { budget: { steps: 4 } })
        )
        assert.deepStrictEqual([error.limit, error.max, error.reached], ["steps", 4, 5])
        assert.lengthOf(yield* T.commands, 2)
      }).pipe(Effect.provide(T.layer([
        // A cut stream: the step begins three times and finishes once.
        Mock.script(Mock.lines([T.stepStart(), T.stepStart(), ...T.answer(wrong)]), Mock.exit(0)),
        Mock.script(Mock.lines([T.stepStart(), ...T.answer(wrong)]), Mock.exit(0))
      ]))))

    it.effect("a limit reached exactly allows a correction that spends nothing", () =>
      Effect.gen(function*() {
        const { value } = yield* OpenCode.runSchema(Answer, "How many?", { budget: { toolCalls: 1, cost: 0.25 } })
        assert.deepStrictEqual(value, { count: 3 })
      }).pipe(Effect.provide(T.layer([
        Mock.script(Mock.lines([T.stepStart(), T.toolUse("read"), T.text(wrong), T.stepFinish("stop")]), Mock.exit(0)),
        Mock.script(Mock.lines([T.stepStart(), T.text(right), T.stepFinish("stop", { cost: 0 })]), Mock.exit(0))
      ]))))

    it.effect("tool calls of earlier turns count", () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeBudgetError")(
          OpenCode.runSchema(Answer, "How many?", { budget: { toolCalls: 2 } })
        )
        assert.deepStrictEqual([error.limit, error.max, error.reached], ["toolCalls", 2, 3])
      }).pipe(
        Effect.provide(T.layer([
          Mock.script(Mock.lines([T.stepStart(), T.toolUse("read"), T.text(wrong), T.stepFinish("stop")])),
          Mock.script(Mock.lines([T.stepStart(), T.toolUse("read"), T.toolUse("read")]), Mock.never)
        ]))
      ))

    it.effect("the default limit of steps applies to all turns", () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeBudgetError")(OpenCode.runSchema(Answer, "How many?"))
        assert.deepStrictEqual([error.limit, error.max, error.reached], ["steps", 500, 501])
      }).pipe(
        Effect.provide(T.layer([
          Mock.script(
            Mock.lines(Array.from({ length: 299 }, () => [T.stepStart(), T.stepFinish("tool-calls")]).flat()),
            Mock.lines(T.answer(wrong))
          ),
          Mock.script(
            Mock.lines(Array.from({ length: 201 }, () => [T.stepStart(), T.stepFinish("tool-calls")]).flat()),
            Mock.never
          )
        ]))
      ))
  })
})
