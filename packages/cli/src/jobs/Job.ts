/** Jobs, the units of a batch, made from the rows of a file, a matrix and the options of the command line. */
import * as Permission from "effect-opencode/Permission"
import * as RunConfig from "effect-opencode/RunConfig"
import * as RunOptions from "effect-opencode/RunOptions"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { AnswerSchema } from "../AnswerSchema.js"
import { firstLine } from "../display/firstLine.js"
import type { JobFile, Place, Problem } from "./JobFile.js"
import { distinct, format, JobFileError, placeAt, problemAt } from "./JobFile.js"
import type { Field, Fields } from "./jobReader.js"
import { configNames, ofCell, ofRow, Reader, schemaMaker, textOf } from "./jobReader.js"
import * as located from "./located.js"
import * as Matrix from "./Matrix.js"
import * as secrets from "./secrets.js"
import * as Template from "./Template.js"

/** A job that is ready to run. */
export interface Job {
  /**
   * 16 hexadecimal digits of a hash of the job: prompt, directory as written (below that of the batch), configuration
   * without the values of secrets, schema, cell, repetition, and a number if the same job occurs several times. Limits
   * and the name are not part of it, so that a job that ran out of time can be retried with more time.
   */
  readonly id: string
  /** The job's position, from 0. */
  readonly index: number
  /** The job's name for people. */
  readonly name: string
  readonly prompt: string
  /** The working directory as written; `undefined` for that of the batch. */
  readonly cwd: string | undefined
  /** All other options of the run, those of the batch included. */
  readonly options: RunOptions.RunOptions
  /** What the answer must satisfy; `undefined` for an answer in words. */
  readonly schema?: AnswerSchema | undefined
  /** The job's value on each axis of the matrix. */
  readonly cell: Matrix.Cell
  /** From 1. */
  readonly repeat: number
  /** Where the job is defined, for problems that only show on the machine. */
  readonly places: Places
}

export interface Places {
  readonly row: Place
  /** The places of the job's own directory and options, by name; those common to all jobs are not included. */
  readonly fields: ReadonlyMap<string, Place>
}

/**
 * Templates from the command line, which every job fills with its columns. They replace the fields `prompt`, `cwd` and
 * `name`.
 */
export interface Templates {
  readonly prompt?: located.Source | undefined
  readonly name?: located.Source | undefined
  readonly cwd?: located.Source | undefined
}

export interface Input {
  readonly file: JobFile
  /** Default: none. */
  readonly axes?: ReadonlyArray<Matrix.Axis> | undefined
  /** How many times each job is run. Default: 1. */
  readonly repeat?: number | undefined
  readonly templates?: Templates | undefined
  /** Options of every job; its own options take precedence. */
  readonly defaults?: RunOptions.RunOptions | undefined
  /** What the answers of jobs without a schema of their own must satisfy. Default: nothing. */
  readonly schema?: AnswerSchema | undefined
  /** The base of the jobs' directories, as written. Default: the working directory. */
  readonly cwd?: string | undefined
}

const runConfigOf = (options: RunOptions.RunOptions): unknown =>
  Object.fromEntries(Object.entries(options).filter(([name]) => configNames.includes(name)))

const nameLength = 40

const shortened = (line: string): string =>
  line.length <= nameLength ? line : `${[...line].slice(0, nameLength - 1).join("").trimEnd()}…`

/** A job without an id. */
type Draft = Omit<Job, "id" | "index">

/** A job's name: from its field or template, or else from its prompt. */
interface Name {
  readonly text: string
  readonly isOwn: boolean
  /** The cell, if the text does not contain it. */
  readonly suffix: string
}

const isElsewhere = (cwd: string): boolean => /^(?:[/\\]|[A-Za-z]:[/\\]|~(?=$|[/\\]))/.test(cwd)

/** The job's directory, from the written paths only, so that it is the same on any machine. */
const directoryOf = (base: string, cwd: string): string => {
  if (base === "." || isElsewhere(cwd)) return cwd
  return cwd === "." ? base : `${base.replace(/[/\\]+$/, "")}/${cwd.replace(/^\.[/\\]+/, "")}`
}

/** The identity of the job as text. */
const essence = ({ cell, cwd = ".", options, prompt, repeat, schema }: Draft, base: string): string =>
  JSON.stringify(
    secrets.masked({
      prompt,
      cwd: directoryOf(base, cwd),
      config: runConfigOf(options),
      cell,
      repeat,
      schema: schema?.json
    })
  )

const hash = (text: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (bytes) => Array.from(new Uint8Array(bytes, 0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("")
  )

/** OpenCode's own configuration can have permission rules as well. */
const pathOf = (path: string, options: RunOptions.RunOptions): ReadonlyArray<string> => {
  const names = path.split(".")
  const isOwn = names[0] !== "permission" ||
    (options.permission !== undefined && Permission.check(options.permission) !== undefined)
  return isOwn ? names : ["configOverrides", ...names]
}

/** Reports the options that a run would refuse, each at its place. */
const checkOptions = (
  reader: Reader,
  prompt: { readonly text: string; readonly source: located.Source; readonly at: located.Range },
  options: RunOptions.RunOptions,
  places: ReadonlyMap<string, Field>
): void => {
  let left: { readonly [name: string]: unknown } = { ...options }
  let { text } = prompt
  for (;;) {
    const problem = RunOptions.check(text, left)
    if (problem === undefined) return
    const [name = "", ...inner] = pathOf(problem.path, left)
    const reason = `\`${problem.path}\`: ${problem.reason}`
    const exact = places.get(problem.path)
    const place = exact ?? places.get(name)
    if (name === "prompt") reader.problem(prompt.source, prompt.at.start, reason)
    else if (place === undefined) reader.problems.push({ source: "options", reason })
    else reader.problem(place.source, located.find(place.value, exact === undefined ? inner : []).start, reason)
    // The remaining options can have problems of their own.
    if (name === "prompt") {
      text = "any"
    } else {
      if (!(name in left)) return
      const { [name]: _, ...rest } = left
      left = rest
    }
  }
}

const draft = (
  reader: Reader,
  fields: Fields,
  row: located.Range & { readonly source: located.Source },
  input: Input,
  cell: Matrix.Cell
): Omit<Draft, "name" | "repeat"> & { readonly name: Name } => {
  const { defaults = {}, templates = {} } = input
  const { prompt: template } = templates
  const before = reader.count
  const prompt = template === undefined ? reader.text("prompt") : reader.template(template)
  const isPromptSound = reader.count === before
  const promptField = fields.get("prompt")
  const place = template !== undefined
    ? { source: template, at: { start: 0, end: 0 } }
    : { source: promptField?.source ?? row.source, at: promptField?.value ?? row }
  const { config, fields: configFields } = reader.config()
  if (prompt === undefined && promptField === undefined && config.command === undefined) {
    reader.lacksPrompt = true
  }
  const cwd = templates.cwd === undefined ? reader.text("cwd") : reader.template(templates.cwd)
  const named = templates.name === undefined ? reader.text("name") : reader.template(templates.name)
  const { budget, fields: budgetFields } = reader.budget()
  const timeout = reader.timeout()
  const schema = reader.schema()
  const options: RunOptions.RunOptions = {
    ...defaults,
    ...RunConfig.merge(defaults, config),
    ...(timeout === undefined ? {} : { timeout }),
    ...(Object.keys(budget).length === 0 ? {} : { budget: { ...defaults.budget, ...budget } })
  }
  const places = new Map([
    ...configFields,
    ...[...budgetFields].map(([name, field]) => [`budget.${name}`, field] as const),
    ...[...fields].filter(([name]) => name === "timeout")
  ])
  checkOptions(reader, { text: isPromptSound ? prompt ?? "any" : "any", ...place }, options, places)
  const label = Matrix.label(cell)
  const nameTemplate = templates.name?.text ?? textOf(fields.get("name")?.value ?? nothing)
  const saysCell = Either.match(Template.parse(nameTemplate), {
    onLeft: () => false,
    onRight: (template) => Template.columns(template).some((column) => column in cell)
  })
  const isNamed = named !== undefined && named.trim() !== ""
  // A template can insert a secret, and these texts are shown, the title even in the process list.
  const clean = secrets.cleaner(options)
  const startOf = ({ source, value }: Field): Place => placeAt(source, value.start)
  const rowPlace = placeAt(row.source, row.start)
  const cwdField = fields.get("cwd")
  return {
    name: {
      text: clean(isNamed ? named : shortened(firstLine(prompt ?? "")) || config.command || "job"),
      isOwn: isNamed,
      suffix: clean(label === "" || saysCell ? "" : ` [${label}]`)
    },
    prompt: prompt ?? "",
    cwd: cwd === undefined || cwd.trim() === "" ? undefined : cwd,
    options: options.title === undefined ? options : { ...options, title: clean(options.title) },
    schema: schema ?? input.schema,
    cell: Object.fromEntries(Object.entries(cell).map(([axis, value]) => [axis, clean(value)])),
    places: {
      row: rowPlace,
      fields: new Map([
        ...[...configFields].map(([name, field]) => [name, startOf(field)] as const),
        ...(templates.cwd !== undefined
          ? [["cwd", rowPlace] as const]
          : cwdField === undefined
          ? []
          : [["cwd", startOf(cwdField)] as const])
      ])
    }
  }
}

/** Adds the row to generated names that are not unique. */
const nameOf = ({ isOwn, suffix, text }: Name, row: number, isShared: (name: string) => boolean): string =>
  !isOwn && isShared(text + suffix) ? `${text} (row ${row})${suffix}` : text + suffix

const nothing: located.Located = { _tag: "Scalar", value: null, start: 0, end: 0 }

/** Removes duplicates and sorts: problems of the file in its order, then the others. */
const tidy = (problems: ReadonlyArray<Problem>, file: string): ReadonlyArray<Problem> => {
  const place = ({ line = 0, source }: Problem) => source === file ? line : Number.POSITIVE_INFINITY
  return [...distinct(problems)].sort((a, b) =>
    place(a) === place(b) ? (a.column ?? 0) - (b.column ?? 0) : place(a) - place(b)
  )
}

/**
 * Makes the jobs: the rows in their order, each in every cell of the matrix, each repeated `repeat` times. Fails with
 * all problems of the file, of the templates and of every job's options.
 */
export const plan = (input: Input): Effect.Effect<ReadonlyArray<Job>, JobFileError> =>
  Effect.gen(function*() {
    const { axes = [], cwd = ".", file, repeat = 1 } = input
    const cells = Matrix.cells(axes)
    const axisNames = new Set(axes.map(({ name }) => name))
    const problems: Array<Problem> = [...file.problems]
    const makeSchema = schemaMaker()
    const readers: Array<Reader> = []
    const found: Array<ReturnType<typeof draft> & { readonly row: number }> = []
    for (const [index, row] of file.rows.entries()) {
      const own = ofRow(file, row)
      for (const [name, { key }] of own) {
        if (axisNames.has(name)) {
          problems.push(
            problemAt(file.source, key.start, `\`${name}\` is an axis of the matrix; a job cannot set it as well`)
          )
        }
      }
      for (const cell of cells) {
        const fields = new Map([...own, ...ofCell(cell)])
        const place = { source: file.source, start: row.fields.start, end: row.fields.end }
        const reader = new Reader(fields, place, makeSchema)
        readers.push(reader)
        found.push({ ...draft(reader, fields, place, input, cell), row: index + 1 })
      }
    }
    const named = new Set(readers.flatMap((reader) => [...reader.named]))
    const shared = new Map<string, number>()
    for (const problem of readers.flatMap(({ templateProblems }) => distinct(templateProblems))) {
      shared.set(format(problem), (shared.get(format(problem)) ?? 0) + 1)
    }
    const isEverywhere = (problem: Problem) => shared.get(format(problem)) === readers.length
    // If no job has a prompt, the option was forgotten.
    const isPromptless = readers.length > 1 && readers.every(({ lacksPrompt }) => lacksPrompt)
    const promptless = readers.filter(({ lacksPrompt }) => lacksPrompt).map(({ row }): Problem => ({
      ...(isPromptless ? { source: file.source.name } : placeAt(row.source, row.start)),
      reason: isPromptless
        ? "no job has a `prompt`: set one for all jobs with --prompt, for example --prompt \"Review {{file}}\""
        : "the job has no `prompt`: add one, or set one for all jobs with --prompt"
    }))
    const ofReaders = readers.flatMap((reader) => [
      ...reader.problems,
      ...reader.templateProblems.map((problem) => isEverywhere(problem) ? problem : reader.forRow(problem)),
      ...reader.strayColumns(named, axisNames)
    ])
    const [first, ...rest] = tidy([...problems, ...promptless, ...ofReaders], file.source.name)
    if (first !== undefined) return yield* new JobFileError({ problems: [first, ...rest] })

    const uses = new Map<string, number>()
    for (const { name: { suffix, text } } of found) uses.set(text + suffix, (uses.get(text + suffix) ?? 0) + 1)
    const drafts = found.flatMap(({ name: parts, row, ...job }) => {
      const name = nameOf(parts, row, (name) => (uses.get(name) ?? 0) > 1)
      return Array.from({ length: repeat }, (_, index): Draft => ({
        ...job,
        name: repeat === 1 ? name : `${name} #${index + 1}`,
        repeat: index + 1
      }))
    })
    const copies = new Map<string, number>()
    return yield* Effect.forEach(drafts, (job, index) => {
      const text = essence(job, cwd)
      const copy = (copies.get(text) ?? 0) + 1
      copies.set(text, copy)
      return Effect.map(hash(`${text}${copy}`), (id): Job => ({
        ...job,
        id,
        index,
        // Without a title OpenCode asks the model for one, which is an extra call. Titles are visible in `ps`.
        options: { ...job.options, title: job.options.title ?? id }
      }))
    })
  })
