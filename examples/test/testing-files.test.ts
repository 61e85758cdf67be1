import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { OpenCode } from "effect-opencode"
import { OpenCodeTest } from "effect-opencode-testing"

// #region await
const reviewRules = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const rules = yield* fs.readFileString("package.json")
  return yield* OpenCode.run(`Review these rules:\n${rules}`, { timeout: "2 minutes" })
})

it.effect("stops a review that takes too long", () =>
  Effect.gen(function*() {
    const { awaitCalls } = yield* OpenCodeTest.OpenCodeTest
    const fiber = yield* Effect.fork(Effect.flip(reviewRules))
    // the file is real: without this line the clock would move before the call has begun
    yield* awaitCalls(1)
    yield* TestClock.adjust("2 minutes")
    expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "OpenCodeTimeoutError", phase: "total" })
  }).pipe(Effect.provide([OpenCodeTest.layer(() => OpenCodeTest.Reply.never), NodeContext.layer])))
// #endregion
