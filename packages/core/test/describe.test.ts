import { describe, expect, it } from "@effect/vitest"
import { RunEvent } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as arbitraries from "./support/arbitraries.js"

const say = (wire: { readonly [key: string]: unknown }): string => RunEvent.describe(RunEvent.fromWire(wire))

const tool = (state: object): string => say({ type: "tool_use", part: { tool: "bash", state } })

describe("RunEvent.describe", () => {
  it.each([
    ["asks the model", { type: "step_start", part: { messageID: "msg_1" } }],
    ["Hello world", { type: "text", part: { text: "\nHello\n\tworld " } }],
    ["thinks: maybe not", { type: "reasoning", part: { text: "maybe\nnot" } }],
    [
      "step finished (stop), 30 tokens",
      { type: "step_finish", part: { reason: "stop", tokens: { input: 10, output: 20 } } }
    ],
    [
      "APIError: invalid key",
      { type: "error", error: { name: "APIError", data: { message: "invalid key", statusCode: 401 } } }
    ],
    ["an event of unknown type party", { type: "party" }],
    ["an event without a type", {}]
  ])("says %s", (line, wire) => {
    expect(say(wire)).toBe(line)
  })

  it("says how a tool ended", () => {
    const completed = { status: "completed", input: {}, output: "", title: "npm test" }
    expect(tool(completed)).toBe("bash npm test")
    expect(tool({ ...completed, metadata: { exit: 0 } })).toBe("bash npm test")
    expect(tool({ ...completed, metadata: { exit: 3 } })).toBe("bash exited with 3: npm test")
    expect(tool({ status: "error", input: {}, error: "not\nfound" })).toBe("bash failed: not found")
  })

  it("describes events from stderr", () => {
    expect(RunEvent.describe({ _tag: "PermissionRejected", permission: "bash", patterns: ["rm *", "ls"] })).toBe(
      "not permitted: bash rm *, ls"
    )
    expect(RunEvent.describe({ _tag: "ProviderRetry", attempt: 2, kind: "rate-limit", reason: "slow down" })).toBe(
      "the provider failed (2): slow down"
    )
  })

  it("describes events that only a server sends", () => {
    const delta = { _tag: "TextDelta", partId: "prt_1", text: "a\npiece" } as const
    expect(RunEvent.describe({ ...delta, kind: "text" })).toBe("a piece")
    expect(RunEvent.describe({ ...delta, kind: "reasoning" })).toBe("thinks: a piece")
    expect(
      RunEvent.describe({ _tag: "PermissionAsked", requestId: "per_1", permission: "bash", patterns: ["rm *", "ls"] })
    ).toBe("asks for permission: bash rm *, ls")
  })

  it("removes colours completely", () => {
    expect(say({ type: "text", part: { text: "\u001b[31mred\u001b[0m or not" } })).toBe("red or not")
  })

  it("cuts a long text between characters", () => {
    const line = say({ type: "text", part: { text: `${"x".repeat(198)}${"😀".repeat(10)}` } })
    expect(line).toBe(`${"x".repeat(198)}…`)
  })

  it.prop("returns one line without control characters for any event", {
    event: fc.oneof(
      fc.constantFrom(...["text", "tool_use", "reasoning", "error"]).chain((type) =>
        fc.fullUnicodeString({ maxLength: 2000 }).map((text) =>
          RunEvent.fromWire({
            type,
            part: { text, tool: text, state: { status: "completed", input: {}, output: "", title: text } },
            error: { name: text, data: { message: text } }
          })
        )
      ),
      arbitraries.oddWire.map(RunEvent.fromWire)
    )
  }, ({ event }) => {
    const line = RunEvent.describe(event)
    expect(line.length).toBeLessThanOrEqual(200)
    expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u)
  })
})
