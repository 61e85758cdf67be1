import { describe, expect, it } from "@effect/vitest"
import { RunEvent } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as retryCount from "../../src/internal/opencode/retryCount.js"
import * as eventMapper from "../../src/internal/transport/server/eventMapper.js"
import type { Event, Message } from "../../src/internal/transport/server/protocol.js"
import * as recorded from "./recorded.js"

const now = 1_700_000_000_000

const count = (of: recorded.Recorded, before = 0): retryCount.RetryCount => {
  const retries = retryCount.make(() => of.sessionId)
  for (let n = 0; n < before; n++) retries.next(of.sessionId)
  return retries
}

const mapper = (of: recorded.Recorded, options: Partial<eventMapper.Options> = {}) =>
  eventMapper.make({ sessionId: of.sessionId, thinking: true, since: undefined, retries: count(of), ...options })

const live = (of: recorded.Recorded, options?: Partial<eventMapper.Options>): ReadonlyArray<RunEvent.RunEvent> => {
  const self = mapper(of, options)
  return recorded.own(of).flatMap((event) => self.event(event, now) ?? [])
}

/** What `opencode run` would have printed. */
const printed = (events: ReadonlyArray<RunEvent.RunEvent>) =>
  events.filter((event) => event._tag !== "TextDelta" && event._tag !== "ProviderRetry")

const brief = (event: RunEvent.RunEvent): string => {
  switch (event._tag) {
    case "StepFinish":
      return `finish ${event.reason}`
    case "ToolUse":
      return `${event.tool} ${event.status}`
    case "Text":
    case "Reasoning":
    case "TextDelta":
      return `${event._tag} ${event.text}`
    case "SessionError":
      return `error ${event.name}`
    case "ProviderRetry":
      return `retry ${event.attempt} ${event.kind}`
    default:
      return event._tag
  }
}

const pieces = (text: string, ...deltas: ReadonlyArray<string>) => [
  ...(deltas.length === 0 ? [text] : deltas).map((delta) => `TextDelta ${delta}`),
  `Text ${text}`
]

const hello = ["StepStart", ...pieces("Hello wide world", "Hello ", "wide ", "world"), "finish stop"]

/** A compaction, whose summary has no pieces. */
const summary = hello.filter((said) => !said.startsWith("TextDelta"))

describe("eventMapper", () => {
  it.each([
    ["text", hello],
    ["length", ["StepStart", ...pieces("cut off"), "finish length"]],
    [
      "reasoning",
      ["StepStart", "TextDelta thinking hard", "Reasoning thinking hard", ...pieces("answer"), "finish stop"]
    ],
    [
      "tools",
      [
        "StepStart",
        ...pieces("Let me look."),
        "bash completed",
        "bash completed",
        "bash completed",
        "finish tool-calls",
        "StepStart",
        ...pieces("done"),
        "finish stop"
      ]
    ],
    ["sub-agent", [
      "StepStart",
      "task completed",
      "finish tool-calls",
      "StepStart",
      ...pieces("parent done"),
      "finish stop"
    ]],
    ["ask-reject", ["StepStart", "bash error", "bash error", "finish tool-calls"]],
    [
      "rate-limit",
      ["retry 1 rate-limit", "retry 2 rate-limit", "StepStart", ...pieces("recovered"), "finish stop"]
    ],
    [
      "stream-cut",
      [
        "StepStart",
        "TextDelta partial ",
        "retry 1 provider-unavailable",
        "StepStart",
        "TextDelta partial ",
        "retry 2 provider-unavailable",
        "StepStart",
        ...pieces("whole"),
        "finish stop"
      ]
    ],
    [
      "compaction",
      ["error ContextOverflowError", ...summary, expect.stringContaining("Continue if you have next steps"), ...hello]
    ],
    ["unauthorized", ["error APIError"]],
    ["malformed", ["StepStart", "TextDelta bad", "error UnknownError"]],
    ["unknown-model", ["error UnknownError"]],
    ["unknown-agent", ["error UnknownError"]],
    ["abort", ["StepStart", "TextDelta Sleeping.", "Text Sleeping.", "error MessageAbortedError"]]
  ])("maps the recording %s", (name, expected) => {
    expect(live(recorded.get(name)).map(brief)).toEqual(expected)
  })

  it("returns events in the shape of `opencode run`", () => {
    const of = recorded.get("tools")
    const events = printed(live(of))
    expect(events.map((event) => RunEvent.toWire(event)["type"])).toEqual([
      "step_start",
      "text",
      "tool_use",
      "tool_use",
      "tool_use",
      "step_finish",
      "step_start",
      "text",
      "step_finish"
    ])
    for (const event of events) {
      const line = RunEvent.toWire(event)
      expect(line).toMatchObject({ timestamp: now, sessionID: of.sessionId, part: { sessionID: of.sessionId } })
      expect(RunEvent.fromLine(JSON.stringify(line))).toEqual(event)
    }
    // In the order in which they ended.
    expect(events.flatMap((event) => event._tag === "ToolUse" ? [event.output] : [])).toEqual([
      "(no output)",
      "two\n",
      "one\n"
    ])
  })

  it("has reasoning only when requested", () => {
    expect(live(recorded.get("reasoning"), { thinking: false }).map(brief)).toEqual([
      "StepStart",
      ...pieces("answer"),
      "finish stop"
    ])
  })

  it("reports the first text of an unexpected error, not its stack trace", () => {
    const of = recorded.get("unknown-model")
    const self = mapper(of)
    const events = of.events.flatMap((event) => self.event(event, now) ?? [])
    expect(events).toMatchObject([{ message: "Model not found: fake/nope.", kind: "model-not-found" }])
  })

  it("continues a count of failures started elsewhere", () => {
    const of = recorded.get("rate-limit")
    expect(live(of, { retries: count(of, 4) }).map(brief).slice(0, 2)).toEqual([
      "retry 5 rate-limit",
      "retry 6 rate-limit"
    ])
  })

  it("names the failed model and the session", () => {
    const of = recorded.get("rate-limit")
    expect(live(of)[0]).toMatchObject({ provider: "fake", model: "m1", sessionId: of.sessionId })
  })

  it("counts the failures of a sub-agent separately", () => {
    const of = recorded.get("rate-limit")
    const self = eventMapper.make({ sessionId: "ses_parent", thinking: true, since: undefined, retries: count(of) })
    const told = recorded.own(of).flatMap((event) => self.child(event) ?? [])
    expect(told.slice(0, 2).map(brief)).toEqual(["retry 1 rate-limit", "retry 2 rate-limit"])
    expect(told[0]).toMatchObject({ provider: "fake", model: "m1", sessionId: of.sessionId })
    expect(told.every(({ _tag }) => _tag === "ProviderRetry")).toBe(true)
  })

  it("ignores an earlier prompt", () => {
    const of = recorded.get("text")
    const self = mapper(of, { since: now * 2 })
    expect(of.events.flatMap((event) => self.event(event, now) ?? [])).toEqual([])
    expect(self.repair(of.messages, now)).toEqual([])
    expect(self.turn(of.messages)).toBeUndefined()
  })

  it("reports everything once, even if it arrives twice", () => {
    const of = recorded.get("tools")
    const self = mapper(of)
    const twice = recorded.own(of).flatMap((event) => [event, event]).flatMap((event) => self.event(event, now) ?? [])
    expect(printed(twice)).toEqual(printed(live(of)))
    expect(self.repair(of.messages, now)).toEqual([])
  })
})

/** The messages as the server has them after some of the events. */
const messagesAfter = (events: ReadonlyArray<Event>): ReadonlyArray<Message> => {
  const messages = new Map<string, { info: Message["info"]; parts: Map<string, Message["parts"][number]> }>()
  for (const event of events) {
    if (event.type === "message.updated") {
      const { info } = event.properties
      messages.set(info.id, { info, parts: messages.get(info.id)?.parts ?? new Map() })
    }
    if (event.type === "message.part.updated") {
      const { part } = event.properties
      messages.get(String(part.messageID))?.parts.set(String(part.id), part as Message["parts"][number])
    }
  }
  return [...messages.values()].map(({ info, parts }) => ({ info, parts: [...parts.values()] }))
}

describe("a gap in a server's events", () => {
  // After a failure, the order of the failure and the text before it is lost, and the message has the error last.
  const failing = ["abort", "compaction", "malformed", "unauthorized", "unknown-agent", "unknown-model"]
  const names = recorded.all.map(({ name }) => name)

  it.each(names.filter((name) => !failing.includes(name)))(
    "is filled from the messages at any position: %s",
    (name) => {
      const of = recorded.get(name)
      const events = recorded.own(of)
      const expected = printed(live(of))
      for (let start = 0; start <= events.length; start++) {
        for (let end = start; end <= events.length; end++) {
          const self = mapper(of)
          const heard = [
            ...events.slice(0, start).flatMap((event) => self.event(event, now) ?? []),
            ...self.repair(messagesAfter(events.slice(0, end)), now),
            ...events.slice(end).flatMap((event) => self.event(event, now) ?? [])
          ]
          expect(printed(heard)).toEqual(expected)
        }
      }
    }
  )

  const keyOf = (event: RunEvent.RunEvent): unknown => {
    const { error, part } = RunEvent.toWire(event) as { readonly error?: unknown; readonly part?: { id: string } }
    return part?.id ?? JSON.stringify(error)
  }

  it.prop(
    "loses nothing in a failed run and repeats nothing",
    { name: fc.constantFrom(...names), at: fc.double({ min: 0, max: 1, noNaN: true }) },
    ({ at, name }) => {
      const of = recorded.get(name)
      const events = recorded.own(of)
      const self = mapper(of)
      const heard = printed([
        ...events.slice(0, Math.round(at * events.length)).flatMap((event) => self.event(event, now) ?? []),
        ...self.repair(of.messages, now)
      ]).map(keyOf)
      // Without a message the error cannot be repeated.
      const isKept = of.messages.some(({ info }) => info.error)
      const wanted = printed(live(of)).filter((event) => event._tag !== "SessionError" || isKept).map(keyOf)
      expect(wanted.filter((key) => !heard.includes(key))).toEqual([])
      expect(new Set(heard).size).toBe(heard.length)
    }
  )

  it("is filled with an error that only a message has", () => {
    const of = recorded.get("unauthorized")
    const self = mapper(of)
    expect(self.repair(of.messages, now).map(brief)).toEqual(["error APIError"])
    expect(self.repair(of.messages, now)).toEqual([])
  })
})
