/** The requests of OpenCode to the scripted provider. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as ModelProvider from "../../ModelProvider.js"

const Content = Schema.Union(Schema.String, Schema.Array(Schema.Unknown), Schema.Null)

const RequestBody = Schema.Struct({
  model: Schema.String,
  messages: Schema.Array(Schema.Struct({
    role: Schema.String,
    content: Schema.optional(Content),
    tool_call_id: Schema.optional(Schema.String),
    tool_calls: Schema.optional(Schema.Array(Schema.Struct({
      id: Schema.String,
      function: Schema.Struct({ name: Schema.String, arguments: Schema.String })
    })))
  })),
  tools: Schema.optional(Schema.Array(Schema.Struct({ function: Schema.Struct({ name: Schema.String }) }))),
  stream: Schema.optional(Schema.Boolean)
})

const decodeJson = Schema.decode(Schema.parseJson())

const decodeBody = Schema.decodeUnknown(RequestBody)

const contentText = (content: typeof Content.Type | undefined): string => {
  if (content === undefined || content === null) {
    return ""
  }
  return typeof content === "string"
    ? content
    : content
      .map((part) => Predicate.hasProperty(part, "text") && typeof part.text === "string" ? part.text : "")
      .join("")
}

const toMessages = (body: typeof RequestBody.Type): ReadonlyArray<ModelProvider.ProviderMessage> =>
  body.messages.map((message) => ({
    role: message.role,
    text: contentText(message.content),
    toolCalls: (message.tool_calls ?? []).map((call) => ({
      id: call.id,
      name: call.function.name,
      arguments: Option.getOrElse(
        Schema.decodeOption(Schema.parseJson())(call.function.arguments),
        () => call.function.arguments
      )
    })),
    toolCallId: message.tool_call_id
  }))

/** How OpenCode passes on an image that a tool has returned: in the user's name, after the tool's result (1.18.33). */
const media = /^Attached (media|image\(s\)) from tool result:/

const isTitleRequest = (
  messages: ReadonlyArray<ModelProvider.ProviderMessage>,
  tools: ReadonlyArray<string>
): boolean =>
  tools.length === 0 &&
  messages.some((message) => message.role === "system" && /title generator/i.test(message.text))

/** Reads the request for a completion, without its number among the requests. */
export const read = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
  const time = yield* Clock.currentTimeMillis
  const body = yield* Effect.flatMap(request.text, decodeJson)
  const decoded = yield* decodeBody(body)
  const messages = toMessages(decoded)
  const tools = (decoded.tools ?? []).map((tool) => tool.function.name)
  const lastUser = messages.map((message) => message.role === "user" && !media.test(message.text)).lastIndexOf(true)
  const asked: Omit<ModelProvider.ProviderRequest, "index"> = {
    step: messages.slice(lastUser + 1).filter((message) => message.role === "assistant").length,
    prompt: messages[lastUser]?.text ?? "",
    isTitle: isTitleRequest(messages, tools),
    model: decoded.model,
    messages,
    tools,
    stream: decoded.stream ?? false,
    authorization: request.headers.authorization,
    headers: { ...request.headers },
    body,
    time
  }
  return asked
})
