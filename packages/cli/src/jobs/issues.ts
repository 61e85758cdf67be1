/** The reasons why a Schema rejects a value, without the value, which can be a secret. */
import type * as ParseResult from "effect/ParseResult"

export interface Issue {
  readonly path: ReadonlyArray<PropertyKey>
  readonly reason: string
  /** Whether the name is wrong, not its value. */
  readonly isName: boolean
}

const expected = (ast: { readonly toString: () => string }): string =>
  `expected ${String(ast).replace(/ \| undefined$/, "")}`

const deepest = (members: ReadonlyArray<ReadonlyArray<Issue>>): ReadonlyArray<Issue> =>
  members.reduce((best, issues) => depth(issues) > depth(best) ? issues : best)

const depth = (issues: ReadonlyArray<Issue>): number =>
  issues.reduce((most, { path }) => Math.max(most, path.length), 0)

export const list = (
  issue: ParseResult.ParseIssue,
  path: ReadonlyArray<PropertyKey> = []
): ReadonlyArray<Issue> => {
  switch (issue._tag) {
    case "Pointer": {
      const inner = Array.isArray(issue.path) ? issue.path : [issue.path as PropertyKey]
      return list(issue.issue, [...path, ...inner])
    }
    case "Composite": {
      const members = (Array.isArray(issue.issues) ? issue.issues : [issue.issues]).map((inner) => list(inner, path))
      if (issue.ast._tag !== "Union") return members.flat()
      // If no member matches more deeply than the others, all of them were expected.
      return members.every((issues) => depth(issues) === path.length)
        ? [{ path, reason: expected(issue.ast), isName: false }]
        : deepest(members)
    }
    case "Refinement":
    case "Transformation":
      return list(issue.issue, path)
    case "Unexpected":
      return [{ path, reason: "unknown option", isName: true }]
    case "Missing":
      return [{ path, reason: "missing", isName: false }]
    case "Type":
    case "Forbidden":
      return [{ path, reason: expected(issue.ast), isName: false }]
  }
}
