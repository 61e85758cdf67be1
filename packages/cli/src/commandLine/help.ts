/**
 * Help texts: what a command does, what it is called with, and a line for each option.
 */
import type { Style } from "../display/Style.js"
import type { CommandDoc, OptionDoc } from "./commandDoc.js"
import type { Group } from "./ConfigOptions.js"
import { wrap } from "./wrap.js"

export interface Layout {
  readonly style: Style
  /** The width of the lines; longer words stick out. */
  readonly columns: number
}

/** Where the descriptions begin. */
const indent = 34

/** The columns of a text that is no table. */
const maxColumns = 100

interface Row {
  readonly term: string
  readonly description: string
}

const table = (rows: ReadonlyArray<Row>, { columns, style }: Layout): ReadonlyArray<string> =>
  rows.flatMap(({ description, term }) => {
    const [first = "", ...more] = wrap(description, Math.max(30, Math.min(columns, maxColumns + 10) - indent))
    const head = `  ${style.cyan(term)}`
    const space = " ".repeat(indent)
    return [
      ...(term.length + 4 > indent
        ? [head, ...(first === "" ? [] : [space + first])]
        : [`${head}${" ".repeat(indent - 2 - term.length)}${first}`.trimEnd()]),
      ...more.map((line) => space + line)
    ]
  })

/** The name that is for people, behind the short one. */
const termOf = ({ names, value }: OptionDoc): string => {
  const short = names.find((name) => !name.startsWith("--"))
  const long = names.find((name) => name.startsWith("--"))
  const shown = [short, long].filter((name) => name !== undefined).join(", ")
  return `${short === undefined ? "    " : ""}${shown}${
    value === undefined ? "" : ` <${value.replaceAll(" | ", "|")}>`
  }`
}

/** `--x` and `--no-x` are one option to a person. */
const withoutNegations = (options: ReadonlyArray<OptionDoc>): ReadonlyArray<OptionDoc> => {
  const names = new Set(options.flatMap(({ names }) => names))
  const isNegation = ({ names }: OptionDoc) =>
    names.every((name) =>
      name.startsWith("--no-") && options.some((other) => other.names.includes(`--${name.slice(5)}`))
    )
  return options.filter((option) => !isNegation(option)).map((option) => ({
    ...option,
    names: option.names.map((name) => names.has(`--no-${name.slice(2)}`) ? `--[no-]${name.slice(2)}` : name)
  }))
}

const global: ReadonlyArray<OptionDoc> = [
  { names: ["--verbose"], value: undefined, repeated: false, description: "Show the cause of an error, and log." },
  { names: ["-h", "--help"], value: undefined, repeated: false, description: "Show this help." }
]

const rowsOf = (options: ReadonlyArray<OptionDoc>): ReadonlyArray<Row> =>
  withoutNegations(options).map((option) => ({ term: termOf(option), description: option.description }))

const section = (title: string, rows: ReadonlyArray<Row>, layout: Layout): ReadonlyArray<string> =>
  rows.length === 0 ? [] : ["", layout.style.bold(`${title}:`), ...table(rows, layout)]

export interface Page {
  /** Behind the name of the program and of the command. */
  readonly usage: string
  readonly examples: ReadonlyArray<readonly [command: string, says: string]>
  /** What does not go into a line: exit codes, where output goes. */
  readonly notes: ReadonlyArray<string>
}

const examples = (page: Page, layout: Layout): ReadonlyArray<string> =>
  page.examples.length === 0
    ? []
    : [
      "",
      layout.style.bold("Examples:"),
      ...page.examples.flatMap(([command, says]) => [`  ${layout.style.dim(`# ${says}`)}`, `  ${command}`])
    ]

const notes = (page: Page, { columns }: Layout): ReadonlyArray<string> =>
  page.notes.flatMap((note) => ["", ...wrap(note, Math.min(columns, maxColumns))])

/** The help of one command. */
export const ofCommand = (
  doc: CommandDoc,
  page: Page,
  groups: ReadonlyArray<Group>,
  layout: Layout
): string => {
  const grouped = new Set(groups.flatMap(({ options }) => options.map((name) => `--${name}`)))
  const has = (option: OptionDoc, names: ReadonlyArray<string>) => option.names.some((name) => names.includes(name))
  const negated = (names: ReadonlyArray<string>) => names.flatMap((name) => [`--${name}`, `--no-${name}`])
  const own = doc.options.filter((option) => !option.names.some((name) => grouped.has(name.replace(/^--no-/, "--"))))
  return [
    ...wrap(doc.description, Math.min(layout.columns, maxColumns)),
    "",
    `${layout.style.bold("Usage:")} effect-opencode ${doc.name} ${page.usage}`,
    ...examples(page, layout),
    ...section("Arguments", doc.arguments.map(({ description, name }) => ({ term: name, description })), layout),
    ...section("Options", rowsOf([...own, ...global]), layout),
    ...groups.flatMap(({ options, title }) => {
      // In the order of the group.
      const found = options.flatMap((name) => doc.options.filter((option) => has(option, negated([name]))))
      return section(title, rowsOf(found), layout)
    }),
    ...notes(page, layout),
    ""
  ].join("\n")
}

/** The help of the program. */
export const ofProgram = (
  commands: ReadonlyArray<CommandDoc>,
  page: Page & { readonly description: string; readonly version: string },
  layout: Layout
): string =>
  [
    `${layout.style.bold("effect-opencode")} ${page.version}`,
    "",
    ...wrap(page.description, Math.min(layout.columns, maxColumns)),
    "",
    `${layout.style.bold("Usage:")} effect-opencode ${page.usage}`,
    ...section("Commands", commands.map(({ description, name }) => ({ term: name, description })), layout),
    ...section(
      "Options",
      rowsOf([
        ...global,
        { names: ["--version"], value: undefined, repeated: false, description: "Show the version." },
        {
          names: ["--completions"],
          value: "bash|zsh|fish",
          repeated: false,
          description: "Print a script that completes commands and options in a shell."
        }
      ]),
      layout
    ),
    ...examples(page, layout),
    ...notes(page, layout),
    ""
  ].join("\n")
