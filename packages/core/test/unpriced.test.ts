/** Tokens at a cost of 0 are tokens at an unknown cost, which no limit in dollars can bound. */
import { assert, describe, it } from "@effect/vitest"
import { FleetBudget, OpenCode, OpenCodeError, RunEvent, RunOptions, RunResult } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as F from "./server/fake.js"
import * as T from "./support/mock.js"

const free = { cost: 0, input: 9_000_000, output: 900_000 }

const steps = (count: number, spent: Parameters<typeof T.stepFinish>[1] = free) => [
  ...Array.from({ length: count }, () => [T.stepStart(), T.stepFinish("tool-calls", spent)]).flat(),
  ...T.answer("done").slice(0, 2),
  T.stepFinish("stop", spent)
]

const unpriced = Mock.script(Mock.lines(steps(5)), Mock.exit(0))
const priced = T.answering("done")

const warnings = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel === LogLevel.Warning) lines.push(String(message))
    })
    return Effect.map(Effect.either(Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger))), (ended) => ({
      ended,
      lines
    }))
  })

const succeeded = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(warnings(effect), ({ ended, lines }) => Effect.map(ended, (value) => ({ value, lines })))

const model = "local/llama"
const price = (cost: object) => ({ provider: { local: { models: { llama: { cost } } } } })

describe("a step that used tokens at a cost of 0", () => {
  it.effect("logs one warning and marks the result under a budget of run and fleet", () =>
    Effect.gen(function*() {
      const { lines, value } = yield* succeeded(OpenCode.run("x", { model, budget: { cost: 0.1 + 0.2 } }))
      assert.isTrue(value.unpriced)
      assert.strictEqual(value.cost, 0)
      assert.lengthOf(lines, 1)
      assert.include(lines[0], "the run's budget of $0.30 and the fleet's budget of $0.02 cannot be enforced")
      assert.include(lines[0], "configOverrides.provider.local.models.llama.cost")
      assert.isTrue((yield* Effect.flatMap(FleetBudget.FleetBudget, ({ spent }) => spent)).unpriced)
      yield* T.expectClean
    }).pipe(Effect.provide(FleetBudget.layer({ cost: 0.02 })), Effect.provide(T.layer([unpriced]))))

  it.effect("warns once per model of a fleet", () =>
    Effect.gen(function*() {
      const { lines } = yield* succeeded(
        Effect.forEach([model, model, "local/other"], (model) => OpenCode.run("x", { model, budget: { cost: 1 } }))
      )
      assert.deepStrictEqual(lines.map((line) => /tokens of (\S+),/.exec(line)?.[1]), [model, "local/other"])
    }).pipe(Effect.provide(FleetBudget.layer({ cost: 10 })), Effect.provide(T.layer(() => unpriced))))

  it.effect("warns once per run without a fleet", () =>
    Effect.gen(function*() {
      const { lines } = yield* succeeded(
        Effect.forEach([1, 2], () => OpenCode.run("x", { budget: { cost: 1 } }))
      )
      assert.lengthOf(lines, 2)
    }).pipe(Effect.provide(T.layer(() => unpriced))))

  it.effect("marks without a warning when no budget is in dollars or the caller allows it", () =>
    Effect.gen(function*() {
      const { lines, value } = yield* succeeded(Effect.all([
        OpenCode.run("x", { budget: { tokens: 1e12 } }),
        OpenCode.run("x", { budget: { cost: 1, unpriced: "allow" } })
      ]))
      assert.deepStrictEqual(lines, [])
      assert.deepStrictEqual(value.map(({ unpriced }) => unpriced), [true, true])
    }).pipe(Effect.provide(T.layer(() => unpriced))))

  it.effect("marks a run whose other steps have a price", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x")
      assert.isTrue(result.unpriced)
      assert.strictEqual(result.cost, 0.25)
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.lines([T.stepStart(), T.stepFinish("tool-calls", free), ...T.answer("done")]), Mock.exit(0))
    ]))))

  it.effect("marks nothing without tokens, or when every step has a price", () =>
    Effect.gen(function*() {
      for (const result of [yield* OpenCode.run("x", { budget: { cost: 1 } }), yield* OpenCode.run("x")]) {
        assert.isUndefined(result.unpriced)
      }
    }).pipe(Effect.provide(T.layer([
      priced,
      Mock.script(
        Mock.lines([T.stepStart(), { type: "step_finish", sessionID: "ses_1", part: { reason: "stop", cost: 0 } }])
      )
    ]))))

  it.effect("is free when the caller says so", () =>
    Effect.gen(function*() {
      const { lines, value } = yield* succeeded(Effect.all([
        OpenCode.run("x", { model, budget: { cost: 1 }, configOverrides: price({ input: 0, output: 0 }) }),
        OpenCode.run("x", {
          model: "local/other",
          budget: { cost: 1 },
          configOverrides: price({ input: 0, output: 0 })
        }),
        OpenCode.run("x", { model, budget: { cost: 1 }, configOverrides: price({ input: 0 }) })
      ]))
      assert.deepStrictEqual(value.map(({ unpriced }) => unpriced), [undefined, true, true])
      assert.lengthOf(lines, 2)
    }).pipe(Effect.provide(T.layer(() => unpriced))))

  it.effect("ends the run at once when the budget says error", () =>
    Effect.gen(function*() {
      const { ended, lines } = yield* warnings(OpenCode.run("x", { budget: { cost: 0.01, unpriced: "error" } }))
      assert.deepStrictEqual(lines, [])
      const error = yield* Effect.flip(ended)
      assert.strictEqual(error._tag, "OpenCodeBudgetError")
      if (error._tag !== "OpenCodeBudgetError") return
      assert.deepStrictEqual(
        [error.scope, error.limit, error.max, error.reached, error.unpriced],
        ["run", "cost", 0.01, 0, true]
      )
      assert.strictEqual(error.partial?.steps, 1)
      assert.isTrue(error.partial?.unpriced)
      assert.include(error.message, "configOverrides.provider.<id>.models.<id>.cost")
      const encoded = JSON.parse(JSON.stringify(Schema.encodeSync(OpenCodeError.OpenCodeError)(error)))
      const decoded = Schema.decodeUnknownSync(OpenCodeError.OpenCodeError)(encoded)
      assert.strictEqual(decoded.message, error.message)
      yield* T.expectClean
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.lines([T.stepStart(), T.stepFinish("tool-calls", free)]), Mock.never)
    ]))))

  it.effect("ends a run that has no other step", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeBudgetError")(
        OpenCode.run("x", { budget: { cost: 1, unpriced: "error" } })
      )
      assert.strictEqual(error.partial?.text, "done")
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.lines(steps(0)), Mock.exit(0))]))))

  it.effect("ends the run and the fleet when the fleet's budget says error", () =>
    Effect.gen(function*() {
      const first = yield* T.failsWith("OpenCodeBudgetError")(OpenCode.run("x"))
      assert.deepStrictEqual([first.scope, first.max, first.unpriced], ["fleet", 3, true])
      assert.strictEqual(first.partial?.steps, 1)
      assert.include(first.message, "was ended")
      const second = yield* T.failsWith("OpenCodeBudgetError")(OpenCode.run("x"))
      assert.deepStrictEqual([second.scope, second.unpriced, second.partial], ["fleet", true, undefined])
      assert.include(second.message, "was not started")
      assert.lengthOf(yield* T.commands, 1)
    }).pipe(
      Effect.provide(FleetBudget.layer({ cost: 3, unpriced: "error" })),
      Effect.provide(T.layer([Mock.script(Mock.lines(steps(0)), Mock.never)]))
    ))

  it.effect("crosses no limit of a fleet with other limits", () =>
    Effect.gen(function*() {
      assert.isTrue((yield* OpenCode.run("x")).unpriced)
    }).pipe(Effect.provide(FleetBudget.layer({ steps: 100, unpriced: "error" })), Effect.provide(T.layer([unpriced]))))

  it.effect("marks the errors of a run", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeProcessError")(OpenCode.run("x"))
      assert.isTrue(error.partial.unpriced)
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.lines([T.stepStart(), T.stepFinish("tool-calls", free)]), Mock.exit(1))
    ]))))

  it.effect("marks a session", () =>
    Effect.gen(function*() {
      const session = yield* OpenCode.session()
      yield* session.run("one")
      assert.isUndefined((yield* session.usage).unpriced)
      yield* session.run("two")
      yield* session.run("three")
      assert.isTrue((yield* session.usage).unpriced)
    }).pipe(Effect.scoped, Effect.provide(T.layer([priced, unpriced, priced]))))

  describe("in a structured answer", () => {
    const Answer = Schema.Struct({ count: Schema.Int })
    const saying = (...answers: ReadonlyArray<string>) =>
      answers.map((said) =>
        Mock.script(Mock.lines([T.stepStart(), T.text(said), T.stepFinish("stop", free)]), Mock.exit(0))
      )

    it.effect("warns once for all turns and marks the sum", () =>
      Effect.gen(function*() {
        const { lines, value: { result } } = yield* succeeded(
          OpenCode.runSchema(Answer, "How many?", { budget: { cost: 1 } })
        )
        assert.lengthOf(lines, 1)
        assert.isTrue(result.unpriced)
        assert.strictEqual(result.steps, 2)
      }).pipe(Effect.provide(T.layer(saying("none", "{\"count\":3}")))))

    it.effect("ends a later turn by the budget of all turns", () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeBudgetError")(
          OpenCode.runSchema(Answer, "How many?", { budget: { cost: 1, unpriced: "error" } })
        )
        assert.deepStrictEqual([error.max, error.reached, error.unpriced], [1, 0.25, true])
        assert.strictEqual(error.partial?.steps, 2)
      }).pipe(Effect.provide(T.layer([priced, ...saying("{\"count\":3}")]))))

    it.effect("marks the error of an answer that does not decode", () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeOutputError")(
          OpenCode.runSchema(Answer, "How many?", { repairs: 0 })
        )
        assert.isTrue(error.unpriced)
      }).pipe(Effect.provide(T.layer(saying("none")))))
  })

  describe("over a server", () => {
    const finish = (play: F.Play, info: { readonly [key: string]: unknown } = {}) =>
      Effect.gen(function*() {
        yield* play.busy
        yield* play.stepStart
        const child = yield* play.child
        child.messages.set("m", {
          info: { id: "m", sessionID: child.id, role: "assistant", ...info },
          parts: new Map([["p", {
            id: "p",
            sessionID: child.id,
            messageID: "m",
            type: "step-finish",
            cost: 0,
            tokens: { input: 5, output: 5 }
          }]])
        })
        yield* play.tool("task", { metadata: { sessionId: child.id } })
        yield* play.text("done")
        yield* play.stepFinish("stop")
        yield* play.idle
      })

    it.effect("in a sub-agent marks a run with deep usage, and warns", () =>
      Effect.gen(function*() {
        const { lines, value } = yield* succeeded(OpenCode.run("x", { usage: "deep", budget: { cost: 1 } }))
        assert.isTrue(value.unpriced)
        assert.strictEqual(value.usage.input, 105)
        assert.lengthOf(lines, 1)
        assert.isUndefined((yield* OpenCode.run("x")).unpriced)
      }).pipe(Effect.provide(F.layer([finish]))))

    it.effect("in a sub-agent fails a run with deep usage when the budget says error", () =>
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeBudgetError")(
          OpenCode.run("x", { usage: "deep", budget: { cost: 1, unpriced: "error" } })
        )
        assert.isTrue(error.unpriced)
        assert.strictEqual(error.partial?.text, "done")
      }).pipe(Effect.provide(F.layer([finish]))))
  })

  describe("in a sub-agent of a process", () => {
    const task = T.toolUse("task", { metadata: { sessionId: "ses_2" } })
    const child = JSON.stringify({
      info: { id: "ses_2" },
      messages: [{
        info: { id: "m", role: "assistant", providerID: "local", modelID: "llama" },
        parts: [{ id: "p", type: "step-finish", reason: "stop", cost: 0, tokens: { input: 5, output: 5 } }]
      }]
    })
    const agent = (exported: string | undefined) => (command: Mock.RecordedCommand) => {
      if (command.args[0] === "run") return Mock.script(Mock.lines([T.stepStart(), task, T.stepFinish("stop")]))
      if (exported === undefined) return Mock.script(Mock.exit(1))
      // What the shell does for `> "$0"`.
      fs.writeFileSync(command.args[2]!, exported)
      return Mock.script(Mock.exit(0))
    }

    it.effect("marks the run unless the caller says that the model is free", () =>
      Effect.gen(function*() {
        const unknown = yield* OpenCode.run("x", { usage: "deep" })
        assert.isTrue(unknown.unpriced)
        const known = yield* OpenCode.run("x", { usage: "deep", configOverrides: price({ input: 0, output: 0 }) })
        assert.isUndefined(known.unpriced)
      }).pipe(Effect.provide(T.layer(agent(child)))))

    it.effect("marks the run when the sub-agent's session is unreadable", () =>
      Effect.gen(function*() {
        assert.isTrue((yield* OpenCode.run("x", { usage: "deep" })).unpriced)
        assert.isUndefined((yield* OpenCode.run("x")).unpriced)
      }).pipe(Effect.provide(T.layer(agent(undefined)))))
  })

  it("is marked by fold, and results of older versions decode without the mark", () => {
    const events = steps(1).map(RunEvent.fromWire)
    assert.isTrue(RunResult.fold(events).unpriced)
    assert.notProperty(RunResult.fold(T.answer("x").map(RunEvent.fromWire)), "unpriced")
    const old = {
      runId: "r",
      answer: "",
      text: "",
      events: [],
      usage: { total: 0, input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 },
      cost: 0,
      steps: 0,
      finishReason: "stop",
      forced: false,
      stderr: "",
      attempts: 1,
      duration: 1
    }
    const decode = Schema.decodeUnknownSync(RunResult.RunResult)
    assert.isUndefined(decode(old).unpriced)
    const marked = Schema.encodeSync(RunResult.RunResult)(decode({ ...old, unpriced: true }))
    assert.isTrue(marked.unpriced)
  })

  it("is refused with an unknown treatment", () => {
    const problem = RunOptions.check("x", { budget: { cost: 1, unpriced: "refuse" as RunOptions.Unpriced } })
    assert.strictEqual(problem?.path, "budget.unpriced")
  })
})
