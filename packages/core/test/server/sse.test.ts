import { describe, expect, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import * as sse from "../../src/internal/transport/server/sse.js"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const parse = (chunks: ReadonlyArray<Uint8Array>, limit?: number): ReadonlyArray<sse.Frame> => {
  const parser = sse.make(limit)
  return chunks.flatMap((chunk) => parser.push(chunk))
}

const parseText = (text: string, limit?: number) => parse([utf8(text)], limit)

/** Cuts at the given places, which may repeat: an empty chunk is a chunk too. */
const cut = (bytes: Uint8Array, places: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const at = [0, ...places.map((place) => Math.min(place, bytes.length)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

const text = fc.array(
  fc.oneof(fc.constantFrom(" ", ":", "data: ", "ä", "€", "🎉", "\u2028", "\0", "{\"a\":1}", "\uFEFF"), fc.string()),
  { maxLength: 8 }
).map((pieces) => pieces.join("").replaceAll(/[\r\n]/g, ""))

/** A frame with its data, and whatever else may stand between and around its lines. */
const frame = fc.record({
  data: fc.array(text, { minLength: 1, maxLength: 3 }),
  noise: fc.array(
    fc.oneof(
      text.map((t) => `:${t}`),
      text.map((t) => `event:${t}`),
      text.map((t) => `id: ${t}`),
      fc.constant("retry")
    ),
    { maxLength: 3 }
  ),
  space: fc.boolean(),
  end: fc.constantFrom("\n", "\r\n")
})

describe("sse", () => {
  it.prop("returns the data of every frame for any chunking and any line ends", {
    frames: fc.array(frame, { maxLength: 6 }),
    places: fc.array(fc.nat(400), { maxLength: 12 })
  }, ({ frames, places }) => {
    const bytes = utf8(
      // The first line is a comment: a byte order mark before it does not belong to the data.
      ":\n" + frames.map(({ data, end, noise, space }) => {
        // A value that begins with a space loses it unless another one precedes it.
        const lines = data.map((line) => `data:${space || line.startsWith(" ") ? " " : ""}${line}`)
        return [...lines, ...noise].map((line) => line + end).join("") + end
      }).join("")
    )
    const expected = frames.map(({ data }) => data.join("\n"))
    expect(parse([bytes])).toEqual(expected)
    expect(parse([...bytes].map((byte) => new Uint8Array([byte])))).toEqual(expected)
    expect(parse(cut(bytes, places))).toEqual(expected)
  }, { fastCheck: { numRuns: 500 } })

  it("ignores frames without data and unfinished ones", () => {
    expect(parseText(":comment\n\n\n\nevent: x\n\nid\n\n")).toEqual([])
    expect(parseText("data: a\n\ndata: b\n")).toEqual(["a"])
    expect(parseText("data\n\n")).toEqual([""])
    expect(parseText("database: a\n\n")).toEqual([])
  })

  it("drops a frame that is too long, reports it, and continues", () => {
    const long = "x".repeat(100)
    expect(parseText(`data: a\n\ndata: ${long}\n\ndata: b\n\n`, 50)).toEqual(["a", { tooLong: 106 }, "b"])
    // No single line of it is too long, but all together are.
    expect(parseText(`${"data: 1234567890\n".repeat(10)}\ndata: b\n\n`, 50)).toEqual([{ tooLong: 100 }, "b"])
  })
})
