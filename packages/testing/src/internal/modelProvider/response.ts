/** The HTTP responses of the scripted provider. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as ModelProvider from "../../ModelProvider.js"
import * as Utf8 from "../utf8.js"
import * as tools from "./tools.js"

export const errorBody = (message: string) => ({ error: { message, type: "scripted_error" } })

const toUsage = (usage: ModelProvider.Usage) => {
  const input = usage.input ?? 100
  const output = usage.output ?? 20
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: usage.cached ?? 40 },
    completion_tokens_details: { reasoning_tokens: usage.reasoning ?? 0 }
  }
}

export interface Envelope {
  readonly id: string
  readonly created: number
  readonly model: string
}

const callId = (envelope: Envelope, index: number): string => `call_${envelope.id}_${index}`

const toolCalls = (envelope: Envelope, reply: ModelProvider.Completion) =>
  reply.deltas.filter((delta) => delta._tag === "ToolCall").map((call, index) => ({
    index,
    id: callId(envelope, index),
    type: "function",
    function: { name: call.name, arguments: call.arguments }
  }))

const joined = (reply: ModelProvider.Completion, tag: "Text" | "Reasoning"): string =>
  reply.deltas.map((delta) => delta._tag === tag ? delta.text : "").join("")

/** The answer to a request that did not ask for a stream. */
const toJson = (envelope: Envelope, reply: ModelProvider.Completion) => {
  const calls = toolCalls(envelope, reply)
  const reasoning = joined(reply, "Reasoning")
  return {
    ...envelope,
    object: "chat.completion",
    choices: [{
      index: 0,
      message: {
        role: "assistant",
        content: joined(reply, "Text"),
        ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
        ...(calls.length === 0 ? {} : { tool_calls: calls })
      },
      finish_reason: reply.ending._tag === "Done" ? reply.ending.finishReason ?? null : null
    }],
    usage: toUsage(reply.usage)
  }
}

const event = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`

const toEvents = (envelope: Envelope, reply: ModelProvider.Completion): ReadonlyArray<string> => {
  const chunk = (choices: ReadonlyArray<unknown>, rest?: object) =>
    event({ ...envelope, object: "chat.completion.chunk", choices, ...rest })
  const choice = (delta: object, finishReason: string | null = null) => [
    { index: 0, delta, finish_reason: finishReason }
  ]
  let calls = 0
  const deltas = reply.deltas.map((delta) => {
    switch (delta._tag) {
      case "Text": {
        return chunk(choice({ role: "assistant", content: delta.text }))
      }
      case "Reasoning": {
        return chunk(choice({ role: "assistant", reasoning_content: delta.text }))
      }
      case "ToolCall": {
        const index = calls++
        return chunk(choice({
          role: "assistant",
          tool_calls: [{
            index,
            id: callId(envelope, index),
            type: "function",
            function: { name: delta.name, arguments: delta.arguments }
          }]
        }))
      }
    }
  })
  const { ending } = reply
  switch (ending._tag) {
    case "Done": {
      return [
        ...deltas,
        ...(ending.finishReason === undefined ? [] : [chunk(choice({}, ending.finishReason))]),
        chunk([], { usage: toUsage(reply.usage) }),
        "data: [DONE]\n\n"
      ]
    }
    case "Malformed": {
      return [...deltas, `data: {"id":"${envelope.id}","choices":[{"delta"\n\n`, "data: [DONE]\n\n"]
    }
    case "Error": {
      return [...deltas, event(errorBody(ending.message)), "data: [DONE]\n\n"]
    }
    case "Cut":
    case "Stall": {
      // a comment, because headers without any byte of a body may stay in the server's buffer
      return [": open\n\n", ...deltas]
    }
  }
}

// A reused connection would keep the server from closing
export const closeConnection = { connection: "close" }

/** Time for a reader to take what was sent, by the machine's clock: a broken connection can overtake it. */
const beforeCut = Effect.withClock(Effect.sleep("50 millis"), Clock.make())

const toStream = (envelope: Envelope, reply: ModelProvider.Completion): HttpServerResponse.HttpServerResponse => {
  const events = toEvents(envelope, reply).map(Utf8.encode)
  const body = Stream.rechunk(Stream.fromIterable(events), 1)
  return HttpServerResponse.stream(
    reply.ending._tag === "Stall"
      ? Stream.concat(body, Stream.never)
      : reply.ending._tag === "Cut"
      ? Stream.concat(body, Stream.execute(reply.ending.after ?? beforeCut))
      : body,
    {
      contentType: "text/event-stream",
      // a body shorter than announced: to its reader the connection breaks
      contentLength: reply.ending._tag === "Cut"
        ? events.reduce((length, bytes) => length + bytes.length, 1)
        : undefined,
      headers: closeConnection
    }
  )
}

/** The calls as the requesting OpenCode knows them; arguments that are no JSON object stay as they are. */
const translated = (reply: ModelProvider.Completion, body: unknown): ModelProvider.Completion => ({
  ...reply,
  deltas: reply.deltas.map((delta) => {
    if (delta._tag !== "ToolCall") return delta
    const given = Option.getOrElse(decodeJson(delta.arguments), (): unknown => delta.arguments)
    const call = tools.translate({ name: delta.name, arguments: given }, body)
    return {
      ...delta,
      name: call.name,
      arguments: call.arguments === given ? delta.arguments : JSON.stringify(call.arguments)
    }
  })
})

const decodeJson = Schema.decodeOption(Schema.parseJson())

export const toResponse = (
  request: ModelProvider.ProviderRequest,
  source: unknown,
  envelope: Envelope,
  reply: ModelProvider.Reply
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  switch (reply._tag) {
    case "Never": {
      return Effect.never
    }
    case "Reset": {
      // The connection is closed, so this answer reaches nobody.
      return Effect.as(Effect.sync(() => destroyConnection(source)), refuse(500, "reset"))
    }
    case "Response": {
      const { "content-type": contentType = "text/plain", ...headers } = reply.headers
      return Effect.delay(
        Effect.succeed(HttpServerResponse.text(reply.body, {
          status: reply.status,
          contentType,
          headers: { ...headers, ...closeConnection }
        })),
        reply.delay
      )
    }
    case "Completion": {
      const completion = translated(reply, request.body)
      const response = request.stream || reply.ending._tag !== "Done"
        ? toStream(envelope, completion)
        : HttpServerResponse.unsafeJson(toJson(envelope, completion), { headers: closeConnection })
      return Effect.delay(Effect.succeed(response), reply.delay)
    }
  }
}

export const refuse = (status: number, message: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(errorBody(message), { status, headers: closeConnection })

/** `HttpServer` has no way to close a connection, and a server waits for all of them: close Node's by hand. */
export const destroyConnection = (source: unknown): void => {
  if (
    Predicate.hasProperty(source, "socket") &&
    Predicate.hasProperty(source.socket, "destroy") &&
    Predicate.isFunction(source.socket.destroy)
  ) {
    source.socket.destroy()
  }
}
