import * as Config from "effect/Config"
import type * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

export const mask = "<redacted>"

type Json = { readonly [key: string]: unknown }

const isObject = (u: unknown): u is Json => typeof u === "object" && u !== null && !Array.isArray(u)

const parse = (text: string): unknown => {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Names of variables and settings whose value is a secret. */
const secretName = /key|token|secret|passw|authori[sz]ation|credential|cookie|(^|[_-])auth([_-]|$)/i

/** Shorter values would blank out ordinary words. */
const minLength = 6

const collect = (value: unknown, isSecret: boolean, into: Set<string>): void => {
  if (Redacted.isRedacted(value)) {
    collect(Redacted.value(value), true, into)
  } else if (typeof value === "string") {
    const json = parse(value)
    if (json !== undefined) collect(json, isSecret, into)
    if (!isSecret) return
    if (value.length >= minLength) into.add(value)
    // A key in PEM form is printed line by line.
    for (const line of value.split(/\r?\n/)) if (line.length >= 24 && line !== value) into.add(line)
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, isSecret, into)
  } else if (isObject(value)) {
    for (const [name, item] of Object.entries(value)) collect(item, isSecret || secretName.test(name), into)
  }
}

/** The secrets among named values: by name, and whatever is `Redacted`; a value that is JSON is looked into. */
export const secretsOf = (values: Json): ReadonlyArray<string> => {
  const found = new Set<string>()
  collect(values, false, found)
  return [...found]
}

/** Values that are secrets whatever they are called. */
export const given = (values: ReadonlyArray<string | Redacted.Redacted>): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const value of values) {
    const text = typeof value === "string" ? value : Redacted.value(value)
    if (text !== "") found.add(text)
    collect(text, true, found)
  }
  return [...found]
}

/** The variables of our own environment, as far as the `ConfigProvider` can list them. */
export const environment: Effect.Effect<Json> = Effect.configProviderWith((provider) => {
  const below = (path: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<ReadonlyArray<string>>> =>
    children(provider, path).pipe(
      Effect.flatMap(
        Effect.forEach((name) => Effect.map(below([...path, name]), (paths) => [[...path, name], ...paths]))
      ),
      Effect.map((lists) => lists.flat())
    )
  const load = (name: string) => Effect.option(provider.load(Config.string(name)))
  return below([]).pipe(
    Effect.flatMap(Effect.forEach((path) => {
      const name = path.join("_")
      return load(name).pipe(
        Effect.flatMap((value) => Option.isSome(value) ? Effect.succeed(value) : load(name.toLowerCase())),
        Effect.map((value) => Option.isSome(value) ? [[name, value.value] as const] : [])
      )
    })),
    Effect.map((entries) => Object.fromEntries(entries.flat()))
  )
})

const children = (provider: ConfigProvider.ConfigProvider, path: ReadonlyArray<string>) =>
  provider.flattened.enumerateChildren(path).pipe(
    Effect.map((names) => [...HashSet.toValues(names)]),
    Effect.orElseSucceed((): Array<string> => [])
  )

const shapes: ReadonlyArray<readonly [RegExp, string]> = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, mask],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi, `$1 ${mask}`],
  [/\b(sk|pk|rk|ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[abeoprs]|hf|gsk)[-_][\w-]{12,}/g, mask],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, mask],
  [/\b(AKIA|ASIA)[0-9A-Z]{16}\b/g, mask],
  [/\bAIza[\w-]{30,}/g, mask],
  [/(:\/\/)[^\s/:@"]+:[^\s/@"]+@/g, `$1${mask}@`],
  [
    /((?:api[-_]?key|access[-_]?token|password|passwd|secret)\\*["']?\s*[:=]\s*\\*["']?)[^\s"'\\,;}<]{6,}/gi,
    `$1${mask}`
  ]
]

/** A field whose value is masked where it looks like a secret. */
const secretField = /(key|token|secret|password|passwd|passphrase|authori[sz]ation|credentials?|cookie)$/i

const looksSecret = (value: string): boolean => value.length >= 8 && !/\s/.test(value) && !value.includes(mask)

/** Every walk through a value calls itself for each level, and the stack is finite. */
const maxDepth = 500

/** What is not looked through is not written. */
const tooDeep = "[nested too deeply]"

const written = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

export interface Cleaner {
  readonly text: (text: string) => string
  /** Cleans the lines of one stream, in order: where a line is JSON it stays JSON. */
  readonly lines: () => (line: string) => string
}

export const make = (secrets: ReadonlyArray<string>): Cleaner => {
  const literal = new Set<string>()
  for (const secret of secrets) {
    literal.add(secret)
    literal.add(JSON.stringify(secret).slice(1, -1))
    literal.add(encodeURIComponent(secret))
  }
  // Longest first: a secret that contains another one must go as a whole.
  const ordered = [...literal].sort((a, b) => b.length - a.length)
  const text = (dirty: string): string => {
    let clean = dirty
    for (const secret of ordered) clean = clean.replaceAll(secret, mask)
    for (const [shape, replacement] of shapes) clean = clean.replace(shape, replacement)
    return clean
  }
  const deep = (value: unknown, name: string, depth = 0): unknown => {
    if (typeof value === "string") {
      const clean = text(value)
      return secretField.test(name) && looksSecret(clean) ? mask : clean
    }
    if (depth >= maxDepth && typeof value === "object" && value !== null) return tooDeep
    if (Array.isArray(value)) return value.map((item) => deep(item, name, depth + 1))
    if (!isObject(value)) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [text(key), deep(item, key, depth + 1)]))
  }
  const cleanLine = (line: string): string => {
    const value = parse(line)
    if (value === undefined) return text(line)
    const clean = JSON.stringify(deep(value, ""))
    // What needed no cleaning stays as it was printed.
    return clean === written(value) ? line : clean
  }
  return {
    text,
    lines: () => {
      let insideKey = false
      return (line) => {
        if (insideKey) {
          insideKey = !/-----END [A-Z ]*PRIVATE KEY-----/.test(line)
          return mask
        }
        const clean = cleanLine(line)
        insideKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----(?!.*-----END )/.test(line) && parse(line) === undefined
        return clean
      }
    }
  }
}
