import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Schema } from "effect"
import type { OpenCode } from "effect-opencode"
import { Events, OpenCodeTest } from "effect-opencode-testing"
import { Job, Outcome, review, work } from "../encoding/remote.js"

const { Reply } = OpenCodeTest

const environment = Layer.setConfigProvider(ConfigProvider.fromMap(new Map([["ANTHROPIC_API_KEY", "canary-key"]])))

/** Keeps what goes over the line, both ways. */
const line = Effect.map(Effect.context<OpenCode.OpenCode>(), (context) => {
  const texts: Array<string> = []
  const send = (message: string) =>
    work(message).pipe(
      Effect.tap((reply) => Effect.sync(() => void texts.push(message, reply))),
      Effect.provide(context),
      Effect.orDie
    )
  return { texts, send }
})

describe("examples/encoding", () => {
  it.effect("remote.ts sends a run, its options and its result", () =>
    Effect.gen(function*() {
      const { send, texts } = yield* line
      expect(yield* review("src/", send)).toBe("Looks good.")

      const [message = "", reply = ""] = texts
      expect(JSON.parse(message)).toMatchObject({
        options: { timeout: 600_000, budget: { cost: 1, steps: "Infinity" } }
      })
      expect(JSON.parse(reply)).toMatchObject({ _tag: "Success", value: { answer: "Looks good.", events: [] } })
      expect(message + reply).not.toContain("canary-key")

      const { calls } = yield* OpenCodeTest.OpenCodeTest
      const [call] = yield* calls
      expect(String(call?.options.extraEnv?.["ANTHROPIC_API_KEY"])).toBe("<redacted>")
      expect(call?.options.budget).toEqual({ cost: 1, steps: Infinity })
    }).pipe(Effect.provide(Layer.merge(OpenCodeTest.layer({ "Review src/": "Looks good." }), environment))))

  it.effect("remote.ts catches an error of the run by its tag", () =>
    Effect.gen(function*() {
      const { send, texts } = yield* line
      expect(yield* review("src/", send)).toMatch(/^stopped at \$1.5: It is long/)
      const [, reply = ""] = texts
      expect(reply).not.toContain("events")
    }).pipe(Effect.provide(Layer.merge(
      OpenCodeTest.layer({ "Review src/": Reply.events([Events.text("It is long."), Events.finish({ cost: 1.5 })]) }),
      environment
    ))))

  it.effect("remote.ts refuses a message with an unknown option", () =>
    Effect.gen(function*() {
      const message = JSON.stringify({ prompt: "x", options: { timeOut: 1 }, secrets: [] })
      expect((yield* Effect.flip(Schema.decode(Job)(message))).message).toContain("timeOut")
      expect((yield* Effect.flip(Schema.decode(Outcome)("{}")))._tag).toBe("ParseError")
    }))
})
