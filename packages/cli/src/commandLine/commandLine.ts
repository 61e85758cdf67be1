/**
 * Command lines, help texts and completions, on top of `@optique/core`.
 */
import * as completion from "@optique/core/completion"
import * as constructs from "@optique/core/constructs"
import * as doc from "@optique/core/doc"
import * as message from "@optique/core/message"
import * as modifiers from "@optique/core/modifiers"
import * as parser from "@optique/core/parser"
import { findSimilar } from "@optique/core/suggestion"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as options from "./options.js"

const program = "effect-opencode"

/** The parts of a help text other than arguments and options. */
export interface Page {
  readonly name: string
  readonly description: string
  /** The usage line after the name. */
  readonly usage: string
  readonly examples: ReadonlyArray<readonly [command: string, says: string]>
  /** Longer remarks: exit codes, where output goes. */
  readonly notes: ReadonlyArray<string>
}

/** A command. Its parser returns the effect that executes it. */
export interface Command<E = unknown, R = unknown> extends Page {
  readonly parser: parser.Parser<"sync", Effect.Effect<void, E, R>, unknown>
}

export const make = <A, E, R>(
  page: Page,
  given: options.Option<A>,
  run: (given: A) => Effect.Effect<void, E, R>
): Command<E | options.UsageError, R | options.Services> => ({
  ...page,
  parser: modifiers.map(given, Effect.flatMap(run))
})

const shells = { bash: completion.bash, zsh: completion.zsh, fish: completion.fish }

const isShell = (name: string | undefined): name is keyof typeof shells =>
  name !== undefined && Object.hasOwn(shells, name)

/** Handled before the other options; declared here for help and completion. */
const everywhere = constructs.object({
  verbose: options.flag("verbose", "Show the cause of an error, and log."),
  help: options.flag("h, help", "Show this help.")
})

const alone = constructs.object({
  everywhere,
  version: options.flag("version", "Show the version."),
  completions: options.choice(
    "completions",
    ["bash", "zsh", "fish"],
    "Print a script that completes commands, options and values in a shell."
  )
})

const whole = <E, R>({ parser }: Command<E, R>) =>
  modifiers.map(constructs.object({ own: parser, everywhere }), ({ own }) => own)

const entriesOf = (options: parser.Parser<"sync", unknown, unknown>): ReadonlyArray<doc.DocEntry> =>
  parser.getDocPage(options)?.sections.flatMap(({ entries }) => entries) ?? []

/** The options of a command with all their names, as they are typed. */
export const optionsOf = (command: Command) =>
  entriesOf(whole(command)).flatMap(({ term }) => term.type === "option" ? [term] : [])

const isOption = (word: string): boolean => /^--?[A-Za-z]/.test(word)

/** The word without what follows an equals sign, which can be a secret. */
const nameOf = (word: string): string => isOption(word) ? word.replace(/=[\s\S]*/, "") : word

/** Converts the library's message to a reason and a hint. Its own suggestions, after a blank line, are dropped. */
const refusal = (error: message.Message, command: Command): options.UsageError => {
  const word = error.find((term) => term.type === "value")?.value ?? ""
  const shown = error.map((term) => term.type === "value" ? message.value(nameOf(term.value)) : term)
  const said = message.formatMessage(shown, { quotes: false }).split("\n\n", 1).join("")
  const reason = said.replace(/, but got(?: a value)?: [\s\S]*/, ".")
  const usage = `${program} ${command.name}`
  if (reason.startsWith("Missing")) return options.invalid(reason, `${usage} ${command.usage}`)
  // Single letters are similar to every other letter.
  const names = word.length > 2 && isOption(word) ? optionsOf(command).flatMap(({ names }) => names) : []
  const [meant] = findSimilar(nameOf(word), names)
  if (meant !== undefined) return options.invalid(reason, `did you mean ${meant}?`)
  const further = word.startsWith("-") ? "; put text that begins with a dash after --" : ""
  return options.invalid(reason, `${usage} --help shows the options${further}`)
}

/** Refuses an option, known or mistyped, that the library would read as a value or an argument. */
const mistaken = (words: ReadonlyArray<string>, command: Command): message.Message | undefined => {
  const known = new Map(optionsOf(command).flatMap((option) => option.names.map((name) => [String(name), option])))
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    const placeholder = known.get(word)?.metavar
    if (placeholder !== undefined) {
      if (!known.has(words[++at] ?? "")) continue
      return message.message`${message.optionName(word)} requires ${message.metavar(placeholder)}.`
    }
    if (isOption(word) && /\s/.test(nameOf(word))) return message.message`Unexpected option: ${nameOf(word)}.`
  }
  return undefined
}

/** The completions for some words, the last of which is being typed. */
const suggestions = (words: ReadonlyArray<string>, commands: ReadonlyArray<Command>) => {
  const [first = "", next, ...rest] = words
  const command = commands.find(({ name }) => name === first)
  if (command !== undefined && next !== undefined) return parser.suggest(whole(command), [next, ...rest])
  const names = commands.filter(({ name }) => next === undefined && name.startsWith(first))
  return [
    ...names.map(({ name }) => ({ kind: "literal" as const, text: name })),
    ...parser.suggest(alone, next === undefined ? [first] : [first, next, ...rest])
  ]
}

export type CommandLine<E, R> =
  | { readonly _tag: "Help"; readonly command: Command<E, R> | undefined }
  | { readonly _tag: "Version" }
  | { readonly _tag: "Completions"; readonly text: string }
  | { readonly _tag: "Run"; readonly effect: Effect.Effect<void, E, R> }

const beforeDashes = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.includes("--") ? args.slice(0, args.indexOf("--")) : args

/** Whether `--verbose` is given, anywhere; needed before the rest is parsed. */
export const isVerbose = (args: ReadonlyArray<string>): boolean => beforeDashes(args).includes("--verbose")

/** Parses the words after the program's name. Completion scripts call `--suggest`. */
export const parse = <E, R>(
  args: ReadonlyArray<string>,
  commands: ReadonlyArray<Command<E, R>>
): Either.Either<CommandLine<E, R>, options.UsageError> => {
  const [first = "--help", ...rest] = args[0] === "help" ? [...args.slice(1), "--help"] : args
  if (first === "--verbose") return parse(rest, commands)
  if (first === "--help" || first === "-h") return Either.right({ _tag: "Help", command: undefined })
  if (first === "--version") return Either.right({ _tag: "Version" })
  const [name, shell = rest[0]] = first.split("=")
  if (name === "--completions" || name === "--suggest") {
    if (!isShell(shell)) {
      return Either.left(options.invalid(`${name} requires a shell.`, Object.keys(shells).join(", ")))
    }
    const { encodeSuggestions, generateScript } = shells[shell]
    const text = name === "--completions"
      ? generateScript(program, ["--suggest", shell])
      : [...encodeSuggestions(suggestions(rest.slice(1), commands))].join("")
    return Either.right({ _tag: "Completions", text })
  }
  const command = commands.find(({ name }) => name === first)
  if (command !== undefined) {
    const words = beforeDashes(rest)
    if (words.includes("--help") || words.includes("-h")) return Either.right({ _tag: "Help", command })
    if (words.includes("--version")) return Either.right({ _tag: "Version" })
    const mistake = mistaken(words, command)
    const parsed = mistake === undefined
      ? parser.parse(whole(command), rest)
      : { success: false as const, error: mistake }
    return parsed.success
      ? Either.right({ _tag: "Run", effect: parsed.value })
      : Either.left(refusal(parsed.error, command))
  }
  if (isOption(first)) {
    return Either.left(
      options.invalid(`Unknown option ${name}.`, "options follow the command; --help lists commands")
    )
  }
  const names = commands.map(({ name }) => name)
  const [meant] = findSimilar(first, names, { maxDistanceRatio: 0.67 })
  return Either.left(options.invalid(
    `Unknown command ${JSON.stringify(first)}.`,
    meant === undefined ? `the commands are ${names.join(", ")}` : `did you mean ${meant}?`
  ))
}

/** A group of options in a help text. */
export interface Group {
  readonly title: string
  readonly options: ReadonlyArray<string>
}

const nameIn = ({ term }: doc.DocEntry): string | undefined =>
  term.type === "option" ? term.names.at(-1)?.replace(/^--(no-)?/, "") : undefined

const sectionsOf = (command: Command, groups: ReadonlyArray<Group>): ReadonlyArray<doc.DocSection> => {
  const entries = [...entriesOf(command.parser), ...entriesOf(everywhere)]
  const grouped = new Set<string | undefined>(groups.flatMap(({ options }) => options))
  return [
    { title: "Arguments", entries: entries.filter(({ term }) => term.type === "argument") },
    {
      title: "Options",
      entries: entries.filter((entry) => entry.term.type === "option" && !grouped.has(nameIn(entry)))
    },
    ...groups.map(({ options, title }) => ({
      title,
      entries: options.flatMap((name) => entries.filter((entry) => nameIn(entry) === name))
    }))
  ]
}

/** The help of a command, or of the program with its commands. */
export const help = (page: Page, { colors, columns, groups, of }: {
  readonly colors: boolean
  readonly columns: number
  readonly groups: ReadonlyArray<Group>
  readonly of: Command | ReadonlyArray<Command>
}): string => {
  const sections = "name" in of ? sectionsOf(of, groups) : [
    {
      title: "Commands",
      entries: of.map(({ description, name }) => ({
        term: { type: "command" as const, name },
        description: [message.text(description)]
      }))
    },
    { title: "Options", entries: entriesOf(alone) }
  ]
  // The library needs 60 columns; lines over 110 are hard to read.
  const maxWidth = Math.min(Math.max(columns, 60), 110)
  const text = doc.formatDocPage("name" in of ? `${program} ${page.name}` : program, {
    brief: [message.text(page.description), message.lineBreak()],
    usage: [{ type: "literal", value: page.usage }],
    sections
  }, { colors, maxWidth, termWidth: 30, sectionOrder: () => 0 })
  // Examples are not wrapped, so that they can be copied.
  const examples = page.examples.map(([command, says]) => `  # ${says}\n  ${command}\n`)
  const notes = page.notes.map((note) => `\n${message.formatMessage([message.text(note)], { maxWidth })}\n`)
  return [text, ...(examples.length === 0 ? [] : ["\nExamples:\n", ...examples]), ...notes].join("").replace(
    / +$/gm,
    ""
  )
}
