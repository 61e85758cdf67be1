import type { RunEvent } from "../RunEvent.js"
import * as decode from "./decode.js"
import { isObject } from "./wire.js"

const keys = ["content", "text", "delta", "output", "message", "result", "value"]

const nonEmpty = (u: unknown): string | undefined => typeof u === "string" && u.trim() !== "" ? u : undefined

/** Digs a text out of an event of any shape. */
export const fromEvent = (event: RunEvent): string => {
  const known = nonEmpty(decode.textOf(event))
  if (known !== undefined) return known
  const raw = decode.toWire(event)
  const part = raw["part"]
  const state = isObject(part) ? part["state"] : undefined
  for (const source of [raw, part, state]) {
    if (!isObject(source)) continue
    for (const key of keys) {
      const text = nonEmpty(source[key])
      if (text !== undefined) return text
    }
  }
  const message = raw["message"]
  return isObject(message) ? nonEmpty(message["content"]) ?? nonEmpty(message["text"]) ?? "" : ""
}
