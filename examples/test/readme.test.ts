/**
 * Runs every program of examples/readme unchanged: `runMain` hands the program over instead of starting it, and the
 * processes that it starts are scripted.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Exit, Layer, Option } from "effect"
import type { OpenCodeError } from "effect-opencode"
import { MockCommandExecutor } from "effect-opencode-testing"
import { afterEach, vi } from "vitest"
import { handedOver, keeping } from "./support/program.js"

const { exit, lines, script, stderr, stdout } = MockCommandExecutor

interface Harness {
  main: Effect.Effect<unknown, unknown> | undefined
  /** Scripts for the runs in the order of their start; `undefined` for real processes. */
  scripts: ReadonlyArray<MockCommandExecutor.Script> | undefined
  commands: Array<MockCommandExecutor.RecordedCommand>
}

const harness: Harness = vi.hoisted(() => ({ main: undefined, scripts: undefined, commands: [] }))

vi.mock("@effect/platform-node", async (importOriginal) => {
  const original = await importOriginal<typeof import("@effect/platform-node")>()
  const { replaced } = await import("./support/program.js")
  const context = Layer.suspend(() => {
    const scripts = harness.scripts
    if (scripts === undefined) return original.NodeContext.layer
    let started = 0
    const executor = MockCommandExecutor.layer((command) => {
      if (command.args.includes("--version")) return script(stdout("1.18.33\n"))
      if (command.args[0] !== "run") return script()
      harness.commands.push(command)
      return scripts[started++] ?? script(stderr("there is no script for this run"), exit(1))
    })
    return Layer.merge(original.NodeContext.layer, executor)
  })
  return replaced(original, harness, () => context)
})

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

const text = (text: string) => ({ type: "text", part: { text } })

const finish = (reason: string, cost = 0.01) => ({
  type: "step_finish",
  part: { reason, cost, tokens: { input: 900, output: 100, total: 1000 } }
})

const answer = (words: string) => script(lines([text(words), finish("stop")]), exit(0))

/** Imports a program, which does not start it yet, and then runs it. */
const run = (
  load: () => Promise<unknown>,
  scripts: ReadonlyArray<MockCommandExecutor.Script> | undefined,
  environment: ReadonlyArray<readonly [string, string]> = []
) =>
  Effect.gen(function*() {
    harness.main = undefined
    harness.commands = []
    harness.scripts = scripts
    yield* Effect.promise(load)
    expect(harness.main).toBeDefined()
    const printed: Array<string> = []
    const exit = yield* Effect.exit(handedOver(harness)).pipe(
      Effect.withConsole(keeping(printed)),
      Effect.withConfigProvider(
        ConfigProvider.orElse(ConfigProvider.fromMap(new Map(environment)), () => ConfigProvider.fromEnv())
      )
    )
    return { exit, printed, commands: harness.commands }
  })

describe("the programs of the README", () => {
  afterEach(() => {
    vi.resetModules()
  })

  it.live("quick start", () =>
    Effect.gen(function*() {
      const { commands, exit, printed } = yield* run(() => import("../readme/quick-start.js"), [answer("Hello.")])
      expect(exit).toEqual(Exit.void)
      expect(printed).toEqual(["Hello.", "1 steps, 1000 tokens, $0.01"])
      expect(commands[0]?.args).toEqual([
        "run",
        "--format",
        "json",
        "--print-logs",
        "--log-level=ERROR",
        "--agent=build"
      ])
      expect(JSON.parse(commands[0]?.env["OPENCODE_CONFIG_CONTENT"] ?? "").permission.bash).toBe("deny")
    }))

  it.live("errors: handles a rate limit", () =>
    Effect.gen(function*() {
      const { exit } = yield* run(() => import("../readme/errors.js"), [
        script(
          lines([{ type: "error", error: { name: "APIError", data: { message: "slow down", statusCode: 429 } } }]),
          MockCommandExecutor.exit(1)
        )
      ])
      expect(Exit.isSuccess(exit)).toBe(true)
    }))

  it.live("errors: an unhandled error keeps its type and its partial facts", () =>
    Effect.gen(function*() {
      const { exit } = yield* run(() => import("../readme/errors.js"), [
        script(lines([text("half"), finish("tool-calls")]), MockCommandExecutor.exit(0))
      ])
      const { _tag, partial } = failureOf(exit) as OpenCodeError.OpenCodeIncompleteError
      expect({ _tag, text: partial.text, steps: partial.steps }).toEqual({
        _tag: "OpenCodeIncompleteError",
        text: "half",
        steps: 1
      })
    }))

  it.live("streaming", () =>
    Effect.gen(function*() {
      const { printed } = yield* run(() => import("../readme/streaming.js"), [
        script(
          lines([
            { type: "tool_use", part: { tool: "read", state: { status: "completed", input: {}, title: "a.ts" } } },
            text("Done."),
            finish("stop")
          ]),
          exit(0)
        )
      ])
      expect(printed).toEqual(["[read] a.ts", "Done.", "[step] 1000 tokens, $0.01"])
    }))

  it.live("parallel: one run fails and the others continue", () =>
    Effect.gen(function*() {
      const { commands, exit, printed } = yield* run(() => import("../readme/parallel.js"), [
        script(stderr("no"), MockCommandExecutor.exit(1)),
        ...Array.from({ length: 9 }, () => answer("A port.")),
        answer("Water.")
      ])
      expect(exit).toEqual(Exit.void)
      expect(commands).toHaveLength(11)
      expect(printed[0]).toBe("Water.")
      expect(printed[1]).toContain("exited with code 1")
      expect(printed).toHaveLength(2)
    }))

  it.live("regions: the inner region overrides the outer one", () =>
    Effect.gen(function*() {
      const { commands, printed } = yield* run(() => import("../readme/regions.js"), [answer("None."), answer("One.")])
      expect(printed).toEqual(["None.\n\nOne."])
      expect(commands.map(({ args }) => args.includes("--agent=plan"))).toEqual([true, true])
      expect(commands.map(({ args }) => args.includes("--model=anthropic/claude-haiku-4-5"))).toEqual([false, true])
    }))

  it.live("permissions", () =>
    Effect.gen(function*() {
      const { commands, printed } = yield* run(() => import("../readme/permissions.js"), [answer("Written.")])
      expect(printed).toEqual(["Written."])
      expect(JSON.parse(commands[0]?.env["OPENCODE_CONFIG_CONTENT"] ?? "").permission.edit).toEqual({
        "*": "deny",
        "OUTDATED.md": "allow"
      })
    }))

  it.live("configuration", () =>
    Effect.gen(function*() {
      const { commands, printed } = yield* run(
        () => import("../readme/configuration.js"),
        [answer("Fixed.")],
        [["AGENT_MODEL", "acme/large"], ["ANTHROPIC_API_KEY", "key"]]
      )
      expect(printed).toEqual(["Fixed."])
      expect(commands[0]?.args).toContain("--model=acme/large")
      expect(commands[0]?.extendEnv).toBe(false)
      expect(commands[0]?.env["ANTHROPIC_API_KEY"]).toBe("key")
    }))

  it.live("configuration: reports a missing value before anything runs", () =>
    Effect.gen(function*() {
      const { commands, exit } = yield* run(() => import("../readme/configuration.js"), [answer("Fixed.")])
      expect(String(exit)).toContain("AGENT_MODEL")
      expect(commands).toEqual([])
    }))

  it.live("provider: the real OpenCode with the scripted model", () =>
    Effect.gen(function*() {
      const { exit, printed } = yield* run(() => import("../readme/provider.js"), undefined)
      expect(exit).toEqual(Exit.void)
      expect(printed).toEqual(["It is a JavaScript project."])
    }))
})
