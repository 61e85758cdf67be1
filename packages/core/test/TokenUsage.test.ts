import { describe, expect, it } from "@effect/vitest"
import { TokenUsage } from "effect-opencode"
import * as fc from "effect/FastCheck"
import * as Schema from "effect/Schema"

const count = fc.nat(1_000_000)
const usage: fc.Arbitrary<TokenUsage.TokenUsage> = fc.record({
  total: count,
  input: count,
  output: count,
  reasoning: count,
  cacheRead: count,
  cacheWrite: count
})

describe("TokenUsage", () => {
  it("adds field by field", () => {
    expect(TokenUsage.add(
      { total: 1, input: 2, output: 3, reasoning: 4, cacheRead: 5, cacheWrite: 6 },
      { total: 10, input: 20, output: 30, reasoning: 40, cacheRead: 50, cacheWrite: 60 }
    )).toEqual({ total: 11, input: 22, output: 33, reasoning: 44, cacheRead: 55, cacheWrite: 66 })
  })

  it.prop("has empty as neutral element", { usage }, ({ usage }) => {
    expect(TokenUsage.add(usage, TokenUsage.empty)).toEqual(usage)
    expect(TokenUsage.add(TokenUsage.empty, usage)).toEqual(usage)
  })

  it.prop("is associative and commutative", { a: usage, b: usage, c: usage }, ({ a, b, c }) => {
    expect(TokenUsage.add(TokenUsage.add(a, b), c)).toEqual(TokenUsage.add(a, TokenUsage.add(b, c)))
    expect(TokenUsage.add(a, b)).toEqual(TokenUsage.add(b, a))
  })

  it.prop("subtracts what was added", { a: usage, b: usage }, ({ a, b }) => {
    expect(TokenUsage.subtract(TokenUsage.add(a, b), b)).toEqual(a)
    expect(TokenUsage.subtract(a, a)).toEqual(TokenUsage.empty)
  })

  it.prop("survives JSON", { usage }, ({ usage }) => {
    expect(Schema.decodeUnknownSync(TokenUsage.TokenUsage)(JSON.parse(JSON.stringify(usage)))).toEqual(usage)
  })
})
