import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Conversation } from "../../../Conversation.js"
import * as json from "../../util/json.js"
import { isObject, string } from "../../util/object.js"
import type { WireObject } from "../../util/object.js"
import type { Question } from "../dialect.js"
import * as parts from "./parts.js"

/** The server lists the models; the command prints nothing (2.0.14). */
export const models: Question<ReadonlyArray<string>> = { args: ["models", "--standalone"], read: () => [] }

const decode = Schema.decodeUnknownOption(Conversation)

const modelOf = (message: WireObject): WireObject => {
  const model = isObject(message["model"]) ? message["model"] : {}
  return { providerID: model["providerID"], modelID: model["id"] }
}

const toMessages = (sessionId: string, message: unknown): ReadonlyArray<WireObject> => {
  if (!isObject(message)) return []
  const { cost, error, finish, id, time, tokens, type } = message
  const info = { id, sessionID: sessionId, role: type, time }
  switch (type) {
    case "assistant":
      return [{
        info: {
          ...info,
          ...modelOf(message),
          agent: message["agent"],
          cost,
          tokens,
          finish,
          ...(error ? { error } : {})
        },
        parts: parts.ofMessage(sessionId, message)
      }]
    case "user":
      return [{
        info,
        parts: [{
          id: `${String(id)}-text-0`,
          sessionID: sessionId,
          messageID: id,
          type: "text",
          text: message["text"]
        }]
      }]
    default:
      return []
  }
}

/** A conversation in the form that 1.x exports. */
export const conversation = (info: unknown, messages: unknown): Option.Option<Conversation> => {
  const sessionId = isObject(info) ? string(info["id"]) : undefined
  return sessionId === undefined || !Array.isArray(messages)
    ? Option.none()
    : decode({ info, messages: messages.flatMap((message: unknown) => toMessages(sessionId, message)) })
}

export const session = (sessionId: string): Question<Option.Option<Conversation>> => ({
  args: ["session", "export", "--standalone", sessionId],
  read: (printed) => {
    const parsed = json.parsed(printed.slice(Math.max(0, printed.indexOf("{"))))
    return isObject(parsed) ? conversation(parsed["info"], parsed["messages"]) : Option.none()
  }
})

/** A session is only imported in the form of its own major, which is not read yet. */
export const importing = (file: string): Question<Option.Option<string>> => ({
  args: ["session", "import", "--standalone", file],
  read: () => Option.none()
})
