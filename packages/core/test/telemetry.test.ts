import { assert, describe, it } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as telemetry from "../src/internal/run/telemetry.js"
import * as T from "./support/mock.js"

interface Recorded {
  readonly name: string
  readonly parent: string | undefined
  readonly attributes: { [name: string]: unknown }
  readonly events: Array<{ readonly name: string; readonly attributes: unknown }>
  end: "success" | "failure" | undefined
}

/** Runs an effect under a tracer and returns the spans of this library. */
const traced = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<ReadonlyArray<Recorded>, never, R> =>
  Effect.suspend(() => {
    const spans: Array<Recorded> = []
    const tracer = Tracer.make({
      span: (name, parent, context, links, startTime, kind) => {
        const recorded: Recorded = {
          name,
          parent: Option.isSome(parent) && parent.value._tag === "Span" ? parent.value.name : undefined,
          attributes: {},
          events: [],
          end: undefined
        }
        spans.push(recorded)
        return {
          _tag: "Span",
          name,
          parent,
          context,
          links: [...links],
          kind,
          attributes: new Map(),
          status: { _tag: "Started", startTime },
          spanId: `${spans.length}`,
          traceId: "1",
          sampled: true,
          attribute: (key, value) => {
            recorded.attributes[key] = value
          },
          event: (name, _startTime, attributes) => {
            recorded.events.push({ name, attributes })
          },
          addLinks: () => {},
          end: (_endTime, exit) => {
            recorded.end = Exit.isSuccess(exit) ? "success" : "failure"
          }
        }
      },
      context: (f) => f()
    })
    return effect.pipe(Effect.exit, Effect.withTracer(tracer), Effect.as(spans))
  })

const named = (spans: ReadonlyArray<Recorded>, name: string) => spans.filter((span) => span.name === name)

const conversation = Mock.script(Mock.lines([
  T.stepStart(),
  T.toolUse("bash"),
  T.toolUse("edit", { status: "error", error: "no such file", output: undefined }),
  T.stepFinish("tool-calls", { cost: 0.25, input: 100, output: 20 }),
  T.stepStart("msg_2"),
  T.text("done"),
  T.stepFinish("stop", { cost: 0.5, input: 200, output: 30 })
]))

describe("spans", () => {
  it.effect("record the request and the outcome", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const spans = yield* traced(OpenCode.run("x", { model: "openai/gpt-5", agent: "build" }))
      const [run, ...more] = named(spans, "OpenCode.run")
      assert.deepStrictEqual(more, [])
      const { "opencode.run.id": id, ...attributes } = run!.attributes
      assert.match(String(id), /^[0-9a-z]{15}$/)
      assert.deepStrictEqual(attributes, {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "build",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "openai/gpt-5",
        "gen_ai.conversation.id": "ses_1",
        "gen_ai.usage.input_tokens": 324,
        "gen_ai.usage.output_tokens": 56,
        "gen_ai.usage.cache_read.input_tokens": 10,
        "gen_ai.usage.cache_creation.input_tokens": 14,
        "gen_ai.response.finish_reasons": ["stop"],
        "opencode.cwd": work,
        "opencode.cost_usd": 0.75,
        "opencode.steps": 2,
        "opencode.attempts": 1
      })
      assert.deepStrictEqual(run!.events, [
        {
          name: "gen_ai.tool.call",
          attributes: {
            "gen_ai.tool.name": "bash",
            "gen_ai.tool.call.id": "call_1",
            "opencode.tool.status": "completed"
          }
        },
        {
          name: "gen_ai.tool.call",
          attributes: { "gen_ai.tool.name": "edit", "gen_ai.tool.call.id": "call_1", "opencode.tool.status": "error" }
        }
      ])
      assert.strictEqual(run!.end, "success")
      const [attempt] = named(spans, "OpenCode.attempt")
      assert.strictEqual(attempt!.parent, "OpenCode.run")
      assert.deepStrictEqual(attempt!.attributes, { "opencode.run.id": id, "opencode.attempt": 1 })
      assert.strictEqual(attempt!.end, "success")
    }).pipe(Effect.provide(T.layer([conversation]))))

  it.effect("keep their parents after a retry and after the end of the process", () =>
    Effect.gen(function*() {
      const spans = yield* traced(OpenCode.run("x", { recover: "export" }))
      assert.deepStrictEqual(
        spans.map(({ name, parent }) => [name, parent]).filter(([name]) => name !== "OpenCode.isolation"),
        [
          ["OpenCode.run", undefined],
          ["OpenCode.attempt", "OpenCode.run"],
          ["OpenCode.attempt", "OpenCode.run"],
          ["OpenCode.recover", "OpenCode.attempt"]
        ]
      )
    }).pipe(Effect.provide(T.layer([
      T.locked,
      Mock.script(Mock.lines([T.stepStart(), T.text("x")]), Mock.exit(0)),
      Mock.script(Mock.exit(1))
    ], { retry: Schedule.recurs(1) }))))

  it.effect("are absent when the tracer is off, for a run, its retry and a stream", () =>
    Effect.gen(function*() {
      const program = Effect.andThen(OpenCode.run("x"), Stream.runDrain(OpenCode.stream("x")))
      assert.deepStrictEqual(yield* traced(Effect.withTracerEnabled(program, false)), [])
      assert.strictEqual((yield* T.commands).length, 3)
    }).pipe(Effect.provide(T.layer([T.locked, T.answering("x"), T.answering("x")], { retry: Schedule.recurs(1) }))))

  it.effect("have no attributes for options that are not set", () =>
    Effect.gen(function*() {
      const [run] = named(yield* traced(OpenCode.run("x")), "OpenCode.run")
      assert.notProperty(run!.attributes, "gen_ai.request.model")
      assert.notProperty(run!.attributes, "gen_ai.agent.name")
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))

  it.effect("of a failed run record its tag and its spending", () =>
    Effect.gen(function*() {
      const spans = yield* traced(OpenCode.run("x"))
      const [run] = named(spans, "OpenCode.run")
      assert.strictEqual(run!.end, "failure")
      assert.strictEqual(run!.attributes["error.type"], "OpenCodeProcessError")
      assert.strictEqual(run!.attributes["gen_ai.usage.input_tokens"], 112)
      assert.strictEqual(run!.attributes["opencode.steps"], 1)
      assert.strictEqual(named(spans, "OpenCode.attempt")[0]!.end, "failure")
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.lines([T.stepStart(), T.stepFinish("tool-calls")]), Mock.exit(1))
    ]))))

  it.effect("list the finish reason of a conversation that did not finish", () =>
    Effect.gen(function*() {
      const [run] = named(yield* traced(OpenCode.run("x")), "OpenCode.run")
      assert.strictEqual(run!.attributes["error.type"], "OpenCodeIncompleteError")
      assert.deepStrictEqual(run!.attributes["gen_ai.response.finish_reasons"], ["tool-calls"])
    }).pipe(Effect.provide(T.layer([
      Mock.script(Mock.lines([T.stepStart(), T.stepFinish("tool-calls")]), Mock.exit(0))
    ]))))

  it.effect("are one for every attempt", () =>
    Effect.gen(function*() {
      const spans = yield* traced(OpenCode.run("x"))
      const attempts = named(spans, "OpenCode.attempt")
      assert.deepStrictEqual(attempts.map((span) => span.attributes["opencode.attempt"]), [1, 2])
      assert.deepStrictEqual(attempts.map((span) => span.end), ["failure", "success"])
      const [run] = named(spans, "OpenCode.run")
      assert.strictEqual(run!.attributes["opencode.attempts"], 2)
      assert.notProperty(run!.attributes, "error.type")
    }).pipe(Effect.provide(T.layer([T.locked, T.answering("x")], { retry: Schedule.recurs(1) }))))

  it.effect("exist for a stream too, under the span of the program", () =>
    Effect.gen(function*() {
      const spans = yield* traced(Effect.withSpan(Stream.runDrain(OpenCode.stream("x")), "program"))
      const [run] = named(spans, "OpenCode.run")
      assert.strictEqual(run!.parent, "program")
      assert.strictEqual(run!.end, "success")
      assert.strictEqual(run!.attributes["gen_ai.conversation.id"], "ses_1")
    }).pipe(Effect.provide(T.layer([T.answering("x")]))))

  it.effect("end with an interrupted run", () =>
    Effect.gen(function*() {
      const spans = yield* traced(Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("x"))
        yield* T.untilStarted(1)
        yield* Fiber.interrupt(fiber)
      }))
      assert.deepStrictEqual(named(spans, "OpenCode.run").map((span) => span.end), ["failure"])
      assert.deepStrictEqual(named(spans, "OpenCode.attempt").map((span) => span.end), ["failure"])
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.never)]))))
})

/** The registry is global: only the difference made by a run can be checked. */
const added = <A, E, R, Out>(
  read: Effect.Effect<Out>,
  minus: (after: Out, before: Out) => unknown,
  effect: Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    const before = yield* read
    yield* effect
    return minus(yield* read, before)
  })

const outcomes = (...tags: ReadonlyArray<string>) =>
  Effect.all(Object.fromEntries(
    tags.map((tag) => [tag, Effect.map(Metric.value(Metric.tagged(telemetry.runs, "outcome", tag)), (s) => s.count)])
  ))

/** Rounded: a counter is of the whole process, and what other tests have spent leaves rounding errors. */
const difference = (after: { readonly [key: string]: number }, before: { readonly [key: string]: number }) =>
  Object.fromEntries(Object.entries(after).map(([key, count]) => [key, Math.round((count - before[key]!) * 1e6) / 1e6]))

describe("metrics", () => {
  it.effect("count the runs by outcome, each once", () =>
    Effect.gen(function*() {
      const counts = yield* added(
        outcomes("success", "OpenCodeProcessError", "OpenCodeConfigError", "OpenCodeSpawnError", "interrupted"),
        difference,
        Effect.gen(function*() {
          yield* OpenCode.run("x")
          yield* Stream.runDrain(OpenCode.stream("x"))
          yield* Effect.ignore(OpenCode.run("x"))
          yield* Effect.ignore(OpenCode.run("x"))
          yield* Effect.ignore(OpenCode.run(""))
          yield* Effect.ignore(OpenCode.run("x", { cwd: "missing" }))
          const fiber = yield* Effect.fork(OpenCode.run("x"))
          yield* T.untilStarted(5)
          yield* Fiber.interrupt(fiber)
          yield* Stream.runDrain(Stream.take(OpenCode.stream("x"), 1))
        })
      )
      assert.deepStrictEqual(counts, {
        success: 2,
        OpenCodeProcessError: 1,
        OpenCodeSpawnError: 1,
        OpenCodeConfigError: 2,
        interrupted: 2
      })
    }).pipe(Effect.provide(T.layer([
      T.answering("x"),
      T.answering("x"),
      Mock.script(Mock.exit(1)),
      Mock.spawnError("NotFound"),
      Mock.script(Mock.never),
      Mock.script(Mock.lines([T.stepStart()]), Mock.never)
    ]))))

  it.effect("measure the duration of the runs", () =>
    Effect.gen(function*() {
      const seconds = Effect.map(
        Metric.value(Metric.tagged(telemetry.duration, "outcome", "success")),
        (state) => ({ count: state.count, sum: state.sum })
      )
      const taken = yield* added(
        seconds,
        difference,
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(OpenCode.run("x"))
          yield* T.advance("90 seconds")
          yield* Fiber.join(fiber)
        })
      )
      assert.deepStrictEqual(taken, { count: 1, sum: 90 })
    }).pipe(Effect.provide(T.layer([Mock.script(Mock.sleep("90 seconds"), Mock.lines(T.answer("x")))]))))

  it.effect("count tokens by type and their cost, for failed runs too", () =>
    Effect.gen(function*() {
      const types = ["input", "output", "reasoning", "cache_read", "cache_write"]
      const read = Effect.all({
        ...Object.fromEntries(types.map((type) => [
          type,
          Effect.map(Metric.value(telemetry.tokens(type)), (state) => state.count)
        ])),
        cost: Effect.map(Metric.value(telemetry.cost), (state) => state.count)
      })
      const spent = yield* added(
        read,
        difference,
        Effect.andThen(OpenCode.run("x"), Effect.ignore(OpenCode.run("x")))
      )
      assert.deepStrictEqual(spent, {
        input: 400,
        output: 70,
        reasoning: 9,
        cache_read: 15,
        cache_write: 21,
        cost: 1
      })
    }).pipe(Effect.provide(T.layer([
      conversation,
      Mock.script(Mock.lines([T.stepStart(), T.stepFinish("tool-calls")]), Mock.exit(1))
    ]))))

  it.effect("count the retries", () =>
    Effect.gen(function*() {
      const repeated = yield* added(
        Effect.map(Metric.value(telemetry.retries), (state) => ({ count: state.count })),
        difference,
        Effect.andThen(
          T.failsWith("OpenCodeSqliteError")(OpenCode.run("x")),
          T.failsWith("OpenCodeProcessError")(OpenCode.run("x"))
        )
      )
      assert.deepStrictEqual(repeated, { count: 2 })
    }).pipe(Effect.provide(T.layer(
      [T.locked, T.locked, T.locked, Mock.script(Mock.exit(1))],
      { retry: Schedule.recurs(2) }
    ))))

  it.effect("measure the wait at the gate", () =>
    Effect.gen(function*() {
      const waited = yield* added(
        Effect.map(Metric.value(telemetry.gateWaiting), (state) => ({ count: state.count, sum: state.sum })),
        difference,
        Effect.gen(function*() {
          const first = yield* Effect.fork(OpenCode.run("x"))
          yield* T.untilStarted(1)
          const second = yield* Effect.fork(OpenCode.run("x"))
          yield* T.untilMade(2)
          yield* T.advance("5 seconds")
          yield* T.untilStarted(2)
          yield* Fiber.interruptAll([first, second])
        })
      )
      assert.deepStrictEqual(waited, { count: 2, sum: 5 })
    }).pipe(Effect.provide(T.layer(() => Mock.script(Mock.never), { startup: { window: "5 seconds" } }))))
})
