/** Reads the fields of a job: renders its templates, decodes its configuration, and says where something is wrong. */
import { levenshteinDistance } from "@optique/core/suggestion"
import * as RunConfig from "effect-opencode/RunConfig"
import type * as RunOptions from "effect-opencode/RunOptions"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as AnswerSchema from "../AnswerSchema.js"
import * as values from "../commandLine/values.js"
import * as issues from "./issues.js"
import type { JobFile, Problem, Row } from "./JobFile.js"
import { problemAt } from "./JobFile.js"
import * as json from "./jsonPositions.js"
import * as located from "./located.js"
import type * as Matrix from "./Matrix.js"
import * as Template from "./Template.js"

/** The fields of a row with a meaning of their own; every other column is data for templates. */
const fieldNames: ReadonlySet<string> = new Set([
  "name",
  "prompt",
  "cwd",
  "model",
  "agent",
  "timeout",
  "budget",
  "schema",
  "config"
])

export const configNames = Object.keys(RunConfig.RunConfig.fields)

const limitNames = ["steps", "cost", "tokens", "toolCalls"] as const

const policies = ["warn", "error", "allow"] as const

const isField = (name: string): boolean => fieldNames.has(name) || /^(config|budget)\./.test(name)

/** A value of a job and its source. */
export interface Field {
  readonly source: located.Source
  readonly key: located.Range
  readonly value: located.Located
  readonly textual: boolean
}

export type Fields = ReadonlyMap<string, Field>

export const ofRow = (file: JobFile, row: Row): Fields =>
  new Map(
    row.fields.members
      // An empty cell and null both mean that there is no value.
      .filter(({ name, value }) => !(isField(name) && isNothing(value, row.textual)))
      .map(({ key, name, value }) => [name, { source: file.source, key, value, textual: row.textual }])
  )

const isNothing = (value: located.Located, textual: boolean): boolean =>
  value._tag === "Scalar" && (value.value === null || (textual && value.value === ""))

export const ofCell = (cell: Matrix.Cell): Fields =>
  new Map(
    Object.entries(cell).map(([name, text]) => {
      const whole = { start: 0, end: text.length }
      return [name, {
        source: located.source(`--matrix ${name}`, text),
        key: whole,
        value: { _tag: "Scalar", value: text, ...whole },
        textual: true
      }]
    })
  )

/** The text of a column in a template. */
export const textOf = (value: located.Located): string => {
  if (value._tag !== "Scalar") return located.toJson(value)
  return value.value === null ? "" : value.written ?? String(value.value)
}

/** The place of a text's n-th pair of braces in its source, which can contain escapes. */
const offsetOf = (source: located.Source, at: located.Range, text: string, offset: number): number => {
  const written = source.text.slice(at.start, at.end)
  const [meant, found] = [text, written].map((where) => [...where.matchAll(/\{\{/g)].map(({ index }) => index))
  const number = meant!.indexOf(offset)
  return number === -1 || meant!.length !== found!.length ? at.start : at.start + found![number]!
}

/** Makes schemas; the same one is made once, however many rows have it. */
export const schemaMaker = (): typeof AnswerSchema.make => {
  const made = new Map<string, ReturnType<typeof AnswerSchema.make>>()
  return (json) => {
    const text = JSON.stringify(json)
    const known = made.get(text) ?? AnswerSchema.make(json)
    made.set(text, known)
    return known
  }
}

/** Makes the job of one row in one cell; collects problems and the columns in use. */
export class Reader {
  readonly problems: Array<Problem> = []
  /** Problems of command-line templates, which can be right for one row and wrong for another. */
  readonly templateProblems: Array<Problem> = []
  lacksPrompt = false
  readonly named = new Set<string>()
  private readonly columns: ReadonlyMap<string, string>

  constructor(
    private readonly fields: Fields,
    readonly row: located.Range & { readonly source: located.Source },
    private readonly makeSchema: typeof AnswerSchema.make
  ) {
    this.columns = new Map([...fields].map(([name, { value }]) => [name, textOf(value)]))
  }

  /** The number of problems found so far. */
  get count(): number {
    return this.problems.length + this.templateProblems.length
  }

  problem(source: located.Source, offset: number, reason: string): void {
    this.problems.push(problemAt(source, offset, reason))
  }

  render(source: located.Source, at: located.Range, text: string): string {
    const report = (into: Array<Problem>) => (problems: ReadonlyArray<Template.Problem>): string => {
      for (const { offset, reason } of problems) {
        into.push(problemAt(source, offsetOf(source, at, text, offset), reason))
      }
      return ""
    }
    return Either.match(Template.parse(text), {
      onLeft: report(this.problems),
      onRight: (template) => {
        for (const name of Template.columns(template)) this.named.add(name)
        return Either.getOrElse(
          Template.render(template, this.columns),
          report(source === this.row.source ? this.problems : this.templateProblems)
        )
      }
    })
  }

  /** The problem of a template, with the row that it applies to. */
  forRow({ reason, ...place }: Problem): Problem {
    const { line } = this.row.source.position(this.row.start)
    return { ...place, reason: `${reason} (for ${this.row.source.name}:${line})` }
  }

  template(source: located.Source): string {
    return this.render(source, { start: 0, end: source.text.length }, source.text)
  }

  /** A text field. */
  text(name: string): string | undefined {
    const field = this.fields.get(name)
    if (field === undefined) return undefined
    const { source, value } = field
    if (value._tag !== "Scalar" || typeof value.value !== "string") {
      this.problem(source, value.start, `\`${name}\` must be a text`)
      return undefined
    }
    return this.render(source, value, value.value)
  }

  /** The members of an object that can be written as a whole (`budget`) or one by one (`budget.cost`). */
  private members(name: string): Map<string, Field> {
    const found = new Map<string, Field>()
    const whole = this.fields.get(name)
    if (whole !== undefined) {
      const { source, textual, value } = whole
      const read = textual && value._tag === "Scalar" ? Either.getOrUndefined(json.parse(String(value.value))) : value
      if (read?._tag === "Record") {
        for (const { key, name, value } of read.members) {
          // Inside a cell, places refer to the cell.
          const place = textual ? whole : { key, value }
          found.set(name, {
            source,
            key: place.key,
            value: textual ? moved(value, whole.value) : value,
            textual: false
          })
        }
      } else {
        this.problem(source, value.start, `\`${name}\` must be an object${textual ? " in JSON" : ""}`)
      }
    }
    for (const [column, field] of this.fields) {
      if (!column.startsWith(`${name}.`)) continue
      const member = column.slice(name.length + 1)
      this.put(found, member, field)
    }
    return found
  }

  private put(members: Map<string, Field>, name: string, field: Field): void {
    if (members.has(name)) this.problem(field.source, field.key.start, `\`${name}\` is set twice`)
    members.set(name, field)
  }

  /** The fields of a configuration by name, each decoded separately, so that one problem does not hide another. */
  config(): { readonly config: RunConfig.RunConfig; readonly fields: ReadonlyMap<string, Field> } {
    const fields = this.members("config")
    for (const name of ["model", "agent"]) {
      const field = this.fields.get(name)
      if (field !== undefined) this.put(fields, name, field)
    }
    let config: RunConfig.RunConfig = {}
    for (const [name, field] of fields) config = { ...config, ...this.option(name, field) }
    return { config, fields }
  }

  private option(name: string, field: Field): RunConfig.RunConfig {
    const rendered = (value: located.Located) =>
      located.mapTexts(value, (text, at) => this.render(field.source, at, text))
    const value = rendered(field.value)
    const cell = field.textual && field.value._tag === "Scalar" ? String(field.value.value) : undefined
    const asGiven = decodeOption(name, value)
    // A cell is text if the option takes text, and JSON otherwise. It is parsed before its templates are filled in,
    // because a column's value is only data there as well.
    const decoded = cell === undefined ? asGiven : Either.orElse(asGiven, (problems) =>
      Either.flatMap(
        Either.mapLeft(json.parse(cell), () => problems),
        (inner) => decodeOption(name, rendered(moved(inner, field.value)))
      ))
    return Either.getOrElse(decoded, (problems) => {
      for (const { isName, path, reason } of problems) {
        // Inside a cell, places refer to the cell.
        const inner = cell === undefined ? path.slice(1) : []
        const at = inner.length === 0
          ? isName ? field.key : value
          : isName
          ? located.findKey(value, inner)
          : located.find(value, inner)
        this.problem(field.source, at.start, `\`${cell === undefined ? path.join(".") : name}\`: ${reason}`)
      }
      return {}
    })
  }

  budget(): { readonly budget: RunOptions.Budget; readonly fields: ReadonlyMap<string, Field> } {
    const fields = this.members("budget")
    const budget: { -readonly [K in keyof RunOptions.Budget]: RunOptions.Budget[K] } = {}
    for (const [name, { key, source, value }] of fields) {
      if (name === "unpriced") {
        const policy = policies.find((policy) => value._tag === "Scalar" && value.value === policy)
        if (policy === undefined) {
          this.problem(source, value.start, `\`budget.unpriced\` must be ${policies.join(" or ")}`)
        } else budget.unpriced = policy
        continue
      }
      const limit = limitNames.find((limit) => limit === name)
      const number = value._tag === "Scalar" ? numberOf(value.value) : Number.NaN
      if (limit === undefined) {
        this.problem(source, key.start, `\`budget.${name}\`: unknown limit; the limits are ${limitNames.join(", ")}`)
      } else if (Number.isNaN(number)) this.problem(source, value.start, `\`budget.${name}\` must be a number`)
      else budget[limit] = number
    }
    return { budget, fields }
  }

  timeout(): Duration.Duration | undefined {
    const field = this.fields.get("timeout")
    if (field === undefined) return undefined
    const { source, value } = field
    const given = value._tag === "Scalar" ? value.value : undefined
    const read = typeof given === "string"
      ? values.duration(given)
      : Either.fromOption(
        typeof given === "number" ? Duration.decodeUnknown(given) : Option.none(),
        () => "not a valid duration; use one like \"5 minutes\", or milliseconds"
      )
    return Either.getOrElse(read, (reason) => {
      this.problem(source, value.start, `\`timeout\`: ${reason}`)
      return undefined
    })
  }

  /** The JSON Schema of the answer; a cell of a table has it as JSON. */
  schema(): AnswerSchema.AnswerSchema | undefined {
    const field = this.fields.get("schema")
    if (field === undefined) return undefined
    const { source, textual, value } = field
    const read = textual && value._tag === "Scalar"
      ? values.json(String(value.value))
      : Either.right(located.plain(value))
    return Either.getOrElse(Either.flatMap(read, this.makeSchema), (reason) => {
      this.problem(source, value.start, `\`schema\`: ${reason}`)
      return undefined
    })
  }

  /** Unused columns whose names look like a mistyped field. */
  strayColumns(named: ReadonlySet<string>, axes: ReadonlySet<string>): ReadonlyArray<Problem> {
    return [...this.fields].flatMap(([name, { key, source }]) => {
      if (isField(name) || named.has(name)) return []
      const meant = configNames.includes(name) ? `config.${name}` : near(name)
      const reason = axes.has(name)
        ? `the axis \`${name}\` has no effect: it is not a field of a job, and no template uses it`
        : `no template uses the column \`${name}\``
      return meant === undefined && !axes.has(name)
        ? []
        : [problemAt(source, key.start, meant === undefined ? reason : `${reason}; is \`${meant}\` meant?`)]
    })
  }
}

const moved = (value: located.Located, to: located.Range): located.Located => {
  switch (value._tag) {
    case "Scalar":
      return { ...value, start: to.start, end: to.end }
    case "List":
      return { ...value, start: to.start, end: to.end, items: value.items.map((item) => moved(item, to)) }
    case "Record":
      return {
        ...value,
        start: to.start,
        end: to.end,
        members: value.members.map((member) => ({ ...member, key: to, value: moved(member.value, to) }))
      }
  }
}

const numberOf = (value: unknown): number =>
  typeof value === "number" ? value : typeof value === "string" && value.trim() !== "" ? Number(value) : Number.NaN

const decodeConfig = Schema.decodeUnknownEither(RunConfig.RunConfig, { errors: "all", onExcessProperty: "error" })

const decodeOption = (
  name: string,
  value: located.Located
): Either.Either<RunConfig.RunConfig, ReadonlyArray<issues.Issue>> =>
  Either.mapLeft(
    decodeConfig(Object.fromEntries([[name, located.plain(value)]])),
    (error) =>
      issues.list(error.issue).map((issue) =>
        // A permission rule is the same at any depth; its type would be less clear.
        name === "permission"
          ? { ...issue, reason: "expected \"allow\" or \"deny\"; nobody can answer \"ask\"" }
          : issue
      )
  )

const letters = (name: string): string => [...name].sort().join("")

/** One letter more, less or other, or two that changed places. */
const isSlip = (from: string, to: string): boolean =>
  levenshteinDistance(from, to) <= (letters(from) === letters(to) ? 2 : 1)

/** The field that is one typo away. Short words are left out: they have too many other neighbours. */
const near = (name: string): string | undefined =>
  [...fieldNames].find((field) =>
    field.toLowerCase() === name.toLowerCase() || (field.length >= 5 && isSlip(field, name))
  )
