/**
 * Writes what a 2.x server reports as the parts that `opencode run` of 1.x prints, so that there is one form of events,
 * transcripts and conversations for all majors.
 */
import { isObject, string } from "../../util/object.js"
import type { WireObject } from "../../util/object.js"

/** The message that a part belongs to. */
export interface Owner {
  readonly sessionId: string
  readonly messageId: string
}

const owned = ({ messageId, sessionId }: Owner, id: string, type: string): WireObject => ({
  id: `${messageId}-${id}`,
  sessionID: sessionId,
  messageID: messageId,
  type
})

export interface Span {
  readonly start: number | undefined
  readonly end: number | undefined
}

export const stepStart = (owner: Owner): WireObject => owned(owner, "start", "step-start")

/** Texts and reasoning of a message are numbered separately. */
export const text = (
  owner: Owner,
  type: "text" | "reasoning",
  ordinal: number,
  content: unknown,
  time?: Span
): WireObject => ({
  ...owned(owner, `${type}-${ordinal}`, type),
  text: content,
  ...(time === undefined ? {} : { time })
})

const textOf = (part: unknown): ReadonlyArray<string> => {
  const text = isObject(part) ? string(part["text"]) : undefined
  return text === undefined ? [] : [text]
}

/** The output of a tool, which is a list of contents. */
export const outputOf = (content: unknown): string =>
  Array.isArray(content) ? content.flatMap(textOf).join("\n") : string(content) ?? ""

export interface Call {
  readonly callId: string
  readonly tool: string | undefined
  readonly input: unknown
  readonly time: Span
}

const ended = (owner: Owner, { callId, tool }: Call, state: WireObject): WireObject => ({
  ...owned(owner, `tool-${callId}`, "tool"),
  callID: callId,
  tool,
  state
})

export const toolCompleted = (owner: Owner, call: Call, content: unknown, metadata: unknown): WireObject =>
  ended(owner, call, {
    status: "completed",
    input: call.input,
    output: outputOf(content),
    title: call.tool,
    metadata,
    time: call.time
  })

/** The message of an error object. */
export const messageOf = (error: unknown): string =>
  (isObject(error) ? string(error["message"]) ?? string(error["type"]) : string(error)) ?? "no reason given"

export const toolFailed = (owner: Owner, call: Call, error: unknown, metadata: unknown): WireObject =>
  ended(owner, call, {
    status: "error",
    input: call.input,
    error: messageOf(error),
    ...(metadata === undefined ? {} : { metadata }),
    time: call.time
  })

export const stepFinish = (owner: Owner, reason: unknown, cost: unknown, tokens: unknown): WireObject => ({
  ...owned(owner, "finish", "step-finish"),
  reason,
  cost,
  tokens
})

/** The parts of an assistant's message, in their order; a call that has not ended is left out. */
export const ofMessage = (sessionId: string, message: WireObject): ReadonlyArray<WireObject> => {
  const owner: Owner = { sessionId, messageId: string(message["id"]) ?? "" }
  const ordinals = { text: 0, reasoning: 0 }
  const parts: Array<WireObject> = [stepStart(owner)]
  for (const item of Array.isArray(message["content"]) ? message["content"] as ReadonlyArray<unknown> : []) {
    if (!isObject(item)) continue
    switch (item["type"]) {
      case "text":
      case "reasoning":
        parts.push(text(owner, item["type"], ordinals[item["type"]]++, item["text"]))
        break
      case "tool": {
        const state = isObject(item["state"]) ? item["state"] : {}
        const time = isObject(item["time"]) ? item["time"] : {}
        const call: Call = {
          callId: string(item["id"]) ?? "",
          tool: string(item["name"]),
          input: state["input"],
          time: { start: numberOf(time["ran"]) ?? numberOf(time["created"]), end: numberOf(time["completed"]) }
        }
        if (state["status"] === "completed") {
          parts.push(toolCompleted(owner, call, state["content"], state["metadata"]))
        } else if (state["status"] === "error") parts.push(toolFailed(owner, call, state["error"], state["metadata"]))
      }
    }
  }
  if (message["finish"] !== undefined) {
    parts.push(stepFinish(owner, message["finish"], message["cost"], message["tokens"]))
  }
  return parts
}

/** The calls of a message. */
export const calls = (message: WireObject) =>
  (Array.isArray(message["content"]) ? message["content"] as ReadonlyArray<unknown> : []).flatMap((item) => {
    const state = isObject(item) && item["type"] === "tool" ? item["state"] : undefined
    return isObject(item) && isObject(state)
      ? [{
        id: string(item["id"]) ?? "",
        name: string(item["name"]),
        state,
        isRunning: state["status"] !== "completed" && state["status"] !== "error"
      }]
      : []
  })

const numberOf = (u: unknown): number | undefined => typeof u === "number" ? u : undefined
