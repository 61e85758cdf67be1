import * as Redacted from "effect/Redacted"
import * as json from "./json.js"
import { isObject } from "./wire.js"

const mask = "<redacted>"

const secretName = /key|token|secret|passw|authorization|credential|cookie/i

/** Shorter values would blank out ordinary words. */
const minLength = 6

const strings = (value: unknown, secret: boolean, into: Set<string>): void => {
  if (Redacted.isRedacted(value)) {
    strings(Redacted.value(value), true, into)
  } else if (typeof value === "string") {
    if (secret && value.length >= minLength) into.add(value)
  } else if (Array.isArray(value)) {
    for (const item of value) strings(item, secret, into)
  } else if (isObject(value)) {
    for (const [name, item] of Object.entries(value)) strings(item, secret || secretName.test(name), into)
  }
}

/**
 * The secret values inside a configuration: whatever is `Redacted`, and the strings under a name that says so
 * (`apiKey`, `token`, `Authorization`, `headers.cookie`, …).
 */
export const secretsOf = (value: unknown): ReadonlyArray<string> => {
  const found = new Set<string>()
  strings(value, false, found)
  // Longest first: a secret that contains another one must go as a whole.
  return [...found].sort((a, b) => b.length - a.length)
}

const shapes: ReadonlyArray<readonly [RegExp, string]> = [
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi, `$1 ${mask}`],
  [/\b(sk|pk|rk|ghp|gho|ghs|glpat|xox[abp])[-_][\w-]{12,}/g, mask],
  [/(:\/\/)[^\s/:@]*:[^\s/@]+@/g, `$1${mask}@`],
  [/((?:api[-_]?key|access[-_]?token|password|secret)["']?\s*[:=]\s*["']?)[^\s"',;}]{6,}/gi, `$1${mask}`]
]

/** A secret can be printed as it is or inside a JSON string. */
const spellings = (secrets: ReadonlyArray<string>): ReadonlyArray<string> =>
  secrets.flatMap((secret) => {
    const json = JSON.stringify(secret).slice(1, -1)
    return json === secret ? [secret] : [secret, json]
  })

/** Replaces known secrets, and what looks like one, by a mask. */
export const make = (secrets: ReadonlyArray<string>): (text: string) => string => {
  const literal = spellings(secrets)
  return (text) => {
    let clean = text
    for (const secret of literal) clean = clean.replaceAll(secret, mask)
    for (const [shape, replacement] of shapes) clean = clean.replace(shape, replacement)
    return clean
  }
}

/** Replaces known secrets in every text inside a value; what holds none is handed on as it is. */
export const inside = (secrets: ReadonlyArray<string>): <A>(value: A) => A => {
  const literal = spellings(secrets)
  const visit = (value: unknown, ancestors: Set<unknown>): unknown => {
    if (typeof value === "string") {
      return literal.reduce((clean, secret) => clean.includes(secret) ? clean.replaceAll(secret, mask) : clean, value)
    }
    if (typeof value !== "object" || value === null) return value
    // What is not looked through is not shown.
    if (ancestors.has(value)) return json.circular
    if (ancestors.size >= json.maxDepth) return json.tooDeep
    ancestors.add(value)
    const clean = within(value, ancestors)
    ancestors.delete(value)
    return clean
  }
  const within = (value: object, ancestors: Set<unknown>): unknown => {
    if (Array.isArray(value)) {
      const items = value.map((item) => visit(item, ancestors))
      return items.every((item, index) => item === value[index]) ? value : items
    }
    if (!isObject(value)) return value
    const entries = Object.entries(value).map(([name, item]) => [name, visit(item, ancestors)] as const)
    return entries.every(([name, item]) => item === value[name]) ? value : Object.fromEntries(entries)
  }
  return <A>(value: A): A => literal.length === 0 ? value : visit(value, new Set()) as A
}
