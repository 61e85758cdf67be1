/**
 * Values of the command line as people write them. A failure says what is wrong, without the value: it can be a secret.
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

/** `90s`, `5m`, `1.5h`, `5 minutes`, `infinity`. A number alone could be anything. */
export const duration = (text: string): Either.Either<Duration.Duration, string> => {
  const trimmed = text.trim().toLowerCase()
  if (trimmed === "infinity") return Either.right(Duration.infinity)
  const short = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(trimmed)
  const unit = short?.[2] === undefined ? undefined : units[short[2]]
  const decoded = unit === undefined
    ? /^\d/.test(trimmed) && /[a-z]$/.test(trimmed) ? Duration.decodeUnknown(trimmed) : Option.none()
    : Duration.decodeUnknown(`${short?.[1]} ${unit}`)
  return Option.match(decoded, {
    onNone: () => Either.left("it is no duration: write 90s, 5m, 2h, \"5 minutes\" or infinity"),
    onSome: Either.right
  })
}

/** `3`, `0.25`, `infinity`. */
export const number = (text: string): Either.Either<number, string> => {
  const trimmed = text.trim().toLowerCase()
  if (trimmed === "infinity") return Either.right(Number.POSITIVE_INFINITY)
  return /^\d+(\.\d+)?$|^\.\d+$/.test(trimmed)
    ? Either.right(Number(trimmed))
    : Either.left("it is no number: write 3, 0.25 or infinity")
}

/** A whole number, 0 included. */
export const count = (text: string): Either.Either<number, string> =>
  /^\d+$/.test(text.trim()) ? Either.right(Number(text)) : Either.left("it is no whole number")

/** A whole number from 1, or `unbounded`. */
export const countOrUnbounded = (text: string): Either.Either<number | "unbounded", string> => {
  if (text.trim() === "unbounded") return Either.right("unbounded")
  return /^0*[1-9]\d*$/.test(text.trim())
    ? Either.right(Number(text))
    : Either.left("it is neither a whole number from 1 nor \"unbounded\"")
}

export const version = (text: string): Either.Either<string, string> =>
  Version.parse(text) !== undefined ? Either.right(text) : Either.left("it is no version: write 1.18.33")

/** Where an offset is in a text, from 1. */
export const position = (text: string, offset: number): { readonly line: number; readonly column: number } => {
  const before = text.slice(0, offset).split("\n")
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** The engine's own message shows the text, which can hold a secret; only the place is taken from it. */
export const json = (text: string): Either.Either<unknown, string> =>
  Either.try({
    try: (): unknown => JSON.parse(text),
    catch: (error) => {
      const offset = /position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1]
      if (offset === undefined) return "it is not valid JSON"
      const { column, line } = position(text, Number(offset))
      return `it is not valid JSON (line ${line}, column ${column})`
    }
  })

export const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** `name=value`. */
export const pair = (text: string): Either.Either<readonly [string, string], string> => {
  const at = text.indexOf("=")
  return at > 0
    ? Either.right([text.slice(0, at), text.slice(at + 1)])
    : Either.left("it is no name=value")
}

/** Whether a value, or anything inside of it, is a secret. */
export const holdsSecret = (value: unknown): boolean => Redaction.secretsOf(value).length > 0
