/**
 * The real binary compacts its context, because of the tokens that a step used or because the provider refuses the
 * conversation, and continues by itself: its own prompts do not belong to the answer, and the model may take its time.
 */
import { describe, expect } from "@effect/vitest"
import { OpenCode, RunEvent } from "effect-opencode"
import * as Effect from "effect/Effect"
import { compacting, overflowing, real, respond, run } from "./support.js"

describe("a compaction by the real binary is survived", () => {
  real("after a step that used too many tokens", () =>
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
    "after an overflow, when it repeats the prompt silently",
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
