/**
 * Terminal lines as pieces with a colour each, so that their width is known before they are coloured.
 */
import type { Style } from "./Style.js"
import * as terminalText from "./terminalText.js"

export type Ink = "plain" | keyof Style

/** A text without control characters, and how it looks. */
export interface Piece {
  readonly ink: Ink
  readonly text: string
}

export const piece = (ink: Ink, text: string): Piece => ({ ink, text })

export const plain = (text: string): Piece => ({ ink: "plain", text })

export const paint = (pieces: ReadonlyArray<Piece>, style: Style): string =>
  pieces.map(({ ink, text }) => (ink === "plain" ? text : style[ink](text))).join("")

/** Clips the pieces to the given number of columns. */
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
