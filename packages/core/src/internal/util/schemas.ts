/** Every change of form between a decoded value and its JSON, for which Effect 3 and 4 have different functions. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

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
