import { isObject } from "../util/object.js"
import type { WireObject } from "../util/object.js"

const partTypes = new Map<unknown, string>([
  ["step-start", "step_start"],
  ["text", "text"],
  ["reasoning", "reasoning"],
  ["tool", "tool_use"],
  ["step-finish", "step_finish"]
])

/** The type of a printed object; if it is not a string, it is derived from the object's content. */
export const typeOf = (raw: WireObject): string | undefined => {
  const type = raw["type"]
  if (typeof type === "string") return type
  const part = raw["part"]
  if (isObject(part)) return partTypes.get(part["type"])
  return isObject(raw["error"]) && typeof raw["sessionID"] === "string" ? "error" : undefined
}
