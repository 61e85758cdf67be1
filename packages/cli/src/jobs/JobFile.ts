/** Job files: JSON lines, JSON, CSV or YAML, read into rows in which every field knows its line and column. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as csv from "./csv.js"
import * as json from "./jsonPositions.js"
import * as located from "./located.js"
import * as yaml from "./yamlPositions.js"

export type Format = typeof formats[number]

/**
 * - `jsonl`: a JSON object on each line; empty lines are skipped
 * - `json`: an array of objects
 * - `csv`: RFC 4180; the first row has the column names
 * - `yaml`: a list of mappings, with anchors and merge keys (`<<`)
 */
export const formats = ["jsonl", "json", "csv", "yaml"] as const

/** The format according to the file's name. */
export const formatOf = (file: string): Format | undefined => {
  const extension = /\.([a-z]+)$/i.exec(file)?.[1]?.toLowerCase()
  return extension === "yml"
    ? "yaml"
    : extension === "ndjson"
    ? "jsonl"
    : formats.find((format) => format === extension)
}

/** A job as it is in the file. */
export interface Row {
  readonly fields: located.Fields
  /** Whether every value is text, so that numbers and booleans have to be parsed. */
  readonly textual: boolean
}

/** A place in the input. */
export interface Place {
  /** The file or the option. */
  readonly source: string
  /** From 1; `undefined` for the whole source. */
  readonly line?: number | undefined
  /** From 1, in UTF-16 units. */
  readonly column?: number | undefined
}

/** A problem in the input. */
export interface Problem extends Place {
  readonly reason: string
}

/** Formats a problem like a compiler: `jobs.csv:3:7: what is wrong`. */
export const format = ({ column, line, reason, source }: Problem): string =>
  `${[source, line, column].filter((part) => part !== undefined).join(":")}: ${reason}`

/** The jobs are invalid, for all of these reasons. Nothing was started. */
export class JobFileError extends Schema.TaggedError<JobFileError>("effect-opencode-cli/JobFileError")("JobFileError", {
  problems: Schema.NonEmptyArray(Schema.Struct({
    source: Schema.String,
    line: Schema.optional(Schema.Number),
    column: Schema.optional(Schema.Number),
    reason: Schema.String
  }))
}) {
  override get message(): string {
    return this.problems.map(format).join("\n")
  }
}

/** The contents of a job file: the rows that can be read, and the problems of the others. */
export interface JobFile {
  readonly source: located.Source
  readonly rows: ReadonlyArray<Row>
  readonly problems: ReadonlyArray<Problem>
}

/** The line and column of an offset in a source. */
export const placeAt = (source: located.Source, offset: number): Place => ({
  source: source.name,
  ...source.position(offset)
})

/** A problem at an offset in a source. */
export const problemAt = (source: located.Source, offset: number, reason: string): Problem => ({
  ...placeAt(source, offset),
  reason
})

/** Removes duplicate problems: a problem of the command line is the same for every job. */
export const distinct = (problems: ReadonlyArray<Problem>): ReadonlyArray<Problem> => [
  ...new Map(problems.map((problem) => [format(problem), problem])).values()
]

interface Read {
  readonly rows: ReadonlyArray<located.Located>
  readonly troubles: ReadonlyArray<located.Trouble>
}

const lines = (text: string): Read => {
  const rows: Array<located.Located> = []
  const troubles: Array<located.Trouble> = []
  for (let start = 0; start <= text.length;) {
    const next = text.indexOf("\n", start)
    const end = next === -1 ? text.length : next
    if (text.slice(start, end).trim() !== "") {
      Either.match(json.parse(text, start, end), {
        onLeft: (found) => troubles.push(...found),
        onRight: (value) => rows.push(value)
      })
    }
    start = end + 1
  }
  return { rows, troubles }
}

const list = (parsed: Either.Either<located.Located, ReadonlyArray<located.Trouble>>, what: string): Read =>
  Either.match(parsed, {
    onLeft: (troubles) => ({ rows: [], troubles }),
    onRight: (value) =>
      value._tag === "List"
        ? { rows: value.items, troubles: [] }
        : { rows: [], troubles: [{ offset: value.start, reason: `expected ${what}` }] }
  })

const read = (text: string, format: Format): Read => {
  switch (format) {
    case "jsonl":
      return lines(text)
    case "json":
      return list(json.parse(text), "an array of jobs")
    case "yaml":
      return list(yaml.parse(text), "a list of jobs")
    case "csv":
      return csv.parse(text)
  }
}

/**
 * Reads a job file. Total: anything unreadable becomes a problem with its place, and the rest of the file is still read
 * as far as the format allows.
 */
export const parse = (
  input: { readonly name: string; readonly text: string; readonly format: Format }
): JobFile => {
  const source = located.source(input.name, input.text.replace(/^\uFEFF/, ""))
  const { rows, troubles } = read(source.text, input.format)
  const isRecord = (row: located.Located): row is located.Fields => row._tag === "Record"
  const found = [
    ...troubles,
    ...rows.filter((row) => !isRecord(row)).map((row) => ({
      offset: row.start,
      reason: "a job must be an object with fields"
    }))
  ]
  return {
    source,
    rows: rows.filter(isRecord).map((fields) => ({ fields, textual: input.format === "csv" })),
    problems: found.length === 0 && rows.length === 0
      ? [{ source: source.name, line: 1, column: 1, reason: "the file has no jobs" }]
      : found.sort((a, b) => a.offset - b.offset).map(({ offset, reason }) => problemAt(source, offset, reason))
  }
}
