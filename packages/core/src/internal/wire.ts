import * as Schema from "effect/Schema"

/** A JSON object as OpenCode printed it, or as we would print it. */
export type WireObject = { readonly [key: string]: unknown }

export const isObject = (u: unknown): u is WireObject => typeof u === "object" && u !== null && !Array.isArray(u)

/**
 * Lean Schemas: they check exactly what the library reads, so that a field that OpenCode adds, renames or drops
 * elsewhere costs nothing. `Schema.is` never copies, the wire object itself is handed on.
 */
const Nullish = <A, I>(schema: Schema.Schema<A, I>) => Schema.optional(Schema.NullOr(schema))

const Tokens = Schema.Struct({
  total: Nullish(Schema.Number),
  input: Nullish(Schema.Number),
  output: Nullish(Schema.Number),
  reasoning: Nullish(Schema.Number),
  cache: Nullish(Schema.Struct({ read: Nullish(Schema.Number), write: Nullish(Schema.Number) }))
})

const Time = Schema.Struct({ start: Nullish(Schema.Number), end: Nullish(Schema.Number) })

export const isStepStart = Schema.is(Schema.Struct({
  part: Schema.Struct({ messageID: Nullish(Schema.String), snapshot: Nullish(Schema.String) })
}))

export const isText = Schema.is(Schema.Struct({
  part: Schema.Struct({ text: Schema.String, messageID: Nullish(Schema.String), time: Nullish(Time) })
}))

const StepFinishFields = Schema.Struct({
  reason: Nullish(Schema.String),
  cost: Nullish(Schema.Number),
  tokens: Nullish(Tokens),
  messageID: Nullish(Schema.String),
  snapshot: Nullish(Schema.String)
})
export type StepFinishFields = typeof StepFinishFields.Type
export const isStepFinish = Schema.is(StepFinishFields)

export const isToolUse = Schema.is(Schema.Struct({
  part: Schema.Struct({
    tool: Schema.String,
    callID: Nullish(Schema.String),
    id: Nullish(Schema.String),
    messageID: Nullish(Schema.String),
    state: Schema.Struct({
      status: Schema.Literal("completed", "error"),
      output: Nullish(Schema.String),
      error: Nullish(Schema.String),
      title: Nullish(Schema.String),
      time: Nullish(Time)
    })
  })
}))

const ErrorData = Schema.Struct({
  message: Nullish(Schema.String),
  statusCode: Nullish(Schema.Number),
  isRetryable: Nullish(Schema.Boolean),
  responseBody: Nullish(Schema.String),
  ref: Nullish(Schema.String)
})

/** `name` and `data` on 1.x; `type` and `message` on the error object itself on 2.x. */
export const isError = Schema.is(Schema.Struct({
  error: Schema.Struct({
    name: Nullish(Schema.String),
    type: Nullish(Schema.String),
    message: Nullish(Schema.String),
    data: Nullish(ErrorData)
  })
}))
