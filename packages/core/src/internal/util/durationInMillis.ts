import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/** A duration, which is a number of milliseconds in JSON. An infinite one is a word there: JSON has no such number. */
export const DurationInMillis: Schema.Schema<Duration.Duration, number | "Infinity"> = Schema.transform(
  Schema.Union(Schema.Number, Schema.Literal("Infinity")),
  Schema.DurationFromSelf,
  {
    strict: true,
    decode: (millis) => millis === "Infinity" ? Duration.infinity : Duration.millis(millis),
    encode: (duration) => Duration.isFinite(duration) ? Duration.toMillis(duration) : "Infinity" as const
  }
)
