/** What a Schema has against a value, without the value: it can be a secret. */
import type * as ParseResult from "effect/ParseResult"

export interface Issue {
  readonly path: ReadonlyArray<PropertyKey>
  readonly reason: string
  /** Whether it is the name that is wrong, and not what it names. */
  readonly isName: boolean
}

const expected = (ast: { readonly toString: () => string }): string =>
  `${String(ast).replace(/ \| undefined$/, "")} was expected`

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
      // Where no member comes nearer to the value, all of them are what was expected.
      return members.every((issues) => depth(issues) === path.length)
        ? [{ path, reason: expected(issue.ast), isName: false }]
        : deepest(members)
    }
    case "Refinement":
    case "Transformation":
      return list(issue.issue, path)
    case "Unexpected":
      return [{ path, reason: "there is no such option", isName: true }]
    case "Missing":
      return [{ path, reason: "it is missing", isName: false }]
    case "Type":
    case "Forbidden":
      return [{ path, reason: expected(issue.ast), isName: false }]
  }
}
