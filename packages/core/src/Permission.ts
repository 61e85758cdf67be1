/**
 * Permission rules for a run. Nobody can answer a question in a subprocess, so every rule is `allow` or `deny`;
 * OpenCode rejects everything else, which can end the run.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { isObject } from "./internal/util/object.js"
import * as schemas from "./internal/util/schemas.js"

/**
 * @since 0.1.0
 * @category models
 */
export type Action = "allow" | "deny"

/**
 * One action for everything, or rules by permission name, each an action or actions by pattern. The last matching
 * pattern decides (OpenCode 1.18.33).
 *
 * @since 0.1.0
 * @category models
 */
export type Rules = Action | { readonly [name: string]: Rules }

/**
 * The Schema of {@link Rules}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Rules: Schema.Schema<Rules> = Schema.Union(
  Schema.Literal("allow", "deny"),
  Schema.Record({ key: schemas.Name, value: Schema.suspend((): Schema.Schema<Rules> => Rules) })
)

/**
 * An invalid rule, with the dotted path of the leaf; the path is empty for the whole value.
 *
 * @since 0.1.0
 * @category models
 */
export interface Problem {
  readonly path: string
  readonly reason: string
}

/**
 * Finds the first rule that is neither `allow` nor `deny`; `undefined` if there is none.
 *
 * @example
 * ```ts
 * import { Permission } from "effect-opencode"
 *
 * console.log(Permission.check({ edit: { "*.py": "ask" } })) // { path: "edit.*.py", reason: "…" }
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const check = (rules: unknown): Problem | undefined => {
  const visit = (value: unknown, path: string): Problem | undefined => {
    if (value === "allow" || value === "deny") return undefined
    if (value === "ask") {
      return { path, reason: "\"ask\" cannot be answered in a subprocess; use \"allow\" or \"deny\"" }
    }
    if (!isObject(value)) {
      return { path, reason: "an action must be \"allow\" or \"deny\"" }
    }
    for (const [name, rule] of Object.entries(value)) {
      const problem = visit(rule, path === "" ? name : `${path}.${name}`)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  return visit(rules, "")
}

/**
 * Every permission name of OpenCode 1.18.33, including `question` and the plan switches; `write` and `patch` are
 * decided by `edit` there and listed for versions that distinguish them. Tools of MCP servers and plugins have their
 * own names, which `"*"` matches.
 *
 * @since 0.1.0
 * @category models
 */
export const names = [
  "read",
  "edit",
  "write",
  "patch",
  "glob",
  "grep",
  "list",
  "lsp",
  "bash",
  "task",
  "todowrite",
  "webfetch",
  "websearch",
  "external_directory",
  "doom_loop",
  "skill",
  "question",
  "plan_enter",
  "plan_exit"
] as const

/** `"*"` comes first, because the last matching rule decides. */
const all = (action: Action): { readonly [name: string]: Rules } => ({
  "*": action,
  ...Object.fromEntries(names.map((name) => [name, action]))
})

/**
 * Denies everything: the agent can only answer.
 *
 * @since 0.1.0
 * @category profiles
 */
export const denyAll: { readonly [name: string]: Rules } = all("deny")

/** These need a person to answer a question or confirm a plan. */
const unanswerable: { readonly [name: string]: Rules } = { question: "deny", plan_enter: "deny", plan_exit: "deny" }

/**
 * Allows everything, also outside the working directory, except what needs a person to answer.
 *
 * @since 0.1.0
 * @category profiles
 */
export const allowAll: { readonly [name: string]: Rules } = { ...all("allow"), ...unanswerable }

/**
 * Makes a profile that denies by default: everything that is not named, MCP tools included; patterns without a `"*"`
 * deny by default as well.
 *
 * @example
 * ```ts
 * import { Permission } from "effect-opencode"
 *
 * export const reviewer = Permission.make({
 *   read: "allow",
 *   grep: "allow",
 *   bash: { "git log*": "allow", "git diff*": "allow" }
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (rules: { readonly [name: string]: Rules }): { readonly [name: string]: Rules } => ({
  ...denyAll,
  ...Object.fromEntries(
    Object.entries(rules).map(([name, rule]) => [name, typeof rule === "string" ? rule : { "*": "deny", ...rule }])
  )
})

/**
 * Allows reading, searching and todo lists inside the working directory, except `.env` files; denies everything that
 * writes, runs or reaches the network, and sub-agents.
 *
 * @example
 * ```ts
 * import { OpenCode, Permission } from "effect-opencode"
 *
 * export const review = OpenCode.run("Review src/", { permission: Permission.readOnly })
 * ```
 *
 * @since 0.1.0
 * @category profiles
 */
export const readOnly: { readonly [name: string]: Rules } = make({
  read: { "*": "allow", "*.env": "deny", "*.env.*": "deny", "*.env.example": "allow" },
  glob: "allow",
  grep: "allow",
  list: "allow",
  lsp: "allow",
  todowrite: "allow"
})
