import { describe, expect, it } from "@effect/vitest"
import { StructuredOutput } from "effect-opencode"
import * as Either from "effect/Either"
import * as AnswerSchema from "../src/AnswerSchema.js"

const made = (json: unknown) => Either.getOrThrowWith(AnswerSchema.make(json), (reason) => new Error(reason))

const refused = (json: unknown) => Either.getOrThrowWith(Either.flip(AnswerSchema.make(json)), () => new Error("made"))

const decode = (json: unknown, answer: unknown) => StructuredOutput.decode(made(json).schema)(JSON.stringify(answer))

const issues = (json: unknown, answer: unknown): string =>
  Either.match(decode(json, answer), { onLeft: (problem) => problem.issues, onRight: () => "" })

describe("AnswerSchema", () => {
  const review = {
    type: "object",
    properties: {
      verdict: { enum: ["approve", "reject"] },
      findings: { type: "array", items: { $ref: "#/$defs/finding" } }
    },
    required: ["verdict"],
    additionalProperties: false,
    $defs: { finding: { type: "object", properties: { "a/b~": { type: "integer" } }, required: ["a/b~"] } }
  }

  it("accepts a value that satisfies it, unchanged", () => {
    const answer = { verdict: "approve", findings: [{ "a/b~": 1, more: [null] }] }
    expect(decode(review, answer)).toEqual(Either.right(answer))
  })

  it("says what is wrong with an answer, and where", () => {
    const text = issues(review, { verdict: "maybe", findings: [{ "a/b~": "1" }, {}], more: 1 })
    expect(text).toContain("must NOT have additional properties: \"more\"")
    expect(text).toMatch(/\["verdict"\]\n.*must be equal to one of the allowed values: \["approve","reject"\]/)
    expect(text).toMatch(/\["findings"\]\["0"\]\["a\/b~"\]\n.*must be integer/)
    expect(text).toMatch(/\["findings"\]\["1"\]\n.*must have required property 'a\/b~'/)
  })

  it("is shown to the agent as a whole, with its definitions", () => {
    const shown = StructuredOutput.instruction(made(review).schema).split("JSON Schema:")[1]?.split("\n\nUse no")[0]
    expect(JSON.parse(shown ?? "")).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      ...review
    })
  })

  it.each([
    ["https://json-schema.org/draft/2020-12/schema", { prefixItems: [{ type: "string" }], items: false }],
    ["https://json-schema.org/draft/2019-09/schema", { items: [{ type: "string" }], additionalItems: false }],
    ["http://json-schema.org/draft-07/schema#", { items: [{ type: "string" }], additionalItems: false }]
  ])("follows the draft %s", ($schema, tuple) => {
    expect(Either.isRight(decode({ $schema, type: "array", ...tuple }, ["a"]))).toBe(true)
    expect(issues({ $schema, type: "array", ...tuple }, ["a", "b"])).toContain("must NOT have more than 1 items")
  })

  it("checks formats", () => {
    expect(issues({ type: "string", format: "date-time" }, "yesterday")).toContain("must match format \"date-time\"")
  })

  it.each([
    [[], "must be a JSON Schema, which is an object"],
    ["a", "must be a JSON Schema, which is an object"],
    [{ $schema: "http://json-schema.org/draft-04/schema#" }, "its `$schema` must be draft 2020-12, 2019-09 or 7"],
    [{ $schema: 7 }, "its `$schema` must be draft 2020-12, 2019-09 or 7"],
    [{ type: "object", requried: ["a"] }, "not a valid JSON Schema: unknown keyword: \"requried\""],
    [{ type: "string", format: "dat" }, "not a valid JSON Schema: unknown format \"dat\""],
    [{ $ref: "#/$defs/none" }, "not a valid JSON Schema: can't resolve reference #/$defs/none"],
    [{ $ref: "https://example.invalid/a.json" }, "not a valid JSON Schema: can't resolve reference"],
    [{ type: "string", pattern: "(" }, "not a valid JSON Schema: Invalid regular expression"],
    [{ $async: true, type: "object" }, "not a valid JSON Schema: it is asynchronous"]
  ])("refuses %j", (json, reason) => {
    expect(refused(json)).toContain(reason)
  })
})
