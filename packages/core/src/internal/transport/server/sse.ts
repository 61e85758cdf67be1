import * as lines from "../../util/lines.js"

/**
 * In bytes. Longer frames are dropped while they arrive. The longest known ones are messages with embedded files.
 */
export const maxFrame = 64 * 1024 * 1024

/** The data of a frame, or the size of one that was too long to keep. */
export type Frame = string | { readonly tooLong: number }

export interface Parser {
  /** Takes the next bytes and returns the frames that they complete. */
  readonly push: (bytes: Uint8Array) => ReadonlyArray<Frame>
}

/**
 * Reads server-sent events, wherever the chunks are cut. Only `data` matters: OpenCode (1.18.33) sends nothing else.
 * Lines end with LF or CRLF; a lone CR, which the standard allows, does not end a line and does not occur in JSON. Data
 * after the last blank line are not a frame.
 */
export const make = (limit: number = maxFrame): Parser => {
  const splitter = lines.make(limit)
  let data: Array<string> = []
  let length = 0
  let dropped = 0

  const take = (): Frame | undefined => {
    const frame = dropped > 0 ? { tooLong: dropped } : data.length > 0 ? data.join("\n") : undefined
    data = []
    length = 0
    dropped = 0
    return frame
  }

  const drop = (size: number) => {
    dropped += size + length
    data = []
    length = 0
  }

  const field = (line: string) => {
    const colon = line.indexOf(":")
    if ((colon === -1 ? line : line.slice(0, colon)) !== "data") return
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1)
    if (dropped > 0 || length + value.length > limit) {
      drop(value.length)
    } else {
      data.push(value)
      length += value.length
    }
  }

  return {
    push: (bytes) => {
      const frames: Array<Frame> = []
      for (const raw of splitter.push(bytes)) {
        if (typeof raw !== "string") {
          drop(raw.tooLong)
          continue
        }
        const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw
        if (line !== "") {
          field(line)
          continue
        }
        const frame = take()
        if (frame !== undefined) frames.push(frame)
      }
      return frames
    }
  }
}
