import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as schemas from "./schemas.js"

/**
 * A duration, encoded in JSON as a number of milliseconds. An infinite one is encoded as a word, because JSON has no
 * such number.
 */
export const DurationInMillis: Schema.Schema<Duration.Duration, number | "Infinity"> = schemas.converted(
  Schema.Union(Schema.Number, Schema.Literal("Infinity")),
  Schema.DurationFromSelf,
  {
    decode: (millis) => millis === "Infinity" ? Duration.infinity : Duration.millis(millis),
    encode: (duration) => Duration.isFinite(duration) ? Duration.toMillis(duration) : "Infinity" as const
  }
)
