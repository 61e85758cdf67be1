/**
 * The words of a command line, put in the order that `@effect/cli` reads without a doubt: options with their values, then
 * `--`, then arguments. By itself it would take an option that it does not know for an argument, so that a typing error
 * would be sent to the model as a prompt.
 */
import * as Either from "effect/Either"
import type { CommandDoc, OptionDoc } from "./commandDoc.js"
import type { Shell } from "./completions.js"

export type CommandLine =
  | { readonly _tag: "Help"; readonly command: string | undefined }
  | { readonly _tag: "Version" }
  | { readonly _tag: "Completions"; readonly shell: Shell }
  | {
    readonly _tag: "Run"
    readonly words: ReadonlyArray<string>
  }

export interface Problem {
  readonly reason: string
  readonly hint: string
}

/** Changes of one character, two that changed places among them, that lead from one text to the other. */
export const distance = (from: string, to: string): number => {
  let earlier: ReadonlyArray<number> = []
  let previous: ReadonlyArray<number> = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      current.push(Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1),
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
          ? (earlier[column - 2] ?? 0) + 1
          : Number.POSITIVE_INFINITY
      ))
    }
    earlier = previous
    previous = current
  }
  return previous[to.length] ?? 0
}

/** What was probably meant, if anything comes near. */
export const nearest = (word: string, candidates: ReadonlyArray<string>): string | undefined => {
  let best: string | undefined
  let least = Math.max(1, Math.floor(word.replace(/^-+/, "").length / 3)) + 0.5
  for (const candidate of candidates) {
    const away = candidate.startsWith(word) && word.length > 3 ? 1 : distance(word, candidate)
    if (away < least) {
      best = candidate
      least = away
    }
  }
  return best
}

const isOption = (word: string): boolean => /^--?[A-Za-z]/.test(word)

const shells: ReadonlyArray<Shell> = ["bash", "zsh", "fish"]

const helpOf = (command: string | undefined): string =>
  `effect-opencode ${command === undefined ? "" : `${command} `}--help`

const unknownOption = (word: string, command: CommandDoc): Problem => {
  const name = word.replace(/=[\s\S]*$/, "")
  const meant = nearest(name, [...command.options.flatMap(({ names }) => names), "--help", "--version", "--verbose"])
  return {
    reason: `There is no option ${name}.`,
    hint: meant === undefined
      ? `${helpOf(command.name)} shows the options; what begins with a dash and is no option goes behind --`
      : `did you mean ${meant}?`
  }
}

const unknownCommand = (word: string, commands: ReadonlyArray<CommandDoc>): Problem => {
  const names = commands.map(({ name }) => name)
  const meant = nearest(word, names)
  return {
    reason: `There is no command ${JSON.stringify(word)}.`,
    hint: meant === undefined
      ? `there are ${names.join(", ")}; ${helpOf(undefined)}`
      : `did you mean ${meant}?`
  }
}

/** The words of a command behind its name. */
const arrange = (
  words: ReadonlyArray<string>,
  command: CommandDoc
): Either.Either<CommandLine, Problem> => {
  const byName = new Map<string, OptionDoc>(
    command.options.flatMap((option) => option.names.map((name) => [name, option]))
  )
  const options: Array<string> = []
  const rest: Array<string> = []
  const seen = new Set<OptionDoc>()
  const problem = (reason: string): Either.Either<never, Problem> => Either.left({ reason, hint: helpOf(command.name) })
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    if (word === "--") {
      rest.push(...words.slice(at + 1))
      break
    }
    if (word === "--help" || word === "-h") return Either.right({ _tag: "Help", command: command.name })
    if (word === "--version") return Either.right({ _tag: "Version" })
    if (!isOption(word)) {
      rest.push(word)
      continue
    }
    const [, name = word, attached] = /^(--[^=]+)=([\s\S]*)$/.exec(word) ?? []
    const option = byName.get(name)
    if (option === undefined) return Either.left(unknownOption(word, command))
    if (seen.has(option) && !option.repeated) return problem(`${name} is given more than once.`)
    seen.add(option)
    // The last of its names is the one that nothing else has.
    const canonical = option.value === undefined ? name : option.names.at(-1)!
    if (option.value === undefined) {
      if (attached === undefined) options.push(canonical)
      else if (attached === "true" || attached === "false") options.push(canonical, attached)
      else return problem(`${name} takes no value.`)
      continue
    }
    const value = attached ?? words[at + 1]
    if (attached === undefined) at++
    if (value === undefined || (attached === undefined && byName.has(value))) {
      return problem(`${name} needs a value: ${option.value}.`)
    }
    const choices = option.value.split(" | ")
    if (choices.length > 1 && !choices.includes(value)) {
      return problem(`${name} is one of ${choices.join(", ")}.`)
    }
    options.push(canonical, value)
  }
  const most = command.arguments.some(({ name }) => name.endsWith("...")) ? rest.length : command.arguments.length
  if (rest.length > most) {
    return problem(`${JSON.stringify(rest[most])} is an argument too many.`)
  }
  return Either.right({
    _tag: "Run",
    words: [command.name, ...options, ...(rest.length === 0 ? [] : ["--", ...rest])]
  })
}

/** Reads the words behind the program's name. */
export const parse = (
  words: ReadonlyArray<string>,
  commands: ReadonlyArray<CommandDoc>
): Either.Either<{ readonly commandLine: CommandLine; readonly verbose: boolean }, Problem> => {
  const end = words.indexOf("--")
  const isVerbose = (word: string, at: number): boolean => word === "--verbose" && (end === -1 || at < end)
  const verbose = words.some(isVerbose)
  const [first, ...rest] = words.filter((word, at) => !isVerbose(word, at))
  const read = (): Either.Either<CommandLine, Problem> => {
    if (first === undefined || first === "--help" || first === "-h") {
      return Either.right({ _tag: "Help", command: undefined })
    }
    if (first === "help") {
      return rest[0] === undefined || commands.some(({ name }) => name === rest[0])
        ? Either.right({ _tag: "Help", command: rest[0] })
        : Either.left(unknownCommand(rest[0], commands))
    }
    if (first === "--version") return Either.right({ _tag: "Version" })
    const shell = /^--completions(?:=(.*))?$/.exec(first)
    if (shell !== null) {
      const name = shells.find((name) => name === (shell[1] ?? rest[0]))
      return name !== undefined
        ? Either.right({ _tag: "Completions", shell: name })
        : Either.left({ reason: "--completions needs the name of a shell.", hint: "bash, zsh or fish" })
    }
    const command = commands.find(({ name }) => name === first)
    if (command !== undefined) return arrange(rest, command)
    return Either.left(
      isOption(first)
        ? {
          reason: `There is no option ${first}.`,
          hint: commands.some(({ options }) => options.some(({ names }) => names.includes(first.replace(/=.*/, ""))))
            ? `options stand behind the command: effect-opencode run ${first} …`
            : helpOf(undefined)
        }
        : unknownCommand(first, commands)
    )
  }
  return Either.map(read(), (commandLine) => ({ commandLine, verbose }))
}
