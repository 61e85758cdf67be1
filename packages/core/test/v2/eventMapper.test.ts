import { describe, expect, it } from "@effect/vitest"
import type { RunEvent } from "effect-opencode"
import { Tool, Version } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as fs from "node:fs"
import * as dialects from "../../src/internal/opencode/dialects.js"
import type { Event, Happening, Signal } from "../../src/internal/opencode/privateServer.js"
import * as retryCount from "../../src/internal/opencode/retryCount.js"
import * as sse from "../../src/internal/transport/server/sse.js"

const server = dialects.forVersion(Version.make(2, 0, 14))!.privateServer!

const file = (name: string) => fs.readFileSync(new URL(`../fixtures/opencode2/${name}`, import.meta.url))

const session = "ses_dd3c4095cffexIzURbeWjThDv5"

const captured = (name: string): ReadonlyArray<Event> =>
  sse.make().push(new Uint8Array(file(name))).flatMap((frame) => {
    const received = server.receive(String(frame))
    return received._tag === "Event" ? [received.event] : []
  })

const mapper = (options: { readonly thinking?: boolean; readonly isClosing?: boolean; readonly id?: string } = {}) =>
  server.mapper({
    sessionId: options.id ?? session,
    thinking: options.thinking === true,
    retries: retryCount.make(() => options.id ?? session),
    isClosing: () => options.isClosing === true
  })

const tags = (events: ReadonlyArray<RunEvent.RunEvent>) => events.map(({ _tag }) => _tag)

const together = (happenings: ReadonlyArray<Happening>) => ({
  says: happenings.flatMap(({ says }) => says),
  signals: happenings.flatMap(({ signals }) => signals)
})

const ends = (signals: ReadonlyArray<Signal>) => signals.filter(({ _tag }) => _tag === "Ended").length

/** Events of one session, as the server sends them. */
const events = (...all: ReadonlyArray<readonly [type: string, data: { readonly [name: string]: unknown }]>) =>
  all.map(([type, data]): Event => ({
    type,
    sessionId: typeof data["sessionID"] === "string" ? data["sessionID"] : session,
    parentId: typeof data["parentID"] === "string" ? data["parentID"] : undefined,
    created: 1,
    data
  }))

const map = (all: ReadonlyArray<Event>, options?: Parameters<typeof mapper>[0]) => {
  const one = mapper(options)
  return together(all.map((event) => one.event(event, 1)))
}

const messages = (): ReadonlyArray<{ readonly [name: string]: unknown }> =>
  [...server.replies.messages(JSON.parse(file("shell.messages.json").toString()))!.messages].reverse()

const step = { assistantMessageID: "msg_1" }
const model = { model: { id: "m1", providerID: "fake" } }
const auth = { type: "provider.auth", message: "Incorrect API key provided", status: 401 }

describe("events of a 2.x server", () => {
  it("a captured turn becomes the events of a run, with one end", () => {
    const { says, signals } = map(captured("shell.events.sse"))
    expect(tags(says)).toEqual([
      "StepStart",
      "ToolUse",
      "StepFinish",
      "StepStart",
      "TextDelta",
      "Text",
      "StepFinish"
    ])
    expect(ends(signals)).toBe(1)
    const [call] = says.filter((event) => event._tag === "ToolUse")
    expect(call).toMatchObject({ tool: "shell", status: "completed", output: "hi\n", metadata: { exit: 0 } })
    expect(Tool.fromEvent(call!)).toMatchObject({ _tag: "Bash", exit: 0, input: { command: "echo hi" } })
    expect(says.at(-1)).toMatchObject({ reason: "stop", cost: 0.00002, tokens: { total: 15, input: 10, output: 5 } })
  })

  const outcomes: { readonly [name: string]: ReadonlyArray<RunEvent.RunEvent["_tag"]> } = {
    "http-401": ["StepStart", "SessionError"],
    "http-500-once": ["StepStart", "ProviderRetry", "TextDelta", "Text", "StepFinish"],
    "reasoning": ["StepStart", "TextDelta", "Reasoning", "TextDelta", "Text", "StepFinish"],
    "stream-cut": [
      "StepStart",
      "TextDelta",
      "Text",
      "SessionError",
      "ProviderRetry",
      "StepStart",
      "TextDelta",
      "Text",
      "StepFinish"
    ],
    "permission-ask": ["StepStart", "ToolUse", "StepFinish"],
    "interrupt": ["StepStart", "ToolUse", "StepFinish", "SessionError"],
    "subagent": ["StepStart", "ToolUse", "StepFinish", "StepStart", "TextDelta", "Text", "StepFinish"]
  }

  for (const [name, expected] of Object.entries(outcomes)) {
    it(`the capture ${name} becomes these events, with one end`, () => {
      const all = file(`${name}.events.jsonl`).toString().trimEnd().split("\n").flatMap((frame) => {
        const received = server.receive(frame)
        return received._tag === "Event" ? [received.event] : []
      })
      const { says, signals } = map(all, { id: all[0]!.sessionId, thinking: true })
      expect(tags(says)).toEqual(expected)
      expect(ends(signals)).toBe(1)
    })
  }

  it("wherever events get lost, the messages show the rest, and nothing twice", () => {
    const all = captured("shell.events.sse")
    const whole = tags(map(all).says.filter(({ _tag }) => _tag !== "TextDelta"))
    fc.assert(fc.property(fc.nat(all.length), (at) => {
      const one = mapper()
      const before = together(all.slice(0, at).map((event) => one.event(event, 1)))
      const after = one.repair(messages(), 2)
      const said = [...before.says, ...after.says].filter(({ _tag }) => _tag !== "TextDelta")
      expect(tags(said)).toEqual(whole)
      expect(ends(after.signals)).toBe(1)
      expect(together(all.map((event) => one.event(event, 3))).says.every(({ _tag }) => _tag === "TextDelta")).toBe(
        true
      )
    }))
  })

  it("a failed step is reported once, although the prompt fails with the same error", () => {
    const { says, signals } = map(events(
      ["session.step.started", { ...step, ...model }],
      ["session.step.failed", { ...step, error: auth }],
      ["session.execution.failed", { error: auth }]
    ))
    expect(tags(says)).toEqual(["StepStart", "SessionError"])
    expect(says.at(-1)).toMatchObject({ kind: "authentication", name: "provider.auth", statusCode: 401 })
    expect(ends(signals)).toBe(1)
  })

  it("a failure before any step is reported", () => {
    const error = { type: "provider.no-route", message: "Model unavailable: fake/nope" }
    const { says } = map(events(["session.execution.started", {}], ["session.execution.failed", { error }]))
    expect(says).toMatchObject([{ _tag: "SessionError", kind: "model-not-found" }])
  })

  it("an attempt that the provider failed is a retry of the same step", () => {
    const { says, signals } = map(events(
      ["session.step.started", { ...step, ...model }],
      ["session.retry.scheduled", {
        ...step,
        attempt: 2,
        at: 5000,
        error: { type: "provider.rate-limit", message: "Slow down", status: 429 }
      }],
      ["session.step.started", { ...step, ...model }]
    ))
    expect(tags(says)).toEqual(["StepStart", "ProviderRetry"])
    expect(says[1]).toMatchObject({ attempt: 1, kind: "rate-limit", provider: "fake", model: "m1" })
    expect(signals).toContainEqual({ _tag: "RateLimited", until: 5000 })
  })

  const asking = events(
    ["session.step.started", { ...step, ...model }],
    ["permission.asked", {
      id: "per_1",
      sessionID: session,
      action: "shell",
      resources: ["echo hi"],
      source: { type: "tool", messageID: "msg_1", id: "call_1" }
    }],
    ["permission.replied", { sessionID: session, requestID: "per_1", reply: "reject" }],
    ["session.tool.failed", { ...step, id: "call_1", error: { type: "aborted", message: "declined" } }],
    ["session.step.failed", { ...step, error: { type: "aborted", message: "Step interrupted" } }],
    ["session.execution.interrupted", { reason: "shutdown" }]
  )

  it("a rejected permission explains the end that it causes", () => {
    const { says, signals } = map(asking)
    expect(tags(says)).toEqual(["StepStart", "ToolUse"])
    expect(signals).toContainEqual({
      _tag: "Asked",
      request: {
        id: "per_1",
        sessionId: session,
        permission: "shell",
        patterns: ["echo hi"],
        callId: "call_1",
        metadata: undefined
      }
    })
    expect(signals).toContainEqual({ _tag: "Replied", requestId: "per_1", reply: "reject" })
    expect(ends(signals)).toBe(1)
  })

  it("an interruption is an error, unless it is ours", () => {
    const all = events(["session.execution.interrupted", { reason: "user" }])
    expect(map(all).says).toMatchObject([{ _tag: "SessionError", kind: "aborted" }])
    expect(map(all, { isClosing: true }).says).toEqual([])
  })

  it("what a failed step has used is counted", () => {
    const tokens = { input: 10, output: 5, reasoning: 0, cache: { read: 0, write: 0 } }
    const error = { type: "aborted", message: "Step interrupted" }
    const { says } = map(events(["session.step.failed", { ...step, error, cost: 1, tokens }]))
    expect(says).toMatchObject([{ _tag: "StepFinish", cost: 1, reason: "error", tokens: { total: 15 } }])
  })

  it("reasoning is said on demand", () => {
    const all = events(
      ["session.reasoning.started", { ...step, ordinal: 0 }],
      ["session.reasoning.delta", { ...step, ordinal: 0, delta: "hm" }],
      ["session.reasoning.ended", { ...step, ordinal: 0, text: "hm" }],
      ["session.text.ended", { ...step, ordinal: 0, text: "so" }]
    )
    expect(tags(map(all).says)).toEqual(["Text"])
    expect(tags(map(all, { thinking: true }).says)).toEqual(["TextDelta", "Reasoning", "Text"])
  })

  it("a sub-agent says nothing but its retries, and asks through us", () => {
    const child = "ses_child"
    const error = { type: "provider.internal", message: "boom", status: 500 }
    const { says, signals } = map(events(
      ["session.created", { sessionID: child, parentID: session, permissions: [] }],
      ["session.step.started", { sessionID: child, ...step, ...model }],
      ["session.text.ended", { sessionID: child, ...step, ordinal: 0, text: "x" }],
      ["session.retry.scheduled", { sessionID: child, error }],
      ["permission.asked", { id: "per_2", sessionID: child, action: "shell", resources: [] }],
      ["form.created", { sessionID: child, form: { id: "frm_1", sessionID: child } }],
      ["session.step.ended", { sessionID: child, ...step }],
      ["session.execution.succeeded", { sessionID: child }]
    ))
    expect(says).toMatchObject([{ _tag: "ProviderRetry", sessionId: child }])
    expect(signals.filter(({ _tag }) => _tag !== "Alive")).toMatchObject([
      { _tag: "Child", sessionId: child, parentId: session, rules: [] },
      { _tag: "Asked", request: { sessionId: child, id: "per_2" } },
      { _tag: "Form", sessionId: child, formId: "frm_1" },
      { _tag: "Recovered", sessionId: child }
    ])
  })

  it("only the tool for sub-agents names a sub-agent", () => {
    const delegated = (signals: ReadonlyArray<Signal>) => signals.filter(({ _tag }) => _tag === "Delegated")
    const metadata = { sessionID: "ses_child" }
    const call = { ...step, id: "call_1" }
    const running = (name: string) => ({
      type: "assistant",
      id: "msg_1",
      content: [{ type: "tool", id: "call_1", name, state: { status: "running", metadata } }]
    })
    for (const [name, expected] of [["subagent", 1], ["lookup", 0]] as const) {
      const begun = ["session.tool.input.started", { ...call, name }] as const
      const progress = ["session.tool.progress", { ...call, metadata }] as const
      expect(delegated(map(events(begun, progress)).signals)).toHaveLength(expected)
      const success = ["session.tool.success", { ...call, content: [], metadata }] as const
      expect(delegated(map(events(begun, success)).signals)).toHaveLength(expected)
      expect(delegated(mapper().repair([running(name)], 1).signals)).toHaveLength(expected)
    }
  })

  it("a call whose name was missed must name its session, unless the messages name its tool", () => {
    const [success] = events(["session.tool.success", { ...step, id: "call_1", content: [], metadata: {} }])
    expect(mapper().event(success!, 1).signals).toMatchObject([{ _tag: "Unexpected" }])
    const repaired = mapper()
    const tool = { type: "tool", id: "call_1", name: "shell", state: { status: "running" } }
    repaired.repair([{ type: "assistant", id: "msg_1", content: [tool] }], 1)
    const { says, signals } = repaired.event(success!, 1)
    expect(tags(says)).toEqual(["ToolUse"])
    expect(signals).toEqual([{ _tag: "Alive" }])
  })

  it("a known event of an unexpected shape is unreadable, and another one is ignored", () => {
    const tag = (frame: unknown) => server.receive(typeof frame === "string" ? frame : JSON.stringify(frame))._tag
    expect(tag({ type: "server.connected", data: {} })).toBe("Connected")
    expect(tag({ type: "session.execution.succeeded", data: {} })).toBe("Unreadable")
    expect(tag({ type: "session.execution.succeeded" })).toBe("Unreadable")
    expect(tag({ type: "plugin.updated", data: {} })).toBe("Ignored")
    expect(tag("{")).toBe("Unreadable")
    expect(tag([])).toBe("Unreadable")
  })

  it("is total", () => {
    const type = fc.constantFrom(...new Set(captured("shell.events.sse").map(({ type }) => type)), "permission.asked")
    const data = fc.dictionary(
      fc.constantFrom("id", "error", "text", "ordinal", "content", "assistantMessageID", "tokens", "cost", "model"),
      fc.anything()
    )
    fc.assert(fc.property(type, data, (type, data) => {
      map(events([type, data]))
      mapper().repair([{ type: "assistant", ...data }], 1)
    }))
  })
})
