/**
 * Lines of a terminal as pieces with an ink, so that their width is known before they are coloured.
 */
import * as terminalText from "./terminalText.js"

export type Ink = "plain" | "dim" | "bold" | "red" | "green" | "yellow" | "cyan"

/** A text without control characters, and how it looks. */
export interface Piece {
  readonly ink: Ink
  readonly text: string
}

const codes: { readonly [I in Exclude<Ink, "plain">]: number } = {
  dim: 2,
  bold: 1,
  red: 31,
  green: 32,
  yellow: 33,
  cyan: 36
}

export const piece = (ink: Ink, text: string): Piece => ({ ink, text })

export const plain = (text: string): Piece => ({ ink: "plain", text })

export const paint = (pieces: ReadonlyArray<Piece>, colour: boolean): string =>
  pieces
    .map(({ ink, text }) => !colour || ink === "plain" || text === "" ? text : `\u001b[${codes[ink]}m${text}\u001b[0m`)
    .join("")

/** As many pieces, and as much of the last one, as fit. */
export const clip = (pieces: ReadonlyArray<Piece>, columns: number): ReadonlyArray<Piece> => {
  const fitting: Array<Piece> = []
  let left = columns
  for (const { ink, text } of pieces) {
    if (left <= 0) break
    fitting.push({ ink, text: terminalText.clip(text, left) })
    left -= terminalText.width(text)
  }
  return fitting
}
