import { copy } from "./lineSplitter.js"

/** The last part of a text, bounded in characters, whole lines preferred. */
export interface Tail {
  readonly push: (text: string) => void
  readonly read: () => string
}

export const make = (limit: number): Tail => {
  let pieces: Array<string> = []
  let length = 0
  return {
    push: (text) => {
      const piece = copy(text.length > limit ? text.slice(-limit) : text)
      pieces.push(piece)
      length += piece.length
      // Compacting at twice the limit keeps the cost per character constant.
      if (length > 2 * limit) {
        const kept = pieces.join("").slice(-limit)
        pieces = [copy(kept)]
        length = kept.length
      }
    },
    read: () => {
      const text = pieces.join("")
      return text.length > limit ? text.slice(-limit) : text
    }
  }
}
