import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import type { RunEvent } from "../../RunEvent.js"
import * as json from "../util/json.js"
import * as jsonMessage from "../util/jsonMessage.js"
import { isObject } from "../util/object.js"
import type { WireObject } from "../util/object.js"
import * as names from "../util/secretNames.js"
import * as spellings from "../util/spellings.js"
import * as walk from "../util/walk.js"
import * as providerErrors from "./providerErrors.js"

export const mask = "<redacted>"

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

/** In characters. A regular expression can overflow its stack on a match of megabytes. */
const maxPiece = 256 * 1024

/** Where a text can be cut: after white space if possible, so that nothing that looks like a secret is split. */
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

/** Masks secrets in everything that is stored or shown. */
export interface Redactor {
  /** Masks known secrets in a text. */
  readonly known: (text: string) => string
  /** Masks known secrets in a text, and everything that looks like one: for output of programs and providers. */
  readonly text: (text: string) => string
  /** Masks known secrets in every text and every name inside a value, and secret headers. */
  readonly inside: <A>(value: A) => A
  /** Masks an event so that it can be shown. The model's own text is searched for known secrets only. */
  readonly event: (event: RunEvent) => RunEvent
  /** Masks the line of a transcript, like `event`. */
  readonly wireLine: (line: WireObject) => unknown
  /** Masks a line of output, which stays JSON if it is JSON: all of the above, and values with secret names. */
  readonly line: (line: string) => string
  /** Masks consecutive lines of one stream, so that a private key is masked to its end. */
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
    // An existing mask is found like a secret, so that nothing inside it is masked again.
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
    const value = json.parsed(dirty)
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
    // A line without secrets stays as printed.
    if (clean === value) return dirty
    try {
      return JSON.stringify(clean)
    } catch {
      // Nested too deeply for the stack.
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
      isInsideKey = beginsKey.test(dirty) && json.parsed(dirty) === undefined
      return line(dirty)
    }
  }

  return { known, text, inside, event, wireLine, line, lines }
}
