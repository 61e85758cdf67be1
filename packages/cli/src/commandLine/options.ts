/** The kinds of options of which the commands are made. */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"

export const invalid = (reason: string): ValidationError.ValidationError =>
  ValidationError.invalidValue(HelpDoc.p(reason))

export const optional = <A>(option: Options.Options<A>): Options.Options<A | undefined> =>
  Options.map(Options.optional(option), Option.getOrUndefined)

export const text = (name: string, value: string, description: string): Options.Options<string | undefined> =>
  Options.text(name).pipe(Options.withPseudoName(value), Options.withDescription(description), optional)

/** One that can be repeated. */
export const texts = (
  name: string,
  value: string,
  description: string
): Options.Options<ReadonlyArray<string> | undefined> =>
  Options.text(name).pipe(
    Options.withPseudoName(value),
    Options.withDescription(description),
    Options.repeated,
    Options.map((all) => all.length === 0 ? undefined : all)
  )

export const flag = (name: string, description: string): Options.Options<boolean> =>
  Options.boolean(name).pipe(Options.withDescription(description))

export const choice = <const A extends string>(
  name: string,
  choices: readonly [A, ...Array<A>],
  description: string
): Options.Options<A | undefined> => Options.choice(name, choices).pipe(Options.withDescription(description), optional)

/** A value that a pure function reads; its failure says what is wrong with the value. */
export const parsed = <A>(
  name: string,
  value: string,
  description: string,
  parse: (text: string) => Either.Either<A, string>
): Options.Options<A | undefined> =>
  Options.mapEffect(
    text(name, value, description),
    (given) =>
      given === undefined
        ? Effect.succeed(undefined)
        : Either.mapLeft(parse(given), (reason) => invalid(`--${name}: ${reason}`))
  )
