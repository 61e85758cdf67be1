import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as privateServer from "../../opencode/privateServer.js"
import type { WireObject } from "../../util/object.js"
import { isNullish, isObject, number, string } from "../../util/object.js"
import * as schemas from "../../util/schemas.js"

/**
 * The replies and events of `opencode serve` (1.18.33). The Schemas check only what the library reads, and `Schema.is`
 * passes on the object itself, so that other fields can be added, renamed or removed and remain available. An optional
 * field of unexpected form is dropped, alone, from a copy before the check.
 */
const nullish = <A>(is: (u: unknown) => u is A) =>
  schemas.optionalKey(Schema.declare((u): u is A | null | undefined => u === null || u === undefined || is(u)))

const OptionalString = nullish(Predicate.isString)
const OptionalNumber = nullish(Predicate.isNumber)

const isStrings = (u: unknown): u is ReadonlyArray<string> => Array.isArray(u) && u.every(Predicate.isString)

const Tokens = Schema.Struct({
  input: OptionalNumber,
  output: OptionalNumber,
  reasoning: OptionalNumber,
  cache: nullish(Schema.is(Schema.Struct({ read: OptionalNumber, write: OptionalNumber })))
})

/** A rule of a session; the last matching rule decides. */
export interface Rule {
  readonly permission: string
  readonly pattern: string
  readonly action: "allow" | "deny" | "ask"
}

export const Session = Schema.Struct({
  id: Schema.String,
  parentID: OptionalString,
  directory: OptionalString,
  title: OptionalString,
  version: OptionalString,
  cost: OptionalNumber,
  tokens: nullish(Schema.is(Tokens))
})
export type Session = typeof Session.Type

/** The metadata of a message; `error` is OpenCode's error object. */
export const MessageInfo = Schema.Struct({
  id: Schema.String,
  sessionID: Schema.String,
  role: Schema.String,
  parentID: OptionalString,
  agent: OptionalString,
  providerID: OptionalString,
  modelID: OptionalString,
  cost: OptionalNumber,
  tokens: nullish(Schema.is(Tokens)),
  finish: OptionalString,
  /** OpenCode's error object, of any shape. */
  error: Schema.optional(Schema.Unknown),
  time: nullish(Schema.is(Schema.Struct({ created: OptionalNumber, completed: OptionalNumber })))
})
export type MessageInfo = typeof MessageInfo.Type

/** A part of a message; the fields of each `type` are read from the object itself. */
export const Part = Schema.Struct({
  type: Schema.String,
  id: Schema.optional(Schema.Unknown),
  messageID: Schema.optional(Schema.Unknown)
})
export type Part = typeof Part.Type & WireObject

/** A message with its parts, as `GET /session/:id/message` lists them. */
export interface Message {
  readonly info: MessageInfo
  readonly parts: ReadonlyArray<Part>
}

/** The status of a session; `idle` if it does nothing. `next` is the time of the next attempt, in milliseconds. */
export const Status = Schema.Struct({
  type: Schema.String,
  attempt: OptionalNumber,
  message: OptionalString,
  next: OptionalNumber
})
export type Status = typeof Status.Type

export const PermissionRequest = Schema.Struct({
  id: Schema.String,
  sessionID: Schema.String,
  permission: Schema.String,
  patterns: nullish(isStrings),
  metadata: nullish(isObject),
  tool: nullish(Schema.is(Schema.Struct({ messageID: OptionalString, callID: OptionalString })))
})
export type PermissionRequest = typeof PermissionRequest.Type

/** A request in the form that both majors share. */
export const toRequest = (request: PermissionRequest): privateServer.PermissionRequest => ({
  id: request.id,
  sessionId: request.sessionID,
  permission: request.permission,
  patterns: request.patterns ?? [],
  callId: request.tool?.callID ?? undefined,
  metadata: request.metadata ?? undefined
})

export const Question = Schema.Struct({ id: Schema.String, sessionID: Schema.String })
export type Question = typeof Question.Type & WireObject

export const Agent = Schema.Struct({ name: Schema.String, mode: OptionalString })
export type Agent = typeof Agent.Type & WireObject

const ofSession = { sessionID: Schema.String }

const event = <Type extends string, Fields extends Schema.Struct.Fields>(type: Type, properties: Fields) =>
  Schema.Struct({ type: Schema.Literal(type), properties: Schema.Struct(properties) })

const events = [
  event("session.created", { info: Session }),
  event("session.updated", { info: Session }),
  event("session.deleted", { info: Session }),
  event("session.status", { ...ofSession, status: Status }),
  event("session.idle", ofSession),
  event("session.error", { ...ofSession, error: Schema.Unknown }),
  event("session.compacted", ofSession),
  event("message.updated", { info: MessageInfo }),
  event("message.part.updated", { part: Schema.Struct({ ...ofSession, ...Part.fields }) }),
  event("message.part.delta", {
    ...ofSession,
    messageID: Schema.String,
    partID: Schema.String,
    field: Schema.String,
    delta: Schema.String
  }),
  event("permission.asked", PermissionRequest.fields),
  event("permission.replied", { ...ofSession, requestID: Schema.String, reply: Schema.String }),
  event("question.asked", Question.fields)
] as const

/** The events that the library reads, by `type`. Every other type is ignored. */
export type Event = typeof events[number]["Type"]

// A Map, because an object literal would match "constructor" and "__proto__".
const known = new Map<unknown, (u: unknown) => u is Event>(
  events.map((schema) => [schema.fields.type.literals[0], Schema.is(schema as Schema.Schema<Event>)])
)

/** Reads an optional field; `undefined` drops it. */
type Side = (u: unknown) => unknown

/** Returns a copy with the optional fields as read, if one of them has an unexpected form. */
const tidy = (sides: { readonly [name: string]: Side }) => (u: unknown): unknown => {
  if (!isObject(u)) return u
  let copy: { [name: string]: unknown } | undefined
  for (const [name, side] of Object.entries(sides)) {
    const value = u[name]
    if (isNullish(value)) continue
    const read = side(value)
    if (read === value) continue
    copy ??= { ...u }
    copy[name] = read
  }
  return copy ?? u
}

const inner = (sides: { readonly [name: string]: Side }): Side => {
  const read = tidy(sides)
  return (u) => isObject(u) ? read(u) : undefined
}

const object: Side = (u) => isObject(u) ? u : undefined

const tokens = inner({
  input: number,
  output: number,
  reasoning: number,
  cache: inner({ read: number, write: number })
})

const session = tidy({ parentID: string, directory: string, title: string, version: string, cost: number, tokens })

const info = tidy({
  parentID: string,
  agent: string,
  providerID: string,
  modelID: string,
  cost: number,
  tokens,
  finish: string,
  time: inner({ created: number, completed: number })
})

const status = tidy({ attempt: number, message: string, next: number })

const permission = tidy({ metadata: object, tool: inner({ messageID: string, callID: string }) })

/** The session is inside the event's object and also next to it. */
const inSession = (name: string, read: (u: unknown) => unknown) => (properties: WireObject): WireObject => {
  const given = properties[name]
  if (!isObject(given)) return properties
  const value = read(typeof given["sessionID"] === "string" ? given : { ...given, sessionID: properties["sessionID"] })
  return value === given ? properties : { ...properties, [name]: value }
}

const tidied = new Map<unknown, (properties: WireObject) => unknown>([
  ["session.created", tidy({ info: session })],
  ["session.updated", tidy({ info: session })],
  ["session.deleted", tidy({ info: session })],
  ["session.status", tidy({ status })],
  ["message.updated", inSession("info", info)],
  ["message.part.updated", inSession("part", (part) => part)],
  ["permission.asked", permission]
])

/** Reads the event in a payload; `undefined` if its type is not read here or a required field is unreadable. */
export const toEvent = (payload: WireObject): Event | undefined => {
  const is = known.get(payload["type"])
  const properties = payload["properties"]
  if (is === undefined || !isObject(properties)) return undefined
  const clean = tidied.get(payload["type"])?.(properties) ?? properties
  const event = clean === properties ? payload : { ...payload, properties: clean }
  return is(event) ? event : undefined
}

const isInfo = Schema.is(MessageInfo)
const isStatus = Schema.is(Status)

/** Reads a message of a list; parts without a type are dropped. */
export const toMessage = (u: unknown): Message | undefined => {
  if (!isObject(u) || !isObject(u["info"])) return undefined
  const own = info({
    ...u["info"],
    id: string(u["info"]["id"]) ?? "",
    sessionID: string(u["info"]["sessionID"]) ?? "",
    role: string(u["info"]["role"]) ?? "unknown"
  })
  const parts = Array.isArray(u["parts"]) ? u["parts"].filter(Schema.is(Part) as (u: unknown) => u is Part) : []
  return isInfo(own) ? { info: own, parts } : undefined
}

/** Reads a status. An unreadable one must not count as `idle`. */
export const toStatus = (u: unknown): Status => {
  const read = status(u)
  return isStatus(read) ? read : { type: "unknown" }
}

/** The session of an event. */
export const sessionOf = ({ properties, type }: Event): string => {
  switch (type) {
    case "session.created":
    case "session.updated":
    case "session.deleted":
      return properties.info.id
    case "message.updated":
      return properties.info.sessionID
    case "message.part.updated":
      return properties.part.sessionID
    default:
      return properties.sessionID
  }
}

/** The content of a frame of `/global/event`. */
export type Received =
  | { readonly _tag: "Connected" }
  | { readonly _tag: "Event"; readonly event: Event }
  | { readonly _tag: "Ignored" }
  | { readonly _tag: "Unreadable" }

const connected: Received = { _tag: "Connected" }
const ignored: Received = { _tag: "Ignored" }
const unreadable: Received = { _tag: "Unreadable" }

const payloadKey = "\"payload\":"

/**
 * True for the second copy of a session's event, which has the type `sync`. Only the names of the directory and the
 * project, in which quotes are escaped, come before the payload, so no parsing is needed.
 */
export const isSync = (frame: string): boolean => {
  const at = frame.indexOf(payloadKey)
  return at !== -1 && frame.startsWith("{\"type\":\"sync\"", at + payloadKey.length)
}

/** Reads a frame of `/global/event`; total. */
export const receive = (frame: string): Received => {
  if (isSync(frame)) return ignored
  let parsed: unknown
  try {
    parsed = JSON.parse(frame)
  } catch {
    return unreadable
  }
  const payload = isObject(parsed) ? parsed["payload"] : undefined
  if (!isObject(payload)) return unreadable
  if (payload["type"] === "server.connected") return connected
  const event = toEvent(payload)
  if (event !== undefined) return { _tag: "Event", event }
  return known.has(payload["type"]) ? unreadable : ignored
}
