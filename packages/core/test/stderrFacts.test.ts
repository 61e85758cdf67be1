import { describe, expect, it } from "@effect/vitest"
import { RunEvent } from "effect-opencode"
import { Events } from "effect-opencode-testing"
import * as fc from "effect/FastCheck"
import * as stderr from "../src/internal/opencode/stderr.js"
import * as summary from "../src/internal/opencode/summary.js"
import * as stderrFacts from "../src/internal/opencode/v1/stderrFacts.js"
import * as ansi from "../src/internal/util/ansi.js"
import * as lineSplitter from "../src/internal/util/lines.js"
import * as fixtures from "./support/fixtures.js"

const linesOf = (fixture: fixtures.Fixture) => fixtures.linesOf(fixture.stderr).map(ansi.strip)

type Read = stderr.Fact | { readonly _tag: "Log" | "Other" }

/** What a single line means by itself. */
const classify = (line: string): Read =>
  stderrFacts.make(1000).lines([line], true)[0] ?? { _tag: stderrFacts.isLog(line) ? "Log" : "Other" }

const log = (fields: string) => `timestamp=2026-11-22T13:35:18.684Z level=ERROR run=36e92434 ${fields}`

const streamError = (fields: string) =>
  log(`message="stream error" providerID=fake modelID=m1 session.id=ses_1 ${fields}`)

describe("stderrFacts", () => {
  describe("captures", () => {
    /** Every line that contains these words. */
    const said = (fixture: fixtures.Fixture, words: string) =>
      linesOf(fixture).filter((line) => line.includes(words)).length

    for (const fixture of fixtures.all.filter(({ stderr }) => stderr.length > 0)) {
      it(fixture.name, () => {
        const facts = linesOf(fixture).map((line) => classify(line)._tag)
        const count = (tag: Read["_tag"]) => facts.filter((fact) => fact === tag).length
        expect(count("PermissionRejected")).toBe(said(fixture, "permission requested: "))
        expect(count("AgentFallback")).toBe(said(fixture, "Falling back to default agent"))
        expect(count("ProviderFailure")).toBe(
          linesOf(fixture).filter((line) => line.includes("message=\"stream error\"") && !line.includes("small=true"))
            .length
        )
        expect(count("Log")).toBe(said(fixture, "level=") - count("ProviderFailure"))
      })
    }

    it("contain each kind at least once", () => {
      const tags = new Set(fixtures.all.flatMap((f) => linesOf(f).map((line) => classify(line)._tag)))
      expect([...tags].sort()).toEqual(["AgentFallback", "Log", "Other", "PermissionRejected", "ProviderFailure"])
    })

    it("contain no terminal code after stripping", () => {
      for (const fixture of fixtures.all) expect(linesOf(fixture).join("\n")).not.toContain("\u001b")
    })
  })

  describe("permissions", () => {
    const rejected = (line: string) => {
      const fact = classify(line)
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

    it("are not found in other text", () => {
      for (
        const line of [
          "permission requested: bash (x); auto-rejecting",
          "! permission requested: bash (x)",
          "echo ! permission requested: bash (x); auto-rejecting",
          "! something else"
        ]
      ) {
        expect(classify(line)).toEqual({ _tag: "Other" })
      }
    })
  })

  describe("agents", () => {
    it("are recognised when they are unknown or sub-agents", () => {
      expect(classify("!  agent \"nope\" not found. Falling back to default agent"))
        .toEqual({ _tag: "AgentFallback", fallback: { agent: "nope", reason: "unknown" }, isLate: false })
      expect(
        classify(
          "! agent \"general\" is a subagent, not a primary agent. Falling back to default agent"
        )
      ).toEqual({ _tag: "AgentFallback", fallback: { agent: "general", reason: "subagent" }, isLate: false })
      expect(classify("! agent \"a \"b\" c\" not found. Falling back to default agent"))
        .toEqual({ _tag: "AgentFallback", fallback: { agent: "a \"b\" c", reason: "unknown" }, isLate: false })
    })
  })

  describe("failed attempts at the provider", () => {
    it("have a reason and an owner", () => {
      const line = streamError("small=false agent=build mode=primary error.error=\"AI_APICallError: rate limited\"")
      expect(classify(line)).toEqual({
        _tag: "ProviderFailure",
        reason: "AI_APICallError: rate limited",
        provider: "fake",
        model: "m1",
        sessionId: "ses_1",
        agent: "build"
      })
    })

    it("of the title generator do not count", () => {
      const line = streamError("small=true agent=title mode=primary error.error=\"AI_APICallError: rate limited\"")
      expect(classify(line)).toEqual({ _tag: "Log" })
    })

    it("have another form in older versions", () => {
      expect(
        classify(
          "ERROR 2026-11-22T13:35:18 +3ms service=llm providerID=fake modelID=m1 error=\"boom\" stream error"
        )
      ).toEqual({ _tag: "ProviderFailure", reason: "boom", provider: "fake", model: "m1" })
    })

    it("do not carry the whole request, which older versions log with the prompt", () => {
      const older = (error: object) =>
        classify(
          `ERROR 2026-11-22T13:35:18 +3ms service=llm providerID=fake small=false error=${
            JSON.stringify({ error })
          } stream error`
        )
      const request = { name: "AI_APICallError", requestBodyValues: { prompt: "a secret small=true providerID=other" } }
      const failure = (reason: string) => ({ _tag: "ProviderFailure", reason, provider: "fake" })
      expect(older({ ...request, statusCode: 500, data: { error: { message: "HTTP 500 by script" } } }))
        .toEqual(failure("AI_APICallError: HTTP 500 by script"))
      expect(older({ ...request, statusCode: 500 })).toEqual(failure("AI_APICallError: status 500"))
      expect(older({ requestBodyValues: {} })).toEqual(failure("stream error"))
    })

    it("are read from complete logger lines only", () => {
      const line = streamError("small=false agent=build mode=primary error.error=\"429\"")
      for (
        const other of [` ${line}`, `${line})`, `${line} and more`, line.replace("level=ERROR ", ""), `echo ${line}`]
      ) expect(classify(other)).toEqual({ _tag: "Other" })
    })

    it("of sub-agents belong to the run, those of another main conversation do not", () => {
      const read = (mode: string) => {
        const reader = stderrFacts.make(1000)
        reader.event(RunEvent.fromWire({ type: "step_start", sessionID: "ses_own", part: {} }))
        return reader.lines([streamError(`small=false agent=x mode=${mode} error.error="429"`)], true).length
      }
      expect(read("primary")).toBe(0)
      expect(read("subagent")).toBe(1)
    })

    it("are not found in other log lines or foreign text", () => {
      expect(classify(log("message=\"share subscriber failed\""))).toEqual({ _tag: "Log" })
      expect(classify("INFO  2026-11-22T13:35:18 +0ms service=default version=1.14.34"))
        .toEqual({ _tag: "Log" })
      expect(classify("message=\"stream error\"")).toEqual({ _tag: "Other" })
      expect(classify("there was a stream error")).toEqual({ _tag: "Other" })
    })

    it("become events with a number and a kind", () => {
      const retry = (reason: string) => stderr.providerRetry({ _tag: "ProviderFailure", reason, provider: "fake" }, 3)
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
      expect(stderrFacts.logfmt("a=1 b=\"two words\" c.d=\"say \\\"hi\\\" \\\\ there\" e="))
        .toEqual(new Map([["a", "1"], ["b", "two words"], ["c.d", "say \"hi\" \\ there"], ["e", ""]]))
    })

    it("returns undefined for a line with anything else", () => {
      for (const line of ["a=1 b", "a=1  b=2", "a=\"1", "a=1\"", "a=b=c", "so a=1"]) {
        expect(stderrFacts.logfmt(line)).toBeUndefined()
      }
    })

    it.prop("reads back what was written", {
      pairs: fc.dictionary(
        fc.stringMatching(/^[a-z][a-z.]{0,6}$/),
        fc.stringMatching(/^[^\n\r\u2028\u2029]{0,10}$/),
        { minKeys: 1, maxKeys: 4 }
      )
    }, ({ pairs }) => {
      const quoted = (value: string) => `"${value.replace(/["\\]/g, "\\$&")}"`
      const line = Object.entries(pairs).map(([name, value]) => `${name}=${quoted(value)}`).join(" ")
      expect(Object.fromEntries(stderrFacts.logfmt(line) ?? [])).toEqual({ ...pairs })
    })
  })

  it.prop("classify never throws", {
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
      .toContain(classify(ansi.strip(line))._tag)
  })

  describe("the text of a rejected permission", () => {
    const quota = streamError("small=false agent=build mode=primary error.error=\"insufficient_quota\"")
    const fakes = [
      "! agent \"build\" not found. Falling back to default agent",
      "! permission requested: edit (secrets.txt); auto-rejecting",
      quota,
      "x); auto-rejecting",
      "; auto-rejecting",
      "Error: Session not found",
      "database is locked",
      "Error: Model not found: fake/m1",
      "! permission requested: bash (",
      "echo a, b",
      ""
    ]
    const printed = (text: string) => ansi.strip(Events.stderr.permissionRejected("bash", [text]))
    const toolUse = (command: string) =>
      RunEvent.fromWire({ ...Events.toolRejected({ tool: "bash", input: { command } }), sessionID: "ses_1" })

    /** What a process prints when it rejects a command: the chunks of stderr, then the event. */
    const read = (chunks: ReadonlyArray<string>, event: RunEvent.RunEvent) => {
      const reader = stderrFacts.make(100_000)
      const facts = chunks.flatMap((chunk) => reader.lines(chunk.replace(/\n$/, "").split("\n"), true))
      facts.push(...reader.event(event), ...reader.end())
      return { facts, own: reader.own() }
    }

    it.prop("yields that permission only", {
      lines: fc.array(
        fc.oneof(fc.constantFrom(...fakes), fc.string(), fc.constantFrom(...fakes).map((line) => `${line}\r`)),
        {
          minLength: 1,
          maxLength: 20
        }
      )
    }, ({ lines }) => {
      const command = ansi.strip(lines.join("\n"))
      const { facts, own } = read([printed(command)], toolUse(command))
      expect(facts.map((fact) => fact._tag === "PermissionRejected" ? fact.event.permission : fact._tag)).toEqual([
        "bash"
      ])
      expect(own).toBe("")
    })

    it.prop("is complete in the error, thanks to the input of the call", {
      lines: fc.array(fc.oneof(fc.constantFrom(...fakes), fc.stringMatching(/^[a-z,\x20"'();]{0,12}$/)), {
        minLength: 1,
        maxLength: 8
      })
    }, ({ lines }) => {
      const command = lines.join("\n")
      const { facts } = read([printed(command)], toolUse(command))
      const state = summary.make({ keepText: 1 })
      for (const fact of facts) if (fact._tag === "PermissionRejected") state.add(fact.event)
      state.add(toolUse(command))
      expect(state.rejection?.patterns.join(", ")).toBe(command)
    })

    it("ends at the beginning of the next message", () => {
      const { facts, own } = read([printed("rm x"), `${quota}\nError: boom\n`, printed("rm y")], toolUse("rm x"))
      expect(facts.map(({ _tag }) => _tag)).toEqual(["PermissionRejected", "ProviderFailure", "PermissionRejected"])
      expect(own).toBe(`${quota}\nError: boom\n`)
    })

    it("ends at the next event if it contains nothing of what follows", () => {
      const { facts } = read([`${printed("rm x")}${printed("rm y")}${quota}\n`], toolUse("rm x"))
      expect(facts.map(({ _tag }) => _tag)).toEqual(["PermissionRejected", "PermissionRejected", "ProviderFailure"])
    })

    it("is one text in any number of chunks, even with ten thousand lines of imitations", () => {
      const command = `echo x); auto-rejecting\n${`${quota}\n`.repeat(10_000)}echo y`
      const text = printed(command)
      const splitter = lineSplitter.make()
      const reader = stderrFacts.make(1000)
      const bytes = new TextEncoder().encode(text)
      const facts: Array<stderr.Fact> = []
      for (let at = 0; at < bytes.length; at += 65_536) {
        const chunk = bytes.subarray(at, at + 65_536)
        facts.push(...reader.lines(splitter.push(chunk).map(String), at === 0))
      }
      expect([...facts, ...reader.end()].map(({ _tag }) => _tag)).toEqual(["PermissionRejected"])
    })

    it("is followed by log lines of this process only", () => {
      const reader = stderrFacts.make(1000)
      const count = (line: string) => reader.lines([line], true).length
      expect(count(quota)).toBe(1)
      expect(count(printed("x").trimEnd())).toBe(1)
      expect(count(quota.replace("run=36e92434", "run=00000000"))).toBe(0)
      expect(count(quota)).toBe(1)
    })

    it("is split at commas outside of quotes", () => {
      const patterns = (text: string) => {
        const fact = classify(`! permission requested: bash (${text}); auto-rejecting`)
        return fact._tag === "PermissionRejected" ? fact.event.patterns : []
      }
      expect(patterns("echo a, rm b")).toEqual(["echo a", "rm b"])
      expect(patterns("git commit -m \"a, b\", rm c")).toEqual(["git commit -m \"a, b\"", "rm c"])
      expect(patterns("echo don't, rm b")).toEqual(["echo don't", "rm b"])
    })

    it("is taken apart as the input has it", () => {
      const patternsOf = (text: string, command: string) => stderr.patternsOf(text.split(", "), { command })
      expect(patternsOf("echo a, b, rm c, d", "echo a, b && rm c, d")).toEqual(["echo a, b", "rm c, d"])
      expect(patternsOf("/etc/*, /usr/*", "cat /etc/x /usr/y")).toEqual(["/etc/*", "/usr/*"])
      expect(patternsOf("echo a", "echo a); auto-rejecting\nrm b")).toEqual(["echo a); auto-rejecting\nrm b"])
    })
  })

  it("accepts an agent fallback before the first event only", () => {
    const line = "! agent \"build\" not found. Falling back to default agent"
    const reader = stderrFacts.make(1000)
    expect(reader.lines([line], true)).toMatchObject([{ isLate: false }])
    reader.event(RunEvent.fromWire({ type: "step_start", part: {} }))
    expect(reader.lines([line], true)).toMatchObject([{ isLate: true }])
  })
})
