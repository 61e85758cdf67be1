/**
 * Command lines, help texts and completions, on top of `@optique/core`.
 */
import * as completion from "@optique/core/completion"
import * as constructs from "@optique/core/constructs"
import * as doc from "@optique/core/doc"
import * as message from "@optique/core/message"
import * as modifiers from "@optique/core/modifiers"
import * as parser from "@optique/core/parser"
import * as primitives from "@optique/core/primitives"
import { findSimilar } from "@optique/core/suggestion"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { CliError } from "../CliError.js"
import * as options from "./options.js"

const program = "effect-opencode"

/** The parts of a help text other than arguments and options. */
export interface Page {
  readonly name: string
  readonly description: string
  /** The usage line after the name of the program. */
  readonly usage: string
  readonly examples: ReadonlyArray<readonly [command: string, says: string]>
  /** Longer remarks: exit codes, where output goes. */
  readonly notes: ReadonlyArray<string>
}

/** A command. Its parser returns the effect that executes it. */
export interface Command<E = unknown, R = unknown> extends Page {
  readonly parser: parser.Parser<"sync", Effect.Effect<void, E, R>, unknown>
}

/** The options of every command; they are handled before the others, and declared here for help and completion. */
const general = options.all(options.group("Options", {
  verbose: options.flag("verbose", "Show the cause of an error, and log."),
  help: options.flag("h, help", "Show this help.")
}))

export const make = <A, E, R>(
  page: Page,
  given: options.Option<A>,
  run: (given: A) => Effect.Effect<void, E, R>
): Command<E | CliError, R | options.Services> => ({
  ...page,
  parser: modifiers.map(options.all({ given, general }), Effect.flatMap(({ given }) => run(given)))
})

const shells = new Map([completion.bash, completion.zsh, completion.fish].map((shell) => [shell.name, shell]))

const scripts = "Print a script that completes commands, options and values in a shell."

/** The options of a command line without a command. */
const alone = options.all({
  ...options.group("Options", {
    version: options.flag("version", "Show the version."),
    completions: options.choice("completions", [...shells.keys()], scripts)
  }),
  general
})

/** The parser of the program: its commands, or the options without a command. */
export const parserOf = <E, R>(commands: ReadonlyArray<Command<E, R>>) => {
  const each = commands.map(({ description, name, parser }) =>
    primitives.command(name, parser, { brief: [message.text(description)] })
  )
  return constructs.or(constructs.group("Commands", constructs.or(...each)), alone)
}

const isOption = (word: string): boolean => /^--?[A-Za-z]/.test(word)

/** An option without its value, which can be a secret. */
const nameOf = (word: string): string => word.replace(/[=\s][\s\S]*/, "")

/**
 * Prepares words for the library. They end with an option whose value is missing, because the library would take the next
 * option for its value. An unknown option loses its value, which can be a secret and would be shown; with a space in it,
 * the library would take it for an argument.
 */
const readable = (words: ReadonlyArray<string>, { parser }: Command): ReadonlyArray<string> => {
  const terms = options.termsOf(parser)
  const known = new Map(terms.flatMap(({ metavar, names }) => names.map((name) => [String(name), metavar])))
  const isValue = (at: number) => known.get(words[at - 1] ?? "") !== undefined
  const own = beforeDashes(words)
  const next = own.findIndex((word, at) => known.has(word) && isValue(at))
  return (next === -1 ? words : own.slice(0, next)).map((word, at) =>
    at < own.length && isOption(word) && !isValue(at) && !known.has(nameOf(word)) ? nameOf(word) : word
  )
}

/** Converts the library's message to a reason and a hint. */
const refusal = (error: message.Message, { name, usage }: Command): CliError => {
  const [said = "", meant] = message.formatMessage(error, { quotes: false }).split(/\n\n(?=did you mean )/)
  const reason = said.replace(/, but got.*/s, ".")
  if (reason.startsWith("Missing")) return options.invalid(reason, `${program} ${usage}`)
  const further = /: -/.test(reason) ? "; put text that begins with a dash after --" : ""
  return options.invalid(reason, meant ?? `${program} ${name} --help shows the options${further}`)
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
): Either.Either<CommandLine<E, R>, CliError> => {
  const [first = "--help", ...rest] = args[0] === "help" ? [...args.slice(1), "--help"] : args
  if (first === "--verbose") return parse(rest, commands)
  const command = commands.find(({ name }) => name === first)
  const words = command === undefined ? [first] : beforeDashes(rest)
  if (words.includes("--help") || words.includes("-h")) return Either.right({ _tag: "Help", command })
  if (words.includes("--version")) return Either.right({ _tag: "Version" })
  if (command !== undefined) {
    const parsed = parser.parse(command.parser, readable(rest, command))
    return parsed.success
      ? Either.right({ _tag: "Run", effect: parsed.value })
      : Either.left(refusal(parsed.error, command))
  }
  const refuse = (reason: string, hint: string) => Either.left(options.invalid(reason, hint))
  const [name, shell = rest[0] ?? ""] = first.split("=")
  if (name === "--completions" || name === "--suggest") {
    const completing = shells.get(shell)
    if (completing === undefined) return refuse(`${name} requires a shell.`, [...shells.keys()].join(", "))
    const [word = "", ...further] = rest.slice(1)
    const found = parser.suggest(isOption(word) ? alone : parserOf(commands), [word, ...further])
    const text = name === "--suggest"
      ? [...completing.encodeSuggestions(found)].join("")
      : completing.generateScript(program, ["--suggest", shell])
    return Either.right({ _tag: "Completions", text })
  }
  if (isOption(first)) return refuse(`Unknown option ${name}.`, "options follow the command; --help lists commands")
  const names = commands.map(({ name }) => name)
  const [meant] = findSimilar(first, names, { maxDistanceRatio: 0.67 })
  const hint = meant === undefined ? `the commands are ${names.join(", ")}` : `did you mean ${meant}?`
  return refuse(`Unknown command ${JSON.stringify(first)}.`, hint)
}

/** The help of a command, or of the program. */
export const help = (command: Command, columns: number, colors: boolean): string => {
  // The library needs 60 columns; lines over 110 are hard to read.
  const maxWidth = Math.min(Math.max(columns, 60), 110)
  const text = doc.formatDocPage(program, {
    brief: [message.text(command.description), message.lineBreak()],
    usage: [{ type: "literal", value: command.usage }],
    sections: parser.getDocPage(command.parser)?.sections ?? []
  }, { colors, maxWidth, termWidth: 30 })
  // Examples are not wrapped, so that they can be copied.
  const examples = command.examples.map(([line, says]) => `  # ${says}\n  ${line}\n`)
  const notes = command.notes.map((note) => `\n${message.formatMessage([message.text(note)], { maxWidth })}\n`)
  const parts = [text, ...(examples.length === 0 ? [] : ["\nExamples:\n", ...examples]), ...notes]
  return parts.join("").replace(/ +$/gm, "")
}
