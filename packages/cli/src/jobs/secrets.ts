/** Secrets that must not be written: `Redacted` values, and texts whose name marks them as secret. */
import * as Redaction from "effect-opencode/Redaction"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"

const isPlainObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  Predicate.isRecord(value) && !Redacted.isRedacted(value)

/** The value with sorted names and without secrets, so that configurations that differ only in these are equal. */
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

/** Removes the secrets of a configuration from texts. */
export const cleaner = (config: unknown): (text: string) => string => Redaction.make(Redaction.secretsOf(config)).known
