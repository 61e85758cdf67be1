import * as Permission from "../Permission.js"
import type { RunConfig } from "../RunConfig.js"
import { isPlain, set } from "./merge.js"
import type { WireObject } from "./wire.js"

const hasWildcard = (key: string): boolean => /[*?]/.test(key)

/** OpenCode's matcher, as far as it matters here: `*` is any text, `?` any character. */
const matches = (pattern: string, text: string): boolean =>
  new RegExp(
    `^${pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".")}$`,
    "s"
  ).test(text)

/** Whether two keys can be about the same thing; two patterns always can. */
const overlap = (a: string, b: string): boolean =>
  hasWildcard(a) ? hasWildcard(b) || matches(a, b) : hasWildcard(b) ? matches(b, a) : a === b

const builtIn: ReadonlySet<string> = new Set(Permission.names)

/**
 * Another spelling of a permission's name or pattern for OpenCode's matcher. That of a name is wider by one character,
 * so it must not catch another name of ours, and must not allow what only looks like a name of ours.
 */
const alias = (rules: WireObject, key: string, level: "name" | "pattern"): string | undefined => {
  if (key.endsWith("*")) return `${key}*`
  if (level !== "name" || !/\w$/.test(key) || !(builtIn.has(key) || rules[key] === "deny")) return undefined
  const wider = `${key.slice(0, -1)}?`
  return Object.keys(rules).some((other) => other !== key && !hasWildcard(other) && matches(wider, other))
    ? undefined
    : wider
}

/**
 * The last rule that matches decides, and OpenCode merges our rules into those of its config files by key (1.18.33):
 * where a file names `bash`, our `{ "*": "allow", bash: "deny" }` becomes `bash: deny, *: allow`, and bash is allowed.
 * So every rule beside a `"*"` is said once more under a key that no file has, which therefore comes last; unless it
 * would then stand behind a rule of ours that has no other spelling and goes before it.
 */
const ordered = (rules: unknown, level: "name" | "pattern"): unknown => {
  if (!isPlain(rules)) return rules
  const entries = Object.entries(rules).map(([key, rule]) => [key, ordered(rule, "pattern")] as const)
  const result: Record<string, unknown> = {}
  for (const [key, rule] of entries) set(result, key, rule)
  if (!Object.hasOwn(rules, "*")) return result
  const later: Array<string> = []
  const again: Array<readonly [string, unknown]> = []
  for (const [key, rule] of entries.reverse()) {
    const other = key === "*" ? undefined : alias(rules, key, level)
    if (other === undefined || Object.hasOwn(rules, other) || later.some((unsaid) => overlap(unsaid, key))) {
      later.push(key)
    } else {
      again.push([other, rule])
    }
  }
  for (const [key, rule] of again.reverse()) set(result, key, rule)
  return result
}

/** The agents that OpenCode brings. Rules under another name would make an agent of that name where there is none. */
const native = new Set(["build", "plan"])

/** Rules under an agent's name win over those of a config file under that name; they mean the same as the rules alone. */
const underAgent = (content: WireObject, agent: string, rules: unknown): WireObject => {
  const agents = isPlain(content["agent"]) ? content["agent"] : {}
  const own = isPlain(agents[agent]) ? agents[agent] : {}
  return own["permission"] === undefined
    ? { ...content, agent: { ...agents, [agent]: { ...own, permission: rules } } }
    : content
}

/**
 * The configuration as OpenCode is told it: a project's config file could otherwise lift our rules by naming the same
 * permission earlier, or by rules of its own for the agent (1.18.33).
 */
export const asTold = (content: WireObject, agent: string | undefined): WireObject => {
  const permission = content["permission"]
  if (permission === undefined) return content
  const rules = ordered(permission, "name")
  const told = { ...content, permission: rules }
  const name = agent ?? (typeof content["default_agent"] === "string" ? content["default_agent"] : "build")
  return native.has(name) ? underAgent(told, name, rules) : told
}

/** `OPENCODE_PERMISSION` wins over the configuration, so an inherited one must not be left standing (1.18.33). */
export const variables = (config: RunConfig): { readonly [name: string]: string } =>
  config.permission === undefined ? {} : { OPENCODE_PERMISSION: JSON.stringify(ordered(config.permission, "name")) }
