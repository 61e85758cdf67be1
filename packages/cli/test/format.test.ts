import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as format from "../src/display/format.js"

describe("format", () => {
  it.each([[0, "0"], [999, "999"], [1000, "1,000"], [1234567, "1,234,567"]])(
    "prints the count %d as %s",
    (value, text) => {
      expect(format.count(value)).toBe(text)
    }
  )

  it.each([
    [0, "0"],
    [7, "7"],
    [999, "999"],
    [999.6, "1.00k"],
    [1000, "1.00k"],
    [9994, "9.99k"],
    [9996, "10.0k"],
    [12_345, "12.3k"],
    [99_960, "100k"],
    [999_499, "999k"],
    [999_500, "1.00M"],
    [1_234_567, "1.23M"],
    [2.5e9, "2.50G"],
    [1e16, "10000T"]
  ])("prints the compact number %d as %s", (value, text) => {
    expect(format.compact(value)).toBe(text)
  })

  it.each([[0, "$0.0000"], [0.00012, "$0.0001"], [1.5, "$1.5000"], [12.345, "$12.35"], [1234.5, "$1,235"]])(
    "prints the dollars %d as %s",
    (value, text) => {
      expect(format.dollars(value)).toBe(text)
    }
  )

  it.each([
    [0, undefined, "$0.0000", "$0.0000"],
    [0, true, "?", "cost unknown"],
    [0.0123, true, "≥$0.0123", "at least $0.0123"]
  ])("prints the cost %d, unpriced: %s, as %s", (cost, unpriced, short, words) => {
    expect([format.cost({ cost, unpriced }), format.costInWords({ cost, unpriced })]).toEqual([short, words])
  })

  it.each([[0, "0:00"], [4999, "0:04"], [72_000, "1:12"], [3_599_000, "59:59"], [3_800_000, "1:03:20"], [-5, "0:00"]])(
    "prints the clock %d as %s",
    (value, text) => {
      expect(format.clock(value)).toBe(text)
    }
  )

  it.each([
    [0, "0 ms"],
    [340.4, "340 ms"],
    [999.9, "1.0 s"],
    [4230, "4.2 s"],
    [59_949, "59.9 s"],
    [59_950, "1 min 00 s"],
    [72_000, "1 min 12 s"],
    [3_599_600, "1 h 00 min"],
    [3_800_000, "1 h 03 min"]
  ])("prints the duration %d as %s", (value, text) => {
    expect(format.duration(value)).toBe(text)
  })

  it.prop("keeps compact numbers short for any count", [FastCheck.nat({ max: 999_000_000_000 })], ([value]) => {
    expect(format.compact(value).length).toBeLessThanOrEqual(5)
  })
})
