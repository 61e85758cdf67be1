/** Writes a conversation in the form that a server imports (2.0.14). */
import type { Conversation, Message } from "../../../Conversation.js"
import { isObject, number, string } from "../../util/object.js"
import type { WireObject } from "../../util/object.js"

const noTokens = { input: 0, output: 0, reasoning: 0, cache: { read: 0, write: 0 } }

const tokensOf = (u: unknown): WireObject => {
  if (!isObject(u)) return noTokens
  const cache = isObject(u["cache"]) ? u["cache"] : {}
  return {
    input: number(u["input"]) ?? 0,
    output: number(u["output"]) ?? 0,
    reasoning: number(u["reasoning"]) ?? 0,
    cache: { read: number(cache["read"]) ?? 0, write: number(cache["write"]) ?? 0 }
  }
}

const finishes: ReadonlySet<unknown> = new Set(["stop", "length", "tool-calls", "content-filter", "error", "unknown"])

/** A session keeps its id only in the form that this major gives to ids. */
const idOf = (message: Message): string =>
  message.info.id.startsWith("msg_") ? message.info.id : `msg_${message.info.id}`

const errorOf = (u: unknown): WireObject => {
  const error = isObject(u) ? u : {}
  const data = isObject(error["data"]) ? error["data"] : error
  return {
    type: string(error["type"]) ?? "unknown",
    message: string(data["message"]) ?? string(error["name"]) ?? "no reason given"
  }
}

const toolOf = (part: WireObject, created: number): WireObject => {
  const state = isObject(part["state"]) ? part["state"] : {}
  const time = isObject(state["time"]) ? state["time"] : {}
  const start = number(time["start"]) ?? created
  const isCompleted = state["status"] === "completed"
  const message = string(state["error"])
  return {
    type: "tool",
    id: string(part["callID"]) ?? string(part["id"]) ?? "call",
    name: string(part["tool"]) ?? "unknown",
    executed: false,
    state: {
      status: isCompleted ? "completed" : "error",
      input: isObject(state["input"]) ? state["input"] : {},
      ...(isCompleted
        ? { content: [{ type: "text", text: string(state["output"]) ?? "" }] }
        : { error: { type: "tool.execution", message: message ?? "the call did not end" } }),
      ...(isObject(state["metadata"]) ? { metadata: state["metadata"] } : {})
    },
    time: { created: start, ran: start, completed: number(time["end"]) ?? start }
  }
}

const contentOf = (part: WireObject, created: number): ReadonlyArray<WireObject> => {
  switch (part["type"]) {
    case "text":
    case "reasoning":
      return [{ type: part["type"], text: string(part["text"]) ?? "" }]
    case "tool":
      return [toolOf(part, created)]
    default:
      return []
  }
}

const texts = ({ parts }: Message): string =>
  parts.flatMap((part) => part["type"] === "text" ? [string(part["text"]) ?? ""] : []).join("\n")

const messageOf = (message: Message, earlier: number): WireObject | undefined => {
  const { info, parts } = message
  const time = isObject(info["time"]) ? info["time"] : {}
  const created = number(time["created"]) ?? earlier
  if (info.role === "user") {
    return { id: idOf(message), type: "user", text: texts(message), files: [], time: { created } }
  }
  if (info.role !== "assistant") return undefined
  const { error, finish, cost } = info
  return {
    id: idOf(message),
    type: "assistant",
    agent: string(info["agent"]) ?? string(info["mode"]) ?? "build",
    model: { id: string(info["modelID"]) ?? "unknown", providerID: string(info["providerID"]) ?? "unknown" },
    content: parts.flatMap((part) => contentOf(part, created)),
    ...(finishes.has(finish) ? { finish } : {}),
    cost: cost ?? 0,
    tokens: tokensOf(info["tokens"]),
    ...(isObject(error) ? { error: errorOf(error) } : {}),
    time: { created, completed: number(time["completed"]) ?? created }
  }
}

/** The body of the request to import a conversation, which then continues in the directory. */
export const toBody = ({ info, messages }: Conversation, directory: string): WireObject => {
  const time = isObject(info["time"]) ? info["time"] : {}
  const created = number(time["created"]) ?? 0
  const location = { directory }
  return {
    info: {
      id: info.id,
      // The server sets the project of the directory.
      projectID: "global",
      cost: number(info["cost"]) ?? 0,
      tokens: tokensOf(info["tokens"]),
      time: { created, updated: number(time["updated"]) ?? created },
      ...(typeof info.title === "string" ? { title: info.title } : {}),
      location
    },
    messages: messages.flatMap((message) => messageOf(message, created) ?? []),
    location
  }
}
