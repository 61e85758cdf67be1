import { describe, expect } from "@effect/vitest"
import { ModelProvider } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Sandbox } from "./support.js"
import { bash, real, Reply, run, steps, tools } from "./support.js"

const list = {
  elsewhere: {
    id: "elsewhere",
    name: "Elsewhere",
    env: ["ELSEWHERE_KEY"],
    npm: "@ai-sdk/openai-compatible",
    models: { big: { id: "big", name: "Big", limit: { context: 1000, output: 1000 } } }
  },
  openai: {
    id: "openai",
    name: "OpenAI",
    env: ["OPENAI_API_KEY"],
    npm: "@ai-sdk/openai",
    models: { gpt: { id: "gpt", name: "GPT", limit: { context: 1000, output: 1000 } } }
  }
}

/** The list of models that a start finds. */
const models = (box: Sandbox) => path.join(box.home, ".cache", "opencode", "models.json")

const script = steps([
  bash("cat \"${OPENCODE_MODELS_PATH:-/dev/null}\"; echo; pwd"),
  Reply.toolCalls([{ name: "write", arguments: { filePath: "note.txt", content: "seen" } }]),
  Reply.text("looked")
])

describe("the start-up profile with the real binary", () => {
  real("changes only the title and the list of models of a run", (box) =>
    Effect.gen(function*() {
      fs.writeFileSync(models(box), JSON.stringify(list))
      const provider = yield* ModelProvider.ModelProvider
      const observe = (startupProfile: "full" | "fast") =>
        Effect.gen(function*() {
          yield* provider.respond(script)
          const before = (yield* provider.requests).length
          fs.rmSync(path.join(box.work, "note.txt"), { force: true })
          const result = yield* run("Look around", { startupProfile })
          const requests = (yield* provider.requests).slice(before)
          const calls = tools(result.events)
          return {
            models: calls[0]!.output!.trimEnd().split("\n")[0],
            titles: requests.filter(({ isTitle }) => isTitle).length,
            same: {
              text: result.text,
              finishReason: result.finishReason,
              exitCode: result.exitCode,
              steps: result.steps,
              usage: result.usage,
              cost: result.cost,
              events: result.events.map((event) => event._tag),
              fields: result.events.map((event) =>
                "raw" in event ? Object.keys(event.raw["part"] as object).sort() : []
              ),
              calls: calls.map(({ status, tool }) => `${tool} ${status}`),
              output: calls[0]!.output!.trimEnd().split("\n").slice(1),
              requests: requests.filter(({ isTitle }) => !isTitle).map(({ tools }) => tools)
            }
          }
        })
      const full = yield* observe("full")
      const fast = yield* observe("fast")
      expect(full.same.calls).toEqual(["bash completed", "write completed"])
      expect(full.same.requests[0]?.length).toBeGreaterThan(5)
      expect(fast.same).toEqual(full.same)
      expect({ models: full.models, titles: full.titles }).toEqual({ models: "", titles: 1 })
      expect({ models: JSON.parse(fast.models!), titles: fast.titles }).toEqual({
        models: { elsewhere: { ...list.elsewhere, models: {} }, openai: { ...list.openai, models: {} } },
        titles: 0
      })
    }), { client: { defaults: { title: undefined } } })

  // OpenCode's own plugin for this provider looks for it in the list, and ends the start if it is missing.
  real("starts with a login for another provider", (box) =>
    Effect.gen(function*() {
      const login = { OPENCODE_AUTH_CONTENT: JSON.stringify({ openai: { type: "api", key: "none" } }) }
      const hello = Effect.map(run("Hello", { startupProfile: "fast", extraEnv: login }), ({ text }) => text)
      // With the list that OpenCode brings, then with one that was stored.
      fs.rmSync(models(box))
      expect(yield* hello).toBe("done")
      fs.writeFileSync(models(box), JSON.stringify(list))
      expect(yield* hello).toBe("done")
    }))
})
