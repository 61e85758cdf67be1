/** Copies of conversations that can be imported beside the original. */
import type { Conversation } from "../../Conversation.js"
import { isObject } from "../util/object.js"

/** Replaces ids in all fields that hold one: `id`, `sessionID`, `messageID`, `parentID`, … */
const renamed = (value: unknown, names: ReadonlyMap<unknown, string>): unknown => {
  if (Array.isArray(value)) return value.map((inner) => renamed(inner, names))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      /id$/i.test(key) ? names.get(inner) ?? inner : renamed(inner, names)
    ])
  )
}

/**
 * The conversation up to a message, under other ids; `undefined` if it does not have the message. OpenCode sorts messages and
 * parts by their ids (1.18.33), so a suffix keeps their order.
 */
export const make = (conversation: Conversation, after: string, suffix: string): Conversation | undefined => {
  const at = conversation.messages.findIndex(({ info }) => info.id === after)
  if (at === -1) return undefined
  const messages = conversation.messages.slice(0, at + 1)
  const ids = [
    conversation.info.id,
    ...messages.flatMap(({ info, parts }) => [info.id, ...parts.map((part) => part["id"])])
  ]
  const names = new Map(ids.flatMap((id) => typeof id === "string" ? [[id, id + suffix] as const] : []))
  return renamed({ info: conversation.info, messages }, names) as Conversation
}
