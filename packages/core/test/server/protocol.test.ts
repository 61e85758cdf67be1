import { describe, expect, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { readFileSync } from "node:fs"
import * as protocol from "../../src/internal/transport/server/protocol.js"
import * as sse from "../../src/internal/transport/server/sse.js"

const recorded = sse.make().push(
  new Uint8Array(readFileSync(new URL("../fixtures/server/1.18.33/permission.sse", import.meta.url)))
).filter((frame) => typeof frame === "string")

const payloadOf = (frame: string): { readonly type: string } => JSON.parse(frame).payload

const received = (payload: unknown) => protocol.receive(JSON.stringify({ directory: "/workspace", payload }))

const info = { id: "msg_1", sessionID: "ses_1", role: "assistant" }
const part = { id: "prt_1", sessionID: "ses_1", messageID: "msg_1", type: "text" }

const samples: { readonly [type: string]: { readonly [key: string]: unknown } } = {
  "session.created": { info: { id: "ses_1", parentID: "ses_0" } },
  "session.updated": { info: { id: "ses_1", parentID: null } },
  "session.deleted": { info: { id: "ses_1" } },
  "session.status": { sessionID: "ses_1", status: { type: "retry", attempt: 1, message: "slow down", next: 17 } },
  "session.idle": { sessionID: "ses_1" },
  "session.error": { sessionID: "ses_1", error: { name: "APIError", data: {} } },
  "session.compacted": { sessionID: "ses_1" },
  "message.updated": { info },
  "message.part.updated": { part },
  "message.part.delta": { sessionID: "ses_1", messageID: "msg_1", partID: "prt_1", field: "text", delta: "a" },
  "permission.asked": { id: "per_1", sessionID: "ses_1", permission: "bash", patterns: ["ls"], metadata: {} },
  "permission.replied": { sessionID: "ses_1", requestID: "per_1", reply: "once" },
  "question.asked": { id: "que_1", sessionID: "ses_1", questions: [] }
}

describe("protocol", () => {
  it("reads the events of the real server, each once", () => {
    const counts = new Map<string, number>()
    for (const frame of recorded) {
      const result = protocol.receive(frame)
      expect(result._tag).not.toBe("Unreadable")
      if (result._tag === "Event") {
        counts.set(result.event.type, (counts.get(result.event.type) ?? 0) + 1)
        expect(result.event).toEqual(payloadOf(frame))
      }
    }
    expect(Object.fromEntries(counts)).toEqual({
      "session.created": 2,
      "session.updated": 6,
      "session.status": 6,
      "session.idle": 1,
      "message.updated": 13,
      "message.part.updated": 19,
      "message.part.delta": 1,
      "permission.asked": 1,
      "permission.replied": 1
    })
    expect(recorded.filter((frame) => protocol.receive(frame)._tag === "Connected").length).toBe(1)
    expect(recorded.filter(protocol.isSync).length).toBe(40)
    expect(recorded.filter(protocol.isSync)).toEqual(recorded.filter((frame) => payloadOf(frame).type === "sync"))
  })

  for (const [type, properties] of Object.entries(samples)) {
    it(`${type}: is returned as the received object, whatever else it contains, with its session`, () => {
      const payload = { id: "evt_1", type, properties: { ...properties, novel: [1] }, more: true }
      const event = protocol.toEvent(payload)
      expect(event).toBe(payload)
      expect(protocol.sessionOf(event!)).toBe("ses_1")
    })

    it(`${type}: is unreadable in another shape`, () => {
      for (const other of [{}, null, [], "x", { sessionID: 1, info: 1, part: 1, id: 1 }]) {
        expect(protocol.toEvent({ type, properties: other })).toBeUndefined()
        expect(received({ type, properties: other })).toEqual({ _tag: "Unreadable" })
      }
    })
  }

  it("ignores unknown types", () => {
    for (const type of ["plugin.added", "server.heartbeat", "global.disposed", "constructor", "__proto__", 7]) {
      expect(received({ type, properties: {} })).toEqual({ _tag: "Ignored" })
    }
  })

  it("cannot read anything but events", () => {
    for (const frame of ["", "{", "[]", "null", "7", "{}", "{\"payload\":1}"]) {
      expect(protocol.receive(frame)).toEqual({ _tag: "Unreadable" })
    }
  })

  it.prop("never throws", { text: fc.oneof(fc.string(), fc.json()) }, ({ text }) => {
    expect(["Connected", "Event", "Ignored", "Unreadable"]).toContain(protocol.receive(text)._tag)
  })

  it.prop("recognises duplicates and nothing else", {
    directory: fc.oneof(fc.string(), fc.constant("\"payload\":{\"type\":\"sync\""), fc.constant("/a/payload\":")),
    type: fc.constantFrom("sync", "message.part.updated", "synced"),
    content: fc.oneof(
      fc.jsonValue(),
      fc.constant({ payload: { type: "sync" } }),
      fc.constant("\"payload\":{\"type\":\"sync\",")
    )
  }, ({ content, directory, type }) => {
    const frame = JSON.stringify({ directory, project: directory, payload: { type, properties: content } })
    expect(protocol.isSync(frame)).toBe(type === "sync")
    const later = JSON.stringify({ directory, payload: { id: "evt_1", type: "x", properties: content } })
    expect(protocol.isSync(later)).toBe(false)
  }, { fastCheck: { numRuns: 500 } })
})
