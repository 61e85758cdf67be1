import { describe, expect, it } from "@effect/vitest"
import { RunEvent, RunResult } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as decode from "../src/internal/opencode/decode.js"
import * as arbitraries from "./support/arbitraries.js"
import * as fixtures from "./support/fixtures.js"

type Path = ReadonlyArray<string>

const isObject = (u: unknown): u is RunEvent.WireObject => typeof u === "object" && u !== null && !Array.isArray(u)

/** The fields of an object at every depth. */
const pathsOf = (value: unknown): ReadonlyArray<Path> =>
  isObject(value)
    ? Object.entries(value).flatMap(([name, item]) => [[name], ...pathsOf(item).map((path) => [name, ...path])])
    : []

const replaced = (value: RunEvent.WireObject, [name, ...rest]: Path, by: unknown): RunEvent.WireObject => {
  const inner = value[name!]
  return { ...value, [name!]: rest.length === 0 || !isObject(inner) ? by : replaced(inner, rest, by) }
}

/** The fields from which each fact of an event is read, alternatives included. */
const sources: { readonly [fact: string]: ReadonlyArray<string> } = {
  timestamp: ["timestamp"],
  sessionId: ["sessionID"],
  messageId: ["part.messageID"],
  snapshot: ["part.snapshot"],
  text: ["part.text"],
  time: ["part.time", "part.state.time"],
  callId: ["part.callID"],
  tool: ["part.tool"],
  status: ["part.state.status"],
  input: ["part.state.input"],
  output: ["part.state.output"],
  error: ["part.state.error"],
  title: ["part.state.title"],
  metadata: ["part.state.metadata"],
  reason: ["part.reason"],
  tokens: ["part.tokens"],
  cost: ["part.cost"],
  kind: ["error"],
  name: ["error"],
  message: ["error"],
  statusCode: ["error"],
  retryable: ["error"],
  retryAfter: ["error"]
}

const concerns = (fact: string, path: Path): boolean =>
  (sources[fact] ?? []).some((source) => {
    const at = path.join(".")
    return source === at || source.startsWith(`${at}.`) || at.startsWith(`${source}.`)
  })

const lines = fixtures.all.flatMap(({ stdout }) => fixtures.linesOf(stdout))
const wires = lines.flatMap((line): ReadonlyArray<RunEvent.WireObject> => {
  const event = RunEvent.fromLine(line)
  return event._tag === "Diagnostic" || event._tag === "Unknown" ? [] : [RunEvent.toWire(event)]
})

/** Each kind of event with each of its fields, a few times. */
const places = [...new Map(
  wires.flatMap((wire) => pathsOf(wire).map((path) => [`${String(wire["type"])} ${path.join(".")}`, { wire, path }]))
).values()].filter(({ path }) => path.join(".") !== "type")

const odd = fc.oneof(
  arbitraries.json,
  fc.constantFrom<unknown>(null, true, false, -1, 0, 1e21, "", "0.1", "text", "stop", [], {}, [[]], { a: 1 })
)

describe("an arbitrary JSON value in one field of a captured event", () => {
  it.prop(
    "changes neither its type nor its other facts",
    { place: fc.constantFrom(...places), value: odd },
    ({ place: { path, wire }, value }) => {
      const before = RunEvent.fromWire(wire)
      const { raw, unread: _, ...after } = RunEvent.fromWire(replaced(wire, path, value)) as
        & RunEvent.RunEvent
        & { readonly raw: unknown; readonly unread?: unknown }
      expect(raw).toEqual(replaced(wire, path, value))
      expect(after._tag).toBe(before._tag)
      for (const [fact, known] of Object.entries(before)) {
        if (["_tag", "raw", "unread"].includes(fact) || concerns(fact, path)) continue
        expect([fact, (after as { readonly [fact: string]: unknown })[fact]]).toEqual([fact, known])
      }
    },
    { fastCheck: { numRuns: 1000 } }
  )

  it("is tested for every kind of event", () => {
    expect(places.length).toBeGreaterThan(100)
    expect([...new Set(places.map(({ wire }) => wire["type"]))].sort())
      .toEqual(["error", "reasoning", "step_finish", "step_start", "text", "tool_use"])
  })

  const runs = fixtures.all.map(({ stdout }) => fixtures.linesOf(stdout)).filter((lines) => lines.length > 2)

  it.prop(
    "changes neither the number nor the order of the events of a run",
    { run: fc.constantFrom(...runs), at: fc.nat(), of: fc.nat(), value: odd },
    ({ at, of, run, value }) => {
      const before = run.map(RunEvent.fromLine)
      const index = at % before.length
      const event = before[index]!
      if (event._tag === "Diagnostic") return
      const wire = RunEvent.toWire(event)
      const paths = pathsOf(wire).filter((path) => path.join(".") !== "type")
      const odd = replaced(wire, paths[of % paths.length]!, value)
      const after = run.map((line, place) => RunEvent.fromLine(place === index ? JSON.stringify(odd) : line))
      expect(after.map(({ _tag }) => _tag)).toEqual(before.map(({ _tag }) => _tag))
      expect(RunResult.fold(after).steps).toBe(RunResult.fold(before).steps)
      expect(RunResult.fold(after).toolCalls.length).toBe(before.filter(decode.isToolCall).length)
    },
    { fastCheck: { numRuns: 300 } }
  )
})
