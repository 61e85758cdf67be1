import { describe, expect, it } from "@effect/vitest"
import type { RunEvent } from "effect-opencode"
import { RunResult } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as retryCount from "../../src/internal/opencode/retryCount.js"
import * as eventMapper from "../../src/internal/transport/server/eventMapper.js"
import * as protocol from "../../src/internal/transport/server/protocol.js"
import * as arbitraries from "../support/arbitraries.js"
import * as recorded from "./recorded.js"

type Path = ReadonlyArray<string>

const isObject = (u: unknown): u is RunEvent.WireObject => typeof u === "object" && u !== null && !Array.isArray(u)

const pathsOf = (value: unknown): ReadonlyArray<Path> =>
  isObject(value)
    ? Object.entries(value).flatMap(([name, item]) => [[name], ...pathsOf(item).map((path) => [name, ...path])])
    : []

const replaced = (value: RunEvent.WireObject, [name, ...rest]: Path, by: unknown): RunEvent.WireObject => {
  const inner = value[name!]
  return { ...value, [name!]: rest.length === 0 || !isObject(inner) ? by : replaced(inner, rest, by) }
}

const run = (events: ReadonlyArray<protocol.Event>, sessionId: string): ReadonlyArray<RunEvent.RunEvent> => {
  const { event } = eventMapper.make({
    sessionId,
    thinking: true,
    since: undefined,
    retries: retryCount.make(() => sessionId)
  })
  return events.flatMap((heard) => event(heard, 0) ?? [])
}

const textOf = (events: ReadonlyArray<RunEvent.RunEvent>): string => RunResult.fold(events).text

/** Fields that the event cannot do without: with another value it belongs to another session or part, or is invalid. */
const needed: { readonly [type: string]: RegExp } = {
  "message.updated": /^properties(\.info(\.(id|role|error|sessionID|time(\.created)?))?)?$/,
  "message.part.updated":
    /^properties(\.part(\.(type|id|messageID|sessionID|text|state|state\.status|time|time\.end))?)?$/,
  "session.status": /^properties(\.sessionID|\.status(\.(type|attempt|next|message))?)?$/,
  "session.error": /^properties(\.sessionID|\.error.*)?$/,
  "message.part.delta": /^properties/,
  "permission.asked": /^properties/,
  "permission.replied": /^properties/
}

const places = recorded.all.flatMap((recording) =>
  recorded.own(recording).flatMap((event, index) =>
    pathsOf({ properties: event.properties }).filter((path) =>
      needed[event.type]?.test(path.join(".")) !== true && !event.type.startsWith("session.up") &&
      !event.type.startsWith("session.cr")
    ).map((path) => ({ recording, index, path }))
  )
)

describe("one odd field in a server's event", () => {
  it.prop(
    "changes neither the events of the run nor their order",
    { place: fc.constantFrom(...places), value: arbitraries.json },
    ({ place: { index, path, recording }, value }) => {
      const events = recorded.own(recording)
      const before = run(events, recording.sessionId)
      const odd = protocol.toEvent(replaced(events[index] as unknown as RunEvent.WireObject, path, value))
      expect([path.join("."), odd?.type]).toEqual([path.join("."), events[index]!.type])
      const after = run(events.map((event, at) => at === index ? odd! : event), recording.sessionId)
      expect(after.map(({ _tag }) => _tag)).toEqual(before.map(({ _tag }) => _tag))
      expect(textOf(after)).toBe(textOf(before))
    },
    { fastCheck: { numRuns: 500 } }
  )

  const ses = "ses_1"
  const user = { type: "message.updated", properties: { info: { id: "m0", sessionID: ses, role: "user" } } }
  const heard = (...payloads: ReadonlyArray<RunEvent.WireObject>) =>
    run([user, ...payloads].map((payload) => protocol.toEvent(payload)!), ses)
  const part = (part: object) => ({
    type: "message.part.updated",
    properties: { sessionID: ses, part: { id: "p1", messageID: "m1", sessionID: ses, ...part } }
  })

  it("does not hide a text with an unreadable time", () => {
    for (const time of ["now", 5, { start: "x", end: "soon" }, { start: {}, end: "12" }]) {
      expect(heard(part({ type: "text", text: "hello", time }))).toMatchObject([{ _tag: "Text", text: "hello" }])
    }
    expect(heard(part({ type: "text", text: "", time: { start: 1 } }))).toEqual([])
    expect(heard(part({ type: "text", text: "", time: "now" }))).toEqual([])
  })

  it("does not hide or repeat a part without a readable id or message", () => {
    const odd = part({ id: 5, messageID: {}, type: "text", text: "hello", time: { start: 1, end: 2 } })
    expect(heard(odd, odd)).toMatchObject([{ _tag: "Text", text: "hello" }])
  })

  it("does not hide the session of a part, which the event has too", () => {
    expect(heard(part({ sessionID: 5, type: "text", text: "hello", time: { start: 1, end: 2 } })))
      .toMatchObject([{ _tag: "Text", text: "hello", sessionId: ses }])
  })

  it("does not hide an error of any shape", () => {
    for (const error of ["boom", null, ["boom"], { name: 5, data: "boom" }]) {
      expect(heard({ type: "session.error", properties: { sessionID: ses, error } }))
        .toMatchObject([{ _tag: "SessionError" }])
      const { repair } = eventMapper.make({
        sessionId: ses,
        thinking: false,
        since: undefined,
        retries: retryCount.make(() => ses)
      })
      const messages = [
        { info: { id: "m0", sessionID: ses, role: "user" }, parts: [] },
        { info: { id: "m1", sessionID: ses, role: "assistant", error }, parts: [] }
      ].map((message) => protocol.toMessage(message)!)
      expect(repair(messages, 0).map(({ _tag }) => _tag)).toEqual(error === null ? [] : ["SessionError"])
    }
  })

  it("loses no other message of a list", () => {
    const message = protocol.toMessage({
      info: { id: "m1", sessionID: ses, role: "assistant", cost: "0.5", finish: 5, time: { completed: "17" } },
      parts: [5, { type: 5 }, { type: "text", text: "hello" }]
    })
    expect(message).toMatchObject({
      info: { id: "m1", cost: 0.5, finish: undefined, time: { completed: 17 } },
      parts: [{ type: "text", text: "hello" }]
    })
    expect(protocol.toMessage(5)).toBeUndefined()
    expect(protocol.toStatus({ type: 5 })).toEqual({ type: "unknown" })
    expect(protocol.toStatus({ type: "retry", attempt: "2", message: {} }))
      .toEqual({ type: "retry", attempt: 2, message: undefined })
  })
})
