/**
 * What a command of `@effect/cli` says about itself, as data: its arguments and options with their names, values and
 * descriptions. Help texts, and the order of the words on a command line, are made from it.
 */
import * as CliConfig from "@effect/cli/CliConfig"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import type * as HelpDoc from "@effect/cli/HelpDoc"
import type * as Span from "@effect/cli/HelpDoc/Span"
import type * as Usage from "@effect/cli/Usage"
import * as Option from "effect/Option"

export interface OptionDoc {
  /** With their dashes; the first long one is what a person is told. */
  readonly names: ReadonlyArray<string>
  /** What stands for its value; `undefined` where it takes none. */
  readonly value: string | undefined
  readonly repeated: boolean
  readonly description: string
}

export interface ArgumentDoc {
  readonly name: string
  readonly description: string
}

export interface CommandDoc {
  readonly name: string
  readonly description: string
  readonly arguments: ReadonlyArray<ArgumentDoc>
  readonly options: ReadonlyArray<OptionDoc>
}

interface Named {
  readonly names: ReadonlyArray<string>
  readonly value: string | undefined
  readonly repeated: boolean
}

const named = (usage: Usage.Usage, repeated = false): ReadonlyArray<Named> => {
  switch (usage._tag) {
    case "Empty":
    case "Mixed":
      return []
    case "Named":
      return [{ names: usage.names, value: Option.getOrUndefined(usage.acceptedValues), repeated }]
    case "Optional":
      return named(usage.usage, repeated)
    case "Repeated":
      return named(usage.usage, true)
    case "Alternation":
    case "Concat":
      return [...named(usage.left, repeated), ...named(usage.right, repeated)]
  }
}

const textOf = (span: Span.Span): string => {
  switch (span._tag) {
    case "Text":
    case "URI":
      return span.value
    case "Highlight":
    case "Strong":
    case "Weak":
      return textOf(span.value)
    case "Sequence":
      return textOf(span.left) + textOf(span.right)
  }
}

const paragraphs = (doc: HelpDoc.HelpDoc): ReadonlyArray<string> => {
  switch (doc._tag) {
    case "Empty":
      return []
    case "Header":
    case "Paragraph":
      return [textOf(doc.value)]
    case "DescriptionList":
      return doc.definitions.flatMap(([, definition]) => paragraphs(definition))
    case "Enumeration":
      return doc.elements.flatMap(paragraphs)
    case "Sequence":
      return [...paragraphs(doc.left), ...paragraphs(doc.right)]
  }
}

const definitions = (doc: HelpDoc.HelpDoc): ReadonlyArray<readonly [string, HelpDoc.HelpDoc]> => {
  switch (doc._tag) {
    case "DescriptionList":
      return doc.definitions.map(([span, definition]) => [textOf(span), definition])
    case "Sequence":
      return [...definitions(doc.left), ...definitions(doc.right)]
    default:
      return []
  }
}

/** `@effect/cli` begins with what it knows of the type, and ends with whether it is optional: the usage says both. */
const descriptionOf = (doc: HelpDoc.HelpDoc): string =>
  paragraphs(doc).slice(1).filter((text) => text !== "" && !/^This (setting|option|argument) /.test(text)).join(" ")

const config = CliConfig.make({ showBuiltIns: false })

const description = (doc: HelpDoc.HelpDoc): string => {
  const all = paragraphs(doc)
  return all[0] === "DESCRIPTION" ? all[1] ?? "" : ""
}

/** Of a command without subcommands. */
export const make = (command: { readonly descriptor: CommandDescriptor.Command<any> }): CommandDoc => {
  const descriptor = command.descriptor
  const [head, ...words] = named(CommandDescriptor.getUsage(descriptor))
  const help = CommandDescriptor.getHelp(descriptor, config)
  const described = definitions(help)
  const find = (name: string): string => {
    const found = described.find(([text]) => text.replace(/\.\.\.$/, "").split(/[\s,()]+/).includes(name))
    return found === undefined ? "" : descriptionOf(found[1])
  }
  const isOption = ({ names }: Named): boolean => names.some((name) => name.startsWith("-"))
  return {
    name: head?.names[0] ?? "",
    description: description(help),
    arguments: words.filter((word) => !isOption(word)).map(({ names, repeated }) => ({
      name: `${names[0] ?? ""}${repeated ? "..." : ""}`,
      description: find(names[0] ?? "")
    })),
    options: words.filter(isOption).map((word) => ({ ...word, description: find(word.names.at(-1) ?? "") }))
  }
}
