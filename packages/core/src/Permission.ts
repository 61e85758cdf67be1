/**
 * Permission rules for a run. Nobody can answer a question in a subprocess, so every rule is `allow` or `deny`;
 * whatever would ask is rejected by OpenCode and can end the run.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { isObject } from "./internal/wire.js"

/**
 * @since 0.1.0
 * @category models
 */
export type Action = "allow" | "deny"

/**
 * One action for everything, or rules by permission name, each an action or actions by pattern. The last pattern that
 * matches decides (OpenCode 1.18.33).
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
  Schema.Record({ key: Schema.String, value: Schema.suspend((): Schema.Schema<Rules> => Rules) })
)

/**
 * A rule that cannot be used, with the dotted path of the leaf; the path is empty for the whole value.
 *
 * @since 0.1.0
 * @category models
 */
export interface Problem {
  readonly path: string
  readonly reason: string
}

/**
 * Finds the first rule that is neither `allow` nor `deny`.
 *
 * @example
 * ```ts
 * import { Permission } from "effect-opencode"
 *
 * console.log(Permission.check({ edit: { "*.py": "ask" } })) // Option.some({ path: "edit.*.py", reason: "…" })
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const check = (rules: unknown): Option.Option<Problem> => {
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
  return Option.fromNullable(visit(rules, ""))
}
