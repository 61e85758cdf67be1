/** Runs every program of examples/ai unchanged: `runMain` hands the program over, and a stand-in answers for OpenCode. */
import { describe, expect, it } from "@effect/vitest"
import { type Console, Effect, Layer } from "effect"
import { OpenCodeLanguageModel } from "effect-opencode-ai"
import { Events, OpenCodeTest } from "effect-opencode-testing"
import { vi } from "vitest"

const { Failure, Reply } = OpenCodeTest

interface Harness {
  main: Effect.Effect<unknown, unknown> | undefined
  respond: OpenCodeTest.Respond
}

const harness: Harness = vi.hoisted(() => ({ main: undefined, respond: () => undefined }))

vi.mock("@effect/platform-node", async (importOriginal) => {
  const original = await importOriginal<typeof import("@effect/platform-node")>()
  const hand = (main: unknown) => Effect.isEffect(main) ? void (harness.main = main as never) : hand
  return { ...original, NodeRuntime: { ...original.NodeRuntime, runMain: hand } }
})

vi.mock("effect-opencode", async (importOriginal) => {
  const original = await importOriginal<typeof import("effect-opencode")>()
  const layer = () => Layer.suspend(() => OpenCodeTest.layer((call) => harness.respond(call)))
  return {
    ...original,
    OpenCode: { ...original.OpenCode, layer },
    OpenCodeServer: { ...original.OpenCodeServer, layer }
  }
})

/** What a program prints. */
const printed = (respond: OpenCodeTest.Respond, program: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const log = (...args: ReadonlyArray<unknown>) => Effect.sync(() => void lines.push(args.map(String).join(" ")))
    harness.respond = respond
    yield* Effect.withConsole(program, { log, error: log } as unknown as Console.Console)
    return lines
  })

const load = (file: () => Promise<unknown>) =>
  Effect.gen(function*() {
    harness.main = undefined
    vi.resetModules()
    yield* Effect.promise(file)
    return harness.main!
  })

describe("examples/ai", () => {
  it.effect("quick-start.ts prints the review, or the status of the provider", () =>
    Effect.gen(function*() {
      const program = yield* load(() => import("../ai/quick-start.js"))
      const seen: Array<OpenCodeTest.Call> = []
      const lines = yield* printed((call) => {
        seen.push(call)
        return "I have read it.\n{\"verdict\":\"approve\",\"reasons\":[\"small\",\"tested\"]}"
      }, program)
      expect(lines).toEqual(["approve small,tested 120"])
      expect(seen[0]?.options).toMatchObject({ model: "openai/gpt-5", permission: { edit: "deny" } })
      expect(yield* printed(() => Reply.events([Events.error({ message: "slow down", statusCode: 429 })]), program))
        .toEqual(["the provider said 429"])
    }))

  it.effect("chat.ts continues its session, and says what a slow agent has said", () =>
    Effect.gen(function*() {
      const program = yield* load(() => import("../ai/chat.js"))
      const prompts: Array<string> = []
      const lines = yield* printed((call) => {
        prompts.push(call.prompt)
        return call.index === 0 ? "First this, then that." : "Done."
      }, program)
      expect(lines).toEqual(["First this, then that.", "Done."])
      expect(prompts).toEqual(["Plan how to split src/server.ts.", "Do the first step."])
      expect(yield* printed(() => Reply.fail(Failure.timeout({ partial: { text: "I began." } })), program)).toEqual([
        "too slow, but said: I began."
      ])
    }))

  it.effect("tools.ts prints the commands of the agent", () =>
    Effect.gen(function*() {
      const { program } = yield* Effect.promise(() => import("../ai/tools.js"))
      const bash = Events.tool({
        tool: "bash",
        input: { command: "npm test", description: "Test" },
        output: "1 failed"
      })
      const answer = () => Reply.events([Events.turn(bash), Events.turn("The first one.")])
      const live = Layer.provide(OpenCodeLanguageModel.layer(), OpenCodeTest.layer(answer))
      expect(yield* printed(answer, Effect.provide(program, live))).toEqual(["npm test"])
    }))
})
