/** What must not be written down: values that are `Redacted`, and texts under a name that says so. */
import * as Redaction from "effect-opencode/Redaction"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"

const isPlainObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  Predicate.isRecord(value) && !Redacted.isRedacted(value)

/** The value with sorted names and without its secrets: equal for configurations that differ in nothing else. */
export const masked = (value: unknown, secret = false): unknown => {
  if (Redacted.isRedacted(value)) return Redaction.mask
  if (Array.isArray(value)) return value.map((item) => masked(item, secret))
  if (isPlainObject(value)) {
    return Object.fromEntries(
      Object.keys(value).sort().filter((name) => value[name] !== undefined).map((name) => [
        name,
        masked(value[name], secret || Redaction.isSecretName(name))
      ])
    )
  }
  return secret && typeof value === "string" ? Redaction.mask : value
}

/** Takes the secrets of a configuration out of texts. */
export const cleaner = (config: unknown): (text: string) => string => Redaction.make(Redaction.secretsOf(config)).known
