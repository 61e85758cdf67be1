/** What must not be written down: values that are `Redacted`, and texts under a name that says so. */
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as values from "./values.js"

const mask = "<redacted>"

/** Shorter texts are ordinary words, and would be blanked out everywhere. */
const minLength = 6

const isPlainObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  Predicate.isRecord(value) && !Redacted.isRedacted(value)

/** The value with sorted names and without its secrets: equal for configurations that differ in nothing else. */
export const masked = (value: unknown, secret = false): unknown => {
  if (Redacted.isRedacted(value)) return mask
  if (Array.isArray(value)) return value.map((item) => masked(item, secret))
  if (isPlainObject(value)) {
    return Object.fromEntries(
      Object.keys(value).sort().filter((name) => value[name] !== undefined).map((name) => [
        name,
        masked(value[name], secret || values.namesSecret(name))
      ])
    )
  }
  return secret && typeof value === "string" ? mask : value
}

const collect = (value: unknown, secret: boolean): ReadonlyArray<string> => {
  if (Redacted.isRedacted(value)) return collect(Redacted.value(value), true)
  if (Array.isArray(value)) return value.flatMap((item) => collect(item, secret))
  if (isPlainObject(value)) {
    return Object.entries(value).flatMap(([name, item]) => collect(item, secret || values.namesSecret(name)))
  }
  return secret && typeof value === "string" && value.length >= minLength ? [value] : []
}

/** Takes the secrets of a configuration out of texts. */
export const cleaner = (config: unknown): (text: string) => string => {
  // Longest first: a secret that contains another one must go as a whole.
  const secrets = [...new Set(collect(config, false))].sort((a, b) => b.length - a.length)
  return (text) => secrets.reduce((clean, secret) => clean.replaceAll(secret, mask), text)
}
