import * as Either from "effect/Either"
import type * as Permission from "../../../Permission.js"
import type { Problem } from "../../opencode/problem.js"
import { isObject } from "../../util/object.js"
import type { Rule } from "./protocol.js"

/** Nobody is there to answer a question or to confirm a plan; `opencode run` denies the same (1.18.33). */
const unanswerable: ReadonlyArray<Rule> = ["question", "plan_enter", "plan_exit"].map((permission) => ({
  permission,
  pattern: "*",
  action: "deny"
}))

/** OpenCode does so with the patterns of its configuration (1.18.33), and not with those of a session. */
const expand = (pattern: string, home: string | undefined): string | undefined => {
  const rest = /^(?:~(?=\/|$)|\$HOME)(.*)$/s.exec(pattern)?.[1]
  return rest === undefined ? pattern : home === undefined ? undefined : `${home}${rest}`
}

export interface Options {
  /** The server's, where it is known. */
  readonly home: string | undefined
  /** Permissions that are asked for where a run says nothing of them. */
  readonly ask: ReadonlyArray<string>
}

/**
 * The rules of a session, of which the last one that fits decides, for those of a run. Sub-agents inherit what is
 * denied and never what is asked for (1.18.33), so where something is, there are none, unless the run allows `task` by
 * its name.
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
        return Either.left({ path: `permission.${name}.${pattern}`, reason: "a pattern has one action" })
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
 * What to append to the rules that a session has, so that it is as if it had `wanted` alone. A session forgets no rule,
 * so those of its agent, which would hold without any, are said again between the old ones and the new ones.
 */
export const renewal = (
  current: ReadonlyArray<Rule>,
  agent: ReadonlyArray<Rule>,
  wanted: ReadonlyArray<Rule>
): ReadonlyArray<Rule> => {
  if (current.length === 0) return wanted
  // Where no rule of the agent fits, OpenCode asks.
  const fresh: ReadonlyArray<Rule> = [{ permission: "*", pattern: "*", action: "ask" }, ...agent, ...wanted]
  const isAlone = current.length === wanted.length && endsWith(current, wanted)
  return isAlone || endsWith(current, fresh) ? [] : fresh
}

const isRule = (u: unknown): u is Rule =>
  isObject(u) && typeof u["permission"] === "string" && typeof u["pattern"] === "string" &&
  (u["action"] === "allow" || u["action"] === "deny" || u["action"] === "ask")

/** The rules in a session or an agent, as far as they can be read. */
export const of = (holder: object): ReadonlyArray<Rule> => {
  const rules: unknown = "permission" in holder ? holder.permission : undefined
  return Array.isArray(rules) ? rules.filter(isRule) : []
}
