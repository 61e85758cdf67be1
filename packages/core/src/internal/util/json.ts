/** `JSON.stringify` and every walk through a value call themselves for each level, and the stack is finite. */
const maxDepth = 500

/** Stands where a value is nested too deeply. */
export const tooDeep = "[nested too deeply]"

/** Stands where a value is inside itself. */
export const circular = "[circular]"

/** A value that can be written, with marks in the places of what cannot. */
const writable = (read: () => unknown, ancestors: Set<unknown>): unknown => {
  let value: unknown
  try {
    value = read()
    if (typeof value === "object" && value !== null && "toJSON" in value && typeof value.toJSON === "function") {
      value = value.toJSON()
    }
  } catch (cause) {
    return `[not readable: ${String(cause)}]`
  }
  if (typeof value === "bigint") return value.toString()
  if (typeof value !== "object" || value === null) return value
  if (ancestors.has(value)) return circular
  if (ancestors.size >= maxDepth) return tooDeep
  ancestors.add(value)
  const inside = value as { readonly [name: string]: unknown }
  const written = Array.isArray(value)
    ? value.map((item) => writable(() => item, ancestors))
    : Object.fromEntries(Object.keys(inside).map((name) => [name, writable(() => inside[name], ancestors)]))
  ancestors.delete(value)
  return written
}

/** The value if it can be written, else a copy with marks in the places of what cannot. */
export const bounded = (value: unknown): unknown => {
  try {
    JSON.stringify(value)
    return value
  } catch {
    return writable(() => value, new Set())
  }
}

/** Writes any value: one that `JSON.stringify` refuses has marks in the places of what cannot be written. */
export const stringify = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? "null"
  } catch {
    return JSON.stringify(writable(() => value, new Set())) ?? "null"
  }
}

/** The value of a text that begins as an object or an array; `undefined` if it is not valid JSON. */
export const parsed = (text: string): unknown => {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
