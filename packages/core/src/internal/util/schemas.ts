/** Every change of form between a decoded value and its JSON, for which Effect 3 and 4 have different functions. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { isObject, isPlain } from "./object.js"
import * as portable from "./portable.js"

/** A field that may be missing. It may be `undefined` only if its Schema allows that. */
export const optionalKey = <S extends Schema.Schema.All>(schema: S): Schema.optionalWith<S, { exact: true }> =>
  Schema.optionalWith(schema, { exact: true })

/** A field that has a value if it is missing. */
export const withDefault = <S extends Schema.Schema.All>(
  schema: S,
  value: () => Schema.Schema.Type<S>
): Schema.optionalWith<S, { default: () => Schema.Schema.Type<S> }> => Schema.optionalWith(schema, { default: value })

/** A field that may be missing or `null`; both decode to a missing one. */
export const nullable = <A, I>(
  schema: Schema.Schema<A, I>
): Schema.optionalWith<Schema.Schema<A, I>, { nullable: true }> => Schema.optionalWith(schema, { nullable: true })

/** A field that is dropped, alone, if its form is unexpected. */
export const lenient = <A, I>(schema: Schema.Schema<A, I>) =>
  nullable(Schema.UndefinedOr(schema).annotations({ decodingFallback: () => Either.right(undefined) }))

/** A field, as opposed to its value, that must be there. */
export const required = Schema.propertySignature

/** A field that has another name in JSON. */
export const renamed = Schema.fromKey

/** A value that two total functions convert from its JSON and back. */
export const converted = <From extends Schema.Schema.Any, To extends Schema.Schema.Any>(
  from: From,
  to: To,
  { decode, encode }: {
    readonly decode: (value: Schema.Schema.Type<From>) => Schema.Schema.Encoded<To>
    readonly encode: (value: Schema.Schema.Encoded<To>) => Schema.Schema.Type<From>
  }
): Schema.transform<From, To> => Schema.transform(from, to, { strict: true, decode, encode })

/** The value, or what is in the way of it. */
type Refusable<A> = Either.Either<A, ReadonlyArray<portable.Obstacle>>

const refuse = (reason: string): Refusable<never> => Either.left([{ path: [], reason }])

/** A value that two functions convert from its JSON and back, each of which can refuse it. */
export const refusable = <A, B, I>(
  from: Schema.Schema<B, I>,
  to: Schema.Schema<A>,
  { decode, encode }: {
    readonly decode: (value: B) => Refusable<A>
    readonly encode: (value: A) => Refusable<B>
  }
): Schema.Schema<A, I> => {
  // The issues do not hold the value, which can be a secret.
  const issueOf = (ast: ParseResult.Forbidden["ast"]) => (obstacles: ReadonlyArray<portable.Obstacle>) => {
    const [first, ...rest] = obstacles.map(({ path: [key, ...inner], reason }) => {
      const issue = new ParseResult.Forbidden(ast, undefined, reason)
      return key === undefined ? issue : new ParseResult.Pointer([key, ...inner], undefined, issue)
    })
    return first === undefined
      ? new ParseResult.Forbidden(ast, undefined)
      : new ParseResult.Composite(ast, undefined, [first, ...rest])
  }
  return Schema.transformOrFail(from, to, {
    strict: true,
    decode: (value, _, ast) => Either.mapLeft(decode(value), issueOf(ast)),
    encode: (value, _, ast) => Either.mapLeft(encode(value), issueOf(ast))
  })
}

/** Replaces the message about a value of a wrong type, which would show the value. */
export const discreet = <S>(
  schema: { readonly annotations: (annotations: { readonly message: () => string }) => S },
  expected: string
): S => schema.annotations({ message: () => `${expected} was expected` })

/** Annotations of an object whose unknown fields are refused, not dropped, and that is not shown if it is none. */
export const complete = {
  message: () => "an object was expected",
  parseOptions: { onExcessProperty: "error" }
} as const

/** A field that may be missing or `undefined`. Unlike those of a union, its issues are those of the Schema alone. */
export const discreetField = <S extends Schema.Schema.AnyNoContext>(schema: S) =>
  optionalKey(
    Schema.declare([schema], {
      decode: (inner) => (value, options) =>
        value === undefined ? Either.right(undefined) : ParseResult.decodeUnknown(inner)(value, options),
      encode: (inner) => (value, options) =>
        value === undefined ? Either.right(undefined) : ParseResult.encodeUnknown(inner)(value, options)
    })
  )

/**
 * A number. Those that JSON lacks are encoded as words. The types of Schemas are written out, because declarations of
 * other packages, which cannot import this module, would name its types.
 */
export const AnyNumber: Schema.Schema<number, number | "Infinity" | "-Infinity" | "NaN" | "-0"> = converted(
  Schema.Union(Schema.Number, Schema.Literal(...portable.numberWords)),
  Schema.Number,
  { decode: Number, encode: portable.encodeNumber }
)

/** Bytes, which are base64 in JSON. */
export const Bytes: Schema.Schema<Uint8Array, string> = Schema.Uint8ArrayFromBase64

/** Any value, as far as it has a portable form. */
export const AnyValue: Schema.Schema<unknown> = converted(Schema.Unknown, Schema.Unknown, {
  decode: portable.decode,
  encode: portable.encode
})

/** A name of a `Schema.Record`, which would lose the field `__proto__`. That one is an unknown field. */
export const Name = Schema.String.pipe(Schema.filter((name) => name !== "__proto__", { title: "string" }))

/** An object, which is not copied. */
export const AnyObject: Schema.Schema<{ readonly [key: string]: unknown }> = Schema.declare(isObject, {
  identifier: "{ readonly [x: string]: unknown }",
  message: () => "an object was expected"
})

/** An object of JSON values. One with a secret, a function or a cycle inside is refused. */
export const ConfigObject: Schema.Schema<{ readonly [key: string]: unknown }> = refusable(AnyObject, AnyObject, {
  decode: (value) => {
    const decoded = portable.decode(value)
    return isPlain(decoded) ? Either.right(decoded) : refuse("an object was expected")
  },
  encode: (value) => {
    const { encoded, obstacles } = portable.strict(value)
    return isObject(encoded) && obstacles.length === 0 ? Either.right(encoded) : Either.left(obstacles)
  }
})

const Text = discreet(Schema.String, "a text")

const RedactedText = discreet(Schema.RedactedFromSelf(Text), "a Redacted text")

const readText = (text: string): Refusable<string> =>
  text === portable.redacted ? refuse("stands for a secret that was left out") : Either.right(text)

/** A secret, which a text can be decoded to. Encoding refuses it. */
export const Secret: Schema.Schema<Redacted.Redacted, string> = refusable(Text, RedactedText, {
  decode: (text) => Either.map(readText(text), (secret) => Redacted.make(secret)),
  encode: () => refuse(portable.secretInTheWay)
})

/** A text, or a secret. Encoding refuses a secret. */
export const TextOrSecret: Schema.Schema<string | Redacted.Redacted, string> = refusable(
  Text,
  Schema.Union(Text, RedactedText),
  {
    decode: readText,
    encode: (value) => typeof value === "string" ? Either.right(value) : refuse(portable.secretInTheWay)
  }
)
