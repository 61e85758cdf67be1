import * as Permission from "../Permission.js"
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

/** The rules as OpenCode is told them. */
export const withOrderedPermission = (content: WireObject): WireObject =>
  content["permission"] === undefined
    ? content
    : { ...content, permission: ordered(content["permission"], "name") }
