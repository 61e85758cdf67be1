import type { RunConfig } from "../../RunConfig.js"
import { fromEntries, isPlain, set } from "../util/object.js"
import type { WireObject } from "../util/object.js"
import * as ruleMerge from "./ruleMerge.js"

/** Merges objects key by key; anything else replaces. Neither argument is modified. */
export const deep = (self: WireObject, that: WireObject): WireObject => {
  const merged: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(self)) set(merged, key, value)
  for (const [key, value] of Object.entries(that)) {
    const below = Object.hasOwn(merged, key) ? merged[key] : undefined
    set(merged, key, isPlain(below) && isPlain(value) ? deep(below, value) : value)
  }
  return merged
}

/** Objects in OpenCode's configuration whose entries have their own rules. */
const agents = ["agent", "mode"]

const withRules = (merged: WireObject, self: WireObject, that: WireObject): WireObject =>
  Object.hasOwn(self, "permission") && Object.hasOwn(that, "permission")
    ? { ...merged, permission: ruleMerge.rules(self["permission"], that["permission"]) }
    : merged

/** Like `deep`, but permission rules are merged as rules. */
export const contents = (self: WireObject, that: WireObject): WireObject => {
  const result: Record<string, unknown> = { ...withRules(deep(self, that), self, that) }
  const [plugins, more]: ReadonlyArray<unknown> = [self["plugin"], that["plugin"]]
  // As OpenCode merges its files (1.18.33): a run with a plugin keeps those of its layer.
  if (Array.isArray(plugins) && Array.isArray(more)) result["plugin"] = [...new Set<unknown>([...plugins, ...more])]
  for (const key of agents) {
    const [before, after, merged] = [self[key], that[key], result[key]]
    if (!isPlain(before) || !isPlain(after) || !isPlain(merged)) continue
    result[key] = fromEntries(
      Object.entries(merged).map(([name, agent]) => {
        const [outer, inner] = [before[name], after[name]]
        return [name, isPlain(agent) && isPlain(outer) && isPlain(inner) ? withRules(agent, outer, inner) : agent]
      })
    )
  }
  return result
}

const merging = new Map([["extraEnv", deep], ["mcp", deep], ["tools", deep], ["configOverrides", contents]])

export const configs = <A extends RunConfig>(self: A, that: A): A => {
  const result: Record<string, unknown> = { ...self }
  for (const [key, value] of Object.entries(that)) {
    if (value === undefined) continue
    const below = result[key]
    const merge = merging.get(key)
    result[key] = key === "permission"
      ? ruleMerge.rules(below, value)
      : merge !== undefined && isPlain(below) && isPlain(value)
      ? merge(below, value)
      : value
  }
  return result as A
}

/** True if a part of a configuration is empty. */
export const isEmpty = (u: unknown): boolean => u === undefined || (isPlain(u) && Object.keys(u).length === 0)

/** All rules of a configuration. */
export const permissionOf = ({ configOverrides, permission }: RunConfig): RunConfig["permission"] => {
  const rules = ruleMerge.rules(configOverrides?.["permission"], permission)
  return isEmpty(rules) ? undefined : rules as RunConfig["permission"]
}

export const configContent = (config: RunConfig): WireObject | undefined => {
  const { configOverrides, instructions, mcp, permission, tools } = config
  if ([configOverrides, instructions, mcp, permission, tools].every((part) => part === undefined)) return undefined
  let content: WireObject = deep({}, configOverrides ?? {})
  for (const [key, value] of Object.entries({ permission, mcp, tools })) {
    if (value !== undefined) content = contents(content, { [key]: value })
  }
  return instructions === undefined ? content : deep(content, { instructions: [...instructions] })
}

/** Adds the file with a system prompt to the instructions, ours or the inherited ones. */
export const withInstructions = (
  content: WireObject | undefined,
  { inherited, system }: { readonly inherited?: WireObject | undefined; readonly system?: string | undefined }
): WireObject | undefined => {
  if (system === undefined) return content
  const others = content?.["instructions"] ?? inherited?.["instructions"]
  return { ...content, instructions: [...(Array.isArray(others) ? others as ReadonlyArray<unknown> : []), system] }
}

/** The configuration that OpenCode receives; `undefined` if all its parts are empty, so that an inherited one stays. */
export const ownContent = (config: RunConfig): WireObject | undefined => {
  const content = configContent(config)
  return content === undefined || Object.values(content).every(isEmpty) ? undefined : content
}
