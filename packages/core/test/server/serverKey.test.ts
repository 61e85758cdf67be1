import { describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { RunConfig } from "effect-opencode"
import type { RunOptions } from "effect-opencode"
import * as serverKey from "../../src/internal/server/serverKey.js"

const key = (options: RunOptions.RunOptions, isolation: "run" | "none" | { readonly directory: string } = "run") =>
  serverKey.make({ binary: "/bin/opencode", cwd: "/workspace" }, serverKey.split(options), isolation)

describe("what a server is started with", () => {
  it.each<readonly [keyof RunOptions.RunOptions, RunOptions.RunOptions, ReturnType<typeof serverKey.split>]>([
    ["extraEnv", { extraEnv: { A: "1" } }, { config: { extraEnv: { A: "1" } }, args: [] }],
    ["configOverrides", { configOverrides: { a: 1 } }, { config: { configOverrides: { a: 1 } }, args: [] }],
    ["mcp", { mcp: { a: { type: "local" } } }, { config: { mcp: { a: { type: "local" } } }, args: [] }],
    ["tools", { tools: { webfetch: false } }, { config: { tools: { webfetch: false } }, args: [] }],
    ["instructions", { instructions: ["A.md"] }, { config: { instructions: ["A.md"] }, args: [] }],
    ["disableAutoupdate", { disableAutoupdate: false }, { config: { disableAutoupdate: false }, args: [] }],
    ["startupProfile", { startupProfile: "fast" }, { config: { startupProfile: "fast" }, args: [] }],
    ["pure", { pure: true }, { config: {}, args: ["--pure"] }],
    ["printLogs", { printLogs: true }, { config: {}, args: ["--print-logs"] }],
    ["logLevel", { logLevel: "DEBUG" }, { config: {}, args: ["--log-level", "DEBUG"] }],
    ["extraArgs", { extraArgs: ["--x", "y"] }, { config: {}, args: ["--x", "y"] }]
  ])("%s", (name, options, expected) => {
    expect(serverKey.split(options)).toEqual(expected)
    expect(key(options)).not.toBe(key({}))
    expect(serverKey.difference({}, options)).toBe(name)
    expect(serverKey.difference(options, options)).toBeUndefined()
  })

  it("is nothing of what travels with a session or a prompt", () => {
    const options: RunOptions.RunOptions = {
      agent: "plan",
      model: "a/b",
      variant: "high",
      title: "t",
      files: ["a.ts"],
      sessionId: "ses_1",
      fork: true,
      thinking: true,
      auto: true,
      permission: { bash: "deny" },
      dir: "sub",
      cwd: "/elsewhere",
      timeout: "1 second",
      budget: { cost: 1 },
      onEvent: () => Effect.void
    }
    expect(serverKey.split(options)).toEqual({ config: {}, args: [] })
    expect(key(options)).toBe(key({}))
    expect(Option.isNone(serverKey.refused(options))).toBe(true)
    expect(Option.isNone(serverKey.refusedAttached(options))).toBe(true)
  })

  it("is the same with the full profile as without one", () => {
    expect(key({ startupProfile: "full" })).toBe(key({}))
    expect(serverKey.difference({}, { startupProfile: "full" })).toBeUndefined()
    expect(Option.isNone(serverKey.refusedAttached({ startupProfile: "full" }))).toBe(true)
  })

  it("tells secrets, orders and directories apart", () => {
    const secret = (value: string) => ({ extraEnv: { KEY: RunConfig.secret(value) } })
    expect(key(secret("a"))).toBe(key(secret("a")))
    expect(key(secret("a"))).not.toBe(key(secret("b")))
    expect(key(secret("a"))).not.toBe(key({ extraEnv: { KEY: "a" } }))
    expect(key({}, "none")).not.toBe(key({}))
    expect(key({}, { directory: "/a" })).not.toBe(key({}, { directory: "/b" }))
    // The last rule that fits decides.
    const rules = (permission: Record<string, string>) => ({ configOverrides: { permission } })
    expect(key(rules({ "*": "allow", bash: "deny" }))).not.toBe(key(rules({ bash: "deny", "*": "allow" })))
  })
})

describe("what a server cannot be told", () => {
  it.each<readonly [string, RunOptions.RunOptions]>([
    ["attach", { attach: "http://localhost:4096" }],
    ["password", { password: RunConfig.secret("x") }],
    ["username", { username: "me" }],
    ["port", { port: 4096 }],
    ["command", { command: "review" }],
    ["share", { share: true }],
    ["promptVia", { promptVia: "argv" }]
  ])("%s", (path, options) => {
    expect(Option.getOrThrow(serverKey.refused(options)).path).toBe(path)
  })

  it("is not what asks for nothing", () => {
    expect(Option.isNone(serverKey.refused({ share: false, promptVia: "stdin" }))).toBe(true)
  })

  it.each<readonly [string, RunOptions.RunOptions]>([
    ["extraEnv", { extraEnv: {} }],
    ["configOverrides", { configOverrides: {} }],
    ["mcp", { mcp: {} }],
    ["tools", { tools: {} }],
    ["instructions", { instructions: [] }],
    ["disableAutoupdate", { disableAutoupdate: true }],
    ["startupProfile", { startupProfile: "fast" }],
    ["pure", { pure: true }],
    ["printLogs", { printLogs: true }],
    ["logLevel", { logLevel: "ERROR" }],
    ["extraArgs", { extraArgs: [] }]
  ])("that runs already: %s", (path, options) => {
    expect(Option.getOrThrow(serverKey.refusedAttached(options)).path).toBe(path)
  })
})
