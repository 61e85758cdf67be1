/** `JSON.stringify` and every walk through a value recurse for each level and can overflow the stack. */
export const maxDepth = 500

/** Replaces a value that is nested too deeply. */
export const tooDeep = "[nested too deeply]"

/** Replaces a value that contains itself. */
export const circular = "[circular]"

/** Returns a value that can be written, with markers for everything that cannot. */
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

/** Returns the value if it can be written, else a copy with markers for everything that cannot. */
export const bounded = (value: unknown): unknown => {
  try {
    JSON.stringify(value)
    return value
  } catch {
    return writable(() => value, new Set())
  }
}

/** Writes any value, with markers for everything that `JSON.stringify` cannot write. */
export const stringify = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? "null"
  } catch {
    return JSON.stringify(writable(() => value, new Set())) ?? "null"
  }
}

/** Parses a text that begins like an object or an array; `undefined` if it is not valid JSON. */
export const parsed = (text: string): unknown => {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
