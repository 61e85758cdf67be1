import type { WireObject } from "../util/object.js"
import { isObject } from "../util/object.js"

/**
 * Finds events on a line with other text: a plugin can write to stdout without a line feed (1.18.33). An event is a
 * complete JSON object of a known type with a session id. An object inside another one does not count, because the
 * model can write it. Every function takes linear time.
 */
const printed = ["step_start", "text", "reasoning", "tool_use", "step_finish", "error"]

const known = new Set<unknown>(printed)

const isOfSession = (u: WireObject): boolean => known.has(u["type"]) && typeof u["sessionID"] === "string"

/**
 * True for a part that a plugin prints: it has the same types but is not an event; the event that contains it is
 * printed, too.
 */
const isPart = (u: WireObject): boolean => "messageID" in u && !("part" in u) && !("error" in u)

export const isEvent = (u: unknown): u is WireObject => isObject(u) && isOfSession(u) && !isPart(u)

const sessionKey = "\"sessionID\""

interface Scanned {
  readonly isWhole: boolean
  /** The end of the object, or the first character that does not continue it. */
  readonly end: number
  /** Where to search for the next object. */
  readonly next: number
}

const maxDepth = 1_000_000

const characters = /[ -!#-[\]-\uffff]*/y
const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const scalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

const match = (pattern: RegExp, text: string, at: number): number => {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : -1
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d

const skipSpace = (text: string, from: number): number => {
  let at = from
  while (at < text.length && isSpace(text.charCodeAt(at))) at++
  return at
}

const lastVisible = (text: string, before: number): number => {
  let at = before - 1
  while (at >= 0 && isSpace(text.charCodeAt(at))) at--
  return at
}

type Expected = "key" | "key or end" | "colon" | "value" | "value or end" | "comma or end"

/** Follows the grammar of JSON from an opening brace as far as the text does. */
const scan = (text: string, start: number): Scanned => {
  const closers: Array<"}" | "]"> = ["}"]
  let expected: Expected = "key or end"
  let at = start + 1
  /** The end of the last token, if it is a string. */
  let stringEnd = -1
  const broken = (end: number): Scanned => {
    // A stray quote swaps inside and outside of strings: then the brace of an event ends a "string".
    const brace = stringEnd < 0 ? -1 : lastVisible(text, stringEnd - 1)
    return { isWhole: false, end, next: brace > start && text[brace] === "{" ? brace : Math.max(end, start + 1) }
  }
  for (;;) {
    at = skipSpace(text, at)
    const character = text[at]
    if (character === undefined) return broken(at)
    const closes = character === closers[closers.length - 1] &&
      (expected === "comma or end" || expected === (character === "}" ? "key or end" : "value or end"))
    if (closes) {
      closers.pop()
      at++
      stringEnd = -1
      if (closers.length === 0) return { isWhole: true, end: at, next: at }
      expected = "comma or end"
    } else if (expected === "colon" || expected === "comma or end") {
      if (character !== (expected === "colon" ? ":" : ",")) return broken(at)
      expected = expected === "colon" ? "value" : closers[closers.length - 1] === "}" ? "key" : "value"
      at++
      stringEnd = -1
    } else if (character === "\"") {
      let end = at + 1
      for (;;) {
        end = match(characters, text, end)
        if (text[end] === "\"") break
        const behind = match(escape, text, end)
        if (behind < 0) {
          stringEnd = -1
          return broken(end)
        }
        end = behind
      }
      at = end + 1
      stringEnd = at
      expected = expected === "key" || expected === "key or end" ? "colon" : "comma or end"
    } else if (expected === "key" || expected === "key or end") {
      return broken(at)
    } else if (character === "{" || character === "[") {
      if (closers.length >= maxDepth) return broken(at)
      closers.push(character === "{" ? "}" : "]")
      expected = character === "{" ? "key or end" : "value or end"
      at++
      stringEnd = -1
    } else {
      const end = match(scalar, text, at)
      if (end < 0) return broken(at)
      at = end
      stringEnd = -1
      expected = "comma or end"
    }
  }
}

const parse = (text: string): WireObject | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** How many characters before and after an object are examined. */
const near = 64

/** True if an object after this text is inside another one, as the rest of a cut event. */
const isInside = (before: string): boolean => /(?:"\s*:|(?:["}\]\d]|true|false|null)\s*,|\[)\s*$/.test(before)

/** The same, by the text after the object. */
const goesOn = /^\s*[}\]]*\s*,\s*["{[]/

const mayGoOn = /^\s*[,}\]]/

const typed = new RegExp(`"type"\\s*:\\s*"(?:${printed.join("|")})"|${sessionKey}\\s*:`)

const beginsTyped = new RegExp(`^\\{\\s*"type"\\s*:\\s*"(?:${printed.join("|")})"`)

const beginnings = printed.map((type) => `{"type":"${type}"`)

/** True if text that is not a complete object contains a piece of an event. */
const looksLost = (words: string): boolean => {
  if (words.length >= sessionKey.length && typed.test(words)) return true
  const brace = words.lastIndexOf("{")
  if (brace < 0 || words.length - brace > near) return false
  const quote = skipSpace(words, brace + 1)
  if (!words.startsWith("\"t", quote)) return false
  const tail = words.slice(brace).replace(/\s/g, "")
  return beginnings.some((beginning) => beginning.startsWith(tail))
}

/** A piece of a line: an event, or the text between two events. */
export type Piece =
  | { readonly _tag: "Event"; readonly raw: WireObject }
  | { readonly _tag: "Words"; readonly text: string; readonly lost: boolean }

export interface Found {
  readonly pieces: ReadonlyArray<Piece>
  /** The beginning of an event that the line does not end. */
  readonly open: string | undefined
}

/** `isCutBefore`: an event was cut on a line before, so that its rest can be on this one. */
export const find = (line: string, isCutBefore = false): Found => {
  const pieces: Array<Piece> = []
  let open: string | undefined
  /** The start of the text after the last event. */
  let wordsFrom = 0
  /** The part of it that is not a complete object. */
  let loose = ""
  let looseFrom = 0
  let isLost = false
  /** A piece of a cut event is on the line, so its rest can follow. */
  let isCut = isCutBefore
  let session = line.indexOf(sessionKey)

  const endWords = (end: number): void => {
    loose += line.slice(looseFrom, end)
    const text = line.slice(wordsFrom, end)
    const lost = isLost || looksLost(loose)
    if (text.trim() !== "") pieces.push({ _tag: "Words", text, lost })
    loose = ""
    isLost = false
  }

  const isRest = (start: number, end: number): boolean => {
    const before = line.slice(Math.max(wordsFrom, start - near), start)
    const behind = line.slice(end, end + near)
    isCut ||= looksLost(line.slice(looseFrom, start))
    const isBehindPiece = isInside(before) || (wordsFrom === 0 && start <= near && /^\s*[,:]\s*$/.test(before))
    // Other text can end like that as well, but then nothing continues after the event.
    return isCut ? isBehindPiece || mayGoOn.test(behind) : (isBehindPiece ? mayGoOn : goesOn).test(behind)
  }

  let start = line.indexOf("{")
  while (start >= 0) {
    // Fast path: skip everything that cannot be an event.
    if (line[skipSpace(line, start + 1)] !== "\"") {
      start = line.indexOf("{", start + 1)
      continue
    }
    if (session >= 0 && session < start) session = line.indexOf(sessionKey, start)
    const { end, isWhole, next } = scan(line, start)
    if (isWhole) {
      const raw = session >= 0 && session < end ? parse(line.slice(start, end)) : undefined
      if (raw !== undefined && isOfSession(raw)) {
        if (isRest(start, end)) {
          isLost = isCut = true
        } else if (!isPart(raw)) {
          endWords(start)
          pieces.push({ _tag: "Event", raw })
          wordsFrom = looseFrom = end
          open = undefined
        }
      } else if (beginsTyped.test(line.slice(start, start + near))) {
        isLost = true
      }
      if (looseFrom < start) loose += `${line.slice(looseFrom, start)} `
      looseFrom = end
    } else {
      const text = line.slice(start, end)
      if (looksLost(text)) {
        isCut = true
        const before = line.slice(Math.max(wordsFrom, start - near), start)
        if (!isInside(before)) open = text
      }
    }
    start = line.indexOf("{", next)
  }
  endWords(line.length)
  return { pieces, open }
}

/** Completes the event that begins with `open` and ends on the line; returns it and the text after it. */
export const complete = (
  open: string,
  line: string
): { readonly raw: WireObject; readonly rest: string } | undefined => {
  const text = open + line
  const { end, isWhole } = scan(text, 0)
  const raw = isWhole ? parse(text.slice(0, end)) : undefined
  return raw !== undefined && isEvent(raw) ? { raw, rest: text.slice(end) } : undefined
}
