import { describe, expect, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import * as lineSplitter from "../src/internal/util/lines.js"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const concat = (...pieces: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(pieces.flatMap((p) => [...p]))

const run = (chunks: Iterable<Uint8Array>, limit?: number): ReadonlyArray<lineSplitter.Line> => {
  const splitter = lineSplitter.make(limit)
  return [...Array.from(chunks, (chunk) => splitter.push(chunk)).flat(), ...splitter.flush()]
}

/** The same by the plainest means: cut the whole at LF, decode each line by itself, drop one U+FEFF at the start. */
const reference = (bytes: Uint8Array): ReadonlyArray<string> => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  const lines: Array<string> = []
  let start = 0
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === 0x0a) {
      lines.push(decoder.decode(bytes.slice(start, at)))
      start = at + 1
    }
  }
  if (start < bytes.length) lines.push(decoder.decode(bytes.slice(start)))
  return lines.map((line, index) => index === 0 && line.startsWith("\uFEFF") ? line.slice(1) : line)
}

/** Cuts at the given places, which may repeat: an empty chunk is a chunk too. */
const cut = (bytes: Uint8Array, places: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const at = [0, ...places.map((place) => Math.min(place, bytes.length)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

const everyByte = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => [...bytes].map((byte) => new Uint8Array([byte]))

/** Whole characters, partial characters, line feeds and any other bytes. */
const bytes: fc.Arbitrary<Uint8Array> = fc.array(
  fc.oneof(
    fc.constantFrom("\n", "\n", "\r\n", "\uFEFF", "ä", "€", "🎉", "\u2028", "\0", "{\"a\":1}", "x".repeat(40)).map(
      utf8
    ),
    fc.uint8Array({ maxLength: 6 }),
    fc.constantFrom([0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x8e], [0xff], [0xed, 0xa0, 0x80]).map((b) => new Uint8Array(b))
  ),
  { maxLength: 12 }
).map((pieces) => concat(...pieces))

const places = fc.array(fc.nat(200), { maxLength: 12 })

describe("lineSplitter", () => {
  it.prop("returns the same lines for any chunking of any bytes", { bytes, places }, ({ bytes, places }) => {
    const expected = reference(bytes)
    expect(run([bytes])).toEqual(expected)
    expect(run(everyByte(bytes))).toEqual(expected)
    expect(run(cut(bytes, places))).toEqual(expected)
  }, { fastCheck: { numRuns: 500 } })

  it.prop("drops a line over the limit in any chunking and keeps its neighbours", {
    bytes,
    places,
    limit: fc.integer({ min: 1, max: 30 })
  }, ({ bytes, limit, places }) => {
    const sizes: Array<number> = []
    let size = 0
    for (const byte of bytes) {
      if (byte === 0x0a) {
        sizes.push(size)
        size = 0
      } else size++
    }
    if (size > 0) sizes.push(size)
    const expected = reference(bytes).map((line, index) => sizes[index]! > limit ? { tooLong: sizes[index] } : line)
    expect(run([bytes], limit)).toEqual(expected)
    expect(run(everyByte(bytes), limit)).toEqual(expected)
    expect(run(cut(bytes, places), limit)).toEqual(expected)
  }, { fastCheck: { numRuns: 500 } })

  it("returns a line as soon as its line feed has arrived", () => {
    const splitter = lineSplitter.make()
    expect(splitter.push(utf8("one"))).toEqual([])
    expect(splitter.push(utf8("\ntwo\nthr"))).toEqual(["one", "two"])
    expect(splitter.push(utf8("ee"))).toEqual([])
    expect(splitter.flush()).toEqual(["three"])
    expect(splitter.flush()).toEqual([])
  })

  it("decodes characters split across chunks", () => {
    const line = "ä € 🎉 漢字"
    for (let at = 0; at <= utf8(line).length; at++) {
      expect(run([utf8(line).subarray(0, at), utf8(line).subarray(at), utf8("\n")])).toEqual([line])
    }
  })

  it("puts U+FFFD in place of invalid UTF-8 and keeps the next line intact", () => {
    expect(run([concat(utf8("a"), new Uint8Array([0xf0, 0x9f]), utf8("\nb\n"))])).toEqual(["a\uFFFD", "b"])
    expect(run([concat(utf8("a"), new Uint8Array([0xf0, 0x9f]))])).toEqual(["a\uFFFD"])
  })

  it("keeps a carriage return, which is white space in JSON", () => {
    expect(run([utf8("{}\r\n"), utf8("{}\r"), utf8("\n")])).toEqual(["{}\r", "{}\r"])
  })

  it("splits at line feeds only", () => {
    expect(run([utf8("a\u2028b\u2029c\u0085d\0e\vf\n")])).toEqual(["a\u2028b\u2029c\u0085d\0e\vf"])
  })

  it("drops a byte order mark at the very start only", () => {
    const text = "\uFEFFone\n\uFEFFtwo\n"
    expect(run([utf8(text)])).toEqual(["one", "\uFEFFtwo"])
    expect(run(everyByte(utf8(text)))).toEqual(["one", "\uFEFFtwo"])
    expect(run([utf8("\uFEFF")])).toEqual([""])
    expect(run([utf8("\n\uFEFFtwo")])).toEqual(["", "\uFEFFtwo"])
    expect(run([utf8("\uFEFF\uFEFFone")])).toEqual(["\uFEFFone"])
  })

  it("keeps empty lines and adds none", () => {
    expect(run([])).toEqual([])
    expect(run([utf8("")])).toEqual([])
    expect(run([utf8("\n")])).toEqual([""])
    expect(run([utf8("\n"), utf8("\n")])).toEqual(["", ""])
    expect(run([utf8("a\n\nb")])).toEqual(["a", "", "b"])
  })

  for (const size of [64 * 1024 + 1, 320 * 1024]) {
    it(`has no limit at ${size} bytes, with small lines around it`, () => {
      const big = "x".repeat(size)
      const whole = utf8(`{"n":1}\n${big}\n{"n":2}\n`)
      const chunks = Array.from(
        { length: Math.ceil(whole.length / 65_536) },
        (_, i) => whole.subarray(i * 65_536, (i + 1) * 65_536)
      )
      expect(run(chunks)).toEqual(["{\"n\":1}", big, "{\"n\":2}"])
      expect(run([whole])).toEqual(["{\"n\":1}", big, "{\"n\":2}"])
    })
  }

  it("accepts a line of exactly the limit, and no longer one", () => {
    expect(run([utf8("12345\n123456\n12345")], 5)).toEqual(["12345", { tooLong: 6 }, "12345"])
  })

  it("stores nothing of a line that is too long, but counts all of it", () => {
    const splitter = lineSplitter.make(8)
    for (let i = 0; i < 1000; i++) expect(splitter.push(utf8("0123456789"))).toEqual([])
    expect(splitter.push(utf8("\nnext\n"))).toEqual([{ tooLong: 10_000 }, "next"])
  })

  it("accepts a chunk with more lines than a call can have arguments", () => {
    const count = 300_000
    expect(run([utf8("\n".repeat(count))], count - 1).length).toBe(count)
  })

  it.prop("returns equal copies", { text: fc.fullUnicodeString() }, ({ text }) => {
    expect(lineSplitter.copy(text)).toBe(text)
  })
})
