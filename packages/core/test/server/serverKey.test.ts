import { describe, expect, it } from "@effect/vitest"
import { RunConfig } from "effect-opencode"
import type { RunOptions } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { readFileSync } from "node:fs"
import * as serverKey from "../../src/internal/transport/server/serverKey.js"

const key = (options: RunOptions.RunOptions, isolation: "run" | "none" | { readonly directory: string } = "run") =>
  serverKey.make({ binary: "/bin/opencode", cwd: "/workspace" }, serverKey.split(options), isolation)

describe("the key of a server", () => {
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
  ])("changes with %s", (name, options, expected) => {
    expect(serverKey.split(options)).toEqual(expected)
    expect(key(options)).not.toBe(key({}))
    expect(serverKey.difference({}, options)).toBe(name)
    expect(serverKey.difference(options, options)).toBeUndefined()
  })

  it("ignores options that travel with a session or a prompt", () => {
    const options: RunOptions.RunOptions = {
      agent: "plan",
      model: "a/b",
      variant: "high",
      title: "t",
      files: ["a.ts"],
      system: "Be brief.",
      sessionId: "ses_1",
      fork: true,
      forkAfter: "msg_1",
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

  it("distinguishes secrets, orders and directories", () => {
    const secret = (value: string) => ({ extraEnv: { KEY: RunConfig.secret(value) } })
    expect(key(secret("a"))).toBe(key(secret("a")))
    expect(key(secret("a"))).not.toBe(key(secret("b")))
    expect(key(secret("a"))).not.toBe(key({ extraEnv: { KEY: "a" } }))
    expect(key({}, "none")).not.toBe(key({}))
    expect(key({}, { directory: "/a" })).not.toBe(key({}, { directory: "/b" }))
    // The last matching rule decides.
    const rules = (permission: Record<string, string>) => ({ configOverrides: { permission } })
    expect(key(rules({ "*": "allow", bash: "deny" }))).not.toBe(key(rules({ bash: "deny", "*": "allow" })))
  })
})

/** Where each option of a run takes effect; a new one belongs here and in `docs/server.md`. */
const places: { readonly [Name in keyof Required<RunOptions.RunOptions>]: "run" | "server" | "nowhere" } = {
  agent: "run",
  attach: "nowhere",
  auto: "run",
  budget: "run",
  command: "run",
  configOverrides: "server",
  continueSession: "run",
  cwd: "run",
  dir: "run",
  disableAutoupdate: "server",
  exitGrace: "run",
  extraArgs: "server",
  extraEnv: "server",
  files: "run",
  system: "run",
  fork: "run",
  forkAfter: "run",
  idleTimeout: "run",
  instructions: "server",
  isolation: "server",
  keepRaw: "run",
  logLevel: "server",
  maxProviderRetries: "run",
  mcp: "server",
  model: "run",
  onEvent: "run",
  onSession: "run",
  onStart: "run",
  password: "nowhere",
  permission: "run",
  port: "nowhere",
  printLogs: "server",
  promptVia: "nowhere",
  pure: "server",
  recover: "run",
  runId: "run",
  sessionId: "run",
  share: "nowhere",
  startupProfile: "server",
  startupTimeout: "run",
  thinking: "run",
  timeout: "run",
  title: "run",
  tools: "server",
  transcript: "run",
  usage: "run",
  username: "nowhere",
  variant: "run"
}

const guide = readFileSync(new URL("../../../../docs/server.md", import.meta.url), "utf8")

describe("every option of a run", () => {
  // `onEvent` and the limits are functions and durations: any value that is set will do here.
  it.each(Object.entries(places))("%s: %s", (name, place) => {
    const options: RunOptions.RunOptions = { [name]: name === "promptVia" ? "argv" : [] }
    expect(Option.isSome(serverKey.refused(options))).toBe(place === "nowhere")
    expect(Option.isSome(serverKey.refusedAttached(options))).toBe(place === "server")
    expect(serverKey.difference({}, options)).toBe(place === "server" ? name : undefined)
    const heading = { run: "### Applied to a run", server: "### Applied to a server", nowhere: "### Refused" }[place]
    const section = guide.split(/^(?=#{2,3} )/m).find((section) => section.startsWith(heading))
    expect(section).toContain(`\`${name}`)
  })

  it("has a place", () => {
    const known = new Set(Object.keys(places))
    expect(Object.keys(RunConfig.RunConfig.fields).filter((name) => !known.has(name))).toEqual([])
  })
})

describe("an option that a server cannot apply is refused:", () => {
  it.each<readonly [string, RunOptions.RunOptions]>([
    ["attach", { attach: "http://localhost:4096" }],
    ["password", { password: RunConfig.secret("x") }],
    ["username", { username: "me" }],
    ["port", { port: 4096 }],
    ["share", { share: true }],
    ["promptVia", { promptVia: "argv" }],
    ["extraEnv.OPENCODE_SERVER_PASSWORD", { extraEnv: { OPENCODE_SERVER_PASSWORD: RunConfig.secret("x") } }],
    ["extraEnv.OPENCODE_SERVER_USERNAME", { extraEnv: { OPENCODE_SERVER_USERNAME: "me" } }]
  ])("%s", (path, options) => {
    expect(Option.getOrThrow(serverKey.refused(options)).path).toBe(path)
  })

  it("but not its neutral value", () => {
    expect(Option.isNone(serverKey.refused({ share: false, promptVia: "stdin" }))).toBe(true)
  })

  it.each<readonly [string, RunOptions.RunOptions]>([
    ["extraEnv", { extraEnv: {} }],
    ["configOverrides", { configOverrides: {} }],
    ["mcp", { mcp: {} }],
    ["tools", { tools: {} }],
    ["instructions", { instructions: [] }],
    ["disableAutoupdate", { disableAutoupdate: true }],
    ["disableAutoupdate", { disableAutoupdate: false }],
    ["startupProfile", { startupProfile: "fast" }],
    ["pure", { pure: true }],
    ["printLogs", { printLogs: true }],
    ["printLogs", { printLogs: false }],
    ["logLevel", { logLevel: "ERROR" }],
    ["extraArgs", { extraArgs: [] }]
  ])("when the server already runs: %s", (path, options) => {
    expect(Option.getOrThrow(serverKey.refusedAttached(options)).path).toBe(path)
  })
})
