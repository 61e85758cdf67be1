import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as fc from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as json from "../src/internal/util/json.js"
import * as portable from "../src/internal/util/portable.js"
import * as arbitraries from "./support/arbitraries.js"
import { meaning } from "./support/meaning.js"

const sent = (value: unknown): unknown => {
  const text = JSON.stringify(portable.encode(value)) as string | undefined
  return text === undefined ? undefined : portable.decode(JSON.parse(text))
}

describe("meaning, which these tests compare by,", () => {
  const values = [
    undefined,
    null,
    0,
    -0,
    1,
    1n,
    "1",
    NaN,
    Infinity,
    "Infinity",
    Duration.infinity,
    Duration.millis(1),
    Duration.millis(2),
    Duration.nanos(1n),
    Option.none(),
    Option.some(1),
    Option.some(2),
    Redacted.make("a"),
    Redacted.make("b"),
    new Date(0),
    new Date(1),
    new Date(NaN),
    new Error("a"),
    new Error("b"),
    new TypeError("a"),
    new Error("a", { cause: 1 }),
    Object.assign(new Error("a"), { code: "E" }),
    {},
    { a: null },
    { a: 1 },
    { a: { b: 1 } },
    { "a\":1,\"b": 1 },
    [],
    [undefined],
    [null],
    [[]]
  ]

  it("tells values apart that the matchers do not", () => {
    expect(new Set(values.map(meaning)).size).toBe(values.length)
    expect(meaning({ a: undefined, c: 1, b: 2 })).toBe(meaning({ b: 2, c: 1 }))
  })
})

describe("portable", () => {
  it.prop("comes back from JSON as it was, whatever it is", { value: arbitraries.anyValue }, ({ value }) => {
    expect(meaning(sent(value))).toBe(meaning(value))
  }, { fastCheck: { numRuns: 500 } })

  it.prop("leaves what JSON has as it is", { value: arbitraries.json }, ({ value }) => {
    expect(portable.encode(value)).toBe(value)
    expect(portable.decode(value)).toBe(value)
  })

  it.prop("decodes anything without a failure", { value: fc.oneof(arbitraries.marked, fc.anything()) }, ({ value }) => {
    portable.decode(value)
  })

  it("keeps an Error with its causes, and leaves out its stack and its other fields", () => {
    const error = Object.assign(new TypeError("no", { cause: new Error("inner", { cause: { code: 1 } }) }), {
      request: { headers: { authorization: "canary-key" } }
    })
    const text = JSON.stringify(portable.encode({ error }))
    expect(text).not.toContain("canary-key")
    expect(text).not.toContain("portable.test")
    const back = (sent({ error }) as { readonly error: Error }).error
    expect(back).toBeInstanceOf(Error)
    expect([back.name, back.message, String(back), back.stack]).toEqual([
      "TypeError",
      "no",
      "TypeError: no",
      "TypeError: no"
    ])
    expect(Object.keys(back)).toEqual([])
    expect(back.cause).toBeInstanceOf(Error)
    expect((back.cause as Error).cause).toEqual({ code: 1 })
  })

  it("writes a marker for what has no form, and never the value of a secret", () => {
    const cyclic: Record<string, unknown> = { a: 1 }
    cyclic["self"] = [cyclic]
    expect(sent(cyclic)).toEqual({ a: 1, self: [json.circular] })
    expect(sent({ secret: Redacted.make("canary-key"), call: () => 1, symbol: Symbol("x") }))
      .toEqual({ secret: "<redacted>" })
    expect(sent([Redacted.make("canary-key"), () => 1])).toEqual(["<redacted>", null])
    let deep: unknown = 1
    for (let depth = 0; depth < 20_000; depth++) deep = [deep]
    expect(JSON.stringify(portable.encode(deep))).toContain(json.tooDeep)
    expect(sent({
      get broken() {
        throw new Error("no")
      }
    })).toEqual({ broken: "[not readable: Error: no]" })
  })

  it("decodes what others have nested too deeply", () => {
    const deep: unknown = JSON.parse("[".repeat(20_000) + "]".repeat(20_000))
    expect(portable.decode(deep)).toBe(deep)
  })

  it("names everything that is in the way of a strict encoding", () => {
    const shared = { fine: 1 }
    const cyclic: Record<string, unknown> = {}
    cyclic["self"] = cyclic
    const { obstacles } = portable.strict({
      a: [1, { b: Redacted.make("canary-key") }],
      call: () => 1,
      cyclic,
      twice: [shared, shared]
    })
    expect(obstacles.map(({ path }) => path)).toEqual([["a", 1, "b"], ["call"], ["cyclic", "self"]])
    expect(JSON.stringify(obstacles)).not.toContain("canary-key")
  })
})
