/**
 * The usual solution: the platform's own pieces, one after the other, and a Schema for each element. `tolerant` keeps
 * what the library keeps: fields and types that the Schema does not know, and lines that are not events.
 */
import { NodeContext } from "@effect/platform-node"
import * as Command from "@effect/platform/Command"
import { Effect, Schema, Stream } from "effect"
import { job, report, start } from "../lib/meter.js"

const { binary, tolerant } = job<{ readonly binary: string; readonly tolerant: boolean }>()

const part = { id: Schema.String, messageID: Schema.String, sessionID: Schema.String }
const envelope = { timestamp: Schema.Number, sessionID: Schema.String }
const Time = Schema.Struct({ start: Schema.Number, end: Schema.optional(Schema.Number) })

const Event = Schema.Union(
  Schema.Struct({
    type: Schema.Literal("step_start"),
    ...envelope,
    part: Schema.Struct({ ...part, type: Schema.String, snapshot: Schema.optional(Schema.String) })
  }),
  Schema.Struct({
    type: Schema.Literal("text"),
    ...envelope,
    part: Schema.Struct({ ...part, type: Schema.String, text: Schema.String, time: Time })
  }),
  Schema.Struct({
    type: Schema.Literal("tool_use"),
    ...envelope,
    part: Schema.Struct({
      ...part,
      type: Schema.String,
      tool: Schema.String,
      callID: Schema.String,
      state: Schema.Struct({
        status: Schema.Literal("completed", "error"),
        input: Schema.Unknown,
        output: Schema.optional(Schema.String),
        error: Schema.optional(Schema.String),
        title: Schema.optional(Schema.String),
        metadata: Schema.optional(Schema.Unknown),
        time: Time
      })
    })
  }),
  Schema.Struct({
    type: Schema.Literal("step_finish"),
    ...envelope,
    part: Schema.Struct({
      ...part,
      type: Schema.String,
      reason: Schema.String,
      snapshot: Schema.optional(Schema.String),
      cost: Schema.Number,
      tokens: Schema.Struct({
        total: Schema.optional(Schema.Number),
        input: Schema.Number,
        output: Schema.Number,
        reasoning: Schema.Number,
        cache: Schema.Struct({ read: Schema.Number, write: Schema.Number })
      })
    })
  })
)

const Unknown = Schema.Struct({ type: Schema.String })

interface Broken {
  readonly type: "broken"
  readonly line: string
}

const strict = Schema.decode(Schema.parseJson(Event))

const keeping = Schema.decode(Schema.parseJson(Schema.Union(Event, Unknown)), { onExcessProperty: "preserve" })

type Decoded = typeof Event.Type | Broken

const broken = (line: string): Broken => ({ type: "broken", line })

const decode = (line: string): Effect.Effect<Decoded, unknown> =>
  tolerant
    ? Effect.orElseSucceed(Effect.map(keeping(line), (event) => event as Decoded), () => broken(line))
    : strict(line)

const program = Command.make(binary).pipe(
  Command.stdin(Stream.empty),
  Command.stream,
  Stream.decodeText(),
  Stream.splitLines,
  Stream.mapEffect(decode),
  Stream.runFold({ count: 0, text: 0, cost: 0, tokens: 0 }, (sum, event) => ({
    count: sum.count + 1,
    text: sum.text + (event.type === "text" ? event.part.text.length : 0),
    cost: sum.cost + (event.type === "step_finish" ? event.part.cost : 0),
    tokens: sum.tokens + (event.type === "step_finish" ? event.part.tokens.total ?? 0 : 0)
  })),
  Effect.provide(NodeContext.layer)
)

const stop = start()
Effect.runPromise(program).then((sum) => report({ ...stop(), ...sum }))
