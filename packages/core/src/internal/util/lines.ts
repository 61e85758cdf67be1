const LF = 0x0a

/**
 * Lines longer than this many bytes are dropped while they arrive: V8 cannot hold a string of more than about
 * 512 MiB, and a defect there would end the run.
 */
export const maxLineBytes = 256 * 1024 * 1024

/** A line, or the size of a line that was too long to keep. */
export type Line = string | { readonly tooLong: number }

export interface LineSplitter {
  /** Takes the next bytes and returns the lines that they complete. */
  readonly push: (bytes: Uint8Array) => Array<Line>
  /** Returns the text after the last line feed, if there is any. */
  readonly flush: () => Array<Line>
}

/**
 * Splits bytes at line feeds and then decodes: a line feed never occurs inside a UTF-8 sequence, so a character that
 * two chunks share is decoded whole, and only the line that straddles chunks is copied.
 */
export const make = (limit: number = maxLineBytes): LineSplitter => {
  // `ignoreBOM: true` keeps U+FEFF; the default would swallow one at the start of every call.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  let pending: Array<Uint8Array> = []
  let pendingLength = 0
  let dropped = 0
  let first = true

  const keep = (bytes: Uint8Array) => {
    if (bytes.length === 0) return
    pendingLength += bytes.length
    if (pendingLength > limit) {
      dropped = pendingLength
      pending = []
      return
    }
    pending.push(bytes)
  }

  const join = (): Line => {
    if (dropped > 0) {
      const line = { tooLong: pendingLength }
      dropped = 0
      pendingLength = 0
      return line
    }
    let bytes = pending[0] ?? new Uint8Array(0)
    if (pending.length > 1) {
      bytes = new Uint8Array(pendingLength)
      let at = 0
      for (const piece of pending) {
        bytes.set(piece, at)
        at += piece.length
      }
    }
    pending = []
    pendingLength = 0
    return decoder.decode(bytes)
  }

  const withoutBom = (lines: Array<Line>): Array<Line> => {
    const head = lines[0]
    if (first && head !== undefined) {
      first = false
      if (typeof head === "string" && head.charCodeAt(0) === 0xfeff) lines[0] = head.slice(1)
    }
    return lines
  }

  const push = (bytes: Uint8Array): Array<Line> => {
    if (bytes.length > limit) {
      const lines: Array<Line> = []
      for (let at = 0; at < bytes.length; at += limit) {
        // No spread, because a chunk can have more lines than a call can have arguments.
        for (const line of push(bytes.subarray(at, at + limit))) lines.push(line)
      }
      return lines
    }
    const last = bytes.lastIndexOf(LF)
    if (last === -1) {
      keep(bytes)
      return []
    }
    const lines: Array<Line> = []
    let start = 0
    if (pendingLength > 0) {
      const end = bytes.indexOf(LF)
      keep(bytes.subarray(0, end))
      lines.push(join())
      start = end + 1
    }
    if (start <= last) {
      // One decode for all whole lines of the chunk, then cheap slices.
      const text = decoder.decode(bytes.subarray(start, last))
      let from = 0
      for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
        lines.push(text.slice(from, at))
        from = at + 1
      }
      lines.push(text.slice(from))
    }
    keep(bytes.subarray(last + 1))
    return withoutBom(lines)
  }

  return { push, flush: () => withoutBom(pendingLength > 0 ? [join()] : []) }
}

/** A substring keeps the whole chunk that it was cut from alive; a copy does not. */
export const copy = (line: string): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(line))
