import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as schemas from "./schemas.js"

/** JSON has no infinite number, and its numbers do not hold the nanoseconds of a long time. */
const encode = (duration: Duration.Duration): number | string => {
  if (!Duration.isFinite(duration)) return "Infinity"
  const millis = Duration.toMillis(duration)
  return Duration.equals(Duration.millis(millis), duration) ? millis : `${Duration.unsafeToNanos(duration)} nanos`
}

const decode = (value: number | string) =>
  Either.fromOption(
    value === "Infinity" ? Option.some(Duration.infinity) : Duration.decodeUnknown(value),
    () => [{ path: [], reason: "not a valid duration; use one like \"30 seconds\", or milliseconds" }]
  )

const MillisOrText = Schema.Union(Schema.Number, Schema.String)

/**
 * A duration, encoded in JSON as a number of milliseconds; an infinite one as `"Infinity"`, and one that milliseconds
 * cannot express as its nanoseconds (`"1234567890123456789 nanos"`).
 */
export const DurationInMillis: Schema.Schema<Duration.Duration, number | string> = schemas.refusable(
  MillisOrText,
  Schema.DurationFromSelf,
  { decode, encode: (duration) => Either.right(encode(duration)) }
)

/** What is accepted as a duration, with the same JSON. It is decoded to a `Duration`. */
export const DurationInputInMillis: Schema.Schema<Duration.DurationInput, number | string> = schemas.refusable(
  MillisOrText,
  Schema.declare((u: unknown): u is Duration.DurationInput => Option.isSome(Duration.decodeUnknown(u)), {
    identifier: "DurationInput"
  }),
  { decode, encode: (input) => Either.right(encode(Duration.decode(input))) }
)
