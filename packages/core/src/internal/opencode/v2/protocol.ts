/** The events of a private server (2.0.14). */
import { isObject, number, string } from "../../util/object.js"
import type { Event, Received } from "../privateServer.js"

/** The types that the mapper reads. Every other type is ignored. */
const known: ReadonlySet<unknown> = new Set([
  "session.created",
  "session.execution.started",
  "session.execution.succeeded",
  "session.execution.failed",
  "session.execution.interrupted",
  "session.step.started",
  "session.step.ended",
  "session.step.failed",
  "session.retry.scheduled",
  "session.text.started",
  "session.text.delta",
  "session.text.ended",
  "session.reasoning.started",
  "session.reasoning.delta",
  "session.reasoning.ended",
  "session.tool.input.started",
  "session.tool.input.delta",
  "session.tool.called",
  "session.tool.progress",
  "session.tool.success",
  "session.tool.failed",
  "permission.asked",
  "permission.replied",
  "form.created"
])

const connected: Received = { _tag: "Connected" }
const ignored: Received = { _tag: "Ignored" }
const unreadable: Received = { _tag: "Unreadable" }

const read = (u: unknown): Event | undefined => {
  if (!isObject(u)) return undefined
  const type = string(u["type"])
  const data = u["data"]
  if (type === undefined || !isObject(data)) return undefined
  const sessionId = string(data["sessionID"]) ??
    (isObject(data["form"]) ? string(data["form"]["sessionID"]) : undefined)
  return sessionId === undefined
    ? undefined
    : { type, sessionId, parentId: string(data["parentID"]), created: number(u["created"]), data }
}

/** Reads a frame of `GET /api/event`; total. */
export const receive = (frame: string): Received => {
  let parsed: unknown
  try {
    parsed = JSON.parse(frame)
  } catch {
    return unreadable
  }
  const type = isObject(parsed) ? parsed["type"] : undefined
  if (type === "server.connected") return connected
  if (type === undefined) return unreadable
  // It may be the only sign of the end.
  if (!known.has(type)) return String(type).startsWith("session.execution.") ? unreadable : ignored
  const event = read(parsed)
  return event === undefined ? unreadable : { _tag: "Event", event }
}
