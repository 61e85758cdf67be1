/**
 * Untrusted text on a terminal: reduced to one line, measured in columns, and clipped.
 *
 * Terminals disagree about the width of joined emoji, flags and variation selectors. {@link oneLine} takes these apart,
 * so that every terminal shows the rest in the width that {@link width} returns.
 */
import { eastAsianWidth } from "get-east-asian-width"

/** Escape sequences: CSI, the strings that OSC and its kin begin, and the short ones. */
const escapes =
  // eslint-disable-next-line no-control-regex -- control characters are what is taken away
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)|\u001b[ -/]*[0-~]/g

const regionalIndicators = /[\u{1f1e6}-\u{1f1ff}]/gu

const letterOf = (indicator: string): string =>
  String.fromCodePoint((indicator.codePointAt(0) ?? 0) - 0x1f1e6 + "A".charCodeAt(0))

/** Joiners and other invisible characters, variation selectors, skin tones, the frame of a key. */
const invisible = /\p{Cf}|\p{Variation_Selector}|\p{Emoji_Modifier}|\u20e3/gu

/** White space, control characters, what Unicode has not assigned, and half of a pair. */
const gaps = /[\s\p{C}]+/gu

/** More marks on one character than any script needs: they would be painted over the lines above. */
const piledMarks = /(\p{M}{4})\p{M}+/gu

/** Spaces and marks at the start, which have no character to combine with. */
const leading = /^[ \p{M}]+/u

const plain = /^[\u0020-\u007e]*$/

/** Control characters except the line break and the tab. */
// eslint-disable-next-line no-control-regex -- control characters are what is taken away
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** The text without escape sequences for colours, links or cursor movement. */
export const withoutEscapes = (text: string): string => text.replace(escapes, "")

/** The text with its line breaks and tabs, without anything that could control a terminal. */
export const manyLines = (text: string): string => withoutEscapes(text).replace(controls, "")

/** The text on one line, without anything that could control a terminal. */
export const oneLine = (text: string): string =>
  plain.test(text)
    ? text.replace(/ {2,}/g, " ").trim()
    : withoutEscapes(text)
      .replace(regionalIndicators, letterOf)
      .replace(invisible, "")
      .normalize("NFC")
      .replace(gaps, " ")
      .replace(piledMarks, "$1")
      .replace(leading, "")
      .trimEnd()

const zeroWidth = /[\p{Mn}\p{Me}\u1160-\u11ff\ud7b0-\ud7fb]/u

const characterWidth = (character: string): number =>
  character <= "\u007e" ? 1 : zeroWidth.test(character) ? 0 : eastAsianWidth(character.codePointAt(0)!)

/** The columns that a text from {@link oneLine} takes. */
export const width = (line: string): number => {
  if (plain.test(line)) return line.length
  let columns = 0
  for (const character of line) columns += characterWidth(character)
  return columns
}

/** Clips a text from {@link oneLine} to `columns`, with an ellipsis if something is missing. */
export const clip = (line: string, columns: number): string => {
  if (line.length <= columns && plain.test(line)) return line
  if (columns <= 0) return ""
  let used = 0
  let units = 0
  // where to cut, so that the ellipsis fits too
  let cut = 0
  for (const character of line) {
    used += characterWidth(character)
    units += character.length
    if (used > columns) return `${line.slice(0, cut).trimEnd()}…`
    if (used < columns) cut = units
  }
  return line
}

/** The line padded on the right to `columns`. */
export const padEnd = (line: string, columns: number): string => line + " ".repeat(Math.max(0, columns - width(line)))

/** The line padded on the left to `columns`. */
export const padStart = (line: string, columns: number): string => " ".repeat(Math.max(0, columns - width(line))) + line
