import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as values from "../src/commandLine/values.js"

const millis = (text: string) => Either.map(values.duration(text), Duration.toMillis)

describe("a duration", () => {
  it.each([
    ["90s", 90_000],
    ["1.5h", 5_400_000],
    ["300ms", 300],
    ["5 m", 300_000],
    ["5 minutes", 300_000],
    ["1 day", 86_400_000],
    ["INFINITY", Number.POSITIVE_INFINITY]
  ])("can be %s", (text, expected) => {
    expect(millis(text)).toEqual(Either.right(expected))
  })

  it.each(["5", "", "-5s", "s", "5 parsecs", "1,5h", "5m30s"])("cannot be %j", (text) => {
    expect(Either.isLeft(values.duration(text))).toBe(true)
  })
})

describe("a number", () => {
  it.each([["3", 3], ["0.25", 0.25], [".5", 0.5], ["infinity", Number.POSITIVE_INFINITY]])(
    "can be %s",
    (text, expected) => {
      expect(values.number(text)).toEqual(Either.right(expected))
    }
  )

  it.each(["", "-1", "1e3", "0x10", "3 dollars", "NaN"])("cannot be %j", (text) => {
    expect(Either.isLeft(values.number(text))).toBe(true)
  })

  it("can be limited to whole numbers", () => {
    expect(values.count("0")).toEqual(Either.right(0))
    expect(Either.isLeft(values.count("1.5"))).toBe(true)
    expect(values.positiveOrUnbounded("unbounded")).toEqual(Either.right("unbounded"))
    expect(Either.isLeft(values.positiveOrUnbounded("0"))).toBe(true)
  })
})

describe("invalid JSON", () => {
  it("is reported by its place alone", () => {
    const text = "{\n  \"apiKey\": \"canary-secret\",\n  \"b\" 1\n}"
    const reason = Either.match(values.json(text), { onLeft: (reason) => reason, onRight: () => "valid" })
    expect(reason).toMatch(/^not valid JSON/)
    expect(reason).not.toContain("canary")
  })

  it.prop("is never quoted", { text: fc.string({ minLength: 8 }) }, ({ text }) => {
    const broken = `{"token": "${text}`
    Either.match(values.json(broken), {
      onLeft: (reason) => expect(reason).toMatch(/^not valid JSON(?: \(line \d+, column \d+\))?$/),
      onRight: () => {}
    })
  })
})

describe("a secret", () => {
  it.each([
    { provider: { a: { options: { apiKey: "sk-123456" } } } },
    { mcp: { a: { headers: { Authorization: "Bearer 123456" } } } },
    { credentials: [{ any: "123456" }] }
  ])("is found in %j", (value) => {
    expect(values.holdsSecret(value)).toBe(true)
  })

  it.each([
    { provider: { a: { options: { apiKey: "{env:MY_KEY}" } } } },
    { keybinds: { leader: "ctrl+x" }, maxTokens: "100000" },
    { model: "anthropic/claude" },
    "sk-123456"
  ])("is not found in %j", (value) => {
    expect(values.holdsSecret(value)).toBe(false)
  })
})
