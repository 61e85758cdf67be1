// #region test
import { NodeContext } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { MockCommandExecutor } from "effect-opencode-testing"

const { MockCommandExecutor: Mock, awaitStdin, exit, lines, script } = MockCommandExecutor

const agent = script(
  awaitStdin,
  lines([
    { type: "text", part: { text: "Two tests fail." } },
    { type: "step_finish", part: { reason: "stop", cost: 0.01, tokens: { input: 900, output: 30 } } }
  ]),
  exit(0)
)

const TestLive = OpenCode.layer({ binary: process.execPath, version: "1.18.33" }).pipe(
  Layer.provideMerge(MockCommandExecutor.layer([agent])),
  Layer.provide(NodeContext.layer)
)

it.effect("sends the prompt through standard input and reads the answer", () =>
  Effect.gen(function*() {
    const result = yield* OpenCode.run("Which tests fail?", { model: "acme/large" })
    const [command] = yield* (yield* Mock).commands

    expect(result.answer).toBe("Two tests fail.")
    expect(result.usage.total).toBe(930)
    expect(command?.stdin).toBe("Which tests fail?")
    expect(command?.args).toContain("--model=acme/large")
  }).pipe(Effect.provide(TestLive)))
// #endregion
