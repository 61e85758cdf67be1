import { assert, describe, expect, it } from "@effect/vitest"
import { OpenCode, OpenCodeError, RunEvent, RunResult, Transcript } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as NodeFs from "node:fs"
import * as redact from "../src/internal/opencode/redact.js"
import * as json from "../src/internal/util/json.js"
import * as T from "./support/mock.js"

const levels = 20_000

const deepText = (open: string, close: string) => `${open.repeat(levels)}1${close.repeat(levels)}`

/** A tool call whose input is as deep as a dumped syntax tree. */
const deepLine = (inner: string) =>
  JSON.stringify(T.toolUse("bash", { input: { a: "DEEP" } })).replace("\"DEEP\"", inner) + "\n"

const deepLines = [deepLine(deepText("[", "]")), deepLine(deepText("{\"a\":", "}"))]

const deepEvents = deepLines.map(RunEvent.fromLine)

const line = (wire: unknown) => `${JSON.stringify(wire)}\n`

const printed = (...lines: ReadonlyArray<string>) =>
  Mock.script(Mock.stdout([...deepLines, ...lines].join("")), Mock.exit(0))

const answered = printed(line(T.text("done")), line(T.stepFinish("stop")))

describe("an event that cannot be serialised", () => {
  it.effect("is a marker in its place in a transcript and costs no other event", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const result = yield* OpenCode.run("x", { transcript: "run.jsonl" })
      assert.strictEqual(result.text, "done")
      const recorded = yield* Transcript.read(`${work}/run.jsonl`)
      assert.strictEqual(recorded.outcome, "success")
      assert.deepStrictEqual(recorded.events.map(({ _tag }) => _tag), ["ToolUse", "ToolUse", "Text", "StepFinish"])
      assert.deepStrictEqual(RunResult.fold(recorded.events).cost, result.cost)
      assert.include(NodeFs.readFileSync(`${work}/run.jsonl`, "utf8"), json.tooDeep)
    }).pipe(Effect.provide(T.layer([answered]))))

  it.effect("is a marker even when secrets are masked", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const password = Redacted.make("canary-password")
      yield* OpenCode.run("x", { transcript: "run.jsonl", attach: "http://127.0.0.1:1", password })
      const recorded = yield* Transcript.read(`${work}/run.jsonl`)
      assert.deepStrictEqual(recorded.events.map(({ _tag }) => _tag), ["ToolUse", "ToolUse", "Text", "StepFinish"])
      assert.notInclude(NodeFs.readFileSync(`${work}/run.jsonl`, "utf8"), "canary-password")
    }).pipe(Effect.provide(T.layer([
      printed(line(T.text("done canary-password")), line(T.stepFinish("stop")))
    ]))))

  it.effect("is in a result and in an error, both of which can be encoded", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x", { keepRaw: true, onEvent: () => Effect.void })
      assert.strictEqual(Schema.encodeSync(RunResult.RunResult)(result).events?.length, 4)
      const error = yield* T.failsWith("OpenCodeSessionError")(
        OpenCode.run("x", { attach: "http://127.0.0.1:1", password: Redacted.make("canary-password") })
      )
      assert.strictEqual(error.partial.events?.length, 3)
      const encoded = Schema.encodeSync(OpenCodeError.OpenCodeError)(error)
      assert.notInclude(json.stringify(encoded), "canary-password")
      // A program that serialises it itself uses JSON.stringify.
      assert.include(JSON.stringify(error.error), json.tooDeep)
    }).pipe(Effect.provide(T.layer([
      answered,
      printed(
        `{"type":"error","sessionID":"ses_1","error":{"name":"APIError","data":{"message":"canary-password","deep":${
          deepText("[", "]")
        }}}}\n`
      )
    ]))))

  it.effect("is a marker whatever it contains and however masking fails", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const file = `${work}/odd.jsonl`
      const circular: Record<string, unknown> = { type: "text", part: { text: "round" } }
      circular["self"] = circular
      const odd = [
        ...deepEvents,
        RunEvent.fromWire(circular),
        RunEvent.fromWire({ type: "text", part: { text: "big", count: 10n } }),
        RunEvent.fromWire({ type: "text", part: { text: "half \ud800" } }),
        RunEvent.fromWire({
          type: "text",
          part: { text: "thrown" },
          get more() {
            throw new Error("no")
          }
        }),
        RunEvent.fromWire({ type: "text", part: { text: "last" } })
      ]
      yield* Effect.scoped(Effect.gen(function*() {
        const transcript = yield* Transcript.open(file)
        yield* transcript.write(odd)
        const failing = yield* Transcript.open(file, {
          clean: (line) => {
            if (line["type"] === "text") throw new Error("cannot be cleaned")
            return line
          }
        })
        yield* failing.write([RunEvent.fromWire({ type: "text" }), RunEvent.fromWire({ type: "done" })])
      }))
      const lines = NodeFs.readFileSync(file, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(lines.map(({ of, part, type }) => part?.text ?? of ?? part?.tool ?? type), [
        "bash",
        "bash",
        "round",
        "big",
        "half \ud800",
        "thrown",
        "last",
        "text",
        "done"
      ])
      assert.deepInclude(lines[7], { type: "effect-opencode/unwritable", of: "text" })
    }).pipe(Effect.provide(Layer.merge(T.layer([]), Logger.remove(Logger.defaultLogger)))))
})

describe("reading a transcript", () => {
  it("loses no other line to an unreadable one", () => {
    const start = `{"type":"effect-opencode/run_start","timestamp":1,"runId":"a","attempt":1,"cwd":"/repo"}`
    const text = [
      start,
      "\u0000\u0000\u0000",
      `{"type":"text","sessionID":"s","part":{"te`,
      JSON.stringify(T.text("one")),
      `half {"type":"text","sessionID":"s","part":{"text":"two"}}`,
      `{"type":"effect-opencode/run_end","runId":"a","outcome":5}`,
      `{"type":"effect-opencode/run_end","timestamp":1,"runId":"a","outcome":"success"}`
    ].join("\n")
    const [run] = Transcript.parse(text)
    expect(run?.outcome).toBe("success")
    expect(run?.events.filter(RunEvent.is("Text")).map(({ text }) => text)).toEqual(["one", "two"])
  })
})

describe("masking", () => {
  it("stops at a safe depth and shows nothing that it has not checked", () => {
    const [list, record] = deepEvents.map((event) => RunEvent.toWire(event))
    for (const value of [list, record]) {
      const clean = redact.make(["canary"]).inside(value)
      expect(json.stringify(clean)).toContain(json.tooDeep)
    }
    const circular: Record<string, unknown> = { a: "canary" }
    circular["b"] = circular
    circular["c"] = [circular]
    expect(redact.make(["canary"]).inside(circular)).toEqual({
      a: "<redacted>",
      b: json.circular,
      c: [json.circular]
    })
  })
})

describe("toLine", () => {
  it("returns the printed line", () => {
    for (const wire of [T.text("größer"), T.stepFinish("stop"), T.error("APIError", { message: "x" })]) {
      expect(RunEvent.toLine(RunEvent.fromWire(wire))).toBe(JSON.stringify(wire))
    }
  })

  it("marks what cannot be serialised and keeps the kind of the event", () => {
    for (const event of deepEvents) {
      const again = RunEvent.fromLine(RunEvent.toLine(event))
      expect(again).toMatchObject({ _tag: "ToolUse", tool: "bash", status: "completed", output: "done" })
    }
  })
})
