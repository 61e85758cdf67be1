import { describe, expect, it } from "@effect/vitest"
import { Version } from "effect-opencode"
import * as Option from "effect/Option"
import * as dialect from "../src/internal/opencode/dialect.js"
import type { OptionEntry } from "../src/internal/opencode/dialect.js"
import * as dialects from "../src/internal/opencode/dialects.js"

describe("dialects", () => {
  it("the version selects the dialect, and none outside of the supported ranges", () => {
    for (const one of dialects.all) {
      expect(dialects.forVersion(one.supported.from)).toBe(one)
      if (one.server !== undefined) expect(dialects.forServer(one.server.supported.from)).toBe(one)
    }
    expect(dialects.forVersion(Version.make(1, 18, 33))).toBe(dialects.all[0])
    expect(dialects.forVersion(Version.make(1, 1, 64))).toBeUndefined()
    expect(dialects.forVersion(Version.make(2, 0, 14))).toBe(dialects.all[1])
    expect(dialects.forVersion(Version.make(2, 3, 2))).toBe(dialects.all[1])
    expect(dialects.forVersion(Version.make(3, 0, 0))).toBeUndefined()
    // `opencode2 v0.0.0-beta-18155`
    expect(dialects.forVersion(Version.make(0, 0, 0))).toBeUndefined()
    expect(dialects.forServer(Version.make(1, 17, 9))).toBeUndefined()
    expect(dialects.forServer(Version.make(3, 0, 0))).toBeUndefined()
  })

  it("no version has two dialects", () => {
    for (const one of dialects.all) {
      expect(dialects.all.filter(({ supported }) => dialect.includes(supported, one.supported.from))).toEqual([one])
    }
  })

  it("the supported versions are said in words", () => {
    expect(dialects.ranges(({ supported }) => supported)).toBe(
      "1.1.65 and later, below 2.0.0, or 2.0.0 and later, below 3.0.0"
    )
    expect(dialects.ranges(({ server }) => server?.supported)).toBe(
      "1.18.0 and later, below 2.0.0, or 2.0.0 and later, below 3.0.0"
    )
  })

  it("every option has one word in each version", () => {
    for (const { options, supported } of dialects.all) {
      const edges = [supported.from, ...options.flatMap(({ since, until }) => [since, until])]
      for (const version of edges.filter((edge) => edge !== undefined)) {
        const names = options.filter((entry) => dialect.has(entry, version)).map(({ name }) => name)
        expect(names).toEqual([...new Set(names)])
      }
    }
  })
})

describe("lacking", () => {
  const version = Version.make
  const options: ReadonlyArray<OptionEntry> = [
    { name: "pure", kind: "flag", word: "--bare", since: version(1, 1, 0), until: version(1, 2, 0) },
    { name: "pure", kind: "flag", word: "--pure", since: version(1, 3, 0), until: version(1, 9, 0) },
    { name: "title", kind: "value", word: "--title" }
  ]
  const lacking = (at: Version.Version) => dialect.lacking(options, { pure: true, title: "x" }, at)

  it("names the version that brings an option", () => {
    expect(lacking(version(1, 0, 9))).toEqual({ option: "pure", since: version(1, 1, 0) })
    expect(lacking(version(1, 1, 0))).toBeUndefined()
  })

  it("names the version that brings an option back", () => {
    expect(lacking(version(1, 2, 0))).toEqual({ option: "pure", since: version(1, 3, 0) })
    expect(lacking(version(1, 3, 0))).toBeUndefined()
  })

  it("names the reason of an option that this library does not pass", () => {
    const refused: ReadonlyArray<OptionEntry> = [{ name: "command", kind: "value", word: "", refused: "not yet" }]
    expect(dialect.lacking(refused, { command: "review" }, version(2, 0, 14))).toEqual({
      option: "command",
      refused: "not yet"
    })
    expect(dialect.lacking(refused, {}, version(2, 0, 14))).toBeUndefined()
  })

  it("names the version that takes an option away", () => {
    expect(lacking(version(1, 9, 0))).toEqual({ option: "pure", until: version(1, 9, 0) })
  })

  it("an option that is not used is not missed", () => {
    expect(dialect.lacking(options, { pure: false, title: "x" }, version(1, 0, 0))).toBeUndefined()
  })
})

describe("questions", () => {
  const [{ models, session }] = dialects.all

  it("models are the lines with a provider", () => {
    expect(models.read("opencode/big-pickle\r\n  anthropic/claude-sonnet-4-5\nloading\n\n")).toEqual([
      "opencode/big-pickle",
      "anthropic/claude-sonnet-4-5"
    ])
  })

  it("a session is read behind a line of progress, and nothing else is one", () => {
    const question = session("ses_1")
    expect(question.args).toEqual(["export", "ses_1"])
    const read = question.read("Exporting session: ses_1\n{\"info\":{\"id\":\"ses_1\"},\"messages\":[]}")
    expect(Option.map(read, ({ info }) => info.id)).toEqual(Option.some("ses_1"))
    for (const printed of ["", "{", "{\"info\":{\"id\":\"ses_1\"},\"messages\":[", "[]"]) {
      expect(question.read(printed)).toEqual(Option.none())
    }
  })
})
