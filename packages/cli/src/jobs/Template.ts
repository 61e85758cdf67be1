/**
 * Text templates with columns: `Translate {{ text }} into {{language}}`. A backslash before the braces makes them
 * literal; two backslashes before braces are one backslash, and the braces keep their meaning.
 */
import * as Either from "effect/Either"

export type Part =
  | { readonly _tag: "Text"; readonly text: string }
  | {
    readonly _tag: "Column"
    readonly name: string
    /** The offset of the braces, in UTF-16 units from 0. */
    readonly offset: number
  }

export type Template = ReadonlyArray<Part>

/** A problem in a template, and its place. */
export interface Problem {
  /** In UTF-16 units from 0. */
  readonly offset: number
  readonly reason: string
}

const meant = "write `\\{{` for literal braces"

const opening = /(\\*)\{\{/g

/** Parses a template; reports every problem, not only the first. */
export const parse = (text: string): Either.Either<Template, ReadonlyArray<Problem>> => {
  const parts: Array<Part> = []
  const problems: Array<Problem> = []
  let literal = ""
  let at = 0
  for (;;) {
    opening.lastIndex = at
    const match = opening.exec(text)
    if (match === null) break
    const backslashes = match[1]!.length
    literal += text.slice(at, match.index) + "\\".repeat(Math.floor(backslashes / 2))
    at = opening.lastIndex
    if (backslashes % 2 === 1) {
      literal += "{{"
      continue
    }
    const offset = at - 2
    const end = text.indexOf("}}", at)
    if (end === -1) {
      problems.push({ offset, reason: `\`{{\` has no \`}}\`; ${meant}` })
      break
    }
    const name = text.slice(at, end).trim()
    at = end + 2
    if (name === "" || /[{}\n]/.test(name)) {
      const what = name === ""
        ? "`{{` and `}}` need a name between them"
        : "a column's name cannot contain braces or a line break"
      problems.push({ offset, reason: `${what}; ${meant}` })
      continue
    }
    if (literal !== "") parts.push({ _tag: "Text", text: literal })
    literal = ""
    parts.push({ _tag: "Column", name, offset })
  }
  if (problems.length > 0) return Either.left(problems)
  literal += text.slice(at)
  if (literal !== "") parts.push({ _tag: "Text", text: literal })
  return Either.right(parts)
}

/** The columns that a template uses, each once. */
export const columns = (template: Template): ReadonlyArray<string> => [
  ...new Set(template.flatMap((part) => part._tag === "Column" ? [part.name] : []))
]

/** Replaces the columns by values. Values are data: braces in them have no meaning. */
export const render = (
  template: Template,
  values: ReadonlyMap<string, string>
): Either.Either<string, ReadonlyArray<Problem>> => {
  const problems: Array<Problem> = []
  const text = template.map((part) => {
    if (part._tag === "Text") return part.text
    const value = values.get(part.name)
    if (value === undefined) {
      const known = [...values.keys()].map((name) => `\`${name}\``).join(", ")
      problems.push({
        offset: part.offset,
        reason: `unknown column \`${part.name}\`${known === "" ? "" : `; the columns are ${known}`}`
      })
    }
    return value ?? ""
  }).join("")
  return problems.length > 0 ? Either.left(problems) : Either.right(text)
}

/** The template that renders to exactly this text. */
export const escape = (text: string): string =>
  text.replace(opening, (_, backslashes: string) => `${backslashes}${backslashes}\\{{`)
