import * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"

/** The name of an option, and why its value is refused. */
export interface Problem {
  readonly path: string
  readonly reason: string
}

export const isPositiveInt = (value: number): boolean => Number.isSafeInteger(value) && value >= 1

/** What `Duration` reads as zero without a word. */
const isNoTime = (value: Duration.DurationInput): boolean =>
  typeof value === "number" ? !(value >= 0) : typeof value === "string" && value.startsWith("-")

/** True for a duration of at least this many milliseconds, and without a value. */
export const isTime = (value: Duration.DurationInput | undefined, least: number): boolean =>
  value === undefined ||
  !isNoTime(value) &&
    Duration.decodeUnknown(value).pipe((time) => time._tag === "Some" && Duration.toMillis(time.value) >= least)

/** What is wrong with the options of a runner, whatever its engine. */
export const ofRunner = (options: {
  readonly name?: string | undefined
  readonly agents?: number | undefined
  readonly secrets?: { readonly [name: string]: Redacted.Redacted } | undefined
  readonly retention?: Duration.DurationInput | undefined
}): Problem | undefined => {
  if (options.agents !== undefined && !isPositiveInt(options.agents)) {
    return { path: "agents", reason: "must be a positive integer" }
  }
  if (options.name !== undefined && (options.name === "" || options.name.length > 200)) {
    return { path: "name", reason: "must have 1 to 200 characters" }
  }
  if (!isTime(options.retention, 60_000)) return { path: "retention", reason: "must be at least a minute" }
  const secret = Object.keys(options.secrets ?? {}).find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
  return secret === undefined
    ? undefined
    : { path: "secrets", reason: `"${secret}" is not the name of a variable` }
}
