import { describe, expect, it } from "@effect/vitest"
import { RunEvent, RunResult } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as fc from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as decode from "../src/internal/opencode/decode.js"
import * as arbitraries from "./support/arbitraries.js"
import { eventsOf } from "./support/facts.js"

const line = (value: unknown): RunEvent.RunEvent => RunEvent.fromLine(JSON.stringify(value))

const isRunEvent = Schema.is(Schema.typeSchema(RunEvent.RunEvent))

describe("decode", () => {
  describe("is total", () => {
    it.prop("for any string", { text: fc.oneof(fc.string(), fc.fullUnicodeString()) }, ({ text }) => {
      expect(isRunEvent(RunEvent.fromLine(text))).toBe(true)
    })

    it.prop("for any JSON", { value: arbitraries.json }, ({ value }) => {
      const event = line(value)
      expect(isRunEvent(event)).toBe(true)
      const isObject = typeof value === "object" && value !== null && !Array.isArray(value)
      expect(event._tag === "Diagnostic").toBe(!isObject)
    })

    it.prop("for any object that looks like an event, and keeps all of it", {
      wire: fc.oneof(arbitraries.oddWire, arbitraries.goodWire).filter(({ type }) =>
        !String(type).startsWith("effect-opencode/")
      )
    }, ({ wire }) => {
      const event = RunEvent.fromWire(wire)
      expect(isRunEvent(event)).toBe(true)
      expect(RunEvent.toWire(event)).toBe(wire)
      expect(typeof RunEvent.textOf(event)).toBe("string")
      expect(typeof RunEvent.isToolCall(event)).toBe("boolean")
    }, { fastCheck: { numRuns: 500 } })

    it.prop("for any bytes", { bytes: fc.uint8Array({ maxLength: 200 }) }, ({ bytes }) => {
      expect(eventsOf(bytes).every(isRunEvent)).toBe(true)
    })

    it.prop("and its events can be added up", { events: arbitraries.events }, ({ events }) => {
      const summary = RunResult.fold(events)
      expect(Object.values(summary.usage).every(Number.isFinite)).toBe(true)
      const count = (tag: RunEvent.RunEvent["_tag"]) => events.filter((event) => event._tag === tag).length
      expect(summary.steps).toBeGreaterThanOrEqual(Math.max(count("StepStart"), count("StepFinish")))
      expect(summary.steps).toBeLessThanOrEqual(count("StepStart") + count("StepFinish"))
    })

    it("for JSON that is nested deeply", () => {
      const depth = 100_000
      expect(isRunEvent(RunEvent.fromLine(`${"[".repeat(depth)}${"]".repeat(depth)}`))).toBe(true)
      expect(isRunEvent(RunEvent.fromLine(`${"{\"part\":".repeat(depth)}1${"}".repeat(depth)}`))).toBe(true)
    })
  })

  describe("lines that are not events become Diagnostics:", () => {
    it("empty ones, white space included", () => {
      for (const text of ["", " ", "\t", "\r", " \t\r"]) {
        expect(RunEvent.fromLine(text)).toMatchObject({ _tag: "Diagnostic", kind: "empty_line", line: text })
      }
    })

    it("JSON other than an object", () => {
      for (const [text, what] of [["1", "a number"], ["null", "null"], ["[1]", "an array"], ["\"x\"", "a string"]]) {
        expect(RunEvent.fromLine(text!)).toMatchObject({ _tag: "Diagnostic", kind: "non_object_json", line: text })
        expect(RunEvent.fromLine(text!)).toMatchObject({ reason: expect.stringContaining(what!) })
      }
    })

    it("anything else, with the text and the reason", () => {
      const event = RunEvent.fromLine("opencode run [message..]")
      expect(event).toMatchObject({ _tag: "Diagnostic", kind: "json_decode_error", line: "opencode run [message..]" })
      expect(event).toMatchObject({ reason: expect.stringContaining("JSON") })
      expect(RunEvent.fromLine("{\"type\":\"text\"")).toMatchObject({ kind: "json_decode_error" })
    })

    it("lines too long to keep", () => {
      expect(decode.fromSplit({ tooLong: 300 })).toMatchObject({ _tag: "Diagnostic", kind: "line_too_long", line: "" })
      expect(decode.fromSplit("{}")).toMatchObject({ _tag: "Unknown" })
    })

    it("and survive their own wire form", () => {
      for (const text of ["", "1", "no json"]) {
        const event = RunEvent.fromLine(text)
        expect(line(RunEvent.toWire(event))).toEqual(event)
      }
    })
  })

  describe("unknown types", () => {
    it("become Unknown, with all fields", () => {
      const wire = { type: "done", sessionID: "ses_1", timestamp: 5, reason: "stop", extra: { deep: [1] } }
      expect(line(wire)).toEqual({ _tag: "Unknown", type: "done", sessionId: "ses_1", timestamp: 5, raw: wire })
    })

    it("can be named like members of the prototype of objects", () => {
      for (const type of ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"]) {
        expect(line({ type })).toMatchObject({ _tag: "Unknown", type })
      }
      const event = RunEvent.fromLine("{\"type\":\"text\",\"__proto__\":{\"part\":{\"text\":\"no\"}},\"text\":\"yes\"}")
      expect(RunEvent.textOf(event)).toBe("yes")
      expect(({} as Record<string, unknown>)["part"]).toBeUndefined()
    })

    it("include types that are not strings", () => {
      for (const type of [1, null, undefined, {}, ["text"]]) expect(line({ type })._tag).toBe("Unknown")
    })
  })

  describe("known types with an unknown shape", () => {
    it("keep their type and name the unreadable fields", () => {
      const cases: ReadonlyArray<readonly [RunEvent.WireObject, object]> = [
        [{ type: "step_start" }, { _tag: "StepStart", messageId: undefined }],
        [{ type: "step_start", part: { messageID: 5 } }, { _tag: "StepStart", messageId: undefined }],
        [{ type: "text", part: { text: 5 } }, { _tag: "Text", text: "", unread: ["text"] }],
        [{ type: "text", part: { text: "x", time: { start: "soon", end: "5" } } }, {
          _tag: "Text",
          text: "x",
          time: { start: undefined, end: 5 },
          unread: undefined
        }],
        [{ type: "tool_use", part: { tool: "bash" } }, { _tag: "ToolUse", status: "error", unread: ["state.status"] }],
        [{ type: "tool_use", part: { tool: 5, state: { status: "running", output: "done" } } }, {
          _tag: "ToolUse",
          tool: "unknown",
          status: "completed",
          unread: ["tool", "state.status"]
        }],
        [{ type: "step_finish", part: { reason: "stop", cost: "free" } }, {
          _tag: "StepFinish",
          reason: "stop",
          cost: 0,
          unread: ["cost"]
        }],
        [{ type: "step_finish", part: { reason: "stop", cost: -1, tokens: { input: {}, output: 2, cache: "x" } } }, {
          reason: "stop",
          cost: 0,
          tokens: { total: 2, input: 0, output: 2 },
          unread: ["tokens.input", "tokens.cache", "cost"]
        }],
        [{ type: "step_finish", part: { reason: "stop", cost: "0.1", tokens: { input: "12", total: "13" } } }, {
          cost: 0.1,
          tokens: { total: 13, input: 12 },
          unread: undefined
        }],
        [{ type: "step_finish", part: { reason: "stop", messageID: 5 } }, { reason: "stop", unread: undefined }],
        [{ type: "step_finish", part: 5 }, { _tag: "StepFinish", unread: ["reason", "tokens", "cost"] }]
      ]
      for (const [wire, expected] of cases) expect(line(wire)).toMatchObject({ raw: wire, ...expected })
    })

    it("ignore an infinite cost", () => {
      expect(RunEvent.fromLine(`{"type":"step_finish","part":{"cost":1e999}}`))
        .toMatchObject({ cost: 0, unread: ["cost"] })
    })

    it("decode an error of any shape as a SessionError", () => {
      const said = (error: unknown) => {
        const event = line({ type: "error", sessionID: "ses_1", error })
        return event._tag === "SessionError" ? [event.name, event.message, event.kind] : event._tag
      }
      expect(said("boom")).toEqual(["UnknownError", "boom", "other"])
      expect(said(null)).toEqual(["UnknownError", "no reason given", "other"])
      expect(said(undefined)).toEqual(["UnknownError", "no reason given", "other"])
      expect(said(["a"])).toEqual(["UnknownError", `["a"]`, "other"])
      expect(said(5)).toEqual(["UnknownError", "no reason given", "other"])
      expect(said({ data: "rate limit" })).toEqual(["UnknownError", "rate limit", "rate-limit"])
      expect(said({ name: 5, data: { message: "boom" } })).toEqual(["UnknownError", "boom", "other"])
      expect(said({ name: "APIError", data: { message: {}, statusCode: "429" } }))
        .toEqual(["APIError", "APIError", "rate-limit"])
      expect(line({ type: "error", sessionID: "ses_1", message: "boom" }))
        .toMatchObject({ _tag: "SessionError", message: "boom" })
    })

    it("do not take a logger's line for a session error", () => {
      expect(line({ type: "error", message: "boom" })).toMatchObject({ _tag: "Unknown", type: "error" })
    })

    it("take an invalid type from the part", () => {
      expect(line({ type: 5, part: { type: "step-finish", reason: "stop" } }))
        .toMatchObject({ _tag: "StepFinish", reason: "stop" })
      expect(line({ type: null, sessionID: "ses_1", error: { name: "APIError" } }))
        .toMatchObject({ _tag: "SessionError", name: "APIError" })
    })

    it("take a missing session from the part", () => {
      expect(line({ type: "text", sessionID: 5, part: { text: "x", sessionID: "ses_1" } }))
        .toMatchObject({ _tag: "Text", sessionId: "ses_1" })
    })

    it("keep unknown fields and accept missing or null ones", () => {
      const wire = { type: "text", part: { text: "hi", time: null, messageID: null, brandNew: 1 }, brandNew: 2 }
      expect(line(wire)).toMatchObject({ _tag: "Text", text: "hi", messageId: undefined, time: undefined, raw: wire })
    })
  })

  describe("text", () => {
    it("comes from the part, else from content, text or delta of the event", () => {
      expect(line({ type: "text", part: { text: "a" }, content: "b" })).toMatchObject({ _tag: "Text", text: "a" })
      expect(line({ type: "text", content: "b", text: "c" })).toMatchObject({ _tag: "Text", text: "b" })
      expect(line({ type: "text", text: "c", delta: "d" })).toMatchObject({ _tag: "Text", text: "c" })
      expect(line({ type: "text", delta: "d" })).toMatchObject({ _tag: "Text", text: "d" })
      expect(line({ type: "text", part: null, text: "c" })).toMatchObject({ _tag: "Text", text: "c" })
      expect(line({ type: "text", part: {}, content: "b" })).toMatchObject({ _tag: "Text", text: "b" })
      expect(line({ type: "text", content: ["a", { text: "b" }, { content: "c" }, 5] }))
        .toMatchObject({ _tag: "Text", text: "abc", unread: undefined })
    })

    it("of messages is a string, or parts with text, content or strings", () => {
      for (const type of ["message", "assistant", "model"]) {
        expect(RunEvent.textOf(line({ type, content: "whole" }))).toBe("whole")
        expect(
          RunEvent.textOf(line({
            type,
            content: [{ type: "text", text: "a" }, "b", { content: "c" }, { image: 1 }, 5, null]
          }))
        ).toBe("abc")
        expect(RunEvent.textOf(line({ type }))).toBe("")
      }
      expect(RunEvent.textOf(line({ type: "other", content: "no" }))).toBe("")
    })

    it("is concatenated in order, without reasoning", () => {
      const events = [
        line({ type: "text", part: { text: "a" } }),
        line({ type: "reasoning", part: { text: "hm" } }),
        line({ type: "assistant", content: ["b"] }),
        line({ type: "text", delta: "c" })
      ]
      expect(RunResult.fold(events).text).toBe("a\n\nb\n\nc")
    })
  })

  describe("tool calls", () => {
    it("are tool_use, tool_call, tool_result and tool, and a step_finish that names a tool", () => {
      const calls = [
        { type: "tool_use", part: { tool: "bash", state: { status: "completed" } } },
        { type: "tool_use", name: "bash" },
        { type: "tool_call", name: "bash" },
        { type: "tool_result", output: "x" },
        { type: "tool", name: "bash" },
        { type: "step_finish", part: { tool: "bash", reason: "tool-calls" } },
        { type: "step_finish", tool: { name: "bash" } }
      ]
      const others = [
        { type: "step_finish", part: { reason: "stop" } },
        { type: "step_finish", part: { tool: null } },
        { type: "text", part: { text: "tool" } },
        { type: "done" }
      ]
      const events = [...calls, ...others].map(line)
      expect(RunResult.fold(events).toolCalls.map(RunEvent.toWire)).toEqual(calls)
      expect(events.filter(RunEvent.isToolCall).length).toBe(calls.length)
    })

    it("carry their error", () => {
      expect(line({ type: "tool_use", part: { id: "prt_1", tool: "edit", state: { status: "error", error: "no" } } }))
        .toMatchObject({ _tag: "ToolUse", tool: "edit", status: "error", error: "no", callId: "prt_1" })
    })
  })

  describe("step_finish", () => {
    const tokens = { total: 20, input: 10, output: 5, reasoning: 2, cache: { read: 2, write: 1 } }
    const usage = { total: 20, input: 10, output: 5, reasoning: 2, cacheRead: 2, cacheWrite: 1 }

    it("has its fields in the part or in the event", () => {
      for (const wire of [{ part: { reason: "stop", cost: 0.5, tokens } }, { reason: "stop", cost: 0.5, tokens }]) {
        expect(line({ type: "step_finish", ...wire })).toMatchObject({
          _tag: "StepFinish",
          reason: "stop",
          cost: 0.5,
          tokens: usage
        })
      }
    })

    it("can lack any field", () => {
      const zero = { total: 0, input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 }
      for (
        const wire of [{}, { part: {} }, { part: { tokens: {} } }, { part: { tokens: { cache: {} }, cost: null } }]
      ) {
        expect(line({ type: "step_finish", ...wire })).toMatchObject({ _tag: "StepFinish", cost: 0, tokens: zero })
      }
    })

    it("gets a total when the provider sends none", () => {
      const { total: _, ...parts } = tokens
      expect(line({ type: "step_finish", part: { tokens: parts } })).toMatchObject({ tokens: { ...usage, total: 20 } })
    })
  })

  describe("error", () => {
    it("is read from 1.x and from 2.x", () => {
      expect(line({ type: "error", error: { name: "APIError", data: { message: "no", statusCode: 401 } } }))
        .toMatchObject({
          _tag: "SessionError",
          name: "APIError",
          message: "no",
          statusCode: 401,
          kind: "authentication"
        })
      expect(line({ type: "error", error: { type: "provider.auth", message: "no api key" } }))
        .toMatchObject({ _tag: "SessionError", name: "provider.auth", message: "no api key", kind: "authentication" })
    })

    it("distinguishes a quota from a rate limit, and reads the wait", () => {
      const limited = (data: object) => line({ type: "error", error: { name: "APIError", data } })
      expect(limited({ message: "Rate limit reached", statusCode: 429, responseHeaders: { "retry-after": "2" } }))
        .toMatchObject({ kind: "rate-limit", retryAfter: Duration.seconds(2) })
      expect(limited({ message: "slow", statusCode: 429, responseHeaders: { "retry-after-ms": "250" } }))
        .toMatchObject({ kind: "rate-limit", retryAfter: Duration.millis(250) })
      expect(limited({ message: "x", statusCode: 429, responseBody: "{\"code\":\"insufficient_quota\"}" }))
        .toMatchObject({ kind: "quota", retryAfter: undefined })
    })

    it("recognises OpenCode's own names", () => {
      const kinds = {
        ContextOverflowError: "context-overflow",
        ContentFilterError: "content-filter",
        MessageOutputLengthError: "output-length",
        MessageAbortedError: "aborted",
        ProviderAuthError: "authentication",
        ProviderModelNotFoundError: "model-not-found",
        UnknownError: "other"
      }
      for (const [name, kind] of Object.entries(kinds)) {
        expect(line({ type: "error", error: { name, data: { message: "x" } } })).toMatchObject({ name, kind })
      }
    })
  })

  describe("events of our own", () => {
    it("survive their wire form", () => {
      const own: ReadonlyArray<RunEvent.RunEvent> = [
        { _tag: "PermissionRejected", permission: "bash", patterns: ["rm *", "ls"] },
        {
          _tag: "ProviderRetry",
          attempt: 2,
          kind: "rate-limit",
          reason: "Rate limit reached",
          provider: "fake",
          model: undefined
        },
        {
          _tag: "TextDelta",
          sessionId: "ses_1",
          messageId: "msg_1",
          partId: "prt_1",
          kind: "reasoning",
          text: "let me "
        },
        {
          _tag: "PermissionAsked",
          sessionId: "ses_2",
          requestId: "per_1",
          permission: "bash",
          patterns: ["rm *"],
          callId: "call_1",
          metadata: { command: "rm -rf x" }
        }
      ]
      for (const event of own) expect(line(RunEvent.toWire(event))).toEqual(event)
    })
  })
})
