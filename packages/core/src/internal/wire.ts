import * as Schema from "effect/Schema"
import * as guard from "./guard.js"

/** A JSON object as OpenCode printed it, or as we would print it. */
export type WireObject = { readonly [key: string]: unknown }

export const isObject = (u: unknown): u is WireObject => typeof u === "object" && u !== null && !Array.isArray(u)

/**
 * Lean Schemas: they check exactly what the library reads, so that a field that OpenCode adds, renames or drops
 * elsewhere costs nothing. A guard never copies, the wire object itself is handed on. A field can be missing or null.
 */
const nullish = <A>(schema: Schema.Schema<A>) => Schema.optional(Schema.NullOr(schema))

const OptionalString = nullish(Schema.String)
const OptionalNumber = nullish(Schema.Number)
const OptionalBoolean = nullish(Schema.Boolean)

const Tokens = Schema.Struct({
  total: OptionalNumber,
  input: OptionalNumber,
  output: OptionalNumber,
  reasoning: OptionalNumber,
  cache: nullish(Schema.Struct({ read: OptionalNumber, write: OptionalNumber }))
})

const Time = Schema.Struct({ start: OptionalNumber, end: OptionalNumber })

export const isStepStart = guard.make(Schema.Struct({
  part: Schema.Struct({ messageID: OptionalString, snapshot: OptionalString })
}))

export const isText = guard.make(Schema.Struct({
  part: Schema.Struct({ text: Schema.String, messageID: OptionalString, time: nullish(Time) })
}))

const StepFinishFields = Schema.Struct({
  reason: OptionalString,
  cost: OptionalNumber,
  tokens: nullish(Tokens),
  messageID: OptionalString,
  snapshot: OptionalString
})
export type StepFinishFields = typeof StepFinishFields.Type
export const isStepFinish = guard.make(StepFinishFields)

export const isToolUse = guard.make(Schema.Struct({
  part: Schema.Struct({
    tool: Schema.String,
    callID: OptionalString,
    id: OptionalString,
    messageID: OptionalString,
    state: Schema.Struct({
      status: Schema.Literal("completed", "error"),
      output: OptionalString,
      error: OptionalString,
      title: OptionalString,
      time: nullish(Time)
    })
  })
}))

const ErrorData = Schema.Struct({
  message: OptionalString,
  statusCode: OptionalNumber,
  isRetryable: OptionalBoolean,
  responseBody: OptionalString,
  ref: OptionalString
})

/** `name` and `data` on 1.x; `type` and `message` on the error object itself on 2.x. */
export const isError = guard.make(Schema.Struct({
  error: Schema.Struct({
    name: OptionalString,
    type: OptionalString,
    message: OptionalString,
    data: nullish(ErrorData)
  })
}))
