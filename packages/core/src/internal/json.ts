import { isObject } from "./wire.js"

/** `JSON.stringify` and every walk through a value call themselves for each level, and the stack is finite. */
export const maxDepth = 500

/** Stands where a value is nested too deeply. */
export const tooDeep = "[nested too deeply]"

/** Stands where a value is inside itself. */
export const circular = "[circular]"

/** A value that can be written, with marks in the places of what cannot. */
const writable = (value: unknown, ancestors: Set<unknown>): unknown => {
  if (typeof value === "bigint") return value.toString()
  if (typeof value !== "object" || value === null) return value
  if (ancestors.has(value)) return circular
  if (ancestors.size >= maxDepth) return tooDeep
  ancestors.add(value)
  try {
    if (Array.isArray(value)) return value.map((item) => writable(item, ancestors))
    const own = "toJSON" in value && typeof value.toJSON === "function" ? value.toJSON() as unknown : value
    if (!isObject(own)) return writable(own, ancestors)
    return Object.fromEntries(Object.entries(own).map(([name, item]) => [name, writable(item, ancestors)]))
  } catch (cause) {
    return `[not writable: ${String(cause)}]`
  } finally {
    ancestors.delete(value)
  }
}

/** Writes any value: one that `JSON.stringify` refuses has marks in the places of what cannot be written. */
export const stringify = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? "null"
  } catch {
    return JSON.stringify(writable(value, new Set())) ?? "null"
  }
}
