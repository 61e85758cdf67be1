import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import type { RunEvent } from "../../RunEvent.js"
import * as jsonMessage from "../util/jsonMessage.js"
import { isObject } from "../util/object.js"
import type { WireObject } from "../util/object.js"
import * as names from "../util/secretNames.js"
import * as spellings from "../util/spellings.js"
import * as walk from "../util/walk.js"
import * as providerErrors from "./providerErrors.js"
import { variableNames } from "./variables.js"

export const mask = "<redacted>"

/**
 * What a value says by its place: nothing, that it is a secret by its name, by its being `Redacted`, as a header or in
 * a file of logins, or that it goes into an environment, where most values are none.
 */
type Place = "plain" | "named" | "explicit" | "headers" | "environment" | "logins"

interface Item {
  readonly value: unknown
  readonly place: Place
  readonly name: string
}

/** Objects whose names somebody has chosen for what is in them: an agent called `secret-finder` is none. */
const entries = /^(agent|agents|mode|provider|mcp|models|lsp|formatter|servers|mcpServers)$/

const parsed = (text: string): unknown => {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isLoginsVariable = (name: string): boolean => /^OPENCODE_AUTH_CONTENT$/i.test(name)

/** What OpenCode calls the secrets in `auth.json` and `mcp-auth.json` (1.18.33). */
const loginFields = /^(key|access|refresh|token|code_?verifier|(oauth_?)?state)$/i

/** Without the scheme, whose search would take a time that grows with the square of a long text. */
const userinfo = /(?<=[a-z0-9+.-]):\/\/([^\s/?#@]*)@/gi

const decoded = (percent: string): string => {
  try {
    return decodeURIComponent(percent)
  } catch {
    return percent
  }
}

/** The password of an address, or what stands alone before its `@` and is too long for a user's name. */
const inAddresses = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(userinfo)].flatMap(([, user = ""]) => {
    const at = user.indexOf(":")
    const secret = at === -1 ? (user.length >= 20 ? user : "") : user.slice(at + 1)
    return [secret, decoded(secret)]
  })

/** What `Authorization` has behind the scheme; of `Basic` the password as well. */
const behindScheme = (text: string): ReadonlyArray<string> => {
  const match = /^(bearer|basic|token|apikey)\s+(\S+)$/i.exec(text)
  if (match?.[2] === undefined) return []
  const basic = match[1]!.toLowerCase() === "basic" ? Encoding.decodeBase64String(match[2]) : undefined
  const password = basic !== undefined && Either.isRight(basic) ? basic.right.slice(basic.right.indexOf(":") + 1) : ""
  return [match[2], password]
}

/** The lines of a key in PEM form, which is printed line by line; in a variable they can end with `\n` as two characters. */
const linesOf = (text: string): ReadonlyArray<string> => {
  const whole = text.replaceAll("\\n", "\n").trim()
  const lines = whole.split(/\r?\n/).map((line) => line.trim())
  return lines.length === 1 ? [] : [whole, ...lines.filter((line) => !line.startsWith("-----"))]
}

/** A line of a secret that is shorter is left: most of them would be words. */
const minExplicitLine = 4

/** The secret values inside a value, and the variables that stand for some. */
const collect = (root: unknown): { readonly found: Set<string>; readonly referred: Set<string> } => {
  const found = new Set<string>()
  const referred = new Set<string>()
  const seen = new WeakSet<object>()
  const stack: Array<Item> = [{ value: root, place: "plain", name: "" }]

  const add = (text: string): void => {
    if (names.canBeSecret(text)) found.add(text)
  }

  const addNamed = (text: string, name: string): void => {
    for (const variable of names.referredVariables(text)) referred.add(variable)
    if (names.isReference(text)) return
    const trimmed = text.trim()
    if (names.canBeSecret(trimmed)) {
      found.add(text)
      found.add(trimmed)
    }
    for (const part of [...behindScheme(trimmed), ...linesOf(text)]) add(part)
    if (/s$/i.test(name) && /^[^\s,;]+([,;][^\s,;]+)+$/.test(trimmed)) {
      for (const part of trimmed.split(/[,;]/)) add(part)
    }
  }

  const visitText = ({ name, place }: Item, text: string): void => {
    for (const part of inAddresses(text)) add(part)
    const inner = parsed(text)
    if (isLoginsVariable(name) && inner !== undefined) {
      stack.push({ value: inner, place: "logins", name: "" })
      return
    }
    switch (place) {
      case "explicit": {
        const trimmed = text.trim()
        if (trimmed !== "") {
          found.add(text)
          found.add(trimmed)
          for (const line of linesOf(text)) if (line.length >= minExplicitLine) found.add(line)
          for (const part of behindScheme(trimmed)) add(part)
        }
        break
      }
      case "named":
        addNamed(text, name)
        break
      case "headers":
        if (!names.isCommonHeader(name)) addNamed(text, name)
        break
      case "environment":
        if (names.looksRandom(text)) found.add(text)
        break
      case "logins":
        if (loginFields.test(name)) addNamed(text, name)
        break
      case "plain":
        break
    }
    // What an object in JSON is made of is told by its own names.
    if (inner !== undefined) stack.push({ value: inner, place: Array.isArray(inner) ? place : "plain", name })
  }

  const placeOf = (item: Item, name: string): Place => {
    if (item.place === "explicit") return "explicit"
    if (entries.test(item.name) && item.place === "plain") return "plain"
    if (names.isDescription(name)) return "plain"
    if (names.isSecretName(name)) return item.place === "logins" ? "logins" : "named"
    if (item.place === "plain" && names.isHeaders(name)) return "headers"
    if (item.place === "plain" && /^(environment|env)$/.test(name)) return "environment"
    return item.place
  }

  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { name, place, value } = item
    if (Redacted.isRedacted(value)) stack.push({ value: Redacted.value(value), place: "explicit", name })
    else if (typeof value === "string") visitText(item, value)
    else if (Array.isArray(value)) {
      if (seen.has(value)) continue
      seen.add(value)
      for (const element of value) stack.push({ value: element, place, name })
    } else if (isObject(value)) {
      if (seen.has(value)) continue
      seen.add(value)
      for (const [key, element] of Object.entries(value)) {
        const own = placeOf(item, key)
        // A login's secret fields are told by their own names, or by the name above them.
        const isLogin = own === "logins" && names.isSecretName(key) && typeof element === "string"
        stack.push({ value: element, place: isLogin ? "named" : own, name: key })
      }
    }
  }
  return { found, referred }
}

const longestFirst = (found: Iterable<string>): ReadonlyArray<string> =>
  [...new Set(found)].sort((a, b) => b.length - a.length)

/**
 * The secret values inside a configuration: whatever is `Redacted`, and the texts under a name that says so (`apiKey`,
 * `token`, `Authorization`, …), headers, and passwords in addresses. `variables` are those that `{env:…}` can stand for.
 */
export const secretsOf = (
  value: unknown,
  variables: { readonly [name: string]: string | undefined } = {}
): ReadonlyArray<string> => {
  const { found, referred } = collect(value)
  for (const name of referred) {
    const meant = variables[name]
    if (meant !== undefined && names.canBeSecret(meant.trim())) found.add(meant.trim())
  }
  return longestFirst(found)
}

/** The secret values in the text of `auth.json` or `mcp-auth.json`. */
export const secretsOfLogins = (text: string): ReadonlyArray<string> =>
  parsed(text) === undefined ? [] : secretsOf({ [variableNames.logins]: text })

/** The words of a machine, which are no secrets even where somebody has made one a password. */
const ordinary = ["USER", "LOGNAME", "USERNAME", "HOSTNAME", "COMPUTERNAME", "HOME", "USERPROFILE", "SHELL", "PWD"]

/** The secret values among inherited variables. */
export const secretsOfVariables = (
  variables: { readonly [name: string]: string | undefined }
): ReadonlyArray<string> => {
  const words = new Set(ordinary.map((name) => variables[name]))
  return secretsOf(variables, variables).filter((secret) => !words.has(secret))
}

const shapes: ReadonlyArray<readonly [RegExp, string]> = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, mask],
  [/\b([Bb]earer|BEARER|[Bb]asic|BASIC)\s+(?=[\w.~+/-]*(?:[\d=]|[a-z][A-Z]))[\w.~+/=-]{8,}/g, `$1 ${mask}`],
  [/\b(sk|pk|rk|ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[abeoprs]|hf|gsk|npm)[-_][\w-]{12,}/g, mask],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, mask],
  [/\b(AKIA|ASIA)[0-9A-Z]{16}\b/g, mask],
  [/\bAIza[\w-]{30,}/g, mask],
  [/(:\/\/)[^\s/:@"<]*:[^\s/@"]+@/g, `$1${mask}@`],
  [
    /\b((?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]{0,64}(?:key|token|auth|secret)[\w-]{0,64})(\\*["']?\s*[:=]\s*\[?\s*\\*["']?)(?!(?:\w+ )?<redacted>)[^\r\n"'\\<]{6,}/gi,
    `$1$2${mask}`
  ],
  [
    /((?:api[-_]?key|private[-_]?key|(?:auth|access|refresh|id|[-_])[-_]?token|password|passwd|passphrase|secret)\\*["']?\s*[:=]\s*\\*["']?)[^\s"'\\,;}<]{6,}/gi,
    `$1${mask}`
  ]
]

/** In characters. The stack of a regular expression is finite, and a match of megabytes needs all of it. */
const maxPiece = 256 * 1024

/** Where a text can be cut: after white space, where there is some, so that nothing that looks like a secret is. */
const pieceOf = (text: string, from: number): string => {
  const piece = text.slice(from, from + maxPiece)
  if (from + maxPiece >= text.length) return piece
  const at = Math.max(piece.lastIndexOf("\n"), piece.lastIndexOf(" "))
  return at > 0 ? piece.slice(0, at + 1) : piece
}

const shapely = (text: string): string => {
  let clean = ""
  for (let from = 0; from < text.length;) {
    const piece = pieceOf(text, from)
    clean += shapes.reduce((found, [shape, replacement]) => found.replace(shape, replacement), piece)
    from += piece.length
  }
  return clean
}

const looksSecret = (value: string): boolean => value.length >= 8 && !/\s/.test(value) && !value.includes(mask)

/** Takes secrets out of what is written down or shown. */
export interface Redactor {
  /** Masks known secrets in a text. */
  readonly known: (text: string) => string
  /** Masks known secrets in a text, and what looks like one: for what a program or a provider says. */
  readonly text: (text: string) => string
  /** Masks known secrets in every text and every name inside a value, and secret headers. */
  readonly inside: <A>(value: A) => A
  /** An event as it may be shown. What the model says is searched for known secrets alone. */
  readonly event: (event: RunEvent) => RunEvent
  /** The line of a transcript, as `event`. */
  readonly wireLine: (line: WireObject) => unknown
  /** A line of output, which stays JSON where it is JSON: all of the above, and values under names that say secret. */
  readonly line: (line: string) => string
  /** The same for the lines of one stream in their order: a private key is masked to its end. */
  readonly lines: () => (line: string) => string
}

const isOpaque = (value: unknown): boolean => Redacted.isRedacted(value) || Duration.isDuration(value)

const beginsKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----(?!.*-----END )/
const endsKey = /-----END [A-Z ]*PRIVATE KEY-----/

export const make = (secrets: ReadonlyArray<string>): Redactor => {
  const given = secrets.filter((secret) => secret !== "")
  let find: ((text: string) => ReadonlyArray<spellings.Span>) | undefined

  const known = (text: string): string => {
    if (given.length === 0 || text === "") return text
    // A mask is found like a secret, so that nothing inside of one is masked again.
    find ??= spellings.finder([...new Set(given.flatMap(spellings.of)), mask])
    const spans = find(text)
    if (spans.length === 0) return text
    let clean = ""
    let from = 0
    for (const { end, start } of spans) {
      clean += text.slice(from, start) + mask
      from = end
    }
    return clean + text.slice(from)
  }

  const text = (dirty: string): string => shapely(known(dirty))

  const isSecretHeader = (name: string, under: string): boolean => names.isHeaders(under) && names.isSecretName(name)

  const inside = <A>(value: A): A =>
    walk.map(value, {
      text: (found, name, under) => isSecretHeader(name, under) && found !== "" ? mask : known(found),
      name: known
    }, isOpaque) as A

  const diagnosed = (printed: string, reason: string) => {
    const clean = line(printed)
    return { line: clean, reason: clean === printed ? reason : jsonMessage.withoutExcerpt(reason) }
  }

  const wireLine = (wire: WireObject): unknown => {
    const { line: printed, reason } = wire
    if (typeof reason !== "string") return inside(providerErrors.sanitizeWire(wire, text))
    return inside({ ...wire, ...(typeof printed === "string" ? diagnosed(printed, reason) : { reason: text(reason) }) })
  }

  const event = (event: RunEvent): RunEvent => {
    switch (event._tag) {
      case "SessionError":
        return inside({
          ...event,
          message: text(event.message),
          raw: providerErrors.sanitizeWire(event.raw, text)
        })
      case "ProviderRetry":
        return inside({ ...event, reason: text(event.reason) })
      case "PermissionRejected":
        return inside({ ...event, patterns: event.patterns.map(text) })
      case "Diagnostic":
        return inside({ ...event, ...diagnosed(event.line, event.reason) })
      default:
        return inside(event)
    }
  }

  const line = (dirty: string): string => {
    const value = parsed(dirty)
    if (!isObject(value) && !Array.isArray(value)) return text(dirty)
    const wire = isObject(value) ? providerErrors.sanitizeWire(value, text) : value
    const clean = walk.map(wire, {
      text: (found, name, under) => {
        if (isSecretHeader(name, under) && found !== "") return mask
        const masked = text(found)
        return names.isSecretName(name) && looksSecret(masked) ? mask : masked
      },
      name: text
    }, isOpaque)
    // What needed no cleaning stays as it was printed.
    if (clean === value) return dirty
    try {
      return JSON.stringify(clean)
    } catch {
      // Nested deeper than a stack is.
      return text(dirty)
    }
  }

  const lines = () => {
    let isInsideKey = false
    return (dirty: string): string => {
      if (isInsideKey) {
        isInsideKey = !endsKey.test(dirty)
        return mask
      }
      isInsideKey = beginsKey.test(dirty) && parsed(dirty) === undefined
      return line(dirty)
    }
  }

  return { known, text, inside, event, wireLine, line, lines }
}
