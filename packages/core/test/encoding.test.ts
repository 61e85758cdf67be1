/** Results and errors on their way through JSON. */
import { describe, expect, it } from "@effect/vitest"
import { OpenCodeError as E, RunEvent, RunResult } from "effect-opencode"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "effect/FastCheck"
import * as FiberId from "effect/FiberId"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as arbitraries from "./support/arbitraries.js"
import { partial } from "./support/facts.js"
import { meaning } from "./support/meaning.js"

const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

const send = <A, I>(schema: Schema.Schema<A, I>) => {
  const [encode, decode] = [Schema.encodeSync(schema), Schema.decodeUnknownSync(schema)]
  return (value: A): A => decode(throughJson(encode(value)))
}

const without = <Fields extends object>(fields: Fields, ...names: ReadonlyArray<PropertyKey>): Schema.Struct.Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name))) as Schema.Struct.Fields

/** Values of every field, as the Schema itself says: numbers that JSON lacks, absent fields, durations without end. */
const ofFields = (fields: Schema.Struct.Fields): fc.Arbitrary<object> =>
  Arbitrary.make(Schema.typeSchema(Schema.Struct(fields) as unknown as Schema.Schema<object>))

/** Events agree with the objects that they are read from, which a Schema does not say. */
const events = fc.oneof(
  arbitraries.events,
  fc.array(
    fc.oneof(
      // Numbers too large for a double, and the sign of zero.
      fc.constantFrom("1e999", "-1e999", "-0", "-0.0").chain((number) =>
        fc.constantFrom(
          `{"type":"step_finish","part":{"reason":"stop","cost":${number}}}`,
          `{"type":"step_finish","part":{"tokens":{"input":${number}}}}`,
          `{"type":"brand_new","deep":[{"n":${number}}],"__proto__":{"n":${number}}}`
        )
      ),
      fc.constantFrom(
        `{"effect-opencode/value":["Error",{"message":"x"}]}`,
        `{"type":"tool_use","part":{"tool":"x","state":{"input":{"effect-opencode/value":["Number","1"]}}}}`
      )
    ).map(RunEvent.fromLine),
    { maxLength: 3 }
  )
)

const results: fc.Arbitrary<RunResult.RunResult> = fc.tuple(
  ofFields(without(RunResult.RunResult.fields, "events")),
  events
).map(([fields, events]) => new RunResult.RunResult({ ...fields as RunResult.RunResult, events }))

const snapshots: fc.Arbitrary<E.RunSnapshot> = fc.tuple(
  ofFields(without(E.RunSnapshot.fields, "events")),
  fc.option(events, { nil: undefined })
).map(([fields, events]) => ({ ...fields as E.RunSnapshot, ...(events === undefined ? {} : { events }) }))

interface ErrorClass {
  new(fields: object): E.OpenCodeError
  readonly _tag: string
  readonly fields: Schema.Struct.Fields
}

const classes = E.OpenCodeError.members as ReadonlyArray<unknown> as ReadonlyArray<ErrorClass>

const errorsOf = (Class: ErrorClass): fc.Arbitrary<E.OpenCodeError> =>
  fc.record({
    fields: ofFields(without(Class.fields, "_tag", "partial", "error")),
    partial: Class.fields["partial"] === E.RunSnapshot ? snapshots : fc.option(snapshots, { nil: undefined }),
    error: arbitraries.anyValue
  }).map(({ error, fields, partial }) =>
    new Class({
      ...fields,
      ...("partial" in Class.fields ? { partial } : {}),
      ...("error" in Class.fields ? { error } : {})
    })
  )

const hasEvents = ({ events, rawLines }: Partial<E.RunSnapshot>): boolean =>
  (events ?? []).length > 0 || rawLines !== undefined

describe("a result", () => {
  it.prop("comes back from JSON as it was", { result: results }, ({ result }) => {
    const back = send(RunResult.RunResult)(result)
    expect(back).toBeInstanceOf(RunResult.RunResult)
    expect(meaning(back)).toBe(meaning(result))
    expect(meaning(back.filesChanged)).toBe(meaning(result.filesChanged))
  })

  it.prop("comes back from its slim form as it was, without events", { result: results }, ({ result }) => {
    const text = JSON.stringify(Schema.encodeSync(RunResult.Slim)(result))
    const back = Schema.decodeUnknownSync(RunResult.Slim)(JSON.parse(text))
    expect(back).toBeInstanceOf(RunResult.RunResult)
    expect(meaning(back)).toBe(meaning(RunResult.withoutEvents(result)))
    const { events, rawLines, ...facts } = result
    expect(meaning({ ...back })).toBe(meaning({ ...facts, events: [] }))
    expect(Object.keys(JSON.parse(text) as object)).not.toContain("rawLines")
    // The original is left alone.
    expect([result.events, result.rawLines]).toEqual([events, rawLines])
  })

  it("of the slim form is small, whatever the tools printed", () => {
    const [result] = fc.sample(results, { numRuns: 1, seed: 1 })
    const event = RunEvent.fromWire({
      type: "tool_use",
      part: { tool: "bash", state: { status: "completed", input: {}, output: "x".repeat(20_000) } }
    })
    const large = new RunResult.RunResult({ ...result!, text: "", stderr: "", events: Array(200).fill(event) })
    expect(JSON.stringify(Schema.encodeSync(RunResult.RunResult)(large)).length).toBeGreaterThan(4_000_000)
    expect(JSON.stringify(Schema.encodeSync(RunResult.Slim)(large)).length).toBeLessThan(5_000)
  })

  it("can be decoded from JSON that lacks the events", () => {
    const [result] = fc.sample(results, { numRuns: 1, seed: 1 })
    const { events: _, ...encoded } = Schema.encodeSync(RunResult.RunResult)(result!)
    expect(Schema.decodeUnknownSync(RunResult.RunResult)(throughJson(encoded)).events).toEqual([])
  })
})

describe("an error", () => {
  for (const Class of classes) {
    describe(Class._tag, () => {
      it.prop("comes back from JSON as it was", { error: errorsOf(Class) }, ({ error }) => {
        const back = send(E.OpenCodeError)(error)
        expect(back).toBeInstanceOf(Class)
        expect(meaning(back)).toBe(meaning(error))
      }, { fastCheck: { numRuns: 50 } })

      it.prop("comes back from its slim form as it was, without events", { error: errorsOf(Class) }, ({ error }) => {
        const back = send(E.Slim(E.OpenCodeError))(error)
        expect(back).toBeInstanceOf(Class)
        expect(meaning(back)).toBe(meaning(E.withoutEvents(error)))
        const facts = E.partialOf(error)
        if (facts === undefined) return
        const { events: _, rawLines: __, ...slim } = facts
        expect(meaning({ ...back })).toBe(meaning({ ...error, partial: slim }))
      }, { fastCheck: { numRuns: 50 } })
    })
  }

  it("is compared with what it had: the values here have events, lines and numbers that JSON lacks", () => {
    const sample = fc.sample(fc.oneof(...classes.map(errorsOf)), { numRuns: 500, seed: 1 })
    const partials = sample.flatMap((error) => E.partialOf(error) ?? [])
    expect(partials.some(hasEvents)).toBe(true)
    expect(partials.some((facts) => !hasEvents(facts))).toBe(true)
    expect(partials.some(({ duration }) => !Duration.isFinite(duration))).toBe(true)
    expect(partials.some(({ cost }) => !Number.isFinite(cost))).toBe(true)
    expect(new Set(sample.map(({ _tag }) => _tag)).size).toBe(classes.length)
    const tags = new Set(partials.flatMap(({ events }) => events ?? []).map(({ _tag }) => _tag))
    expect([...tags].sort()).toEqual([
      "Diagnostic",
      "PermissionAsked",
      "PermissionRejected",
      "ProviderRetry",
      "Reasoning",
      "SessionError",
      "StepFinish",
      "StepStart",
      "Text",
      "TextDelta",
      "ToolUse",
      "Unknown"
    ])
  })

  it("of each union has a slim form that keeps its classes", () => {
    const error = new E.OpenCodeProcessError({ exitCode: 1, partial: partial({ events: [], rawLines: ["x"] }) })
    const slim = new E.OpenCodeProcessError({ exitCode: 1, partial: partial() })
    for (const union of [E.RunError, E.SchemaError, E.QueryError] as const) {
      const sent: unknown = throughJson(Schema.encodeSync(E.Slim(union as typeof E.RunError))(error))
      expect(Object.keys((sent as { readonly partial: object }).partial)).not.toContain("rawLines")
      expect(meaning(Schema.decodeUnknownSync(E.Slim(union as typeof E.RunError))(sent))).toBe(meaning(slim))
    }
    const config = new E.OpenCodeConfigError({ path: "model", reason: "no" })
    expect(send(E.Slim(E.SessionOpenError))(config)).toEqual(config)
  })

  it.effect("can be caught by its tag after the way", () =>
    Effect.gen(function*() {
      const error: E.RunError = new E.OpenCodeTimeoutError({
        phase: "total",
        limit: Duration.infinity,
        partial: partial({ events: [] })
      })
      const caught = yield* Effect.fail(send(E.Slim(E.RunError))(error)).pipe(
        Effect.catchTags({ OpenCodeTimeoutError: ({ limit }) => Effect.succeed(limit) })
      )
      expect(Duration.isFinite(caught)).toBe(false)
    }))

  it("travels inside an exit, with a defect and an interruption beside it", () => {
    const Outcome = Schema.Exit({ success: RunResult.Slim, failure: E.Slim(E.RunError), defect: Schema.Defect })
    const cancelled = new E.OpenCodeCancelledError({ signal: "SIGTERM", partial: partial({ rawLines: ["x"] }) })
    const exit = Exit.failCause(Cause.parallel(Cause.fail(cancelled), Cause.interrupt(FiberId.none)))
    const back = send(Outcome)(exit)
    expect(Exit.isFailure(back) && Cause.isInterrupted(back.cause)).toBe(true)
    const failure = Exit.isFailure(back) ? [...Cause.failures(back.cause)][0] : undefined
    expect(meaning(failure)).toBe(meaning(E.withoutEvents(cancelled)))
  })

  it("keeps the Error that is its cause", () => {
    const cause = new TypeError("fetch failed", { cause: new Error("ECONNREFUSED") })
    const error = new E.OpenCodeSessionError({
      kind: "other",
      errorName: "APIError",
      reason: "fetch failed",
      providerRetries: 0,
      error: { response: cause, at: new Date(0), bytes: 10n, key: Redacted.make("canary-key") },
      partial: partial()
    })
    const text = JSON.stringify(Schema.encodeSync(E.OpenCodeError)(error))
    expect(text).not.toContain("canary-key")
    const back = Schema.decodeUnknownSync(E.OpenCodeSessionError)(JSON.parse(text)).error as typeof error.error & {
      readonly response: Error
    }
    expect(back.response).toBeInstanceOf(Error)
    expect(meaning(back)).toBe(meaning({
      response: Object.assign(new Error("fetch failed", { cause: new Error("ECONNREFUSED") }), { name: "TypeError" }),
      at: new Date(0),
      bytes: 10n,
      key: "<redacted>"
    }))
  })
})
