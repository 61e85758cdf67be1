/**
 * The kinds of options. The library parses the words; the value of an option is an effect, because it can need a file or
 * a variable, and can be refused.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as constructs from "@optique/core/constructs"
import * as message from "@optique/core/message"
import * as modifiers from "@optique/core/modifiers"
import type { Parser } from "@optique/core/parser"
import * as primitives from "@optique/core/primitives"
import * as valueParser from "@optique/core/valueparser"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

/** The command line is invalid. */
export class UsageError extends Schema.TaggedError<UsageError>("effect-opencode-cli/UsageError")("UsageError", {
  reason: Schema.String,
  hint: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

export const invalid = (reason: string, hint = "--help lists commands and options"): UsageError =>
  new UsageError({ reason, hint })

/** The services that option values need. */
export type Services = FileSystem.FileSystem

type Value<A> = Effect.Effect<A, UsageError, Services>

export type Option<A> = Parser<"sync", Value<A>, unknown>

const read = <A>(parser: Parser<"sync", A, unknown>): Option<A> =>
  modifiers.map(parser, (value) => Effect.succeed(value))

const described = (description: string) => ({ description: [message.text(description)] })

export const map = <A, B>(option: Option<A>, f: (value: A) => B): Option<B> => modifiers.map(option, Effect.map(f))

export const mapEffect = <A, B>(option: Option<A>, f: (value: A) => Value<B>): Option<B> =>
  modifiers.map(option, Effect.flatMap(f))

/** Combines options into one value with a field for each. */
export const all = <const Fields extends { readonly [field: string]: Option<unknown> }>(
  fields: Fields
): Option<{ readonly [Field in keyof Fields]: Fields[Field] extends Option<infer A> ? A : never }> => {
  const object = constructs.object(fields as { readonly [field: string]: Option<unknown> })
  return modifiers.map(object, (values) => Effect.all(values)) as never
}

/** Accepts one of two options, not both. */
export const either = <A, B>(one: Option<A>, other: Option<B>): Option<A | B> =>
  constructs.or(one, other) as Option<A | B>

export const optional = <A>(option: Option<A>): Option<A | undefined> =>
  modifiers.map(modifiers.optional(option), (value): Value<A | undefined> => value ?? Effect.succeed(undefined))

/** A text. Shells complete the given words, and files or directories if the placeholder names them. */
const word = (placeholder: string, words: ReadonlyArray<string>): valueParser.ValueParser<"sync", string> => ({
  ...valueParser.string({ metavar: `<${placeholder}>` }),
  *suggest(prefix) {
    for (const text of words) if (text.startsWith(prefix)) yield { kind: "literal", text }
    const type = placeholder.split("|").find((kind) => kind === "file" || kind === "directory")
    if (type !== undefined) yield { kind: "file", type, pattern: prefix }
  }
})

/** `name`, or `n, name`. */
const namesOf = (names: string): ReadonlyArray<`-${string}`> =>
  names.split(", ").map((name) => name.length === 1 ? `-${name}` as const : `--${name}` as const)

const one = (names: string, placeholder: string, description: string, words: ReadonlyArray<string>) =>
  primitives.option(...namesOf(names) as [`-${string}`], word(placeholder, words), described(description))

/** An option that must be given. */
export const required = (
  names: string,
  placeholder: string,
  description: string,
  words: ReadonlyArray<string> = []
): Option<string> => read(one(names, placeholder, description, words))

export const text = (
  names: string,
  placeholder: string,
  description: string,
  words: ReadonlyArray<string> = []
): Option<string | undefined> => optional(required(names, placeholder, description, words))

/** An option that can be repeated. */
export const texts = (
  names: string,
  placeholder: string,
  description: string
): Option<ReadonlyArray<string> | undefined> =>
  map(read(modifiers.multiple(one(names, placeholder, description, []))), (all) => all.length === 0 ? undefined : all)

export const flag = (names: string, description: string): Option<boolean> =>
  map(
    optional(read(primitives.flag(...namesOf(names) as [`-${string}`], described(description)))),
    (on) => on ?? false
  )

/** `--name` or `--no-name`; `undefined` if neither is given. */
export const toggle = (name: string, on: string, off: string): Option<boolean | undefined> =>
  optional(either(
    read(primitives.flag(`--${name}`, described(on))),
    read(modifiers.map(primitives.flag(`--no-${name}`, described(off)), () => false))
  ))

/** An option whose value a pure function parses; its failure says what the value must be. */
export const parsed = <A>(
  name: string,
  placeholder: string,
  description: string,
  parse: (text: string) => Either.Either<A, string>,
  words: ReadonlyArray<string> = []
): Option<A | undefined> =>
  optional(mapEffect(
    required(name, placeholder, description, words),
    (given) => Either.mapLeft(parse(given), (reason) => invalid(`--${name}: ${reason}`))
  ))

export const choice = <const A extends string>(
  name: string,
  choices: ReadonlyArray<A>,
  description: string
): Option<A | undefined> =>
  parsed(
    name,
    choices.join("|"),
    description,
    (text) =>
      Either.fromNullable(choices.find((choice) => choice === text), () => `it must be one of ${choices.join(", ")}`),
    choices
  )

export const argument = (placeholder: string, description: string): Option<string> =>
  read(primitives.argument(word(placeholder, []), described(description)))

export const args = (placeholder: string, description: string): Option<ReadonlyArray<string>> =>
  read(modifiers.multiple(primitives.argument(word(placeholder, []), described(description))))
