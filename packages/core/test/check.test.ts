import { describe, expect, it } from "@effect/vitest"
import type { RunOptions } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as fc from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as check from "../src/internal/opencode/check.js"
import type { Problem } from "../src/internal/opencode/problem.js"
import * as arbitraries from "./support/arbitraries.js"

/** Stands for a secret in a bad value: no reason may repeat it. */
const canary = "canary-3b9f27"

/** Options as a program without types can pass them. */
const options = (value: { readonly [key: string]: unknown }): RunOptions.RunOptions => value as RunOptions.RunOptions

const problem = (bad: { readonly [key: string]: unknown }, prompt = "do it"): Problem => {
  const found = Option.getOrThrow(check.run(prompt, options(bad)))
  expect(found.reason).not.toContain(canary)
  return found
}

describe("check", () => {
  describe("run accepts", () => {
    const good: ReadonlyArray<RunOptions.RunOptions> = [
      {},
      { model: "anthropic/claude-sonnet-4-5" },
      { model: "openrouter/google/gemini-2.5-pro" },
      { fork: true, sessionId: "ses_1" },
      { fork: true, continueSession: true },
      { fork: false },
      { permission: "deny" },
      { permission: { bash: { "*": "deny" } }, configOverrides: { permission: { edit: "allow" } } },
      {
        timeout: "5 minutes",
        startupTimeout: 1000,
        idleTimeout: Duration.minutes(1),
        exitGrace: Number.POSITIVE_INFINITY
      },
      { budget: { steps: 1, cost: 0.01, tokens: Number.POSITIVE_INFINITY }, maxProviderRetries: 1 },
      { files: [{ mediaType: "image/svg+xml", data: new Uint8Array(3), name: "a b.svg" }], system: "" },
      { port: 0 },
      { port: 65_535 },
      { promptVia: "argv" },
      { recover: "export", usage: "deep" },
      { password: Redacted.make("x"), extraEnv: { A: "1", B: Redacted.make("2") } },
      { cwd: "~/x", transcript: "run.jsonl", keepRaw: true }
    ]

    for (const value of good) {
      it(JSON.stringify(value), () => expect(check.run("do it", value)).toEqual(Option.none()))
    }

    it("an empty prompt with a command", () => {
      expect(check.run("", { command: "review" })).toEqual(Option.none())
    })
  })

  describe("run refuses", () => {
    const rows: ReadonlyArray<readonly [string, { readonly [key: string]: unknown }, string, RegExp]> = [
      ["a lone surrogate", { title: "x\ud800" }, "title", /UTF-8/],
      ["NUL in an argument", { variant: "a\0b" }, "variant", /NUL/],
      ["an empty agent", { agent: "" }, "agent", /default agent/],
      ["an empty session", { sessionId: "" }, "sessionId", /new session/],
      ["an empty command", { command: "" }, "command", /unchanged/],
      ["an empty file", { files: ["a", ""] }, "files.1", /directory/],
      [
        "a content without a type",
        { files: ["a", { mediaType: canary, data: new Uint8Array() }] },
        "files.1.mediaType",
        /image\/png/
      ],
      [
        "a content named like a path",
        { files: [{ mediaType: "text/plain", data: new Uint8Array(), name: `../${canary}` }] },
        "files.0.name",
        /without a directory/
      ],
      [
        "a content that is a text",
        { files: [{ mediaType: "text/plain", data: canary }] },
        "files.0.data",
        /Uint8Array/
      ],
      ["NUL in a system prompt", { system: "a\0b" }, "system", /NUL/],
      ["a system prompt for a running server", { attach: "http://h", system: canary }, "system", /layerAttach/],
      ["rules for a running server", { attach: "http://h", permission: "deny" }, "permission", /layerAttach/],
      [
        "rules for a running server, among the overrides",
        { attach: "http://h", configOverrides: { permission: { bash: "deny" } } },
        "configOverrides.permission",
        /layerAttach/
      ],
      ["ask", { permission: { edit: { "*.py": "ask" } } }, "permission.edit.*.py", /"allow" or "deny"/],
      ["ask for everything", { permission: "ask" }, "permission", /"allow" or "deny"/],
      ["an unknown action", { permission: { bash: canary } }, "permission.bash", /"allow" or "deny"/],
      ["an action other than a string", { permission: { bash: [canary] } }, "permission.bash", /"allow" or "deny"/],
      ["ask among the overrides", { configOverrides: { permission: { bash: "ask" } } }, "permission.bash", /"allow"/],
      ["fork without a session", { fork: true }, "fork", /sessionId/],
      ["fork without continuing", { fork: true, continueSession: false }, "fork", /continueSession/],
      ["a model without a provider", { model: canary }, "model", /provider\/model/],
      ["a model without a name", { model: `${canary}/` }, "model", /provider\/model/],
      ["a model without a provider's name", { model: `/${canary}` }, "model", /provider\/model/],
      ["a model with a space", { model: `a/${canary} x` }, "model", /provider\/model/],
      ["an empty model", { model: "" }, "model", /provider\/model/],
      ["a timeout of zero", { timeout: 0 }, "timeout", /greater than zero/],
      ["a negative timeout", { timeout: -5 }, "timeout", /greater than zero/],
      ["a timeout of zero seconds", { timeout: "0 seconds" }, "timeout", /greater than zero/],
      ["an invalid timeout", { timeout: canary }, "timeout", /not a valid duration/],
      ["a start-up timeout of zero", { startupTimeout: 0 }, "startupTimeout", /greater than zero/],
      ["an idle timeout of zero", { idleTimeout: Duration.zero }, "idleTimeout", /greater than zero/],
      ["a negative exit grace", { exitGrace: -1 }, "exitGrace", /greater than zero/],
      ["a timeout of NaN", { timeout: Number.NaN }, "timeout", /greater than zero/],
      ["a budget of 0 steps", { budget: { steps: 0 } }, "budget.steps", /greater than zero/],
      ["a negative cost", { budget: { steps: 5, cost: -1 } }, "budget.cost", /greater than zero/],
      ["tokens of NaN", { budget: { tokens: Number.NaN } }, "budget.tokens", /greater than zero/],
      ["tool calls that are text", { budget: { toolCalls: canary } }, "budget.toolCalls", /greater than zero/],
      ["0 provider retries", { maxProviderRetries: 0 }, "maxProviderRetries", /greater than zero/],
      ["a port out of range", { port: 65_536 }, "port", /65535/],
      ["a port with a fraction", { port: 1.5 }, "port", /65535/],
      ["a negative port", { port: -1 }, "port", /65535/],
      ["an unknown way to recover", { recover: canary }, "recover", /"export"/],
      ["an unknown way to count", { usage: canary }, "usage", /"deep"/],
      ["an unknown way for the prompt", { promptVia: canary }, "promptVia", /"stdin" or "argv"/],
      ["an unknown log level", { logLevel: canary }, "logLevel", /"DEBUG" \| "INFO" \| "WARN" \| "ERROR"/],
      ["a plain text password", { password: canary }, "password", /Redacted/],
      ["a title other than a string", { title: { secret: canary } }, "title", /string/],
      ["a flag other than a boolean", { thinking: canary }, "thinking", /boolean/],
      ["files other than a list", { files: canary }, "files", /string/],
      ["a file other than a path or a content", { files: ["a", 1] }, "files.1", /string/],
      ["a variable other than a string", { extraEnv: { API_KEY: { secret: canary } } }, "extraEnv.API_KEY", /string/],
      ["mcp other than an object", { mcp: canary }, "mcp", /string/],
      ["instructions other than a list", { instructions: canary }, "instructions", /string/]
    ]

    for (const [name, bad, path, reason] of rows) {
      it(`${name}: ${path}`, () => {
        const found = problem(bad)
        expect(found.path).toBe(path)
        expect(found.reason).toMatch(reason)
      })
    }

    it("an empty prompt without a command", () => {
      for (const prompt of ["", " ", "\n\n", "\t \r\n"]) {
        expect(problem({}, prompt).path).toBe("prompt")
        expect(problem({}, prompt).reason).toContain("empty")
      }
    })

    it("a prompt that no argument can hold, with promptVia \"argv\" only", () => {
      const nul = `a\0${canary}`
      const long = canary.repeat(20_000)
      for (const prompt of [nul, long]) {
        expect(check.run(prompt, {})).toEqual(Option.none())
        expect(problem({ promptVia: "argv" }, prompt).path).toBe("prompt")
        expect(problem({ promptVia: "argv" }, prompt).reason).toContain("stdin")
      }
    })
  })

  it.prop("run never throws and never repeats a bad value", {
    key: fc.constantFrom(
      ...["agent", "model", "files", "fork", "port", "password", "extraEnv", "permission", "mcp", "instructions"],
      ...["timeout", "budget", "maxProviderRetries", "promptVia", "logLevel", "configOverrides", "extraArgs"]
    ),
    value: fc.oneof(
      arbitraries.json,
      fc.constantFrom<unknown>(canary, [canary], { x: canary }, { x: { y: [canary] } }, { edit: canary })
    )
  }, ({ key, value }) => {
    const found = check.run("do it", options({ [key]: value }))
    if (Option.isSome(found)) {
      expect(found.value.path.split(".")[0]).toBe(
        key === "configOverrides" && found.value.path !== key ? "permission" : key
      )
      expect(found.value.reason).not.toContain(canary)
    }
  }, { fastCheck: { numRuns: 500 } })

  describe("invocation", () => {
    const invocation = (
      input: { readonly args?: ReadonlyArray<string>; readonly env?: { readonly [name: string]: string } }
    ) => check.invocation({ args: [], env: {}, ...input })

    const max = 128 * 1024 - 1

    it("accepts what fits, to the byte", () => {
      expect(invocation({ args: ["x".repeat(max)], env: { A: "x".repeat(max - 2) } })).toEqual(Option.none())
    })

    it("refuses an argument that is too long or contains NUL", () => {
      for (const arg of ["x".repeat(max + 1), "ü".repeat(max / 2 + 1), `${canary}\0`]) {
        const found = Option.getOrThrow(invocation({ args: ["run", arg] }))
        expect(found.path).toBe("extraArgs")
        expect(found.reason).not.toContain(canary)
      }
    })

    it("refuses a variable that is too long, contains NUL or has an unusable name", () => {
      for (const [name, value] of [["A", "x".repeat(max)], ["A", `${canary}\0`], ["A=B", canary], ["", canary]]) {
        const found = Option.getOrThrow(invocation({ env: { [name!]: value! } }))
        expect(found.path).toBe(`extraEnv.${name}`)
        expect(found.reason).not.toContain(canary)
      }
    })

    it("names the option from which a variable is made", () => {
      const path = (name: string, value: string) => Option.getOrThrow(invocation({ env: { [name]: value } })).path
      expect(path("OPENCODE_CONFIG_CONTENT", "x".repeat(max))).toBe("configOverrides")
      expect(path("OPENCODE_SERVER_PASSWORD", "x\0")).toBe("password")
      expect(path("PWD", "/x\0")).toBe("cwd")
    })
  })
})
