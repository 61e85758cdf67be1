import type { RunEvent } from "../../RunEvent.js"
import { isObject } from "../util/object.js"
import * as decode from "./decode.js"

const keys = ["content", "text", "delta", "output", "message", "result", "value"]

/** A text, or a list of its parts. */
const nonEmpty = (u: unknown): string | undefined => {
  const text = decode.contentOf(u)
  return text === undefined || text.trim() === "" ? undefined : text
}

const textIn = (source: unknown): string | undefined => {
  if (!isObject(source)) return undefined
  for (const key of keys) {
    const text = nonEmpty(source[key])
    if (text !== undefined) return text
  }
  const message = source["message"]
  return isObject(message) ? nonEmpty(message["content"]) ?? nonEmpty(message["text"]) : undefined
}

/** Finds a text in an event of any shape. */
export const fromEvent = (event: RunEvent): string => {
  const known = nonEmpty(decode.textOf(event))
  if (known !== undefined) return known
  const raw = decode.toWire(event)
  const part = raw["part"]
  return textIn(raw) ?? textIn(part) ?? (isObject(part) ? textIn(part["state"]) : undefined) ?? ""
}
