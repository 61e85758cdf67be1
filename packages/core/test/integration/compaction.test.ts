/**
 * The real binary compacts its context, because of what a step has used or because the provider refuses the
 * conversation, and goes on by itself: its words then are no answer, and the model may think as long as it likes.
 */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { OpenCode, RunEvent } from "effect-opencode"
import { compacting, overflowing, real, respond, run } from "./support.js"

describe("a compaction of the real binary", () => {
  real("after a step that has used too much", () =>
    Effect.gen(function*() {
      yield* respond(compacting)
      const result = yield* run("Work", { exitGrace: "2 seconds" })
      expect(result).toMatchObject({ text: "FINAL", exitCode: 0, forced: false, steps: 3, finishReason: "stop" })
      const texts = result.events.filter(RunEvent.is("Text"))
      expect(texts.map(({ synthetic, text }) => [synthetic, text.slice(0, 8)])).toEqual([
        [undefined, "SUMMARY"],
        [true, "Continue"],
        [undefined, "FINAL"]
      ])
      expect(result.answer).toBe("FINAL")
    }))

  real(
    "after an overflow, where it sends the prompt once more without a word",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session()
        yield* session.run("First")
        yield* respond(overflowing)
        const result = yield* session.run("Second", { exitGrace: "2 seconds" })
        expect(result).toMatchObject({ text: "FINAL", exitCode: 1, forced: false, steps: 2 })
        expect(result.events.filter(RunEvent.is("SessionError"))).toMatchObject([{ name: "ContextOverflowError" }])
      }))
  )
})
