import { describe, expect, it } from "@effect/vitest"
import { Conversation, Version } from "effect-opencode"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as dialect from "../../src/internal/opencode/dialect.js"
import * as dialects from "../../src/internal/opencode/dialects.js"

const v2 = dialects.forVersion(Version.make(2, 0, 14))!

const read = (name: string) => fs.readFileSync(new URL(`../fixtures/opencode2/${name}`, import.meta.url), "utf8")

const contentOf = (config: Parameters<typeof v2.variables>[0]): unknown =>
  JSON.parse(v2.variables(config)["OPENCODE_CONFIG_CONTENT"]!)

describe("the dialect of 2.x", () => {
  it("only the version that was run is tested", () => {
    expect(v2.isTested(Version.make(2, 0, 14))).toBe(true)
    expect(v2.isTested(Version.make(2, 3, 2))).toBe(false)
  })

  it("passes rules as a list and not in a variable", () => {
    const variables = v2.variables({ permission: { bash: "deny" }, model: "a/b" })
    expect(variables["OPENCODE_PERMISSION"]).toBeUndefined()
    expect(contentOf({ permission: { bash: "deny" }, configOverrides: { share: "disabled" } })).toEqual({
      share: "disabled",
      permissions: [{ action: "shell", resource: "*", effect: "deny" }]
    })
  })

  it("always hears about a configuration that is dropped", () => {
    for (const logLevel of [undefined, "WARN", "ERROR"] as const) {
      expect(v2.variables({ logLevel })["OPENCODE_LOG_LEVEL"]).toBe("WARN")
    }
    expect(v2.variables({ logLevel: "DEBUG" })["OPENCODE_LOG_LEVEL"]).toBe("DEBUG")
  })

  it("pure switches off the plugins of all documents, whatever the program's own configuration says", () => {
    const content = (config: Parameters<typeof v2.variables>[0]): unknown =>
      JSON.parse(v2.variables(config)["OPENCODE_CONFIG_CONTENT"] ?? "null")
    const off = { plugins: ["-*", "opencode.*"] }
    expect(content({ pure: true })).toEqual(off)
    expect(content({ pure: true, configOverrides: { plugin: ["x"], plugins: ["y"] } })).toEqual(off)
    expect(content({ pure: false, configOverrides: { plugins: ["y"] } })).toEqual({ plugins: ["y"] })
    expect(content({ pure: false })).toBeNull()
  })

  it("passes MCP servers so that the model sees their tools by name, and keeps what it cannot translate", () => {
    const passed = (mcp: { readonly [name: string]: unknown }): unknown =>
      (JSON.parse(v2.variables({ mcp })["OPENCODE_CONFIG_CONTENT"]!) as { mcp: unknown }).mcp
    const local = { type: "local", command: ["x"] }
    expect(passed({ a: { ...local, enabled: false, timeout: 5 } })).toEqual({
      servers: { a: { ...local, codemode: false, disabled: true, timeout: { startup: 5, catalog: 5, execution: 5 } } }
    })
    expect(passed({ servers: { a: local, b: { ...local, codemode: true } } })).toEqual({
      servers: { a: { ...local, codemode: false }, b: { ...local, codemode: true } }
    })
    const login = { type: "remote", url: "http://x", oauth: { clientId: "y" } }
    expect(passed({ a: login })).toEqual({ a: login })
    const { mcp } = v2.privateServer!
    expect(mcp({ mcp: { a: local, b: { ...local, enabled: false }, c: login } })).toEqual(["a", "c"])
    expect(mcp({ configOverrides: { mcp: { servers: { a: local, b: { ...local, disabled: true } } } } })).toEqual(["a"])
    expect(mcp({})).toEqual([])
  })

  it("takes the model from the option or from the configuration, with its variant", () => {
    const model = v2.privateServer!.model
    expect(model({ model: "a/b/c#high" })).toEqual({ provider: "a", id: "b/c", variant: "high" })
    expect(model({ model: "a/b", variant: "low" })).toEqual({ provider: "a", id: "b", variant: "low" })
    expect(model({ configOverrides: { model: "a/b" } })).toEqual({ provider: "a", id: "b" })
    expect(model({})).toBeUndefined()
  })

  it("refuses every option that it does not pass on", () => {
    for (const option of ["share", "attach", "command", "port", "username", "extraArgs"] as const) {
      const config = { [option]: option === "port" ? 1 : "x" }
      expect(dialect.lacking(v2.options, config, Version.make(2, 0, 14))?.option).toBe(option)
    }
  })

  it("hears only of its own configuration, and only of what is dropped", () => {
    const { dropped } = v2.privateServer!
    const line = (source: string, kind: string) =>
      `timestamp=2026-11-30T11:26:40.695Z level=WARN run=1b81ade8 message="configuration normalization diagnostic" source=${source} path=$.permission.bash kind=${kind} action="skipped malformed recognized value" http.span=192 role=server`
    expect(dropped(line("OPENCODE_CONFIG_CONTENT", "invalid"))).toBe("$.permission.bash")
    expect(dropped(line("OPENCODE_CONFIG_CONTENT", "unsupported"))).toBeUndefined()
    expect(dropped(line("/work/opencode.json", "invalid"))).toBeUndefined()
    expect(dropped(`the agent says ${line("OPENCODE_CONFIG_CONTENT", "invalid")}`)).toBeUndefined()
  })

  it("reads the address of a server that is ready, and nothing else", () => {
    const { address } = v2.privateServer!
    expect(address("{\"url\":\"http://127.0.0.1:41929\"}")).toBe("http://127.0.0.1:41929")
    for (const line of ["", "{}", "http://127.0.0.1:1", "{\"url\":1}", "[1]", "{"]) {
      expect(address(line)).toBeUndefined()
    }
  })

  it("reads an exported session in the form of all majors", () => {
    const question = v2.session("ses_1")
    expect(question.args).toEqual(["session", "export", "--standalone", "ses_1"])
    const conversation = Option.getOrThrow(question.read(`Exporting\n${read("session-export.json")}`))
    expect(Conversation.answer(conversation)).toBe("Done: hi\n")
    expect(Conversation.spent(conversation)).toMatchObject({
      steps: 2,
      cost: 0.00004,
      usage: { input: 20, output: 10 }
    })
    expect(Conversation.lastTurn(conversation).map(({ _tag }) => _tag)).toEqual([
      "StepStart",
      "ToolUse",
      "StepFinish",
      "StepStart",
      "Text",
      "StepFinish"
    ])
    for (const printed of ["", "{", "{\"info\":{},\"messages\":[]}", "Session not found"]) {
      expect(question.read(printed)).toEqual(Option.none())
    }
  })
})
