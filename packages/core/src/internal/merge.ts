import type { RunConfig } from "../RunConfig.js"
import { isObject } from "./wire.js"
import type { WireObject } from "./wire.js"

/** Only plain objects are merged: a `Redacted` is an object too, and must be replaced as a whole. */
export const isPlain = (u: unknown): u is WireObject =>
  isObject(u) && (Object.getPrototypeOf(u) === Object.prototype || Object.getPrototypeOf(u) === null)

export const set = (target: Record<string, unknown>, key: string, value: unknown): void => {
  // An assignment to "__proto__" would change the prototype instead of adding a key.
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}

/** Objects merge key by key, anything else replaces; neither side is changed. */
export const deep = (self: WireObject, that: WireObject): WireObject => {
  const merged: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(self)) set(merged, key, value)
  for (const [key, value] of Object.entries(that)) {
    const below = Object.hasOwn(merged, key) ? merged[key] : undefined
    set(merged, key, isPlain(below) && isPlain(value) ? deep(below, value) : value)
  }
  return merged
}

const merged = new Set(["extraEnv", "permission", "mcp", "tools", "configOverrides"])

export const configs = <A extends RunConfig>(self: A, that: A): A => {
  const result: Record<string, unknown> = { ...self }
  for (const [key, value] of Object.entries(that)) {
    if (value === undefined) continue
    const below = result[key]
    result[key] = merged.has(key) && isPlain(below) && isPlain(value) ? deep(below, value) : value
  }
  return result as A
}

export const configContent = (config: RunConfig): WireObject | undefined => {
  const { configOverrides, instructions, mcp, permission, tools } = config
  if ([configOverrides, instructions, mcp, permission, tools].every((part) => part === undefined)) return undefined
  let content: WireObject = deep({}, configOverrides ?? {})
  const over = { permission, mcp, tools }
  for (const [key, value] of Object.entries(over)) {
    if (value !== undefined) content = deep(content, { [key]: value })
  }
  return instructions === undefined ? content : deep(content, { instructions: [...instructions] })
}
