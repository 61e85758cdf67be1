import { copy } from "./lines.js"

/** The last part of a text, bounded in characters. */
export interface Tail {
  /** `owned`: the text is not a slice of a larger one, which it would keep alive. */
  readonly push: (text: string, owned?: boolean) => void
  readonly read: () => string
}

export const make = (limit: number): Tail => {
  let pieces: Array<string> = []
  /** Pieces before this one have been dropped. */
  let first = 0
  let length = 0
  return {
    push: (text, owned = false) => {
      if (text === "") return
      const piece = owned && text.length <= limit ? text : copy(text.slice(-limit))
      pieces.push(piece)
      length += piece.length
      // Drops whole pieces, because joining them costs more than everything else.
      for (let head = pieces[first]!; length - head.length >= limit; head = pieces[first]!) {
        length -= head.length
        pieces[first++] = ""
      }
      if (first > 1024 && first * 2 > pieces.length) {
        pieces = pieces.slice(first)
        first = 0
      }
    },
    read: () => {
      const text = pieces.slice(first).join("")
      return text.length > limit ? text.slice(-limit) : text
    }
  }
}

/** The last lines of a stream, bounded in characters. */
export interface LineTail {
  /** Takes a line without its end. */
  readonly push: (line: string) => void
  readonly read: () => string
}

/** Every line is masked before anything is cut, because half a secret is secret, too, but could not be found. */
export const ofLines = (limit: number, clean: (line: string) => string): LineTail => {
  const kept = make(limit)
  return {
    push: (line) => kept.push(`${clean(line)}\n`),
    read: kept.read
  }
}
