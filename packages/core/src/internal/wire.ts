import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

/** A JSON object as OpenCode printed it, or as we would print it. */
export type WireObject = { readonly [key: string]: unknown }

export const isObject = (u: unknown): u is WireObject => typeof u === "object" && u !== null && !Array.isArray(u)

/**
 * Lean Schemas: they check exactly what the library reads, so that a field that OpenCode adds, renames or drops
 * elsewhere costs nothing. `Schema.is` never copies, the wire object itself is handed on. A field can be missing or
 * null; saying so by a declared guard costs a tenth of a union with `Null` and `Undefined`.
 */
const nullish = <A>(is: (u: unknown) => u is A) =>
  Schema.optionalWith(Schema.declare((u): u is A | null | undefined => u === null || u === undefined || is(u)), {
    exact: true
  })

const OptionalString = nullish(Predicate.isString)
const OptionalNumber = nullish(Predicate.isNumber)
const OptionalBoolean = nullish(Predicate.isBoolean)

const Tokens = Schema.Struct({
  total: OptionalNumber,
  input: OptionalNumber,
  output: OptionalNumber,
  reasoning: OptionalNumber,
  cache: nullish(Schema.is(Schema.Struct({ read: OptionalNumber, write: OptionalNumber })))
})

const Time = Schema.Struct({ start: OptionalNumber, end: OptionalNumber })

export const isStepStart = Schema.is(Schema.Struct({
  part: Schema.Struct({ messageID: OptionalString, snapshot: OptionalString })
}))

export const isText = Schema.is(Schema.Struct({
  part: Schema.Struct({ text: Schema.String, messageID: OptionalString, time: nullish(Schema.is(Time)) })
}))

const StepFinishFields = Schema.Struct({
  reason: OptionalString,
  cost: OptionalNumber,
  tokens: nullish(Schema.is(Tokens)),
  messageID: OptionalString,
  snapshot: OptionalString
})
export type StepFinishFields = typeof StepFinishFields.Type
export const isStepFinish = Schema.is(StepFinishFields)

export const isToolUse = Schema.is(Schema.Struct({
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
      time: nullish(Schema.is(Time))
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
export const isError = Schema.is(Schema.Struct({
  error: Schema.Struct({
    name: OptionalString,
    type: OptionalString,
    message: OptionalString,
    data: nullish(Schema.is(ErrorData))
  })
}))
