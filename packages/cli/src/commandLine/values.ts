/**
 * Parsers for the values of options. A failure does not show the value, which can be a secret.
 */
import * as Redaction from "effect-opencode/Redaction"
import * as Version from "effect-opencode/Version"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"

const units: { readonly [unit: string]: Duration.Unit } = {
  ms: "millis",
  s: "seconds",
  sec: "seconds",
  m: "minutes",
  min: "minutes",
  h: "hours",
  d: "days"
}

/** `90s`, `5m`, `1.5h`, `5 minutes`, `infinity`. A number without a unit is refused. */
export const duration = (text: string): Either.Either<Duration.Duration, string> => {
  const trimmed = text.trim().toLowerCase()
  if (trimmed === "infinity") return Either.right(Duration.infinity)
  const short = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(trimmed)
  const unit = short?.[2] === undefined ? undefined : units[short[2]]
  const decoded = unit === undefined
    ? /^\d/.test(trimmed) && /[a-z]$/.test(trimmed) ? Duration.decodeUnknown(trimmed) : Option.none()
    : Duration.decodeUnknown(`${short?.[1]} ${unit}`)
  return Option.match(decoded, {
    onNone: () => Either.left("not a valid duration; use one like 90s, 5m, 2h, \"5 minutes\" or infinity"),
    onSome: Either.right
  })
}

/** `3`, `0.25`, `infinity`. */
export const number = (text: string): Either.Either<number, string> => {
  const trimmed = text.trim().toLowerCase()
  if (trimmed === "infinity") return Either.right(Number.POSITIVE_INFINITY)
  return /^\d+(\.\d+)?$|^\.\d+$/.test(trimmed)
    ? Either.right(Number(trimmed))
    : Either.left("must be a number, such as 3, 0.25 or infinity")
}

/** An integer, 0 or greater. */
export const count = (text: string): Either.Either<number, string> =>
  /^\d+$/.test(text.trim()) ? Either.right(Number(text)) : Either.left("must be an integer, 0 or greater")

export const positive = (text: string): Either.Either<number, string> =>
  /^0*[1-9]\d*$/.test(text.trim()) ? Either.right(Number(text)) : Either.left("must be a positive integer")

/** A positive integer, or `unbounded`. */
export const positiveOrUnbounded = (text: string): Either.Either<number | "unbounded", string> =>
  text.trim() === "unbounded"
    ? Either.right("unbounded")
    : Either.mapLeft(positive(text), (reason) => `${reason} or "unbounded"`)

export const version = (text: string): Either.Either<string, string> =>
  Version.parse(text) !== undefined ? Either.right(text) : Either.left("not a valid version; use one like 1.18.33")

/** The line and column of an offset, from 1. */
export const position = (text: string, offset: number): { readonly line: number; readonly column: number } => {
  const before = text.slice(0, offset).split("\n")
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** Parses JSON. Of the engine's message only the position is shown, because the text can hold a secret. */
export const json = (text: string): Either.Either<unknown, string> =>
  Either.try({
    try: (): unknown => JSON.parse(text),
    catch: (error) => {
      const offset = /position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1]
      if (offset === undefined) return "not valid JSON"
      const { column, line } = position(text, Number(offset))
      return `not valid JSON (line ${line}, column ${column})`
    }
  })

export const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** `name=value`. */
export const pair = (text: string): Either.Either<readonly [string, string], string> => {
  const at = text.indexOf("=")
  return at > 0
    ? Either.right([text.slice(0, at), text.slice(at + 1)])
    : Either.left("must be name=value")
}

/** Whether a value is or contains a secret. */
export const holdsSecret = (value: unknown): boolean => Redaction.secretsOf(value).length > 0
