import * as Permission from "../../../Permission.js"
import type { RunConfig } from "../../../RunConfig.js"
import { fromEntries, isPlain } from "../../util/object.js"
import type { WireObject } from "../../util/object.js"
import * as configContent from "../configContent.js"
import { noAgents } from "../dialect.js"
import type { Agents } from "../dialect.js"
import * as ruleMerge from "../ruleMerge.js"
import { variableNames } from "../variables.js"
import * as wildcard from "../wildcard.js"

type Entry = readonly [name: string, rule: unknown]

const builtIn: ReadonlySet<string> = new Set(Permission.names)

const shorterFirst = ([a]: Entry, [b]: Entry): number => a.length - b.length

/** The text before the first wildcard. */
const prefixOf = (pattern: string): string => /^[^*?]*/.exec(pattern)![0]

/** True if a pattern matches every name that begins with this one. */
const covers = (pattern: string, name: string): boolean =>
  /^[^*?]*\*+$/.test(pattern) && name.startsWith(prefixOf(pattern))

/** True if no name can match both. */
const areApart = (a: string, b: string): boolean => {
  const [one, other] = [prefixOf(a), prefixOf(b)]
  return !one.startsWith(other) && !other.startsWith(one)
}

/**
 * A pattern for a name without another spelling: it is wider by one character, so it must not match another of our
 * names, nor allow a similar foreign name.
 */
const lookalike = (names: ReadonlyArray<string>, name: string, rule: unknown): string | undefined =>
  builtIn.has(name) || rule === "deny"
    ? Array.from(name, (_, at) => `${name.slice(0, at)}?${name.slice(at + 1)}`).reverse().find((wider) =>
      names.every((other) =>
        other === name ||
        (wildcard.hasWildcard(other) ? rule === "deny" || areApart(wider, other) : !wildcard.matches(wider, other))
      )
    )
    : undefined

/**
 * Repeats the rules under keys that a config file does not have. The last matching rule decides, and OpenCode merges
 * our rules into those of its config files by key (1.18.33): if a file names `bash` first, our `{ "*": "allow", bash:
 * "deny" }` becomes `bash: deny, *: allow`, and if it names `"*"` first, its own `bash` comes after our `"*"`. Keys
 * that no file contains come last, in our order.
 *
 * A pattern has other spellings (`**`). A name has none: `bash*` repeats its rule, and `bash?*` returns longer names to
 * our patterns that decide about them.
 */
const again = (rules: WireObject): ReadonlyArray<Entry> => {
  const entries = Object.entries(rules)
  const names = entries.map(([name]) => name)
  const result: Array<Entry> = []
  const said: Array<string> = []
  const isUsed = (key: string): boolean => Object.hasOwn(rules, key) || result.some(([used]) => used === key)
  const say = (pattern: string, rule: unknown): void => {
    const key = isUsed(pattern) ? wildcard.respelled(pattern, isUsed) : pattern
    if (key !== undefined) result.push([key, rule])
  }

  const wild = entries.filter(([name]) => wildcard.hasWildcard(name))
  for (const [pattern, rule] of wild) say(pattern, rule)

  // The rule of a shorter name also matches longer ones, so these follow.
  for (const [name, own] of entries.filter(([name]) => !wildcard.hasWildcard(name)).sort(shorterFirst)) {
    const rule = entries.filter(([other]) => other === name || wildcard.overlap(other, name))
      .map(([, rule]) => rule).reduce(ruleMerge.patterns)
    const byPatterns = wild.filter(([pattern]) => wildcard.matches(pattern, name)).map(([, rule]) => rule)
      .reduce<unknown>(ruleMerge.patterns, undefined)
    if (typeof rule === "string" && rule === byPatterns && !said.some((shorter) => name.startsWith(shorter))) continue
    if (wild.some(([pattern, rule]) => covers(pattern, name) && ruleMerge.isTotal(rule))) {
      said.push(name)
      say(`${name}*`, rule)
      for (const [pattern, rule] of wild) {
        if (covers(pattern, name)) say(`${name}?*`, rule)
        else if (prefixOf(pattern).startsWith(name) || (rule === "deny" && !areApart(pattern, name))) say(pattern, rule)
      }
    } else {
      const wider = lookalike(names, name, own)
      if (wider !== undefined) say(wider, rule)
    }
  }
  return result
}

/** Returns the rules as passed to OpenCode. */
export const ordered = (rules: unknown): unknown => {
  if (typeof rules === "string") return ordered({ "*": rules })
  return isPlain(rules) ? fromEntries([...Object.entries(rules), ...again(rules)]) : rules
}

/** OpenCode's built-in agents. Rules under another name would create an agent of that name if it does not exist. */
const native: ReadonlySet<string> = new Set(["build", "plan"])

const inside = (u: unknown, key: string): unknown => isPlain(u) && Object.hasOwn(u, key) ? u[key] : undefined

/** Puts rules under the names of agents: after the rules for all agents, before the program's rules for one of them. */
const under = (
  content: WireObject,
  key: "agent" | "mode",
  names: Iterable<string>,
  rules: unknown,
  more: (name: string) => WireObject = () => ({})
): WireObject => {
  const own = isPlain(content[key]) ? content[key] : {}
  const all = new Set([...names, ...Object.keys(own)])
  if (all.size === 0) return content
  return {
    ...content,
    [key]: fromEntries([...all].map((name) => {
      const agent = inside(own, name) ?? {}
      return [
        name,
        isPlain(agent)
          ? { ...more(name), ...agent, permission: ordered(ruleMerge.rules(rules, inside(agent, "permission"))) }
          : agent
      ]
    }))
  }
}

/** Overrides config file settings that would replace or disable the agent. */
const working: WireObject = { name: "build", mode: "primary", disable: false, hidden: false }

/**
 * The agent that runs. Configuration files choose it and its rules unless the caller names one; so with rules and
 * without a named agent it is `build`.
 */
export const agentOf = (config: RunConfig): string | undefined => {
  const { agent, configOverrides = {} } = config
  const isOpen = agent === undefined && configOverrides["default_agent"] === undefined &&
    inside(inside(configOverrides["agent"], "build"), "disable") !== true
  return isOpen && configContent.permissionOf(config) !== undefined ? "build" : agent
}

/**
 * The configuration as passed to OpenCode. Rules of an agent override those for all agents, so rules are repeated under
 * the running agent and every known agent.
 */
export const asTold = (content: WireObject, agent: string | undefined, known: Agents = noAgents): WireObject => {
  const permission = content["permission"]
  if (configContent.isEmpty(permission)) return content
  const name = agent ?? content["default_agent"]
  const names = [...(typeof name === "string" && native.has(name) ? [name] : []), ...known.defined, ...known.modes]
  return under(
    under(
      content,
      "agent",
      names,
      permission,
      (other) => other === "build" && agent === other ? working : { name: other }
    ),
    "mode",
    known.modes,
    permission
  )
}

/** `OPENCODE_PERMISSION` overrides the configuration, so an inherited one must be replaced (1.18.33). */
export const variables = (config: RunConfig): { readonly [name: string]: string } => {
  const rules = configContent.permissionOf(config)
  return rules === undefined ? {} : { [variableNames.permission]: JSON.stringify(ordered(rules)) }
}
