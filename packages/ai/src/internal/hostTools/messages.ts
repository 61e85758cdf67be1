/** The messages of the Model Context Protocol that OpenCode's client exchanges with a server of tools. */
import * as Schema from "effect/Schema"

/** Versions of the protocol that differ in nothing that is used here; the first one is offered to an unknown client. */
const versions = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]

const Id = Schema.Union(Schema.String, Schema.Number)

export type Id = typeof Id.Type

/** A request, or a notification, which has no id. */
export const Message = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  id: Schema.optional(Id),
  method: Schema.String,
  params: Schema.optional(Schema.Unknown)
})

export interface Message extends Schema.Schema.Type<typeof Message> {}

const Meta = Schema.Struct({
  progressToken: Schema.optional(Id),
  /** OpenCode 2 names the session of a call (2.0.14); 1.18.33 does not. */
  "ai.opencode/sessionID": Schema.optional(Schema.String)
})

export const Call = Schema.Struct({
  name: Schema.String,
  arguments: Schema.optional(Schema.NullOr(Schema.Record({ key: Schema.String, value: Schema.Unknown }))),
  _meta: Schema.optional(Meta)
})

export interface Call extends Schema.Schema.Type<typeof Call> {}

export const Cancelled = Schema.Struct({ requestId: Id })

const Initialize = Schema.Struct({ protocolVersion: Schema.String })

const isInitialize = Schema.is(Initialize)

type Wire = { readonly [key: string]: unknown }

export const result = (id: Id, value: Wire): Wire => ({ jsonrpc: "2.0", id, result: value })

export const failure = (id: Id | null, code: number, message: string): Wire => ({
  jsonrpc: "2.0",
  id,
  error: { code, message }
})

export const codes = { parse: -32700, request: -32600, method: -32601, params: -32602 } as const

export const initialized = (id: Id, name: string, params: unknown): Wire =>
  result(id, {
    protocolVersion: isInitialize(params) && versions.includes(params.protocolVersion)
      ? params.protocolVersion
      : versions[0],
    capabilities: { tools: {} },
    serverInfo: { name, version: "1" }
  })

/** Resets the time limit of the client's request. */
export const progress = (progressToken: Id, count: number): Wire => ({
  jsonrpc: "2.0",
  method: "notifications/progress",
  params: { progressToken, progress: count }
})

const encoder = new TextEncoder()

/** An event of a stream. */
export const event = (message: Wire): Uint8Array =>
  encoder.encode(`event: message\ndata: ${JSON.stringify(message)}\n\n`)

/** Keeps a stream alive whose client has not asked for progress. */
export const comment: Uint8Array = encoder.encode(": working\n\n")
