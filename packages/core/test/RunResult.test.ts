import { describe, expect, it } from "@effect/vitest"
import { RunEvent, RunResult, TokenUsage } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as finishReason from "../src/internal/opencode/finishReason.js"
import * as summary from "../src/internal/opencode/summary.js"
import * as arbitraries from "./support/arbitraries.js"
import { eventsOf } from "./support/facts.js"
import * as fixtures from "./support/fixtures.js"

const wire = RunEvent.fromWire

const finish = (part: object) => wire({ type: "step_finish", part })

const text = (text: string) => wire({ type: "text", part: { text } })

const isOfStep = ({ _tag }: RunEvent.RunEvent): boolean => _tag === "StepStart" || _tag === "StepFinish"

describe("RunResult", () => {
  describe("fold", () => {
    it("of no events is empty", () => {
      expect(RunResult.fold([])).toEqual({
        text: "",
        answer: "",
        toolCalls: [],
        sessionId: undefined,
        usage: TokenUsage.empty,
        cost: 0,
        steps: 0,
        finishReason: undefined
      })
    })

    it("adds up text, tokens, cost and turns", () => {
      const call = wire({ type: "tool_use", part: { tool: "bash", state: { status: "completed" } } })
      expect(RunResult.fold([
        wire({ type: "step_start", sessionID: "ses_1", part: {} }),
        text("a"),
        call,
        finish({
          reason: "tool-calls",
          cost: 0.25,
          tokens: { total: 18, input: 10, output: 5, reasoning: 1, cache: { read: 2 } }
        }),
        RunEvent.fromLine(""),
        wire({ type: "step_start", sessionID: "ses_1", part: {} }),
        text("b"),
        finish({ reason: "stop", cost: 0.5, tokens: { input: 1, output: 2, cache: { write: 3 } } })
      ])).toEqual({
        text: "a\n\nb",
        answer: "b",
        toolCalls: [call],
        sessionId: "ses_1",
        usage: { total: 24, input: 11, output: 7, reasoning: 1, cacheRead: 2, cacheWrite: 3 },
        cost: 0.75,
        steps: 2,
        finishReason: "stop"
      })
    })

    it("keeps the first session id", () => {
      const started = (sessionID: string) => wire({ type: "step_start", sessionID, part: {} })
      expect(RunResult.fold([started("ses_1"), started("ses_2")]).sessionId).toBe("ses_1")
    })

    it.prop(
      "of two halves adds up to the fold of the whole",
      { a: arbitraries.events, b: arbitraries.events },
      ({ a, b }) => {
        const [first, second, whole] = [RunResult.fold(a), RunResult.fold(b), RunResult.fold([...a, ...b])]
        expect(whole.text).toBe([first.text, second.text].filter((text) => text !== "").join("\n\n"))
        // A step that begins in one half and finishes in the other is one step.
        const [before, after] = [a.filter(isOfStep).at(-1)?._tag, b.find(isOfStep)?._tag]
        const shared = before === "StepStart" && after === "StepFinish" ? 1 : 0
        expect(whole.steps).toBe(first.steps + second.steps - shared)
        expect(whole.toolCalls).toEqual([...first.toolCalls, ...second.toolCalls])
        expect(whole.usage).toEqual(TokenUsage.add(first.usage, second.usage))
        expect(whole.cost).toBeCloseTo(first.cost + second.cost, 9)
        expect(whole.sessionId).toBe(first.sessionId ?? second.sessionId)
      }
    )
  })

  describe("summary", () => {
    it("keeps only the end of the text when told to", () => {
      const state = summary.make({ keepText: 4 })
      for (const piece of ["ab", "cd", "ef"]) state.add(text(piece))
      expect(state.text()).toBe("\n\nef")
    })

    it("counts tool calls and started steps, including repetitions of one message", () => {
      const state = summary.make({ keepText: 1 })
      for (const event of eventsOf(fixtures.get("1.18.33/stream-cut-second-step").stdout)) state.add(event)
      expect(state).toMatchObject({ steps: 7, toolCalls: 1, finished: false, finishReason: "tool-calls" })
    })

    it("counts a finished step whose start was lost, wherever it was", () => {
      const [start, end] = [wire({ type: "step_start", part: {} }), finish({ reason: "tool-calls" })]
      const count = (...events: ReadonlyArray<RunEvent.RunEvent>) => RunResult.fold(events).steps
      expect([count(start, end), count(start, start, end), count(start)]).toEqual([1, 2, 1])
      expect([count(end), count(end, start), count(start, end, end, start), count(end, start, end)])
        .toEqual([1, 2, 3, 2])
    })

    it("does not count events that OpenCode did not print", () => {
      const state = summary.make({ keepText: 1 })
      state.add(RunEvent.fromLine("no json"))
      state.add({ _tag: "PermissionRejected", permission: "bash", patterns: [] })
      state.add({ _tag: "PermissionAsked", requestId: "per_1", permission: "bash", patterns: [] })
      state.add({ _tag: "TextDelta", partId: "prt_1", kind: "text", text: "a piece" })
      expect(state.text()).toBe("")
      expect(state.eventCount).toBe(0)
      state.add(wire({ type: "brand_new" }))
      expect(state.eventCount).toBe(1)
    })

    it("distinguishes the reasons that end a conversation", () => {
      for (const reason of ["stop", "length", "content-filter"]) expect(finishReason.isFinal(reason)).toBe(true)
      for (const reason of ["tool-calls", "unknown", "other", "error", undefined]) {
        expect(finishReason.isFinal(reason)).toBe(false)
      }
    })

    it("takes the permission from stderr, whichever pipe is ahead", () => {
      const start = wire({ type: "step_start", part: {} })
      const told: RunEvent.PermissionRejected = {
        _tag: "PermissionRejected",
        permission: "external_directory",
        patterns: ["/etc/*"]
      }
      const refused = wire({
        type: "tool_use",
        part: {
          tool: "read",
          state: { status: "error", error: "The user rejected permission to use this specific tool call." }
        }
      })
      for (const events of [[told, start, refused], [start, told, refused], [start, refused, told]]) {
        const state = summary.make({ keepText: 1 })
        events.forEach(state.add)
        expect(state.rejection).toEqual(told)
      }
      const silent = summary.make({ keepText: 1 })
      ;[start, refused].forEach(silent.add)
      expect(silent.rejection).toMatchObject({ permission: "read", patterns: [] })
    })
  })

  describe("fuzzyText", () => {
    const fuzzy = (events: ReadonlyArray<RunEvent.WireObject>, rawLines?: ReadonlyArray<string>) =>
      RunResult.fuzzyText({ text: "", events: events.map(wire), rawLines })

    it("is the trimmed answer if there is one", () => {
      expect(RunResult.fuzzyText({ text: " \n answer \n", events: [text("other")], rawLines: ["raw"] })).toBe("answer")
    })

    it("is otherwise the text of the events, joined by newlines", () => {
      expect(fuzzy([
        { type: "text", part: { text: "a" } },
        { type: "message", content: ["b", { text: "c" }] },
        { type: "done" },
        { type: "other", result: "d" }
      ])).toBe("a\nbc\nd")
    })

    it("reads keys in order, in the event, its part and the part's state", () => {
      const order = ["content", "text", "delta", "output", "message", "result", "value"]
      order.forEach((key, index) => {
        const present = Object.fromEntries(order.slice(index).map((name) => [name, `from ${name}`]))
        expect(fuzzy([{ type: "other", ...present }])).toBe(`from ${key}`)
        expect(fuzzy([{ type: "other", part: present }])).toBe(`from ${key}`)
      })
      expect(fuzzy([{ type: "tool_use", part: { tool: "bash", state: { status: "completed", output: "out" } } }]))
        .toBe("out")
    })

    it("reads a message object last", () => {
      expect(fuzzy([{ type: "other", message: { content: "c", text: "t" } }])).toBe("c")
      expect(fuzzy([{ type: "other", message: { text: "t" } }])).toBe("t")
    })

    it("skips blank and other values", () => {
      expect(fuzzy([{ type: "other", content: "  ", text: 5, value: "v" }])).toBe("v")
    })

    it("falls back to the raw lines", () => {
      expect(fuzzy([{ type: "done" }], ["one", "two", ""])).toBe("one\ntwo")
      expect(fuzzy([{ type: "done" }])).toBe("")
      expect(fuzzy([])).toBe("")
    })

    it.prop("is total", { events: arbitraries.events }, ({ events }) => {
      const found = RunResult.fuzzyText({ text: "", events })
      expect(found).toBe(found.trim())
    })
  })

  describe("Schema", () => {
    const encode = Schema.encodeSync(RunResult.RunResult)
    const decode = Schema.decodeUnknownSync(RunResult.RunResult)

    const resultOf = (name: string, more: { readonly rawLines?: ReadonlyArray<string> } = {}) => {
      const fixture = fixtures.get(name)
      const events = eventsOf(fixture.stdout)
      const { toolCalls: _, ...folded } = RunResult.fold(events)
      return new RunResult.RunResult({
        runId: "run-1",
        ...folded,
        finishReason: "stop",
        events,
        exitCode: 0,
        forced: false,
        stderr: "",
        attempts: 1,
        duration: Duration.millis(1500),
        ...more
      })
    }

    for (const name of ["1.18.33/multi", "1.18.33/unicode", "1.15.13/reasoning-thinking", "1.18.33/tool-parallel"]) {
      it(`a result survives JSON: ${name}`, () => {
        const result = resultOf(name, { rawLines: ["{}"] })
        const back = decode(JSON.parse(JSON.stringify(encode(result))))
        expect(back).toBeInstanceOf(RunResult.RunResult)
        expect(back).toEqual(result)
        expect(back.toolCalls).toEqual(result.toolCalls)
      })
    }

    it("times are milliseconds in JSON, also infinite ones", () => {
      const result = resultOf("1.18.33/multi")
      expect(encode(result).duration).toBe(1500)
      const endless = new RunResult.RunResult({ ...result, duration: Duration.infinity })
      const json = JSON.parse(JSON.stringify(encode(endless)))
      expect(json.duration).toBe("Infinity")
      expect(decode(json).duration).toEqual(Duration.infinity)
    })

    it("the events are encoded as OpenCode printed them", () => {
      const fixture = fixtures.get("1.18.33/multi")
      expect(encode(resultOf("1.18.33/multi")).events).toEqual(
        fixtures.linesOf(fixture.stdout).map(fixtures.objectOf)
      )
    })

    it("tool calls are the tool events, in order", () => {
      expect(resultOf("1.18.33/tool-parallel").toolCalls.filter(RunEvent.is("ToolUse")).map(({ tool }) => tool))
        .toEqual(["glob", "bash", "bash"])
    })

    it.prop("any event survives JSON", {
      event: arbitraries.goodWire.map(wire)
    }, ({ event }) => {
      const back = Schema.decodeUnknownSync(RunEvent.RunEvent)(
        JSON.parse(JSON.stringify(Schema.encodeSync(RunEvent.RunEvent)(event)))
      )
      expect(back).toEqual(event)
    }, { fastCheck: { numRuns: 200 } })
  })
})
