import * as lines from "../../util/lines.js"

/**
 * A frame that is longer is dropped while it arrives: in bytes. The longest in sight are messages whose files travel
 * inside them.
 */
export const maxFrame = 64 * 1024 * 1024

/** The data of a frame, or that there was one which was too long to keep. */
export type Frame = string | { readonly tooLong: number }

export interface Parser {
  /** Takes the next bytes and gives the frames that they complete. */
  readonly push: (bytes: Uint8Array) => ReadonlyArray<Frame>
}

/**
 * Reads server-sent events, wherever the chunks are cut. Only `data` matters: OpenCode (1.18.33) sends nothing else.
 * Lines end with LF or CRLF; a CR alone, which the standard allows, ends none, and JSON holds none. What stands behind
 * the last blank line is no frame.
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
