import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import * as message from "@optique/core/message"
import * as parser from "@optique/core/parser"
import { Permission, RunConfig } from "effect-opencode"
import type { RunOptions } from "effect-opencode/RunOptions"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as ConfigOptions from "../src/commandLine/ConfigOptions.js"
import * as options from "../src/commandLine/options.js"

/** What the words of a command line set. */
const parse = <A>(option: options.Option<A>, ...words: ReadonlyArray<string>) =>
  Effect.suspend(() => {
    const parsed = parser.parse(option, words)
    return parsed.success ? parsed.value : options.invalid(message.formatMessage(parsed.error, { quotes: false }))
  })

const refused = <A>(option: options.Option<A>, ...words: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(parse(option, ...words)), ({ reason }) => reason)

const platform = Effect.provide(NodeContext.layer)

const file = (content: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* fileSystem.makeTempFileScoped()
    yield* fileSystem.writeFileString(path, content)
    return path
  })

interface Case {
  readonly words: ReadonlyArray<string>
  readonly value: unknown
}

const variables = new Map([["SERVER_PASSWORD", "pass-canary"], ["CHILD_TOKEN", "token-canary"]])

/** Every field that a command line can set, and its arguments. */
const fields: { readonly [Field in Exclude<keyof RunOptions, ConfigOptions.NotOnCommandLine>]-?: Case } = {
  agent: { words: ["--agent", "plan"], value: "plan" },
  model: { words: ["-m", "a/b"], value: "a/b" },
  command: { words: ["--command", "init"], value: "init" },
  title: { words: ["--title", "A title"], value: "A title" },
  files: { words: ["--files", "a.txt", "--files", "b.txt"], value: ["a.txt", "b.txt"] },
  system: { words: ["--system", "Be brief."], value: "Be brief." },
  sessionId: { words: ["--session-id", "ses_1"], value: "ses_1" },
  continueSession: { words: ["--continue-session"], value: true },
  fork: { words: ["--fork"], value: true },
  forkAfter: { words: ["--fork-after", "msg_1"], value: "msg_1" },
  share: { words: ["--share"], value: true },
  thinking: { words: ["--thinking"], value: true },
  variant: { words: ["--variant", "high"], value: "high" },
  printLogs: { words: ["--no-print-logs"], value: false },
  logLevel: { words: ["--log-level", "DEBUG"], value: "DEBUG" },
  attach: { words: ["--attach", "http://localhost:4096"], value: "http://localhost:4096" },
  password: { words: ["--password-env", "SERVER_PASSWORD"], value: Redacted.make("pass-canary") },
  username: { words: ["--username", "me"], value: "me" },
  dir: { words: ["--dir", "there"], value: "there" },
  port: { words: ["--port", "4096"], value: 4096 },
  pure: { words: ["--pure"], value: true },
  auto: { words: ["--auto"], value: true },
  extraEnv: {
    words: ["--extra-env", "A=b=c", "--extra-env-from", "CHILD_TOKEN"],
    value: { A: "b=c", CHILD_TOKEN: Redacted.make("token-canary") }
  },
  disableAutoupdate: { words: ["--no-disable-autoupdate"], value: false },
  startupProfile: { words: ["--startup-profile", "fast"], value: "fast" },
  permission: { words: ["--permission", "{\"edit\":\"deny\"}"], value: { edit: "deny" } },
  mcp: { words: ["--mcp", "{\"a\":{\"type\":\"local\"}}"], value: { a: { type: "local" } } },
  tools: { words: ["--tools", "{\"write\":false}"], value: { write: false } },
  instructions: { words: ["--instructions", "RULES.md"], value: ["RULES.md"] },
  configOverrides: { words: ["--config-overrides", "{\"theme\":\"dark\"}"], value: { theme: "dark" } },
  extraArgs: { words: ["--extra-args", "--new-flag"], value: ["--new-flag"] },
  cwd: { words: ["--cwd", "/repo"], value: "/repo" },
  timeout: { words: ["--timeout", "20m"], value: Duration.minutes(20) },
  startupTimeout: { words: ["--startup-timeout", "30 seconds"], value: Duration.seconds(30) },
  idleTimeout: { words: ["--idle-timeout", "infinity"], value: Duration.infinity },
  exitGrace: { words: ["--exit-grace", "5s"], value: Duration.seconds(5) },
  budget: {
    words: ["--budget-cost", "0.5", "--budget-steps", "20", "--unpriced", "error"],
    value: { cost: 0.5, steps: 20, unpriced: "error" }
  },
  maxProviderRetries: { words: ["--max-provider-retries", "3"], value: 3 },
  promptVia: { words: ["--prompt-via", "argv"], value: "argv" },
  recover: { words: ["--recover", "export"], value: "export" },
  usage: { words: ["--usage", "deep"], value: "deep" }
}

describe("the options of a run", () => {
  it("cover every field of a RunConfig", () => {
    expect(Object.keys(RunConfig.RunConfig.fields).filter((field) => !Object.hasOwn(fields, field))).toEqual([])
  })

  it.effect("set nothing by default", () =>
    Effect.gen(function*() {
      expect(yield* parse(ConfigOptions.run)).toEqual({})
      expect(yield* parse(ConfigOptions.client)).toEqual({})
      expect(yield* parse(ConfigOptions.fleet)).toEqual({})
    }).pipe(platform))

  for (const [field, { value, words }] of Object.entries(fields)) {
    it.effect(`set ${field} by ${words.filter((word) => /^-+[a-z]/.test(word)).join(", ")}, and nothing else`, () =>
      Effect.gen(function*() {
        expect(yield* parse(ConfigOptions.run, ...words)).toEqual({ [field]: value })
        expect(ConfigOptions.optionOf(field)).toMatch(/^--/)
      }).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(variables)), platform))
  }

  it.effect("can be combined", () =>
    Effect.gen(function*() {
      const all = yield* parse(ConfigOptions.run, ...Object.values(fields).flatMap(({ words }) => words))
      expect(all).toEqual(Object.fromEntries(Object.entries(fields).map(([field, { value }]) => [field, value])))
    }).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(variables)), platform))

  it.effect("can be switched off when they are on by default, but not both ways", () =>
    Effect.gen(function*() {
      expect(yield* parse(ConfigOptions.run, "--print-logs")).toEqual({ printLogs: true })
      expect(yield* refused(ConfigOptions.run, "--print-logs", "--no-print-logs")).toContain("cannot be used together")
    }).pipe(platform))
})

describe("permissions", () => {
  it.effect("can be given as profiles", () =>
    Effect.gen(function*() {
      expect(yield* parse(ConfigOptions.run, "--permission", "read-only")).toEqual({ permission: Permission.readOnly })
      expect(yield* parse(ConfigOptions.run, "--permission", "deny")).toEqual({ permission: "deny" })
      expect(yield* refused(ConfigOptions.run, "--permission", "readonly")).toBe(
        "--permission: unknown profile \"readonly\"; must be one of allow, deny, read-only, allow-all, deny-all"
      )
    }).pipe(platform))

  it.effect("are refused when they would ask somebody", () =>
    Effect.gen(function*() {
      expect(yield* refused(ConfigOptions.run, "--permission", "{\"bash\":{\"rm *\":\"ask\"}}")).toContain(
        "--permission: bash.rm *: \"ask\" cannot be answered"
      )
    }).pipe(platform))

  it.scoped("can be read from a file", () =>
    Effect.gen(function*() {
      const path = yield* file("{ \"bash\": \"deny\" }")
      expect(yield* parse(ConfigOptions.run, "--permission", `@${path}`)).toEqual({ permission: { bash: "deny" } })
      expect(yield* refused(ConfigOptions.run, "--permission", "@nowhere.json")).toBe(
        "--permission: the file nowhere.json cannot be read"
      )
    }).pipe(platform))
})

describe("secrets", () => {
  const canary = "canary-1234567890"

  it.effect("are not taken from arguments and not repeated in errors", () =>
    Effect.gen(function*() {
      const reasons = [
        yield* refused(ConfigOptions.run, "--extra-env", `ANTHROPIC_API_KEY=${canary}`),
        yield* refused(
          ConfigOptions.run,
          "--config-overrides",
          `{"provider":{"a":{"options":{"apiKey":"${canary}"}}}}`
        ),
        yield* refused(ConfigOptions.run, "--mcp", `{"a":{"headers":{"Authorization":"Bearer ${canary}"}}}`),
        yield* refused(ConfigOptions.run, "--mcp", `{"token":"${canary}"`),
        yield* refused(ConfigOptions.run, "--extra-env", canary),
        yield* refused(ConfigOptions.run, "--extra-env", `DATABASE_URL=postgres://me:${canary}@db/x`)
      ]
      expect(reasons.map((reason) => reason.includes(canary))).toEqual([false, false, false, false, false, false])
      expect(reasons[0]).toContain("use --extra-env-from ANTHROPIC_API_KEY or --extra-env-file")
      expect(reasons[1]).toContain("put it in a file (--config-overrides @file)")
    }).pipe(platform))

  it.scoped("are read from files and variables, and redacted", () =>
    Effect.gen(function*() {
      const overrides = yield* file(`{"provider":{"a":{"options":{"apiKey":"${canary}"}}}}`)
      expect(yield* parse(ConfigOptions.run, "--config-overrides", `@${overrides}`)).toHaveProperty(
        "configOverrides.provider.a.options.apiKey",
        canary
      )
      const password = yield* file(`${canary}\n`)
      expect(yield* parse(ConfigOptions.run, "--password-file", password)).toEqual({ password: Redacted.make(canary) })
      const env = yield* file(`# keys\nexport A_KEY="${canary}"\n`)
      const withEnv = yield* parse(ConfigOptions.run, "--extra-env-file", env)
      expect(withEnv).toEqual({ extraEnv: { A_KEY: Redacted.make(canary) } })
      expect(JSON.stringify(withEnv)).not.toContain(canary)
    }).pipe(platform))

  it.effect("are named when they are missing", () =>
    Effect.gen(function*() {
      expect(yield* refused(ConfigOptions.run, "--password-env", "NOT_SET")).toBe(
        "--password-env: the environment variable NOT_SET is not set"
      )
      expect(yield* refused(ConfigOptions.run, "--password-env", "A", "--password-file", "b")).toContain(
        "cannot be used together"
      )
    }).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map())), platform))
})

describe("the options of a layer", () => {
  it.effect("configure how runs are carried out", () =>
    Effect.gen(function*() {
      const { retry, ...client } = yield* parse(
        ConfigOptions.client,
        ...["--binary", "oc", "--opencode-version", "1.18.33", "--isolation", "data", "--retries", "0"],
        ...["--containment", "namespace"],
        ...["--force-kill-after", "1s", "--environment", "reviewed"]
      )
      expect(retry).toBeDefined()
      expect(client).toEqual({
        binary: "oc",
        version: "1.18.33",
        isolation: { directory: "data" },
        containment: "namespace",
        forceKillAfter: Duration.seconds(1),
        environment: "reviewed"
      })
      expect(yield* refused(ConfigOptions.client, "--opencode-version", "new")).toContain("not a valid version")
      expect(yield* refused(ConfigOptions.client, "--environment", "none")).toContain("inherit")
    }).pipe(platform))

  it.effect("ask for a sandbox, each part of it as well", () =>
    Effect.gen(function*() {
      const sandbox = (...args: ReadonlyArray<string>) =>
        Effect.map(parse(ConfigOptions.client, ...args), ({ sandbox }) => sandbox)
      expect(yield* sandbox()).toBeUndefined()
      expect(yield* sandbox("--sandbox")).toEqual({})
      expect(yield* sandbox("--sandbox-network", "none")).toEqual({ network: "none" })
      expect(
        yield* sandbox(
          "--sandbox-write",
          "a",
          "--sandbox-write",
          "b",
          "--sandbox-hide",
          "c",
          "--sandbox-network",
          "d.example,e.example:80"
        )
      ).toEqual({ write: ["a", "b"], hide: ["c"], network: { allow: ["d.example", "e.example:80"] } })
    }).pipe(platform))

  it.effect("configure how runs share the machine", () =>
    Effect.gen(function*() {
      expect(yield* parse(ConfigOptions.fleet, "--startup-concurrency", "unbounded", "--rate-limit-gate")).toEqual({
        startup: { concurrency: "unbounded" },
        rateLimitGate: true
      })
      expect(yield* parse(ConfigOptions.fleet, "--startup-window", "1s", "--rate-limit-wait", "10s")).toEqual({
        startup: { window: Duration.seconds(1) },
        rateLimitGate: { fallback: Duration.seconds(10) }
      })
    }).pipe(platform))

  it("choose the isolation in which a session can be continued", () => {
    expect(ConfigOptions.settle({}, { sessionId: "ses_1" })).toEqual({ isolation: "none" })
    expect(ConfigOptions.settle({}, { continueSession: true })).toEqual({ isolation: "none" })
    expect(ConfigOptions.settle({}, {})).toEqual({})
    expect(ConfigOptions.settle({}, { sessionId: "ses_1", attach: "http://localhost" })).toEqual({})
    const kept = { isolation: { directory: "data" } }
    expect(ConfigOptions.settle(kept, { sessionId: "ses_1" })).toEqual(kept)
  })
})

describe("the option of a field", () => {
  it.each([
    ["permission.edit.*.py", "--permission"],
    ["budget.cost", "--budget-cost"],
    ["budget.unpriced", "--unpriced"],
    ["startup.window", "--startup-window"],
    ["prompt", "the prompt"],
    ["sessionId", "--session-id"],
    ["whatever", undefined]
  ])("%s", (path, option) => {
    expect(ConfigOptions.optionOf(path)).toBe(option)
  })
})
