/**
 * The kinds of options. The library parses the words; the value of an option is an effect, because it can need a file or
 * a variable, and can be refused.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as constructs from "@optique/core/constructs"
import * as message from "@optique/core/message"
import * as modifiers from "@optique/core/modifiers"
import * as parser from "@optique/core/parser"
import * as primitives from "@optique/core/primitives"
import * as valueParser from "@optique/core/valueparser"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Record from "effect/Record"
import { CliError } from "../CliError.js"

export const invalid = (reason: string, hint = "--help lists commands and options"): CliError =>
  new CliError({ reason, hint })

/** The services that option values need. */
export type Services = FileSystem.FileSystem

type Value<A> = Effect.Effect<A, CliError, Services>

export type Option<A> = parser.Parser<"sync", Value<A>, unknown>

const read = <A>(own: parser.Parser<"sync", A, unknown>): Option<A> => modifiers.map(own, Effect.succeed)

const described = (description: string) => ({ description: [message.text(description)] })

/** The options of a parser with all their names, as help texts show them. */
export const termsOf = (own: parser.Parser<"sync", unknown, unknown>) =>
  (parser.getDocPage(own)?.sections ?? []).flatMap(({ entries }) => entries)
    .flatMap(({ term }) => term.type === "option" ? [term] : [])

export const map = <A, B>(option: Option<A>, f: (value: A) => B): Option<B> => modifiers.map(option, Effect.map(f))

export const mapEffect = <A, B>(option: Option<A>, f: (value: A) => Value<B>): Option<B> =>
  modifiers.map(option, Effect.flatMap(f))

// Single letters are similar to every other letter.
const suggestions = (names: ReadonlyArray<string>): message.Message =>
  names.filter((name) => name.length > 2).slice(0, 1)
    .flatMap((name) => message.message`did you mean ${message.optionName(name)}?`)

type Fields = { readonly [field: string]: Option<unknown> }

/** Combines options into one value with a field for each. */
export const all = <const F extends Fields>(
  fields: F
): Option<{ readonly [Field in keyof F]: F[Field] extends Option<infer A> ? A : never }> =>
  modifiers.map(constructs.object<Fields>(fields, { errors: { suggestions } }), (values) => Effect.all(values)) as never

/** Puts options under a title in help texts. */
export const group = <const F extends Fields>(title: string, fields: F): F =>
  Record.map(fields, (option) => constructs.group(title, option)) as never

/** Accepts one of two options, not both. */
export const either = <A, B>(one: Option<A>, other: Option<B>): Option<A | B> =>
  constructs.or(one, other) as Option<A | B>

export const optional = <A>(option: Option<A>): Option<A | undefined> =>
  modifiers.map(modifiers.optional(option), (value): Value<A | undefined> => value ?? Effect.succeed(undefined))

/** A text. Shells complete the given words, and files or directories if the placeholder names them. */
const word = (placeholder: string, words: ReadonlyArray<string> = []): valueParser.ValueParser<"sync", string> => ({
  ...valueParser.string({ metavar: `<${placeholder}>` }),
  *suggest(prefix) {
    for (const text of words) if (text.startsWith(prefix)) yield { kind: "literal", text }
    const type = placeholder.split("|").find((kind) => kind === "file" || kind === "directory")
    if (type !== undefined) yield { kind: "file", type, pattern: prefix }
  }
})

/** `name`, or `n, name`. */
const namesOf = (names: string) =>
  names.split(", ").map((name) => name.length === 1 ? `-${name}` : `--${name}`) as [`-${string}`]

type Described = readonly [names: string, placeholder: string, description: string, words?: ReadonlyArray<string>]

const one = (...[names, placeholder, description, words]: Described) =>
  primitives.option(...namesOf(names), word(placeholder, words), described(description))

/** An option that must be given. */
export const required = (...described: Described): Option<string> => read(one(...described))

export const text = (...described: Described): Option<string | undefined> => optional(required(...described))

/** An option that can be repeated. */
export const texts = (...described: Described): Option<ReadonlyArray<string> | undefined> =>
  map(read(modifiers.multiple(one(...described))), (all) => all.length === 0 ? undefined : all)

export const flag = (names: string, description: string): Option<boolean> =>
  read(modifiers.withDefault(primitives.flag(...namesOf(names), described(description)), false))

/** `--name` or `--no-name`; `undefined` if neither is given. */
export const toggle = (name: string, description: string): Option<boolean | undefined> =>
  optional(read(
    primitives.negatableFlag({ positive: `--${name}`, negative: `--no-${name}` }, described(description))
  ))

/** An option whose value a pure function parses; its failure says what the value must be. */
export const parsed = <A>(parse: (text: string) => Either.Either<A, string>, ...described: Described) => {
  const refused = (reason: string) => invalid(`--${described[0]}: ${reason}`)
  return optional(mapEffect(required(...described), (text) => Either.mapLeft(parse(text), refused)))
}

export const choice = <const A extends string>(name: string, choices: ReadonlyArray<A>, description: string) => {
  const parse = (text: string) =>
    Either.fromNullable(choices.find((choice) => choice === text), () => `must be one of ${choices.join(", ")}`)
  return parsed(parse, name, choices.join("|"), description, choices)
}

const anArgument = (placeholder: string, description: string) =>
  primitives.argument(word(placeholder), described(description))

export const argument = (placeholder: string, description: string): Option<string> =>
  read(anArgument(placeholder, description))

export const args = (placeholder: string, description: string): Option<ReadonlyArray<string>> =>
  read(modifiers.multiple(anArgument(placeholder, description)))
