import { copy } from "./lineSplitter.js"

/** The last part of a text, bounded in characters, whole lines preferred. */
export interface Tail {
  /** `owned`: the text is no part of a larger one, which it would keep alive. */
  readonly push: (text: string, owned?: boolean) => void
  readonly read: () => string
}

export const make = (limit: number): Tail => {
  let pieces: Array<string> = []
  let length = 0
  return {
    push: (text, owned = false) => {
      const piece = owned && text.length <= limit ? text : copy(text.slice(-limit))
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
