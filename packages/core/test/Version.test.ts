import { describe, expect, it } from "@effect/vitest"
import { Version } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as Schema from "effect/Schema"

const version = fc.tuple(fc.nat(50), fc.nat(50), fc.nat(50)).map(([a, b, c]) => Version.make(a, b, c))

describe("Version", () => {
  it("reads what 1.x and 2.x print", () => {
    expect(Version.parse("1.18.33\n")).toEqual(Version.make(1, 18, 33))
    expect(Version.parse("opencode v2.0.3")).toEqual(Version.make(2, 0, 3))
    expect(Version.parse("v1.2.27")).toEqual(Version.make(1, 2, 27))
    expect(Version.parse("Performing one time database migration...\n1.15.13\n"))
      .toEqual(Version.make(1, 15, 13))
    expect(Version.parse("1.18.33-beta.1")).toEqual(Version.make(1, 18, 33))
  })

  it("is undefined for text without a version", () => {
    for (const text of ["", "opencode", "1.18", "v2", "local", "error: x"]) {
      expect(Version.parse(text)).toBeUndefined()
    }
  })

  it("compares by number, not by text", () => {
    const order = [[1, 1, 65], [1, 2, 6], [1, 2, 27], [1, 14, 0], [1, 14, 34], [1, 17, 0], [1, 18, 4], [1, 18, 33], [
      2,
      0,
      0
    ]]
      .map(([a, b, c]) => Version.make(a!, b!, c!))
    expect([...order].reverse().sort(Version.order)).toEqual(order)
    expect(Version.isAtLeast(Version.make(1, 18, 33), Version.make(1, 9, 99))).toBe(true)
    expect(Version.isAtLeast(Version.make(1, 9, 99), Version.make(1, 18, 33))).toBe(false)
  })

  it.prop("what is written can be read again", { version }, ({ version }) => {
    expect(Version.parse(Version.format(version))).toEqual(version)
    expect(Schema.decodeUnknownSync(Version.Version)(JSON.parse(JSON.stringify(version)))).toEqual(version)
  })

  it.prop("has a total order, which isAtLeast follows", { a: version, b: version, c: version }, ({ a, b, c }) => {
    expect(Version.order(a, a)).toBe(0)
    expect(Version.order(a, b) + Version.order(b, a)).toBe(0)
    expect(Version.isAtLeast(a, b)).toBe(Version.order(a, b) >= 0)
    expect(Version.isAtLeast(a, b) || Version.isAtLeast(b, a)).toBe(true)
    if (Version.isAtLeast(a, b) && Version.isAtLeast(b, c)) expect(Version.isAtLeast(a, c)).toBe(true)
  })

  it.prop("parses any text without throwing", { text: fc.string() }, ({ text }) => {
    const parsed = Version.parse(text)
    if (parsed !== undefined) expect(text).toMatch(/\d+\.\d+\.\d+/)
  })
})
