import { describe, expect, it } from "@effect/vitest"
import { Version } from "effect-opencode"
import * as dialects from "../../src/internal/opencode/dialects.js"
import type { Happening } from "../../src/internal/opencode/privateServer.js"
import * as retryCount from "../../src/internal/opencode/retryCount.js"
import * as fixtures from "../support/contractFixtures.js"

const server = dialects.forVersion(Version.make(2, 0, 14))!.privateServer!

type Wire = { readonly [name: string]: unknown }

interface Frame extends Wire {
  readonly type: string
  readonly data: Wire
}

const isFrame = (u: unknown): u is Frame => typeof u === "object" && u !== null && "type" in u && "data" in u

/** Every recorded list of events, with the session that it is about. */
const recorded = Object.entries(fixtures.all("2.0.14")).flatMap(([scenario, { observed }]) =>
  Object.entries(observed).flatMap(([name, value]) => {
    const frames = Array.isArray(value) ? value.filter(isFrame) : []
    const session = frames.map(({ data }) => data["sessionID"]).find((id) => typeof id === "string")
    return frames.length === 0 || typeof session !== "string"
      ? []
      : [{ name: `${scenario}, ${name}`, frames, session }]
  })
)

const happenings = (session: string, frames: ReadonlyArray<Frame>) => {
  const mapper = server.mapper({
    sessionId: session,
    thinking: true,
    retries: retryCount.make(() => session),
    isClosing: () => false
  })
  return frames.map((frame): { readonly unreadable: boolean } & Happening => {
    const received = server.receive(JSON.stringify(frame))
    return received._tag === "Event"
      ? { unreadable: false, ...mapper.event(received.event, 1) }
      : { unreadable: received._tag === "Unreadable", says: [], signals: [] }
  })
}

/** What a change did: it was reported by its name, asked for another look, or changed what a run emits. */
const consequence = (session: string, frames: ReadonlyArray<Frame>, at: number, changed: Frame) => {
  const before = happenings(session, frames)
  const after = happenings(session, frames.map((frame, index) => index === at ? changed : frame))
  const unexpected = after.flatMap(({ signals }) => signals.filter((signal) => signal._tag === "Unexpected"))
  if (unexpected.length > 0) return unexpected.map((signal) => signal._tag === "Unexpected" ? signal.shape : "")[0]!
  if (after.some(({ unreadable }) => unreadable)) return "unreadable"
  const text = (all: typeof before) => JSON.stringify(all.map(({ says, signals }) => ({ says, signals })))
  return text(before) === text(after) ? "nothing" : "another result"
}

/** Fields whose loss a run shows, and outlives: the words of a tool's call, the model, the time of a retry, the call that asks. */
const shown = new Set([
  "session.tool.called.input",
  "session.tool.success.metadata",
  "session.tool.failed.metadata",
  // It names a sub-agent early; the success of the call must name it, too.
  "session.tool.progress.metadata",
  "session.step.started.model",
  "permission.asked.source",
  "session.step.failed.tokens",
  "session.step.failed.cost",
  "session.retry.scheduled.at",
  "session.execution.interrupted.reason"
])

const fieldsOf = function*(change: (value: unknown) => unknown) {
  for (const { frames, session } of recorded) {
    for (const [at, frame] of frames.entries()) {
      for (const field of Object.keys(frame.data)) {
        const value = change(frame.data[field])
        const data = Object.fromEntries(
          Object.entries(frame.data).flatMap(([name, one]) =>
            name !== field ? [[name, one]] : value === undefined ? [] : [[name, value]]
          )
        )
        yield {
          field: `${frame.type}.${field}`,
          result: consequence(session, frames, at, { ...frame, data })
        }
      }
    }
  }
}

const silent = (change: (value: unknown) => unknown): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const { field, result } of fieldsOf(change)) {
    if (result === "another result" && !shown.has(field)) found.add(field)
  }
  return [...found].sort()
}

describe("what a 2.x server sends", () => {
  it("was recorded with every event that a run needs", () => {
    const types = new Set(recorded.flatMap(({ frames }) => frames.map(({ type }) => type)))
    for (
      const type of [
        "session.step.ended",
        "session.step.failed",
        "session.text.ended",
        "session.reasoning.ended",
        "session.tool.success",
        "session.tool.failed",
        "session.retry.scheduled",
        "session.execution.succeeded",
        "session.execution.failed",
        "session.execution.interrupted",
        "permission.asked",
        "permission.replied",
        "form.created"
      ]
    ) {
      expect(types).toContain(type)
    }
  })

  it("is as expected in every recording", () => {
    for (const { frames, name, session } of recorded) {
      const all = happenings(session, frames)
      const unexpected = all.flatMap(({ signals }) => signals.filter(({ _tag }) => _tag === "Unexpected"))
      expect({ name, unexpected, unreadable: all.filter(({ unreadable }) => unreadable).length })
        .toEqual({ name, unexpected: [], unreadable: 0 })
    }
  })

  it("changes no result silently when a field is missing", () => {
    expect(silent(() => undefined)).toEqual([])
  })

  it("changes no result silently when a field is of another kind", () => {
    expect(silent((value) => typeof value === "string" ? { value } : "another kind")).toEqual([])
  })

  it("is reported by the name of its event and its field", () => {
    const text = recorded.find(({ name }) => name === "text, events")!
    const at = text.frames.findIndex(({ type }) => type === "session.text.ended")
    const { data, ...frame } = text.frames[at]!
    const { text: _, ...rest } = data
    expect(consequence(text.session, text.frames, at, { ...frame, type: frame["type"] as string, data: rest }))
      .toBe("session.text.ended: text")
  })

  it("is looked at again when it ends in an unknown way", () => {
    expect(server.receive(JSON.stringify({ type: "session.execution.completed", data: { sessionID: "ses_1" } }))._tag)
      .toBe("Unreadable")
    expect(server.receive(JSON.stringify({ type: "session.nonesuch", data: { sessionID: "ses_1" } }))._tag)
      .toBe("Ignored")
  })

  const page = fixtures.all("2.0.14")["text"]!.observed["messages"] as { readonly body: unknown }

  const messages = () => server.replies.messages(page.body)!.messages

  const repaired = (all: ReadonlyArray<Wire>) =>
    server.mapper({
      sessionId: "ses_1",
      thinking: true,
      retries: retryCount.make(() => "ses_1"),
      isClosing: () => false
    })
      .repair([...all].reverse(), 1)

  it("is as expected in messages, and reported by its name if not", () => {
    expect(repaired(messages()).signals).toEqual([{ _tag: "Model", model: "fake/m1" }, { _tag: "Ended" }])
    const changed = (type: string, change: Wire) =>
      repaired(messages().map((message) => message["type"] === type ? { ...message, ...change } : message)).signals
    for (
      const [type, change, shape] of [
        ["idle", { outcome: "done" }, "message idle: outcome"],
        ["assistant", { content: "text" }, "message assistant: content"],
        ["assistant", { content: [{ type: "text", value: "x" }] }, "message assistant: content.text.text"],
        ["assistant", { content: [{ type: "tool", id: "1", name: "x" }] }, "message assistant: content.tool.state"],
        ["assistant", { tokens: 3 }, "message assistant: tokens"],
        ["assistant", { finish: 1 }, "message assistant: finish"],
        ["assistant", { error: "x" }, "message assistant: error"]
      ] as const
    ) {
      expect(changed(type, change)).toEqual([{ _tag: "Unexpected", shape }])
    }
  })

  it("is a failure if a session has failed without a message about it", () => {
    const { says } = repaired([{ type: "idle", outcome: "failed" }])
    expect(says.map(({ _tag }) => _tag)).toEqual(["SessionError"])
  })

  it("does not read as a list of agents if a rule cannot be read", () => {
    const agent = (permissions: unknown) => ({ data: [{ id: "build", mode: "primary", permissions }] })
    expect(server.replies.agents(agent([{ action: "*", resource: "*", effect: "allow" }]))).toHaveLength(1)
    expect(server.replies.agents(agent([{ action: "*", resource: "*", effect: "maybe" }]))).toBeUndefined()
    expect(server.replies.agents(agent(undefined))).toBeUndefined()
  })
})
