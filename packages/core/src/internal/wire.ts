/** A JSON object as OpenCode printed it, or as we would print it. */
export type WireObject = { readonly [key: string]: unknown }

export const isObject = (u: unknown): u is WireObject => typeof u === "object" && u !== null && !Array.isArray(u)

/**
 * OpenCode's objects are read field by field, and only the fields that are needed: one that it adds, renames, drops or
 * writes in another form costs nothing but itself. A field can be missing or null.
 */
export const string = (u: unknown): string | undefined => typeof u === "string" ? u : undefined

/** A number, also one that is written as a text. */
export const number = (u: unknown): number | undefined => {
  const value = typeof u === "string" && u.trim() !== "" ? Number(u) : u
  return typeof value === "number" && Number.isFinite(value) ? value : undefined
}

/** What is counted or paid: a negative amount would pay for others. */
export const amount = (u: unknown): number | undefined => {
  const value = number(u)
  return value === undefined || value < 0 ? undefined : value
}

export const isNullish = (u: unknown): u is null | undefined => u === null || u === undefined

const partTypes = new Map<unknown, string>([
  ["step-start", "step_start"],
  ["text", "text"],
  ["reasoning", "reasoning"],
  ["tool", "tool_use"],
  ["step-finish", "step_finish"]
])

/** The type of a printed object; one that is no text is taken from what the object holds. */
export const typeOf = (raw: WireObject): string | undefined => {
  const type = raw["type"]
  if (typeof type === "string") return type
  const part = raw["part"]
  if (isObject(part)) return partTypes.get(part["type"])
  return isObject(raw["error"]) && typeof raw["sessionID"] === "string" ? "error" : undefined
}
