/** A run that continues is not finished, and OpenCode's own prompts are not part of the answer. */
import { assert, describe, expect, it } from "@effect/vitest"
import { Conversation, OpenCode, RunEvent, RunResult } from "effect-opencode"
import { Events, MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as T from "./support/mock.js"

type Wire = Events.WireEvent

const tool = Events.turn(["Let me look.", Events.tool({ tool: "bash" })])
const asked = { ...T.text("Continue if you have next steps."), part: { ...T.text("").part, synthetic: true } }

/** What a run prints until OpenCode continues by itself, and the agent's texts until then. */
const cases: ReadonlyArray<
  readonly [name: string, until: ReadonlyArray<Wire>, said: ReadonlyArray<string>, exit: number]
> = [
  ["after a step with tools", [...tool, ...Events.compaction()], ["Let me look."], 0],
  ["after the last word", [...Events.turn("All done."), ...Events.compaction()], ["All done."], 0],
  ["after an overflow", [...tool, ...Events.compaction({ cause: "overflow" })], ["Let me look."], 1],
  ["after an overflow, with the prompt once more", Events.compaction({ cause: "replay" }), [], 1],
  ["before the first step", Events.compaction(), [], 0],
  ["twice", [...tool, ...Events.compaction(), ...tool, ...Events.compaction()], ["Let me look.", "Let me look."], 0],
  ["after a summary that was cut off", [...tool, ...Events.compaction({ reason: "length" })], ["Let me look."], 0],
  ["after a summary without words", [...tool, ...Events.compaction({ summary: "" })], ["Let me look."], 0]
]

const paragraphs = (...texts: ReadonlyArray<string>): string => texts.join("\n\n")

const going = (until: ReadonlyArray<unknown>, exit: number, ...rest: ReadonlyArray<Mock.Step>) =>
  Mock.script(Mock.awaitStdin, Mock.lines(until), ...rest, Mock.exit(exit))

describe("a run that continues by itself", () => {
  for (const [name, until, said, exit] of cases) {
    it.effect(`is awaited longer than the exit grace: ${name}`, () =>
      Effect.gen(function*() {
        const run = yield* Effect.fork(OpenCode.run("x", { exitGrace: "2 seconds", idleTimeout: "1 hour" }))
        yield* T.advance("40 seconds")
        const result = yield* Fiber.join(run)
        assert.strictEqual(result.text, paragraphs(...said, "FINAL ANSWER"))
        assert.strictEqual(result.answer, "FINAL ANSWER")
        assert.strictEqual(RunResult.fold(result.events).answer, result.answer)
        assert.strictEqual(RunResult.fuzzyText(result), result.text)
        assert.strictEqual(RunResult.fold(result.events).text, result.text)
        assert.isFalse(result.forced)
        // Nothing is lost, and every step counts.
        const finished = [...until, ...Events.turn("")].filter(({ type }) => type === "step_finish").length
        assert.strictEqual(result.steps, finished)
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([
        going(until, exit, Mock.sleep("40 seconds"), Mock.lines(Events.turn("FINAL ANSWER")))
      ]))))

    it.effect(`is not a success when nothing follows: ${name}`, () =>
      Effect.gen(function*() {
        const idle = yield* Effect.fork(
          T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { exitGrace: "2 seconds", idleTimeout: "1 minute" }))
        )
        yield* T.untilStarted(1)
        yield* T.settle
        yield* TestClock.adjust("1 minute")
        const error = yield* Fiber.join(idle)
        assert.strictEqual(error.phase, "idle")
        assert.strictEqual(error.partial.text, paragraphs(...said))
        const ended = yield* Effect.flip(OpenCode.run("x"))
        assert.strictEqual(ended._tag, exit === 0 ? "OpenCodeIncompleteError" : "OpenCodeSessionError")
        if (ended._tag === "OpenCodeIncompleteError") assert.include(ended.message, "continued by itself")
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([going(until, exit, Mock.never), going(until, exit)]))))

    it(`can be recognised from its events: ${name}`, () => {
      const events = Events.decode([...until, ...Events.turn("FINAL ANSWER")])
      const texts = RunResult.agentTexts()
      const live = [...events.flatMap(texts.add), ...texts.end()]
      assert.deepStrictEqual(live, [...said, "FINAL ANSWER"])
      // As read from a transcript.
      const read = events.map((event) => RunEvent.fromWire(JSON.parse(JSON.stringify(RunEvent.toWire(event)))))
      assert.strictEqual(RunResult.fold(read).text, paragraphs(...live))
    })
  }

  it.effect("keeps the end of a streamed answer without OpenCode's own prompts", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeIncompleteError")(Stream.runDrain(OpenCode.stream("x")))
      assert.strictEqual(error.partial.text, "Let me look.")
    }).pipe(Effect.provide(T.layer([going([...tool, ...Events.compaction()], 0)]))))

  it.effect("is recognised with one message id for all events, as captured", () =>
    Effect.gen(function*() {
      const run = yield* Effect.fork(OpenCode.run("x", { exitGrace: "2 seconds" }))
      yield* T.advance("4 seconds")
      const result = yield* Fiber.join(run)
      assert.deepStrictEqual([result.text, result.forced, result.steps], ["FINAL ANSWER", false, 3])
    }).pipe(Effect.provide(T.layer([
      going(
        [
          ...[T.stepStart(), T.stepFinish("tool-calls"), T.stepStart(), T.text("SUMMARY"), T.stepFinish("stop")],
          { ...asked, part: { ...asked.part, metadata: { compaction_continue: true } } }
        ],
        0,
        Mock.sleep("4 seconds"),
        Mock.lines(T.answer("FINAL ANSWER"))
      )
    ]))))

  it.effect("is recognised when only one of the two marks is readable", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x")
      assert.deepStrictEqual([result.text, result.steps], ["FINAL ANSWER", 2])
    }).pipe(Effect.provide(T.layer([
      going([
        ...[T.stepStart(), T.text("SUMMARY"), T.stepFinish("stop")],
        { ...asked, part: { ...asked.part, text: "Weiter.", synthetic: 1, metadata: { compaction_continue: true } } },
        ...T.answer("FINAL ANSWER")
      ], 0)
    ]))))

  it.effect("can have a plugin's prompt, which is not part of the answer", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x")
      assert.strictEqual(result.text, "First.\n\nSecond.")
      const [, , , note] = result.events
      expect(note).toMatchObject({ _tag: "Text", synthetic: true, text: "Go on, there are todos." })
      assert.strictEqual((yield* Effect.flip(OpenCode.run("x")))._tag, "OpenCodeIncompleteError")
    }).pipe(Effect.provide(T.layer([
      going([...Events.turn("First."), Events.synthetic("Go on, there are todos."), ...Events.turn("Second.")], 0),
      going([...Events.turn("First."), Events.synthetic("Go on, there are todos.")], 0)
    ]))))
})

describe("no continuation is seen in", () => {
  const file = [
    Events.synthetic("Called the Read tool with the following input: {\"filePath\":\"a.txt\"}"),
    Events.synthetic("{\"verdict\":\"approve\"}")
  ]
  const { part, ...rest } = Events.text("context: 80 % used") as Wire & { readonly part: RunEvent.WireObject }
  const ignored = { ...rest, part: { ...part, ignored: true } }

  it.effect("an attached file, which neither ends nor answers anything", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x")
      assert.strictEqual(result.text, "done")
      assert.isFalse(result.forced)
    }).pipe(Effect.provide(T.layer([going([...file, ...Events.turn("done")], 0)]))))

  it.effect("a plugin's note to the user", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x")
      assert.strictEqual(result.text, "done")
      assert.strictEqual(result.finishReason, "stop")
    }).pipe(Effect.provide(T.layer([going([...Events.turn("done"), ignored], 0)]))))

  it("parts that the fuzzy text leaves out too", () => {
    const events = Events.decode([...file, ...Events.compaction(), ignored])
    assert.strictEqual(RunResult.fuzzyText({ text: "", events }), "")
    const rawLines = [...file, ...Events.compaction()].map((event) => JSON.stringify(event))
    const left = RunResult.fuzzyText({ text: "", events: [], rawLines: [...rawLines, "{\"odd\":1}"] })
    assert.strictEqual(left.split("\n").length, 3)
    assert.notMatch(left, /"type":"text"/)
  })

  it("an error from which OpenCode does not recover by a compaction", () => {
    const events = Events.decode([Events.error({ message: "reset", statusCode: 500 }), ...Events.turn("done")])
    assert.strictEqual(RunResult.fold(events).text, "done")
  })
})

describe("the final message", () => {
  const finalOf = (...events: ReadonlyArray<Wire>) => RunResult.fold(Events.decode(events)).answer

  it("is that of the last step", () => {
    assert.strictEqual(finalOf(...tool, ...Events.turn(["So", "it is."])), "So\n\nit is.")
    assert.strictEqual(finalOf(...tool, ...Events.turn([])), "")
    assert.strictEqual(finalOf(...Events.turn("A"), ...Events.turn("B"), ...Events.compaction()), "B")
  })

  it("is found without ids and without step starts", () => {
    const bare = (type: string, part: object) => ({ type, timestamp: 1, sessionID: "ses_1", part })
    const said = (text: string) => bare("text", { text })
    const done = (reason: string) => bare("step_finish", { reason })
    assert.strictEqual(finalOf(said("A"), done("tool-calls"), said("B"), said("C"), done("stop")), "B\n\nC")
    assert.strictEqual(finalOf(said("A"), done("tool-calls"), done("stop")), "")
    assert.strictEqual(finalOf(said("A"), said("B")), "A\n\nB")
    assert.strictEqual(finalOf({ ...bare("assistant", {}), content: "A" }), "A")
  })

  it.prop(
    "is the end of the text for any events",
    [fc.array(fc.constantFrom(
      Events.stepStart(),
      Events.text("a"),
      Events.text("b"),
      Events.tool({ tool: "read" }),
      Events.finish(),
      Events.finish({ reason: "tool-calls" }),
      Events.synthetic("Continue if you have next steps"),
      Events.reasoning("hm"),
      Events.error({ name: "ContextOverflowError", message: "long" })
    ))],
    ([events]) => {
      const { text } = RunResult.fold(Events.decode(events))
      assert.isTrue(text.endsWith(finalOf(...events)))
      const texts = RunResult.agentTexts()
      assert.strictEqual([...Events.decode(events).flatMap(texts.add), ...texts.end()].join("\n\n"), text)
    }
  )
})

describe("a structured answer", () => {
  const Verdict = Schema.Struct({ verdict: Schema.Literal("approve", "reject") })
  const draft = Events.turn([
    "It will be\n```json\n{\"verdict\":\"approve\"}\n```\nif the tests pass. Running them.",
    Events.tool({ tool: "bash" })
  ])
  const answering = (...events: ReadonlyArray<Wire>) => going(events, 0)
  const ask = (repairs: number) => Effect.either(OpenCode.runSchema(Verdict, "Review", { repairs }))

  it.effect("comes from the final message, not from a draft of an earlier step", () =>
    Effect.gen(function*() {
      const answer = yield* OpenCode.runSchema(Verdict, "Review", { repairs: 0 })
      assert.strictEqual(answer.value.verdict, "reject")
    }).pipe(Effect.provide(T.layer([answering(...draft, ...Events.turn("{\"verdict\":\"reject\"}"))]))))

  for (
    const [name, events] of [
      ["a draft", [...draft, ...Events.turn("The tests fail, so I cannot approve this.")]],
      ["a draft before silence", [...draft, ...Events.turn([])]],
      ["reasoning", Events.turn([Events.reasoning("{\"verdict\":\"approve\"}"), "I am not sure."])],
      ["thinking aloud", Events.turn("<think>\n{\"verdict\":\"approve\"}\n</think>\nI am not sure.")],
      ["a summary", [
        ...draft,
        ...Events.compaction({ summary: "{\"verdict\":\"approve\"}" }),
        ...Events.turn("Done.")
      ]],
      ["an attached file", [Events.synthetic("{\"verdict\":\"approve\"}"), ...Events.turn("I have read it.")]]
    ] as const
  ) {
    it.effect(`is requested again when there is only ${name}`, () =>
      Effect.gen(function*() {
        const either = yield* ask(0)
        assert.strictEqual(Either.getOrThrow(Either.flip(either))._tag, "OpenCodeOutputError")
        const repaired = yield* ask(1)
        assert.strictEqual(Either.getOrThrow(repaired).value.verdict, "reject")
      }).pipe(Effect.provide(T.layer([
        answering(...events),
        answering(...events),
        answering(...Events.turn("{\"verdict\":\"reject\"}"))
      ]))))
  }
})

describe("a conversation with compactions", () => {
  const user = (...parts: ReadonlyArray<object>) => ({ info: { id: "u", role: "user" }, parts })
  const time = { start: 1, end: 1 }
  const agent = (text: string, more: object = {}) => ({
    info: { id: "a", role: "assistant", ...more },
    parts: [{ type: "step-start" }, { type: "text", text, time }, { type: "step-finish", reason: "stop", cost: 0 }]
  })
  const summary = agent("SUMMARY", { summary: true })
  const order = user({ type: "compaction", auto: true })
  const goOn = user({ type: "text", text: "Continue", synthetic: true, time })
  const of = (...messages: ReadonlyArray<unknown>) =>
    Schema.decodeUnknownSync(Conversation.Conversation)({ info: { id: "ses_1" }, messages })
  const first = [user({ type: "text", text: "one" }), agent("1")]
  const two = user({ type: "text", text: "<file>", synthetic: true }, { type: "text", text: "two" })

  it.each([
    ["a continuation", of(...first, two, agent("2a"), order, summary, goOn, agent("2b")), "2a\n\n2b", "2b"],
    ["a replay", of(...first, two, order, summary, two, agent("2b")), "2b", "2b"],
    ["nothing", of(...first, two, agent("2a"), order, summary), "2a", "2a"]
  ])("has the complete last turn, followed by %s", (_, conversation, text, last) => {
    const events = Conversation.lastTurn(conversation)
    assert.strictEqual(RunResult.fold(events).text, text)
    assert.strictEqual(Conversation.answer(conversation), last)
    assert.include(
      events.map((event) => event._tag === "Text" ? `${event.synthetic} ${event.text}` : ""),
      "true SUMMARY"
    )
  })
})
