import * as Either from "effect/Either"
import type { Rules } from "../../../Permission.js"
import type { RunConfig } from "../../../RunConfig.js"
import { isObject } from "../../util/object.js"
import * as configContent from "../configContent.js"
import type { Agent, Rule } from "../privateServer.js"
import type { Problem } from "../problem.js"
import * as wildcard from "../wildcard.js"

/** The actions that have another name than the permission of 1.x. */
const renamed: ReadonlyArray<readonly [permission: string, action: string]> = [["bash", "shell"], ["task", "subagent"]]

/** Permissions that `edit` decides, in both majors. */
const underEdit = new Set(["write", "patch"])

/** Permissions of 1.x without a counterpart. */
const without = new Set(["list", "lsp", "todowrite", "doom_loop", "plan_enter", "plan_exit"])

/** The actions that a permission's name or pattern stands for. A pattern also matches by the names of 1.x. */
const actionsOf = (name: string): ReadonlyArray<string> =>
  wildcard.hasWildcard(name)
    ? [
      name,
      ...renamed.filter(([old, action]) => wildcard.matches(name, old) && !wildcard.matches(name, action))
        .map(([, action]) => action)
    ]
    : [renamed.find(([old]) => old === name)?.[1] ?? name]

const effects: ReadonlySet<unknown> = new Set(["allow", "deny", "ask"])

const leaves = (rule: unknown): ReadonlyArray<readonly [resource: string, effect: Rule["effect"]]> =>
  effects.has(rule)
    ? [["*", rule as Rule["effect"]]]
    : Object.entries(isObject(rule) ? rule : {}).flatMap(([pattern, effect]) =>
      effects.has(effect) ? [[pattern, effect as Rule["effect"]]] : []
    )

/**
 * Returns the rules as a list in their order, with the names of 2.x. `write` and `patch` are left out if anything decides
 * about `edit`: 2.x would read them as rules for `edit` that come later and decide (2.0.14).
 */
export const encode = (rules: Rules | undefined): ReadonlyArray<Rule> => {
  const entries = Object.entries(typeof rules === "string" ? { "*": rules } : rules ?? {})
  const saysEdit = entries.some(([name]) => name === "edit" || (name !== "*" && wildcard.matches(name, "edit")))
  const saysAll = entries.some(([name]) => name === "*")
  return entries.flatMap(([name, rule]) => {
    if (without.has(name) || (underEdit.has(name) && (saysEdit || saysAll))) return []
    return actionsOf(underEdit.has(name) ? "edit" : name).flatMap((action) =>
      leaves(rule).map(([resource, effect]): Rule => ({ action, resource, effect }))
    )
  })
}

/** These need a person to answer. */
const unanswerable: Rule = { action: "question", resource: "*", effect: "deny" }

/** OpenCode's home directory in a pattern; `undefined` if it is not known. */
const expand = (pattern: string, home: string | undefined): string | undefined => {
  const rest = /^(?:~(?=\/|$)|\$HOME)(.*)$/s.exec(pattern)?.[1]
  return rest === undefined ? pattern : home === undefined ? undefined : `${home}${rest}`
}

/** The tools that a configuration turns off, whose rules come before those of `permission`. */
const off = (config: RunConfig): ReadonlyArray<Rule> => {
  const { tools } = configContent.ownContent(config) ?? {}
  return Object.entries(isObject(tools) ? tools : {}).flatMap(([name, isOn]) =>
    isOn === false
      ? actionsOf(underEdit.has(name) ? "edit" : name).map((action): Rule => ({
        action,
        resource: "*",
        effect: "deny"
      }))
      : []
  )
}

/** True if the rules leave something of an action closed. */
const closes = (rules: ReadonlyArray<Rule>, action: string): boolean => {
  let isClosed = false
  for (const rule of rules) {
    if (!wildcard.matches(rule.action, action)) continue
    if (rule.effect !== "allow") isClosed = true
    else if (rule.resource === "*") isClosed = false
  }
  return isClosed
}

/**
 * What 2.x offers besides the actions that the program knows, and that would open what its rules close (2.0.14): code of
 * `execute` reaches the network without `webfetch`, and one of its tools moves the session to another directory, which
 * then is not an outside one. A program opens them by their names.
 */
const besides = (rules: ReadonlyArray<Rule>): ReadonlyArray<Rule> => {
  const isNamed = (action: string) => rules.some((rule) => rule.action !== "*" && wildcard.matches(rule.action, action))
  const isOpen = (action: string) => action === moving || closes(rules, "webfetch")
  return [moving, "execute"].filter((action) => isOpen(action) && !isNamed(action)).map((action): Rule => ({
    action,
    resource: "*",
    effect: "deny"
  }))
}

const moving = "opencode_session_move"

/** The rules of a run for its session. They come after all others and hold for its sub-agents, too (2.0.14). */
export const forSession = (
  config: RunConfig,
  home: string | undefined
): Either.Either<ReadonlyArray<Rule>, Problem> => {
  const given = configContent.permissionOf(config)
  if (isObject(given)) {
    for (const [name, rule] of Object.entries(given)) {
      for (const [pattern, action] of Object.entries(isObject(rule) ? rule : {})) {
        if (isObject(action)) {
          return Either.left({ path: `permission.${name}.${pattern}`, reason: "a pattern must have a single action" })
        }
      }
    }
  }
  const rules: Array<Rule> = []
  for (const rule of [...off(config), ...encode(given)]) {
    const resource = expand(rule.resource, home)
    if (resource === undefined) {
      return Either.left({
        path: `permission.${rule.action}.${rule.resource}`,
        reason: "the home directory is not known; write the path out"
      })
    }
    rules.push({ ...rule, resource })
  }
  return Either.right([...rules, ...besides(rules), unanswerable])
}

const outside = "external_directory"

/**
 * Directories outside of the working directory are asked for unless a rule names them: 2.0.24 and later allow them by
 * default. OpenCode's own directories, in which it keeps the output of tools, stay allowed.
 */
export const baseline = ({ rules }: Agent): ReadonlyArray<Rule> => {
  const last = rules.filter(({ action, resource }) => resource === "*" && wildcard.matches(action, outside)).at(-1)
  return last?.effect !== "allow" || last.action === outside ? [] : [
    { action: outside, resource: "*", effect: "ask" },
    ...rules.filter(({ action, resource }) => action === outside && resource !== "*")
  ]
}
