/**
 * The fields that this library needs in what a server sends. Whatever lacks one is reported by its name: without it a run
 * would wait for ever, or look complete without its text, its usage or its end.
 */
import { isObject } from "../../util/object.js"
import type { WireObject } from "../../util/object.js"

type Is = (u: unknown) => boolean

const text: Is = (u) => typeof u === "string"
const id: Is = (u) => typeof u === "string" && u !== ""
const number: Is = (u) => typeof u === "number"
const object: Is = isObject
const list: Is = Array.isArray
const tokens: Is = (u) => isObject(u) && number(u["input"]) && number(u["output"])
const optional = (is: Is): Is => (u) => u === undefined || is(u)

type Fields = { readonly [name: string]: Is }

const piece: Fields = { assistantMessageID: id, ordinal: number }

const call: Fields = { assistantMessageID: id, id }

/** By type of event. */
const events = new Map<string, Fields>([
  ["session.step.started", { assistantMessageID: id }],
  ["session.step.ended", { assistantMessageID: id, finish: text, cost: number, tokens }],
  ["session.step.failed", { assistantMessageID: id, error: object, tokens: optional(tokens) }],
  ["session.text.started", piece],
  ["session.text.delta", { ...piece, delta: text }],
  ["session.text.ended", { ...piece, text }],
  ["session.reasoning.started", piece],
  ["session.reasoning.delta", { ...piece, delta: text }],
  ["session.reasoning.ended", { ...piece, text }],
  ["session.tool.input.started", { ...call, name: text }],
  ["session.tool.called", call],
  ["session.tool.success", { ...call, content: list }],
  ["session.tool.failed", { ...call, error: object }],
  ["session.retry.scheduled", { error: object }],
  ["session.execution.failed", { error: object }],
  ["permission.asked", { id, action: text, resources: list }],
  ["permission.replied", { requestID: id, reply: text }],
  ["form.created", { form: (u) => isObject(u) && id(u["id"]) }]
])

const missing = (fields: Fields, data: WireObject): string | undefined =>
  Object.keys(fields).find((name) => !fields[name]!(data[name]))

/** The field of an event that it lacks, or that is another than expected: `session.text.ended: text`. */
export const event = (type: string, data: WireObject): string | undefined => {
  const fields = events.get(type)
  const name = fields === undefined ? undefined : missing(fields, data)
  return name === undefined ? undefined : `${type}: ${name}`
}

/** The types of messages that can follow a prompt's own. Every other type is ignored. */
const messages = new Map<unknown, Fields>([
  ["assistant", {
    id,
    content: list,
    finish: optional(text),
    cost: optional(number),
    tokens: optional(tokens),
    error: (u) => u === undefined || u === null || isObject(u)
  }],
  ["idle", { outcome: (u) => u === "succeeded" || u === "failed" || u === "interrupted" }]
])

const contents = new Map<unknown, Fields>([
  ["text", { text }],
  ["reasoning", { text }],
  ["tool", { id, name: text, state: (u) => isObject(u) && text(u["status"]) }]
])

const content = (u: unknown): string | undefined => {
  if (!isObject(u)) return "content"
  const fields = contents.get(u["type"])
  const name = fields === undefined ? undefined : missing(fields, u)
  return name === undefined ? undefined : `content.${String(u["type"])}.${name}`
}

/** The same for a message of a session: `message assistant: tokens`. */
export const message = (u: WireObject): string | undefined => {
  const fields = messages.get(u["type"])
  if (fields === undefined) return undefined
  const name = missing(fields, u) ??
    (u["type"] === "assistant"
      ? (u["content"] as ReadonlyArray<unknown>).map(content).find((found) => found !== undefined)
      : undefined)
  return name === undefined ? undefined : `message ${String(u["type"])}: ${name}`
}
