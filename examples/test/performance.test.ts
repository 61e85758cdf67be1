/** Runs the programs of docs/performance.md unchanged, with scripted processes. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HostEnvironment } from "effect-opencode"
import { MockCommandExecutor } from "effect-opencode-testing"
import { vi } from "vitest"
import { handedOver, keeping } from "./support/program.js"

const { exit, lines, script, stdout } = MockCommandExecutor

const harness: { main: Effect.Effect<unknown, unknown> | undefined; commands: Array<ReadonlyArray<string>> } = vi
  .hoisted(
    () => ({ main: undefined, commands: [] })
  )

const answer = script(
  lines([
    { type: "tool_use", part: { tool: "read", state: { status: "completed", input: {} } } },
    { type: "text", part: { text: "No." } },
    { type: "step_finish", part: { reason: "stop", cost: 0.01, tokens: { input: 1, output: 1, total: 2 } } }
  ]),
  exit(0)
)

vi.mock("@effect/platform-node", async (importOriginal) => {
  const original = await importOriginal<typeof import("@effect/platform-node")>()
  const { replaced } = await import("./support/program.js")
  const executor = MockCommandExecutor.layer((command) => {
    if (command.args.includes("--version")) return script(stdout("1.18.33\n"))
    harness.commands.push(command.args)
    return answer
  })
  return replaced(original, harness, (node) => Layer.merge(node, executor))
})

/** What a program printed. */
const run = (load: () => Promise<unknown>) =>
  Effect.gen(function*() {
    harness.commands = []
    yield* Effect.promise(load)
    const printed: Array<string> = []
    yield* Effect.withConsole(handedOver(harness), keeping(printed)).pipe(
      // Any executable file will do: it is never started.
      Effect.provideService(
        HostEnvironment.HostEnvironment,
        HostEnvironment.fromVariables({ ...process.env, OPENCODE_BINARY: process.execPath })
      )
    )
    return printed
  })

describe("the programs of docs/performance.md", () => {
  it.live("consumers", () =>
    Effect.gen(function*() {
      expect(yield* run(() => import("../performance/consumers.js"))).toEqual(["1", "read", "3"])
      expect(harness.commands).toHaveLength(3)
    }))

  it.live("fleet", () =>
    Effect.gen(function*() {
      expect(yield* run(() => import("../performance/fleet.js"))).toEqual(["$0.40"])
      expect(harness.commands).toHaveLength(40)
      for (const args of harness.commands) expect(args.join(" ")).toMatch(/--title=effect-opencode \w+/)
    }))
})
