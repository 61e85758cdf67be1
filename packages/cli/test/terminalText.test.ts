import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as terminalText from "../src/display/terminalText.js"

const { clip, oneLine, width } = terminalText

describe("oneLine", () => {
  it.each([
    ["plain", "plain"],
    ["  a\n\tb  \r\n c ", "a b c"],
    ["\u001b[31mred\u001b[0m", "red"],
    ["\u001b]0;title\u0007text", "text"],
    ["\u001b]8;;https://example.com\u001b\\link\u001b]8;;\u001b\\", "link"],
    ["\u001b]never ends", "never ends"],
    ["\u009b2Jgone", "gone"],
    ["\u001bc\u001b7reset", "reset"],
    ["bell\u0007 back\b\b delete\u007f null\u0000", "bell back delete null"],
    ["left\u202eright\u2066\u200f", "leftright"],
    ["line\u2028separator\u2029", "line separator"],
    ["soft\u00adhyphen", "softhyphen"],
    ["half \ud83d of a pair", "half of a pair"],
    ["\u{1f468}\u200d\u{1f469}\u200d\u{1f467}", "\u{1f468}\u{1f469}\u{1f467}"],
    ["\u{1f44d}\u{1f3fd}", "\u{1f44d}"],
    ["\u{1f1e9}\u{1f1ea}", "DE"],
    ["1\ufe0f\u20e3", "1"],
    ["e\u0301", "\u00e9"],
    ["a" + "\u0301".repeat(50), "\u00e1" + "\u0301".repeat(4)],
    ["\u0301x", "x"]
  ])("%j becomes %j", (text, line) => {
    expect(oneLine(text)).toBe(line)
  })
})

describe("manyLines", () => {
  it.each([
    ["a\n\tb  c\r\n", "a\n\tb  c\n"],
    ["\u001b[31mred\u001b[0m\u009b2J \u001b]0;title\u0007\u001bPdata\u001b\\end", "red end"],
    ["\u001b\u001b[31m[2J\u0007", "[2J"],
    ["👩‍👩 e\u0301", "👩‍👩 e\u0301"]
  ])("%j becomes %j", (text, expected) => {
    expect(terminalText.manyLines(text)).toBe(expected)
  })
})

describe("width", () => {
  it.each([
    ["", 0],
    ["abc", 3],
    ["日本語", 6],
    ["한국어", 6],
    ["ｆｕｌｌ", 8],
    ["ﾊﾝｶｸ", 4],
    ["✅🎉", 4],
    ["❤→…é", 4],
    ["\u00e1\u0301\u0301", 1],
    ["𠀋", 2]
  ])("%j takes %d columns", (line, columns) => {
    expect(width(line)).toBe(columns)
  })
})

describe("clip", () => {
  it.each([
    ["abcdef", 6, "abcdef"],
    ["abcdef", 5, "abcd…"],
    ["abc def", 5, "abc…"],
    ["abcdef", 1, "…"],
    ["abcdef", 0, ""],
    ["日本語", 6, "日本語"],
    ["日本語", 5, "日本…"],
    ["日本語", 4, "日…"],
    ["日本語", 1, "…"],
    ["", 3, ""]
  ])("%j in %d columns is %j", (line, columns, clipped) => {
    expect(clip(line, columns)).toBe(clipped)
  })
})

/** Text a model may write, with characters that are difficult for terminals more often than by chance. */
const hostile = FastCheck.array(
  FastCheck.oneof(
    FastCheck.string({ unit: "binary" }),
    FastCheck.string(),
    FastCheck.constantFrom(
      "\u001b",
      "\u001b[",
      "\u001b]",
      "\u009b",
      "\u0301",
      "\u200d",
      "日",
      "👩",
      "🇩",
      "\ud83d",
      "\n"
    )
  )
).map((parts) => parts.join(""))

describe("any text", () => {
  it.prop("contains no control characters as one line", [hostile], ([text]) => {
    expect(oneLine(text)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
  })

  it.prop("is never clipped to more than fits", [hostile, FastCheck.nat({ max: 60 })], ([text, columns]) => {
    expect(width(clip(oneLine(text), columns))).toBeLessThanOrEqual(columns)
  })

  it.prop("stays unchanged when it fits", [hostile], ([text]) => {
    const line = oneLine(text)
    expect(clip(line, width(line))).toBe(line)
    expect(oneLine(line)).toBe(line)
  })

  it.prop("is padded to exactly the columns", [hostile, FastCheck.nat({ max: 60 })], ([text, columns]) => {
    const line = clip(oneLine(text), columns)
    expect(width(terminalText.padEnd(line, columns))).toBe(columns)
    expect(width(terminalText.padStart(line, columns))).toBe(columns)
  })
})
