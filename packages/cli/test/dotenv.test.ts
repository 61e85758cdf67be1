import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as dotenv from "../src/host/dotenv.js"

const read = (text: string) => Either.map(dotenv.parse(text), Object.fromEntries)

describe("a file of variables", () => {
  it("can have comments, quotes and exports", () => {
    expect(read("# comment\n\nA=1\nexport B = \"two words\"\r\nC='#3'\nD=a=b\nE=")).toEqual(
      Either.right({ A: "1", B: "two words", C: "#3", D: "a=b", E: "" })
    )
  })

  const key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0=\n-----END PRIVATE KEY-----"

  it.each([
    ["a value of several lines", `A=1\nKEY="${key}"\nB=2`, { A: "1", KEY: key, B: "2" }],
    ["a line break as two characters", "A=\"x\\ny\"", { A: "x\ny" }],
    ["a comment after a value", "A=x # the key\nB=\"x # y\" # z\nC='it''s'", { A: "x", B: "x # y", C: "it" }],
    ["a byte order mark", "\uFEFFA=1", { A: "1" }],
    ["nothing but comments", "# A=1\n\n", {}],
    ["nothing", "", {}]
  ])("can have %s", (_, text, expected) => {
    expect(read(text)).toEqual(Either.right(expected))
  })

  it.each([
    ["A=1\nsk-canary-secret", "line 2 is not name=value"],
    ["A=1\nsk-canary-secret\nB=2", "line 2 is not name=value"],
    ["FOO-BAR=sk-canary-secret", "line 1 is not name=value"],
    ["A='sk-canary-secret", "it contains no name=value line"]
  ])("is refused by line number if known, without showing the line: %j", (text, reason) => {
    expect(read(text)).toEqual(Either.left(reason))
  })
})
