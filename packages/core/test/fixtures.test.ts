import { describe, expect, it } from "@effect/vitest"
import { RunEvent, RunResult } from "effect-opencode"
import * as Schema from "effect/Schema"
import { eventsOf } from "./support/facts.js"
import * as fixtures from "./support/fixtures.js"

/** The expected event of each printed type. */
const tags: { readonly [type: string]: RunEvent.RunEvent["_tag"] } = {
  step_start: "StepStart",
  text: "Text",
  reasoning: "Reasoning",
  tool_use: "ToolUse",
  step_finish: "StepFinish",
  error: "SessionError"
}

const diagnosticOf = (line: string): RunEvent.Diagnostic["kind"] => {
  if (line.trim() === "") return "empty_line"
  try {
    JSON.parse(line)
    return "non_object_json"
  } catch {
    return "json_decode_error"
  }
}

type Wire = { readonly [key: string]: unknown }

const isObject = (value: unknown): value is Wire => typeof value === "object" && value !== null

const object = (value: unknown): Wire => isObject(value) ? value : {}
const number = (value: unknown): number => typeof value === "number" ? value : 0

/** The totals of a capture, added up from its JSON without any code of the library. */
const totalsOf = (wires: ReadonlyArray<Wire>) => {
  const finishes = wires.filter((wire) => wire["type"] === "step_finish").map((wire) => object(wire["part"]))
  const tokens = finishes.map((part) => object(part["tokens"]))
  const total = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0)
  const of = (name: string) => total(tokens.map((t) => number(t[name])))
  const cached = (name: string) => total(tokens.map((t) => number(object(t["cache"])[name])))
  return {
    text: wires.filter((wire) => wire["type"] === "text").map((wire) => object(wire["part"])["text"]).join("\n\n"),
    toolCalls: wires.filter((wire) => wire["type"] === "tool_use"),
    sessionId: wires.map((wire) => wire["sessionID"]).find((id) => id !== undefined),
    usage: {
      total: total(
        tokens.map((t) =>
          typeof t["total"] === "number"
            ? t["total"]
            : number(t["input"]) + number(t["output"]) + number(t["reasoning"]) +
              number(object(t["cache"])["read"]) + number(object(t["cache"])["write"])
        )
      ),
      input: of("input"),
      output: of("output"),
      reasoning: of("reasoning"),
      cacheRead: cached("read"),
      cacheWrite: cached("write")
    },
    cost: total(finishes.map((part) => number(part["cost"]))),
    steps: Math.max(finishes.length, wires.filter((wire) => wire["type"] === "step_start").length),
    finishReason: finishes.at(-1)?.["reason"]
  }
}

const encode = Schema.encodeSync(RunEvent.RunEvent)
const decode = Schema.decodeUnknownSync(RunEvent.RunEvent)

describe("captures", () => {
  it("cover four versions with every event type", () => {
    for (const version of fixtures.versions) {
      const seen = new Set(
        fixtures.all.filter((fixture) => fixture.version === version)
          .flatMap(({ stdout }) => eventsOf(stdout).map(({ _tag }) => _tag))
      )
      expect([...seen]).toEqual(expect.arrayContaining(Object.values(tags)))
    }
    expect(fixtures.all.length).toBe(329)
  })

  for (const fixture of fixtures.all) {
    it(fixture.name, () => {
      const lines = fixtures.linesOf(fixture.stdout)
      const events = eventsOf(fixture.stdout)
      expect(events.length).toBe(lines.length)

      lines.forEach((line, index) => {
        const event = events[index]!
        const wire = fixtures.objectOf(line)
        if (wire === undefined) {
          expect(event).toMatchObject({ _tag: "Diagnostic", kind: diagnosticOf(line), line })
        } else {
          expect(event._tag).toBe(tags[String(wire["type"])])
          expect(RunEvent.toWire(RunEvent.fromWire(wire))).toEqual(wire)
          expect(event).toMatchObject({ sessionId: wire["sessionID"], timestamp: wire["timestamp"], raw: wire })
        }
        const encoded: unknown = JSON.parse(JSON.stringify(encode(event)))
        expect(decode(encoded)).toEqual(event)
        if (wire !== undefined) expect(encoded).toEqual(wire)
      })

      const wires = lines.map(fixtures.objectOf).filter((wire) => wire !== undefined)
      const { answer, ...summary } = RunResult.fold(events)
      const totals = totalsOf(wires)
      expect(summary.text.endsWith(answer)).toBe(true)
      expect({ ...summary, toolCalls: summary.toolCalls.map(RunEvent.toWire), cost: 0 }).toEqual({ ...totals, cost: 0 })
      expect(summary.cost).toBeCloseTo(totals.cost, 12)
    })
  }

  it("keep every field of a tool call", () => {
    const [call] = eventsOf(fixtures.get("1.18.33/tool-bash-nonzero").stdout).filter(RunEvent.is("ToolUse"))
    const wire = fixtures.linesOf(fixtures.get("1.18.33/tool-bash-nonzero").stdout)
      .map(fixtures.objectOf).find((line) => line?.["type"] === "tool_use")
    const part = object(wire?.["part"])
    const state = object(part["state"])
    expect(call).toMatchObject({
      tool: "bash",
      status: "completed",
      callId: part["callID"],
      messageId: part["messageID"],
      input: state["input"],
      output: state["output"],
      title: state["title"],
      metadata: { exit: 3 },
      time: state["time"]
    })
  })

  it("keep text with emoji, U+2028 and control characters", () => {
    const text = RunResult.fold(eventsOf(fixtures.get("1.18.33/unicode").stdout)).text
    expect(text).toContain("\u2028")
    expect(text).not.toContain("\uFFFD")
    expect(RunResult.fold(eventsOf(fixtures.get("1.18.33/unicode-split").stdout)).text).not.toContain("\uFFFD")
  })

  it("show a reasoning part only when it was requested", () => {
    const reasoning = (name: string) => eventsOf(fixtures.get(name).stdout).filter(RunEvent.is("Reasoning")).length
    expect(reasoning("1.18.33/reasoning-thinking")).toBe(1)
    expect(reasoning("1.18.33/reasoning-nothinking")).toBe(0)
  })

  it("show the repeated attempts of one message", () => {
    const ids = eventsOf(fixtures.get("1.18.33/stream-cut").stdout).filter(RunEvent.is("StepStart"))
      .map(({ messageId }) => messageId)
    expect(ids.length).toBe(6)
    expect(new Set(ids).size).toBe(1)
    expect(ids[0]).toMatch(/^msg_/)
  })
})
