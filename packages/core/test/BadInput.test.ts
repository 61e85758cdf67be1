import { assert, describe, it } from "@effect/vitest"
import { OpenCode, RunConfig, RunOptions } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as T from "./support/mock.js"

type Options = RunOptions.RunOptions

/** What a program without types can pass. */
const wrong = (options: unknown) => options as Options

const cases: ReadonlyArray<readonly [path: string, options: Options, prompt?: string]> = [
  // permissions, at any depth
  ["permission", wrong({ permission: "ask" })],
  ["permission", wrong({ permission: 1 })],
  ["permission.edit", wrong({ permission: { edit: "ask" } })],
  ["permission.edit.*.py", wrong({ permission: { edit: { "*": "allow", "*.py": "ask" } } })],
  ["permission.bash.git log*", wrong({ permission: { bash: { "git log*": "maybe" } } })],
  ["permission.bash", wrong({ permission: { bash: null } })],
  ["permission.edit", wrong({ configOverrides: { permission: { edit: "ask" } } })],
  // the session
  ["fork", { fork: true }],
  ["forkAfter", { forkAfter: "msg_1", sessionId: "ses_1" }],
  ["forkAfter", { forkAfter: "msg_1", fork: true, continueSession: true }],
  ["forkAfter", { forkAfter: "", fork: true, sessionId: "ses_1" }],
  ["forkAfter", { forkAfter: "msg_1", fork: true, sessionId: "ses_1", attach: "http://127.0.0.1:1" }],
  ["sessionId", { fork: true, sessionId: "ses_1" }],
  // the prompt
  ["prompt", {}, ""],
  ["prompt", {}, " \n\t "],
  ["prompt", { promptVia: "argv" }, "a\0b"],
  ["prompt", { promptVia: "argv" }, "€".repeat(50_000)],
  ["promptVia", wrong({ promptVia: "fax" })],
  // the disk
  ["cwd", { cwd: "missing" }],
  ["cwd", { cwd: "~/missing" }],
  ["dir", { dir: "missing" }],
  ["cwd", { cwd: "~root" }],
  ["cwd", { cwd: "~root/src" }],
  ["dir", { dir: "~root/src" }],
  ["transcript", { transcript: "~root/run.jsonl" }],
  ["files.1", { files: ["a.txt", "~root/b.txt"] }],
  ["files.1", { files: ["a.txt", "missing.txt"] }],
  // limits
  ["timeout", { timeout: 0 }],
  ["timeout", { timeout: "-5 seconds" }],
  ["timeout", { timeout: Number.NaN }],
  ["timeout", wrong({ timeout: "soon" })],
  ["startupTimeout", { startupTimeout: Duration.zero }],
  ["idleTimeout", { idleTimeout: -1 }],
  ["exitGrace", { exitGrace: "0 millis" }],
  ["budget.steps", { budget: { steps: 0 } }],
  ["budget.cost", { budget: { cost: -0.5 } }],
  ["budget.tokens", { budget: { tokens: Number.NaN } }],
  ["budget.toolCalls", wrong({ budget: { toolCalls: "many" } })],
  ["maxProviderRetries", { maxProviderRetries: 0 }],
  // names
  ["model", { model: "gpt-5" }],
  ["model", { model: "/gpt-5" }],
  ["model", { model: "openai/" }],
  ["model", { model: "open ai/x" }],
  ["model", { model: "" }],
  ["port", { port: 65536 }],
  ["port", { port: 1.5 }],
  ["logLevel", wrong({ logLevel: "TRACE" })],
  // shapes
  ["agent", wrong({ agent: 1 })],
  ["files", wrong({ files: "a.txt" })],
  ["password", wrong({ password: "plain" })],
  ["extraEnv.A", wrong({ extraEnv: { A: 1 } })],
  // what cannot be spawned
  ["extraEnv.A=B", { extraEnv: { "A=B": "x" } }],
  ["extraEnv.A", { extraEnv: { A: "a\0b" } }],
  ["extraEnv.A", { extraEnv: { A: "x".repeat(128 * 1024) } }],
  ["configOverrides", { configOverrides: { x: "x".repeat(128 * 1024) } }],
  ["password", { password: Redacted.make("a\0b") }],
  ["extraArgs", { extraArgs: ["--x", "a\0b"] }],
  ["extraArgs", { extraArgs: ["x".repeat(128 * 1024)] }],
  ["transcript", { transcript: "a.txt/below/a/file" }]
]

/** Mistakes that only the layer's isolation, the disk or the process's own limits reveal. */
const needsMachine = new Set([
  "sessionId",
  "cwd",
  "dir",
  "files.1",
  "extraEnv.A=B",
  "extraEnv.A",
  "configOverrides",
  "extraArgs",
  "transcript"
])

describe("an unusable option is refused before anything is started:", () => {
  for (const [index, [path, options, prompt]] of cases.entries()) {
    it.effect(`${index + 1}: ${path}`, () =>
      Effect.gen(function*() {
        const { work } = yield* T.Machine
        yield* Effect.promise(() => import("node:fs/promises").then((fs) => fs.writeFile(`${work}/a.txt`, "")))
        const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run(prompt ?? "do it", options))
        assert.strictEqual(error.path, path)
        assert.notStrictEqual(error.reason, "")
        assert.include(error.message, `\`${path}\``)
        const streamed = yield* T.failsWith("OpenCodeConfigError")(
          Stream.runDrain(OpenCode.stream(prompt ?? "do it", options))
        )
        assert.strictEqual(streamed.path, path)
        if (!needsMachine.has(path)) {
          assert.strictEqual(RunOptions.check(prompt ?? "do it", options)?.path, path)
        }
        assert.deepStrictEqual(yield* T.commands, [])
        yield* T.expectClean
      }).pipe(Effect.provide(T.layer([]))))
  }

  it.effect("from any source", () =>
    Effect.gen(function*() {
      const fromDefaults = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
      assert.strictEqual(fromDefaults.path, "model")
      const fromRegion = yield* OpenCode.run("x", { model: "a/b" }).pipe(
        RunConfig.withRunConfig({ port: -1 }),
        T.failsWith("OpenCodeConfigError")
      )
      assert.strictEqual(fromRegion.path, "port")
      assert.deepStrictEqual(yield* T.commands, [])
      yield* OpenCode.run("x", { model: "a/b" })
    }).pipe(Effect.provide(T.layer([T.answering("x")], { defaults: { model: "nonsense" } }))))

  it.effect("without its value, which can be a secret", () =>
    Effect.gen(function*() {
      const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", wrong({ password: "canary-4711" })))
      assert.notInclude(JSON.stringify(error) + error.message + String(error), "canary-4711")
    }).pipe(Effect.provide(T.layer([]))))
})

describe("an unusual option is accepted:", () => {
  const odd: ReadonlyArray<readonly [string, Options, string?]> = [
    ["a model id with more slashes", { model: "openrouter/anthropic/claude" }],
    ["infinite limits", { timeout: Infinity, budget: { steps: Infinity }, maxProviderRetries: Infinity }],
    ["port 0", { port: 0 }],
    ["no prompt with a command", { command: "init" }, ""],
    ["a prompt of a megabyte with NUL", {}, `${"x".repeat(1024 * 1024)}\0`],
    ["a file that only the server has", { attach: "http://127.0.0.1:1", files: ["missing"], dir: "missing" }],
    ["no rules at all", { permission: {} }]
  ]
  for (const [what, options, prompt] of odd) {
    it.effect(what, () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* OpenCode.run(prompt ?? "x", options)).text, "fine")
        assert.isUndefined(RunOptions.check(prompt ?? "x", options))
      }).pipe(Effect.provide(T.layer([T.answering("fine")]))))
  }
})

describe("an unusable option of the layer fails every method:", () => {
  const layers: ReadonlyArray<readonly [path: string, options: OpenCode.Options]> = [
    ["startup.concurrency", { startup: { concurrency: 0 } }],
    ["startup.concurrency", { startup: { concurrency: 1.5 } }],
    ["startup.window", { startup: { window: "-1 seconds" } }],
    ["startup.window", { startup: { window: 0 } }],
    ["concurrency", { concurrency: 0 }],
    ["concurrency", { concurrency: -1 }],
    ["forceKillAfter", { forceKillAfter: 0 }],
    ["version", { version: "latest" }],
    ["rateLimitGate.fallback", { rateLimitGate: { fallback: 0 } }]
  ]
  for (const [index, [path, options]] of layers.entries()) {
    it.effect(`${index + 1}: ${path}`, () =>
      Effect.gen(function*() {
        const service = yield* OpenCode.OpenCode
        const methods = [
          service.run("x"),
          Stream.runDrain(service.stream("x")),
          service.version,
          service.models,
          Effect.scoped(service.session()),
          Effect.scoped(service.resume({ sessionId: "ses_1", cwd: ".", directory: undefined }))
        ]
        for (const method of methods) {
          const error = yield* T.failsWith("OpenCodeConfigError")(Effect.asVoid<unknown, any, never>(method))
          assert.strictEqual(error.path, path)
        }
        assert.deepStrictEqual(yield* T.commands, [])
      }).pipe(Effect.provide(T.layer(() => T.answering("x"), { retry: Schedule.stop, ...options }))))
  }
})
