/** The extent of the JSON value at an index. */
export interface Scan {
  readonly complete: boolean
  /** The index after the value, or of the first character that is not valid JSON. */
  readonly end: number
  /** True if a broken value is more than brackets and a word, and thus meant as JSON. */
  readonly begun: boolean
  /** The innermost bracket that was opened last. */
  readonly opener: number
}

export const afterSpace = (text: string, from: number): number => {
  let i = from
  for (;; i++) {
    const c = text.charCodeAt(i)
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return i
  }
}

const isDigit = (c: string): boolean => c >= "0" && c <= "9"

const afterDigits = (text: string, from: number): number => {
  let i = from
  while (isDigit(text.charAt(i))) i++
  return i
}

/** The index after the token; the complement (`~`) of the index at which it breaks off. */
const afterString = (text: string, from: number): number => {
  let i = from + 1
  for (;;) {
    const c = text.charCodeAt(i)
    if (c === 0x22) return i + 1
    if (c === 0x5c) {
      const escaped = text.charAt(i + 1)
      if (escaped === "u") {
        if (!/^[0-9a-fA-F]{4}$/.test(text.slice(i + 2, i + 6))) return ~i
        i += 6
      } else if (escaped !== "" && "\"\\/bfnrt".includes(escaped)) i += 2
      else return ~i
    } else if (c >= 0x20) i++
    // A control character, or the end of the text.
    else return ~Math.min(i, text.length)
  }
}

const afterNumber = (text: string, from: number): number => {
  const first = text.charAt(from) === "-" ? from + 1 : from
  if (!isDigit(text.charAt(first))) return ~first
  let i = text.charAt(first) === "0" ? first + 1 : afterDigits(text, first)
  if (text.charAt(i) === ".") {
    if (!isDigit(text.charAt(i + 1))) return ~(i + 1)
    i = afterDigits(text, i + 1)
  }
  if (text.charAt(i) === "e" || text.charAt(i) === "E") {
    const sign = text.charAt(i + 1)
    const digits = sign === "+" || sign === "-" ? i + 2 : i + 1
    if (!isDigit(text.charAt(digits))) return ~digits
    i = afterDigits(text, digits)
  }
  return i
}

const afterScalar = (text: string, from: number): number => {
  const c = text.charAt(from)
  if (c === "\"") return afterString(text, from)
  for (const word of ["true", "false", "null"]) {
    if (text.startsWith(word, from)) return from + word.length
  }
  return afterNumber(text, from)
}

/**
 * Scans a JSON value without building it and without recursion: `JSON.parse` cannot find the end of a value that has
 * text after it.
 */
export const scan = (text: string, start: number): Scan => {
  /** For each open bracket, true if it is a brace. */
  const open: Array<boolean> = []
  let expect: "value" | "item" | "name" | "first name" | "more" = "value"
  let opener = start
  let begun = false
  let i = start
  const result = (complete: boolean, end: number): Scan => ({ complete, end, begun, opener })
  for (;;) {
    i = afterSpace(text, i)
    const c = text.charAt(i)
    const closes = open.length > 0 && expect !== "value" && expect !== "name" &&
      c === (open[open.length - 1] ? "}" : "]")
    if (closes) {
      open.pop()
      i++
      if (open.length === 0) return result(true, i)
      begun = true
      expect = "more"
    } else if (expect === "more") {
      if (c !== ",") return result(false, i)
      begun = true
      i++
      expect = open[open.length - 1] ? "name" : "value"
    } else if (expect === "name" || expect === "first name") {
      const end = c === "\"" ? afterString(text, i) : ~i
      if (end < 0) return result(false, ~end)
      i = afterSpace(text, end)
      if (text.charAt(i) !== ":") return result(false, i)
      begun = true
      i++
      expect = "value"
    } else if (c === "{" || c === "[") {
      open.push(c === "{")
      opener = i
      i++
      expect = c === "{" ? "first name" : "item"
    } else {
      const end = afterScalar(text, i)
      if (end < 0) return result(false, ~end)
      if (open.length === 0) return result(true, end)
      i = end
      expect = "more"
    }
  }
}
