/** A JSON object as OpenCode prints it. */
export type WireObject = { readonly [key: string]: unknown }

export const isObject = (u: unknown): u is WireObject => typeof u === "object" && u !== null && !Array.isArray(u)

/**
 * Returns a string, or `undefined`. OpenCode's objects are read field by field, and only needed fields are read, so
 * that a field that is added, renamed, removed or changed affects nothing else. A field can be missing or null.
 */
export const string = (u: unknown): string | undefined => typeof u === "string" ? u : undefined

/** Reads a number, also one written as a string. */
export const number = (u: unknown): number | undefined => {
  const value = typeof u === "string" && u.trim() !== "" ? Number(u) : u
  return typeof value === "number" && Number.isFinite(value) ? value : undefined
}

/** Reads an amount, which must not be negative, because it would offset others. */
export const amount = (u: unknown): number | undefined => {
  const value = number(u)
  return value === undefined || value < 0 ? undefined : value
}

export const isNullish = (u: unknown): u is null | undefined => u === null || u === undefined

/** True for plain objects, which are merged; a `Redacted` is an object, too, but must be replaced as a whole. */
export const isPlain = (u: unknown): u is WireObject =>
  isObject(u) && (Object.getPrototypeOf(u) === Object.prototype || Object.getPrototypeOf(u) === null)

export const set = (target: Record<string, unknown>, key: string, value: unknown): void => {
  // An assignment to "__proto__" would change the prototype instead of adding a key.
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}

/** Makes an object of entries, in their order. */
export const fromEntries = (entries: Iterable<readonly [string, unknown]>): WireObject => {
  const result: Record<string, unknown> = {}
  for (const [key, value] of entries) set(result, key, value)
  return result
}

/** Returns a copy of an object without one of its keys. */
export const omit = (self: WireObject, key: string): WireObject =>
  fromEntries(Object.entries(self).filter(([name]) => name !== key))
