import { assert, describe, it } from "@effect/vitest"
import { RunEvent, RunResult } from "effect-opencode"
import { Events } from "effect-opencode-testing"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"

const read = (name: string) => readFileSync(new URL(`fixtures/1.18.33/${name}`, import.meta.url), "utf8")

const capture = (name: string): ReadonlyArray<Record<string, unknown>> =>
  read(`${name}.stdout.jsonl`).trim().split("\n").map((line) => JSON.parse(line))

/** The names and types of everything in a value, by path; parts that the library does not read are leaves. */
const shape = (value: unknown, path = ""): ReadonlyArray<string> =>
  typeof value !== "object" || value === null ||
    /^\.(part\.state\.(input|metadata)|error\.data\.responseHeaders)/.test(path)
    ? [`${path}: ${typeof value}`]
    : Object.entries(value).flatMap(([key, item]) => shape(item, `${path}.${key}`)).sort()

/** Only what git needs. */
const optional = [".part.snapshot: string"]

const shapes = (wire: object) => shape(wire).filter((line) => !optional.includes(line))

const every: ReadonlyArray<readonly [string, Events.WireEvent, string, (wire: Record<string, any>) => boolean]> = [
  ["stepStart", Events.stepStart(), "multi", (wire) => wire["type"] === "step_start"],
  [
    "stepStart with a snapshot",
    Events.stepStart({ snapshot: "d13" }),
    "multi",
    (wire) => wire["type"] === "step_start"
  ],
  ["text", Events.text("hi"), "multi", (wire) => wire["type"] === "text"],
  ["reasoning", Events.reasoning("hm"), "reasoning-thinking", (wire) => wire["type"] === "reasoning"],
  ["tool", Events.tool({ tool: "bash", output: "one\n" }), "multi", (wire) => wire["type"] === "tool_use"],
  [
    "toolError",
    Events.toolError({ tool: "read", error: "no" }),
    "tool-read-missing",
    (wire) => wire["type"] === "tool_use"
  ],
  ["toolRejected", Events.toolRejected({ tool: "bash" }), "perm-bash-ask", (wire) => wire["type"] === "tool_use"],
  ["finish", Events.finish(), "multi", (wire) => wire["type"] === "step_finish"],
  [
    "error with a status",
    Events.error({ message: "no", statusCode: 401 }),
    "http-401",
    (wire) => wire["type"] === "error"
  ],
  [
    "error without one",
    Events.error({ name: "ContentFilterError", message: "no" }),
    "finish-content-filter",
    (wire) => wire["type"] === "error"
  ]
]

describe("Events", () => {
  for (const [name, built, file, like] of every) {
    it(`${name} has the shape of the capture ${file}`, () => {
      const real = capture(file).find(like)
      assert.isDefined(real)
      assert.deepStrictEqual(shapes(built), shapes(real!))
    })

    it(`${name} decodes to a known event and survives its Schema`, () => {
      const event = RunEvent.fromWire(built)
      assert.notStrictEqual(event._tag, "Unknown")
      assert.deepStrictEqual(RunEvent.fromLine(JSON.stringify(built)), event)
      assert.isTrue(Either.isRight(Schema.validateEither(Schema.typeSchema(RunEvent.RunEvent))(event)))
      assert.deepStrictEqual(Schema.encodeSync(RunEvent.RunEvent)(event), built)
    })
  }

  it("serialises values that JSON cannot hold", () => {
    const round: Record<string, unknown> = { count: 10n }
    round["self"] = round
    const line = Events.toText([Events.tool({ tool: "bash", input: round })])
    assert.include(line, "\"input\":{\"count\":\"10\",\"self\":\"[circular]\"}")
    assert.strictEqual(RunEvent.fromLine(line)._tag, "ToolUse")
  })

  it("uses the given values", () => {
    const [start, text, tool, finish] = Events.decode(Events.turn(
      ["Look:", Events.tool({ tool: "bash", input: { command: "ls" }, output: "a\n", title: "list" })],
      { tokens: { input: 1, output: 2, reasoning: 3, cacheRead: 4, cacheWrite: 5 }, cost: 0.5 }
    ))
    assert.strictEqual(start?._tag, "StepStart")
    assert.include(text, { _tag: "Text", text: "Look:" })
    assert.deepInclude(tool, {
      _tag: "ToolUse",
      tool: "bash",
      status: "completed",
      input: { command: "ls" },
      output: "a\n",
      title: "list",
      metadata: { output: "a\n", exit: 0, truncated: false }
    })
    assert.deepInclude(finish, {
      _tag: "StepFinish",
      reason: "tool-calls",
      cost: 0.5,
      tokens: { total: 15, input: 1, output: 2, reasoning: 3, cacheRead: 4, cacheWrite: 5 }
    })
    assert.deepInclude(RunEvent.fromWire(Events.error({ message: "slow", statusCode: 429 })), {
      _tag: "SessionError",
      kind: "rate-limit",
      retryable: true,
      statusCode: 429
    })
    assert.deepInclude(
      RunEvent.fromWire(
        Events.error({ message: "slow", statusCode: 429, responseHeaders: { "retry-after": "20" } })
      ),
      { retryAfter: Duration.seconds(20) }
    )
  })

  it("has the figures of the captures by default", () => {
    const built = RunResult.fold(
      Events.decode(Events.session([Events.turn(Events.tool({ tool: "bash" })), Events.turn("x")]))
    )
    const real = RunResult.fold(capture("multi").slice(0, 4).map(RunEvent.fromWire))
    assert.deepStrictEqual(built.usage.total, real.usage.total * 2)
    assert.strictEqual(built.cost, real.cost * 2)
    assert.strictEqual(built.steps, 2)
    assert.strictEqual(built.finishReason, "stop")
  })

  it("numbers a session: counted ids, a message per step, increasing times", () => {
    const events = Events.session([
      Events.turn([Events.tool({ tool: "a" }), Events.tool({ tool: "b" })]),
      Events.turn("done")
    ], { id: 7, startedAt: 1000, interval: 10 })
    const parts = events.map((event) => event["part"] as Record<string, unknown>)
    assert.deepStrictEqual(events.map((event) => event.timestamp), [1000, 1010, 1020, 1030, 1040, 1050, 1060])
    assert.deepStrictEqual([...new Set(events.map((event) => event.sessionID))], ["ses_00000000000000000000000007"])
    assert.deepStrictEqual([...new Set(parts.map((part) => part["sessionID"]))], ["ses_00000000000000000000000007"])
    assert.strictEqual(new Set(parts.map((part) => part["id"])).size, events.length)
    assert.deepStrictEqual(
      parts.map((part) => Number(String(part["messageID"]).slice(4))),
      [1, 1, 1, 1, 2, 2, 2]
    )
    assert.deepStrictEqual(
      parts.flatMap((part) => part["callID"] === undefined ? [] : [part["callID"]]),
      ["call_00000000000000000000000001", "call_00000000000000000000000002"]
    )
    assert.deepStrictEqual(Events.session([events], { id: 7, startedAt: 1000, interval: 10 }), events)
  })

  it("keeps the ids that a test sets", () => {
    const again = { ...Events.stepStart(), part: { ...Events.stepStart()["part"] as object, messageID: "msg_mine" } }
    const [first, second] = Events.session([again, again], { id: "ses_mine" })
    assert.deepInclude(RunEvent.fromWire(first!), { messageId: "msg_mine", sessionId: "ses_mine" })
    assert.deepInclude(RunEvent.fromWire(second!), { messageId: "msg_mine" })
  })

  it("prints one line per event", () => {
    const events = Events.turn("hi")
    assert.deepStrictEqual(Events.toText(events).split("\n").slice(0, -1).map(RunEvent.fromLine), Events.decode(events))
  })

  describe("stderr", () => {
    it("matches what OpenCode prints", () => {
      assert.strictEqual(
        Events.stderr.permissionRejected("bash", ["echo hi-from-tool", "echo to-stderr 1>&2"]),
        read("perm-bash-ask.stderr.txt")
      )
      assert.strictEqual(Events.stderr.agentFallback("nope"), read("agent-unknown.stderr.txt"))
      assert.strictEqual(Events.stderr.agentFallback("general", "subagent"), read("agent-subagent.stderr.txt"))
      assert.strictEqual(Events.stderr.sqliteCrash("file is not a database"), read("db-corrupt.stderr.txt"))
    })

    it("logs a failed attempt with the fields of a real line", () => {
      const names = (line: string) => [...line.matchAll(/([\w.]+)=(?:"(?:[^"\\]|\\.)*"|\S*)/g)].map((match) => match[1])
      const real = read("print-logs-warn-429.stderr.txt").split("\n").find((line) =>
        line.includes("message=\"stream error\"") && line.includes("small=false")
      )
      assert.isDefined(real)
      assert.deepStrictEqual(names(Events.stderr.providerFailure("AI_APICallError: rate limited")), names(real!))
    })
  })
})
