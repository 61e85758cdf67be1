import { assert, describe, expect, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import * as redact from "../src/internal/opencode/redact.js"
import * as tail from "../src/internal/util/tail.js"

describe("tail", () => {
  it("keeps everything up to the limit, then the end", () => {
    const kept = tail.make(5)
    expect(kept.read()).toBe("")
    kept.push("abc")
    expect(kept.read()).toBe("abc")
    kept.push("de")
    expect(kept.read()).toBe("abcde")
    kept.push("f")
    expect(kept.read()).toBe("bcdef")
    kept.push("0123456789")
    expect(kept.read()).toBe("56789")
  })

  it("can be read at any time", () => {
    const kept = tail.make(3)
    for (const piece of ["a", "b", "c", "d"]) {
      kept.push(piece)
      expect(kept.read()).toBe(kept.read())
    }
    expect(kept.read()).toBe("bcd")
  })

  it.prop("is the end of everything pushed", {
    pieces: fc.array(fc.string({ maxLength: 20 }), { maxLength: 30 }),
    limit: fc.integer({ min: 1, max: 40 })
  }, ({ limit, pieces }) => {
    const kept = tail.make(limit)
    pieces.forEach((piece, index) => {
      kept.push(piece)
      expect(kept.read()).toBe(pieces.slice(0, index + 1).join("").slice(-limit))
    })
  }, { fastCheck: { numRuns: 300 } })

  it("stays bounded", () => {
    const kept = tail.make(1000)
    for (let i = 0; i < 10_000; i++) kept.push(`line ${i}\n`)
    expect(kept.read().length).toBe(1000)
    expect(kept.read().endsWith("line 9999\n")).toBe(true)
  })
})

describe("a tail of lines", () => {
  const secret = "canary-0123456789"
  const { known } = redact.make([secret])

  it("contains no end of a secret at any cut", () => {
    for (let after = 0; after <= secret.length + 40; after++) {
      const kept = tail.ofLines(40, known)
      kept.push(`x ${secret}${"y".repeat(after)}`)
      const shown = kept.read()
      for (let at = 0; at < secret.length - 3; at++) assert.notInclude(shown, secret.slice(at, at + 4))
    }
  })
})
