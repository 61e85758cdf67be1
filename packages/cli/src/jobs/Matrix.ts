/**
 * A matrix runs every job once for each combination of the values of its axes. An axis is a field of the jobs (`model`,
 * `agent`, `config.variant`, …) or an additional column that templates use.
 */
import * as Redaction from "effect-opencode/Redaction"
import * as Either from "effect/Either"

export interface Axis {
  readonly name: string
  readonly values: ReadonlyArray<string>
}

/** A value on each axis. */
export type Cell = { readonly [axis: string]: string }

/** Splits values at commas; `\,` is a comma in a value. */
const split = (text: string): ReadonlyArray<string> =>
  text.split(/(?<!\\),/).map((value) => value.replaceAll("\\,", ",").trim())

const problemOf = ({ name, values }: Axis): string | undefined => {
  if (name.startsWith("-")) {
    return `\`${name}\` is not an axis: after --matrix, write options with a space (\`${name} value\`)`
  }
  if (Redaction.isSecretName(name)) {
    return `\`${name}\` cannot be an axis: its values would be secrets, and names, results and reports show axis values`
  }
  if (name === "") return "an axis needs a name (`model=a,b`)"
  if (values.includes("")) return `the axis \`${name}\` has an empty value`
  const twice = values.find((value, index) => values.indexOf(value) !== index)
  return twice === undefined
    ? undefined
    : `the axis \`${name}\` has \`${twice}\` twice; --repeat runs everything several times`
}

/**
 * Parses the axes of a command line: names and comma-separated values (`\,` is a comma in a value). They are sorted by
 * name, so that the order on the command line does not matter.
 */
export const parse = (
  axes: Iterable<readonly [name: string, values: string]>
): Either.Either<ReadonlyArray<Axis>, ReadonlyArray<string>> => {
  const parsed = [...axes].map(([name, text]): Axis => ({ name: name.trim(), values: split(text) }))
    .sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
  const twice = parsed.flatMap(({ name }, index) =>
    parsed[index - 1]?.name === name ? [`the axis \`${name}\` is given twice`] : []
  )
  const problems = [...parsed.flatMap((axis) => problemOf(axis) ?? []), ...twice]
  return problems.length > 0 ? Either.left(problems) : Either.right(parsed)
}

/** All combinations, the last axis changing fastest; one empty cell if there are no axes. */
export const cells = (axes: ReadonlyArray<Axis>): ReadonlyArray<Cell> =>
  axes.reduce<ReadonlyArray<Cell>>(
    (cells, { name, values }) => cells.flatMap((cell) => values.map((value) => ({ ...cell, [name]: value }))),
    [{}]
  )

/** The name of a cell for people: its values. Empty without a matrix. */
export const label = (cell: Cell): string => Object.values(cell).join(" ")
