import * as Either from "effect/Either"
import type * as Permission from "../../../Permission.js"
import type { Problem } from "../../opencode/problem.js"
import { isObject } from "../../util/object.js"
import type { Rule } from "./protocol.js"

/** These need a person to answer a question or confirm a plan; `opencode run` denies the same (1.18.33). */
const unanswerable: ReadonlyArray<Rule> = ["question", "plan_enter", "plan_exit"].map((permission) => ({
  permission,
  pattern: "*",
  action: "deny"
}))

/** OpenCode expands `~` in its configuration's patterns (1.18.33), but not in those of a session. */
const expand = (pattern: string, home: string | undefined): string | undefined => {
  const rest = /^(?:~(?=\/|$)|\$HOME)(.*)$/s.exec(pattern)?.[1]
  return rest === undefined ? pattern : home === undefined ? undefined : `${home}${rest}`
}

export interface Options {
  /** The server's home directory, if known. */
  readonly home: string | undefined
  /** Permissions that are asked for unless a run sets them. */
  readonly ask: ReadonlyArray<string>
}

/**
 * Turns a run's rules into a session's, of which the last matching one decides. Sub-agents inherit denials but never
 * questions (1.18.33), so a run that asks for something has no sub-agents unless it names `task`.
 */
export const make = (
  permission: Permission.Rules | undefined,
  { ask, home }: Options
): Either.Either<ReadonlyArray<Rule>, Problem> => {
  const rules: Array<Rule> = ask.map((name) => ({ permission: name, pattern: "*", action: "ask" }))
  const all = typeof permission === "string" ? { "*": permission } : permission ?? {}
  for (const [name, rule] of Object.entries(all)) {
    if (typeof rule === "string") {
      rules.push({ permission: name, pattern: "*", action: rule })
      continue
    }
    for (const [pattern, action] of Object.entries(rule)) {
      if (typeof action !== "string") {
        return Either.left({ path: `permission.${name}.${pattern}`, reason: "a pattern must have a single action" })
      }
      const expanded = expand(pattern, home)
      if (expanded === undefined) {
        return Either.left({
          path: `permission.${name}.${pattern}`,
          reason: "the server's home directory is not known here; write the path out"
        })
      }
      rules.push({ permission: name, pattern: expanded, action })
    }
  }
  if (ask.length > 0 && !Object.hasOwn(all, "task")) rules.push({ permission: "task", pattern: "*", action: "deny" })
  return Either.right([...rules, ...unanswerable])
}

const isSame = (a: Rule, b: Rule): boolean =>
  a.permission === b.permission && a.pattern === b.pattern && a.action === b.action

const endsWith = (all: ReadonlyArray<Rule>, end: ReadonlyArray<Rule>): boolean =>
  all.length >= end.length && end.every((rule, index) => isSame(rule, all[all.length - end.length + index]!))

/**
 * Returns the rules to append to a session so that it behaves as if it only had `wanted`. A session keeps all its
 * rules, so those of its agent are repeated between the old ones and the new ones.
 */
export const renewal = (
  current: ReadonlyArray<Rule>,
  agent: ReadonlyArray<Rule>,
  wanted: ReadonlyArray<Rule>
): ReadonlyArray<Rule> => {
  if (current.length === 0) return wanted
  // OpenCode asks if no rule of the agent matches.
  const fresh: ReadonlyArray<Rule> = [{ permission: "*", pattern: "*", action: "ask" }, ...agent, ...wanted]
  const isAlone = current.length === wanted.length && endsWith(current, wanted)
  return isAlone || endsWith(current, fresh) ? [] : fresh
}

const isRule = (u: unknown): u is Rule =>
  isObject(u) && typeof u["permission"] === "string" && typeof u["pattern"] === "string" &&
  (u["action"] === "allow" || u["action"] === "deny" || u["action"] === "ask")

/** The readable rules in a session or an agent. */
export const of = (holder: object): ReadonlyArray<Rule> => {
  const rules: unknown = "permission" in holder ? holder.permission : undefined
  return Array.isArray(rules) ? rules.filter(isRule) : []
}
