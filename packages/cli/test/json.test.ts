import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as json from "../src/jobs/jsonPositions.js"
import * as located from "../src/jobs/located.js"

const valueOf = (text: string): unknown => Either.getOrThrow(Either.map(json.parse(text), located.plain))

const problems = (text: string): ReadonlyArray<string> => {
  const source = located.source("x", text)
  return Either.match(json.parse(text), {
    onLeft: (troubles) =>
      troubles.map(({ offset, reason }) => {
        const { column, line } = source.position(offset)
        return `${line}:${column} ${reason}`
      }),
    onRight: () => []
  })
}

const accepted = (text: string): unknown => {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

describe("json", () => {
  it.prop("reads what JSON.parse reads, in any layout", {
    value: fc.jsonValue({ noUnicodeString: false }),
    space: fc.constantFrom(undefined, 1, 2, "\t", "\r\n ")
  }, ({ space, value }) => {
    const text = JSON.stringify(value, undefined, space)
    // -0 is written as 0, so JSON.parse decides
    expect(valueOf(text)).toEqual(JSON.parse(text))
  })

  it.prop("accepts and refuses the same texts as JSON.parse", {
    value: fc.jsonValue(),
    at: fc.nat(),
    cut: fc.nat({ max: 3 }),
    put: fc.constantFrom(
      "",
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      "\"",
      "\\",
      "\\u12",
      "\\uD83D",
      "-",
      "0",
      "1e",
      ".5",
      "\n",
      "\t",
      "nul",
      "'",
      "é"
    )
  }, ({ at, cut, put, value }) => {
    const text = JSON.stringify(value)
    const place = at % (text.length + 1)
    const changed = text.slice(0, place) + put + text.slice(place + cut)
    const expected = accepted(changed)
    const parsed = json.parse(changed)
    const isTwice = Either.match(parsed, {
      onLeft: (troubles) => troubles.every(({ reason }) => reason.includes("duplicate name")),
      onRight: () => false
    })
    if (expected === undefined) expect(Either.isLeft(parsed)).toBe(true)
    else if (!isTwice) expect({ value: valueOf(changed) }).toEqual(expected)
  })

  it("knows the place of every value", () => {
    const text = "  {\"a\": [1, \"\\u00e9\"], \"b\":{}}"
    const parsed = Either.getOrThrow(json.parse(text))
    const part = (path: ReadonlyArray<PropertyKey>) => {
      const { end, start } = located.find(parsed, path)
      return text.slice(start, end)
    }
    expect(part([])).toBe("{\"a\": [1, \"\\u00e9\"], \"b\":{}}")
    expect(part(["a", 1])).toBe("\"\\u00e9\"")
    expect(part(["b"])).toBe("{}")
    expect(part(["a", 7])).toBe("[1, \"\\u00e9\"]")
    const key = located.findKey(parsed, ["b"])
    expect(text.slice(key.start, key.end)).toBe("\"b\"")
  })

  it("keeps names that are special in JavaScript", () => {
    const value = valueOf("{\"__proto__\": {\"a\": 1}, \"constructor\": 2}") as object
    expect(Object.keys(value)).toEqual(["__proto__", "constructor"])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  it.each([
    ["", "1:1 expected a value, found the end of the text"],
    ["{\"a\":1,}", "1:8 expected a name in double quotes, found `}`"],
    ["{'a':1}", "1:2 expected a name in double quotes, found `'`"],
    ["[1 2]", "1:4 expected `,` or `]`, found `2`"],
    ["{\"a\" 1}", "1:6 expected `:`, found `1`"],
    ["{\"a\":\n 1 \"b\"}", "2:4 expected `,` or `}`, found `\"`"],
    ["[01]", "1:3 expected `,` or `]`, found `1`"],
    ["tru", "1:1 expected a value, found `t`"],
    ["more words", "1:1 expected a value, found `m`"],
    ["[1 x, 2 3]", "1:4 unexpected `x`"],
    ["[{\"a\": 1 x}, 2 3]", "1:10 unexpected `x`"],
    ["{a: 1}", "1:2 expected a name in double quotes, found `a`"],
    ["[1, // one\n2]", "1:5 unexpected `/`"],
    ["[1", "1:3 expected `,` or `]`, found the end of the text"],
    ["[", "1:2 expected a value, found the end of the text"],
    ["{", "1:2 expected a name in double quotes, found the end of the text"],
    ["1.", "1:1 invalid number"],
    ["[\"a", "1:2 the string that begins here is never closed"],
    ["[x, " + "[".repeat(600), "1:2 expected a value, found `x`"],
    ["1 2", "1:3 expected nothing after the value, found `2`"],
    ["\"abc", "1:1 the string that begins here is never closed"],
    ["[\"a\nb\"]", "1:4 a string cannot contain the character U+000A; write it as an escape"],
    ["[\"\\x\"]", "1:3 invalid escape: `\\` before `x`"],
    ["[\"\\u12g4\"]", "1:3 `\\u` needs four hexadecimal digits"],
    ["{\"a\":1,\"a\":2}", "1:8 duplicate name \"a\""],
    ["[".repeat(600), "1:502 values are nested deeper than 500"]
  ])("reports the mistake in %j", (text, problem) => {
    expect(problems(text)).toEqual([problem])
  })
})
