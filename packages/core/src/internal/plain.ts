import { isObject } from "./wire.js"
import type { WireObject } from "./wire.js"

/** Only plain objects are merged: a `Redacted` is an object too, and must be replaced as a whole. */
export const isPlain = (u: unknown): u is WireObject =>
  isObject(u) && (Object.getPrototypeOf(u) === Object.prototype || Object.getPrototypeOf(u) === null)

export const set = (target: Record<string, unknown>, key: string, value: unknown): void => {
  // An assignment to "__proto__" would change the prototype instead of adding a key.
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}

/** An object of entries, in their order. */
export const fromEntries = (entries: Iterable<readonly [string, unknown]>): WireObject => {
  const result: Record<string, unknown> = {}
  for (const [key, value] of entries) set(result, key, value)
  return result
}
