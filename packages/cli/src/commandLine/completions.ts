/**
 * Scripts that complete commands, options and their values in a shell. Those of `@effect/cli` do not complete the options
 * of a command whose program has a hyphen in its name (0.77.2, bash), and offer options that this program has not.
 */
import type { CommandDoc, OptionDoc } from "./commandDoc.js"

export type Shell = "bash" | "zsh" | "fish"

const program = "effect-opencode"

/** Behind every command. */
const everywhere: ReadonlyArray<OptionDoc> = [
  { names: ["--verbose"], value: undefined, repeated: false, description: "Show the cause of an error, and log." },
  { names: ["-h", "--help"], value: undefined, repeated: false, description: "Show the help." }
]

/** In the place of a command. */
const alone: ReadonlyArray<OptionDoc> = [
  ...everywhere,
  { names: ["--version"], value: undefined, repeated: false, description: "Show the version." },
  {
    names: ["--completions"],
    value: "bash | zsh | fish",
    repeated: false,
    description: "Print a completion script."
  }
]

/** What a value is, as far as a shell can help with it. */
type Value = { readonly _tag: "File" | "Directory" | "Free" } | {
  readonly _tag: "Choice"
  readonly words: ReadonlyArray<string>
}

const valueOf = (value: string): Value => {
  const words = value.split(" | ")
  if (words.length > 1) return { _tag: "Choice", words }
  const kinds = value.split("|")
  if (kinds.includes("directory")) return { _tag: "Directory" }
  return { _tag: kinds.includes("file") ? "File" : "Free" }
}

/** The names that people are told: the second long one of an option is ours. */
const namesOf = ({ names }: OptionDoc): ReadonlyArray<string> => {
  const long = names.find((name) => name.startsWith("--"))
  return [...names.filter((name) => !name.startsWith("--")), ...(long === undefined ? [] : [long])]
}

/** The first sentence. */
const brief = (description: string): string => /^.*?\.(?=\s|$)/.exec(description)?.[0].replace(/\.$/, "") ?? description

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

const optionsOf = ({ options }: CommandDoc): ReadonlyArray<OptionDoc> => [...options, ...everywhere]

const words = (options: ReadonlyArray<OptionDoc>): string => options.flatMap(namesOf).join(" ")

const bashValues = (command: string, options: ReadonlyArray<OptionDoc>): ReadonlyArray<string> =>
  options.flatMap((option) => {
    if (option.value === undefined) return []
    const value = valueOf(option.value)
    const pattern = namesOf(option).map((name) => `"${command} ${name}"`).join(" | ")
    switch (value._tag) {
      case "Choice":
        return [`    ${pattern}) COMPREPLY=($(compgen -W "${value.words.join(" ")}" -- "$cur")); return ;;`]
      case "Directory":
        return [`    ${pattern}) COMPREPLY=($(compgen -d -- "$cur")); return ;;`]
      // Files are what the shell completes by itself.
      case "File":
      case "Free":
        return [`    ${pattern}) return ;;`]
    }
  })

const bash = (commands: ReadonlyArray<CommandDoc>): ReadonlyArray<string> => [
  "_effect_opencode() {",
  "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\" command=\"${COMP_WORDS[1]}\"",
  "  COMPREPLY=()",
  "  if (( COMP_CWORD == 1 )); then",
  `    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} ${words(alone)}" -- "$cur"))`,
  "    return",
  "  fi",
  "  case \"$command $prev\" in",
  `    "--completions --completions") COMPREPLY=($(compgen -W "bash zsh fish" -- "$cur")); return ;;`,
  ...commands.flatMap((command) => bashValues(command.name, command.options)),
  "  esac",
  "  [[ $cur == -* ]] || return",
  "  case \"$command\" in",
  ...commands.map((command) =>
    `    ${command.name}) COMPREPLY=($(compgen -W "${words(optionsOf(command))}" -- "$cur")) ;;`
  ),
  "  esac",
  "}",
  `complete -o default -F _effect_opencode ${program}`
]

const zshText = (text: string): string => text.replace(/[\\[\]:]/g, "\\$&")

const zshValue = (value: string): string => {
  const kind = valueOf(value)
  switch (kind._tag) {
    case "Choice":
      return `:value:(${kind.words.join(" ")})`
    case "Directory":
      return ":directory:_files -/"
    case "File":
      return ":file:_files"
    case "Free":
      return ":value:"
  }
}

const zshOption = (option: OptionDoc): string => {
  const names = namesOf(option)
  const rest = quote(
    `[${zshText(brief(option.description))}]${option.value === undefined ? "" : zshValue(option.value)}`
  )
  const star = option.repeated ? "*" : ""
  return names.length === 1
    ? `${quote(`${star}${names[0]}`)}${rest}`
    : `${quote(star === "" ? `(${names.join(" ")})` : star)}{${names.join(",")}}${rest}`
}

const zshArgument = ({ arguments: all }: CommandDoc): ReadonlyArray<string> =>
  all.map(({ name }) => name === "<prompt>..." ? "'*:prompt:'" : "'*:file:_files'")

const zsh = (commands: ReadonlyArray<CommandDoc>): ReadonlyArray<string> => [
  `#compdef ${program}`,
  "",
  `_${program}() {`,
  "  local curcontext=\"$curcontext\" state line",
  "  local -a commands=(",
  ...commands.map(({ description, name }) => `    ${quote(`${name}:${zshText(brief(description))}`)}`),
  "  )",
  "  _arguments -C \\",
  ...alone.map((option) => `    ${zshOption(option)} \\`),
  "    '1:command:->command' '*::argument:->argument'",
  "  case $state in",
  "    command) _describe -t commands command commands ;;",
  "    argument)",
  "      case $line[1] in",
  ...commands.flatMap((command) => [
    `        ${command.name})`,
    "          _arguments \\",
    ...[...optionsOf(command).map(zshOption), ...zshArgument(command)].map((line, at, lines) =>
      `            ${line}${at === lines.length - 1 ? "" : " \\"}`
    ),
    "          ;;"
  ]),
  "      esac",
  "      ;;",
  "  esac",
  "}",
  "",
  `if [ "$funcstack[1]" = "_${program}" ]; then`,
  `  _${program} "$@"`,
  "else",
  `  compdef _${program} ${program}`,
  "fi"
]

const fishText = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`

const fishValue = (value: string): string => {
  const kind = valueOf(value)
  switch (kind._tag) {
    case "Choice":
      return ` -x -a ${fishText(kind.words.join(" "))}`
    case "Directory":
      return " -x -a '(__fish_complete_directories)'"
    case "File":
      return " -r -F"
    case "Free":
      return " -x"
  }
}

const fishOption = (condition: string) => (option: OptionDoc): string => {
  const names = namesOf(option).map((name) => name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)
  const value = option.value === undefined ? "" : fishValue(option.value)
  return `complete -c ${program} -n ${quote(condition)} ${names.join(" ")}${value} -d ${
    fishText(brief(option.description))
  }`
}

const fish = (commands: ReadonlyArray<CommandDoc>): ReadonlyArray<string> => [
  ...commands.map(({ description, name }) =>
    `complete -c ${program} -n __fish_use_subcommand -f -a ${name} -d ${fishText(brief(description))}`
  ),
  ...alone.map(fishOption("__fish_use_subcommand")),
  ...commands.flatMap((command) => optionsOf(command).map(fishOption(`__fish_seen_subcommand_from ${command.name}`)))
]

const scripts: { readonly [S in Shell]: (commands: ReadonlyArray<CommandDoc>) => ReadonlyArray<string> } = {
  bash,
  zsh,
  fish
}

/** The script for a shell, to be sourced or put where the shell looks for completions. */
export const script = (shell: Shell, commands: ReadonlyArray<CommandDoc>): string => scripts[shell](commands).join("\n")
