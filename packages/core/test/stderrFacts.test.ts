import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as ansi from "../src/internal/ansi.js"
import * as stderrFacts from "../src/internal/stderrFacts.js"
import * as fixtures from "./support/fixtures.js"

const linesOf = (fixture: fixtures.Fixture) => fixtures.linesOf(fixture.stderr).map(ansi.strip)

const log = (fields: string) => `timestamp=2026-11-22T13:35:18.684Z level=ERROR run=36e92434 ${fields}`

const streamError = (fields: string) =>
  log(`message="stream error" providerID=fake modelID=m1 session.id=ses_1 ${fields}`)

describe("stderrFacts", () => {
  describe("captures", () => {
    /** Every line that says something, found by the plainest means: its own words. */
    const said = (fixture: fixtures.Fixture, words: string) =>
      linesOf(fixture).filter((line) => line.includes(words)).length

    for (const fixture of fixtures.all.filter(({ stderr }) => stderr.length > 0)) {
      it(fixture.name, () => {
        const facts = linesOf(fixture).map((line) => stderrFacts.classify(line)._tag)
        const count = (tag: stderrFacts.LineFact["_tag"]) => facts.filter((fact) => fact === tag).length
        expect(count("PermissionRejected")).toBe(said(fixture, "permission requested: "))
        expect(count("AgentFallback")).toBe(said(fixture, "Falling back to default agent"))
        expect(count("ProviderFailure")).toBe(
          linesOf(fixture).filter((line) => line.includes("message=\"stream error\"") && !line.includes("small=true"))
            .length
        )
        expect(count("Log")).toBe(said(fixture, "level=") - count("ProviderFailure"))
      })
    }

    it("hold each kind at least once", () => {
      const tags = new Set(fixtures.all.flatMap((f) => linesOf(f).map((line) => stderrFacts.classify(line)._tag)))
      expect([...tags].sort()).toEqual(["AgentFallback", "Log", "Other", "PermissionRejected", "ProviderFailure"])
    })

    it("no code of a terminal is left", () => {
      for (const fixture of fixtures.all) expect(linesOf(fixture).join("\n")).not.toContain("\u001b")
    })
  })

  describe("permissions", () => {
    const rejected = (line: string) => {
      const fact = stderrFacts.classify(line)
      return fact._tag === "PermissionRejected" ? fact.event : undefined
    }

    it("have a name and patterns", () => {
      expect(rejected("! permission requested: bash (echo hi, rm *); auto-rejecting"))
        .toEqual({ _tag: "PermissionRejected", permission: "bash", patterns: ["echo hi", "rm *"] })
      expect(rejected("!  permission requested: external_directory (/etc/*); auto-rejecting"))
        .toEqual({ _tag: "PermissionRejected", permission: "external_directory", patterns: ["/etc/*"] })
    })

    it("can have brackets in their patterns, or no patterns", () => {
      expect(rejected("! permission requested: bash (echo (a); (b)); auto-rejecting")?.patterns)
        .toEqual(["echo (a); (b)"])
      expect(rejected("! permission requested: doom_loop (); auto-rejecting")?.patterns).toEqual([])
      expect(rejected("! permission requested: doom_loop; auto-rejecting")).toMatchObject({
        permission: "doom_loop",
        patterns: []
      })
    })

    it("are not found in other texts", () => {
      for (
        const line of [
          "permission requested: bash (x); auto-rejecting",
          "! permission requested: bash (x)",
          "echo ! permission requested: bash (x); auto-rejecting",
          "! something else"
        ]
      ) {
        expect(stderrFacts.classify(line)).toEqual({ _tag: "Other" })
      }
    })
  })

  describe("agents", () => {
    it("that are unknown and those that are sub-agents", () => {
      expect(stderrFacts.classify("!  agent \"nope\" not found. Falling back to default agent"))
        .toEqual({ _tag: "AgentFallback", fallback: { agent: "nope", reason: "unknown" } })
      expect(
        stderrFacts.classify(
          "! agent \"general\" is a subagent, not a primary agent. Falling back to default agent"
        )
      ).toEqual({ _tag: "AgentFallback", fallback: { agent: "general", reason: "subagent" } })
      expect(stderrFacts.classify("! agent \"a \"b\" c\" not found. Falling back to default agent"))
        .toEqual({ _tag: "AgentFallback", fallback: { agent: "a \"b\" c", reason: "unknown" } })
    })
  })

  describe("failed attempts at the provider", () => {
    it("say why, and whose", () => {
      const line = streamError("small=false agent=build mode=primary error.error=\"AI_APICallError: rate limited\"")
      expect(stderrFacts.classify(line)).toEqual({
        _tag: "ProviderFailure",
        reason: "AI_APICallError: rate limited",
        provider: "fake",
        model: "m1"
      })
    })

    it("of the title generator do not count", () => {
      const line = streamError("small=true agent=title mode=primary error.error=\"AI_APICallError: rate limited\"")
      expect(stderrFacts.classify(line)).toEqual({ _tag: "Log" })
    })

    it("are told in another form by older versions", () => {
      expect(
        stderrFacts.classify(
          "ERROR 2026-11-22T13:35:18 +3ms service=llm providerID=fake modelID=m1 error=\"boom\" stream error"
        )
      ).toEqual({ _tag: "ProviderFailure", reason: "boom", provider: "fake", model: "m1" })
    })

    it("are not every log line, and no text of somebody else", () => {
      expect(stderrFacts.classify(log("message=\"share subscriber failed\""))).toEqual({ _tag: "Log" })
      expect(stderrFacts.classify("INFO  2026-11-22T13:35:18 +0ms service=default version=1.14.34"))
        .toEqual({ _tag: "Log" })
      expect(stderrFacts.classify("message=\"stream error\"")).toEqual({ _tag: "Other" })
      expect(stderrFacts.classify("there was a stream error")).toEqual({ _tag: "Other" })
    })

    it("become events with a number and a kind", () => {
      const retry = (reason: string) =>
        stderrFacts.providerRetry({ _tag: "ProviderFailure", reason, provider: "fake" }, 3)
      expect(retry("AI_APICallError: Rate limit reached")).toEqual({
        _tag: "ProviderRetry",
        attempt: 3,
        kind: "rate-limit",
        reason: "AI_APICallError: Rate limit reached",
        provider: "fake",
        model: undefined
      })
      expect(retry("Connection reset by server").kind).toBe("provider-unavailable")
      expect(retry("Cannot connect to API: Unable to connect. Is the computer able to access the url?").kind)
        .toBe("provider-unavailable")
    })
  })

  describe("logfmt", () => {
    it("reads quoted and plain values", () => {
      expect(new Map(stderrFacts.logfmt("a=1 b=\"two words\" c.d=\"say \\\"hi\\\" \\\\ there\" e= f")))
        .toEqual(new Map([["a", "1"], ["b", "two words"], ["c.d", "say \"hi\" \\ there"], ["e", ""]]))
    })

    it.prop("gives back what was written", {
      pairs: fc.dictionary(
        fc.stringMatching(/^[a-z][a-z.]{0,6}$/),
        fc.stringMatching(/^[^\n\r\u2028\u2029]{0,10}$/),
        { minKeys: 1, maxKeys: 4 }
      )
    }, ({ pairs }) => {
      const quoted = (value: string) => `"${value.replace(/["\\]/g, "\\$&")}"`
      const line = Object.entries(pairs).map(([name, value]) => `${name}=${quoted(value)}`).join(" ")
      expect(Object.fromEntries(stderrFacts.logfmt(line))).toEqual({ ...pairs })
    })
  })

  it.prop("classify is total", {
    line: fc.oneof(
      fc.string(),
      fc.fullUnicodeString(),
      fc.string().map((text) => `! ${text}`),
      fc.string().map(log),
      fc.string().map(streamError),
      fc.string().map((text) => `! permission requested: ${text}; auto-rejecting`)
    )
  }, ({ line }) => {
    expect(["PermissionRejected", "ProviderFailure", "AgentFallback", "Log", "Other"])
      .toContain(stderrFacts.classify(ansi.strip(line))._tag)
  })
})
