import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

/**
 * What a value means, as a text: two values of different meaning have different texts. A field that is `undefined` means
 * the same as a missing one. Matchers of test frameworks do not tell one `Option` or `Duration` from another.
 */
export const meaning = (value: unknown): string => {
  switch (typeof value) {
    case "undefined":
      return "undefined"
    case "string":
      return JSON.stringify(value)
    case "number":
      return Object.is(value, -0) ? "-0" : String(value)
    case "bigint":
      return `${value}n`
    case "boolean":
      return String(value)
    case "object":
      break
    default:
      return typeof value
  }
  if (value === null) return "null"
  if (Duration.isDuration(value)) {
    const millis = Duration.toMillis(value)
    return `Duration(${millis > 1e300 ? millis : Duration.unsafeToNanos(value)})`
  }
  if (Option.isOption(value)) return `Option(${Option.match(value, { onNone: () => "", onSome: meaning })})`
  if (Redacted.isRedacted(value)) return `Redacted(${meaning(Redacted.value(value))})`
  if (value instanceof Date) return `Date(${value.getTime()})`
  if (Array.isArray(value)) return `[${Array.from(value, meaning).join()}]`
  const prototype: unknown = Object.getPrototypeOf(value)
  const name = prototype === null || prototype === Object.prototype ? "" : value.constructor.name
  const error = value instanceof Error ? `${meaning(value.name)},${meaning(value.message)},${meaning(value.cause)}` : ""
  const fields = Object.entries(value)
    .filter(([key, item]) =>
      item !== undefined && !(value instanceof Error && ["name", "message", "cause"].includes(key))
    )
    .map(([key, item]) => `${JSON.stringify(key)}:${meaning(item)}`)
  return `${name}(${error}){${fields.sort().join()}}`
}
