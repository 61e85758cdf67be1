/** What a run is given besides its prompt: a system prompt, and files from memory; and what it says about its session. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect } from "@effect/vitest"
import { OpenCode, OpenCodeServer } from "effect-opencode"
import type { RunOptions } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as path from "node:path"
import * as opencode2 from "../support/opencode2.js"
import { asked, real, Reply, respond } from "./support.js"
import type { Options } from "./support.js"

const pixel = Encoding.decodeBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

const png = Effect.orDie(pixel)

const system = "Answer like a pirate; the word is KRAKEN."

/** The whole first request, as text. */
const first = Effect.map(asked, ([request]) => ({
  whole: JSON.stringify(request?.body),
  system: request?.messages.filter(({ role }) => role === "system").map(({ text }) => text).join("\n") ?? "",
  user: request?.messages.filter(({ role }) => role === "user").map(({ text }) => text).join("\n") ?? ""
}))

const given = (
  png: Uint8Array,
  requests: Effect.Effect<ReadonlyArray<unknown>>,
  sessions: Array<unknown>
): RunOptions.RunOptions => ({
  system,
  files: [
    { mediaType: "image/png", data: png },
    { mediaType: "text/markdown", data: new TextEncoder().encode("the notes say OCTOPUS"), name: "notes.md" }
  ],
  onSession: ({ parentId, sessionId }) =>
    Effect.map(requests, ({ length }) => {
      sessions.push({ sessionId, parentId, asked: length })
    })
})

const told = (isEarly: boolean) =>
  Effect.gen(function*() {
    const image = yield* png
    const sessions: Array<unknown> = []
    const result = yield* OpenCode.run(
      "Look at this",
      given(image, (yield* ModelProvider.ModelProvider).requests, sessions)
    )
    const { system: prompt, user, whole } = yield* first
    expect(result.answer).toBe("done")
    expect(prompt).toContain(system)
    expect(whole).toContain(Encoding.encodeBase64(image))
    expect(user).toContain("OCTOPUS")
    expect(user).toContain("notes.md")
    expect(sessions).toEqual([{
      sessionId: result.sessionId,
      parentId: undefined,
      ...(isEarly ? { asked: 0 } : { asked: 1 })
    }])
    return result
  })

const images: Options = { images: true }

describe("a system prompt and files from memory", () => {
  real("reach the model by a process, next to the instructions of the project", (box) =>
    Effect.gen(function*() {
      fs.writeFileSync(path.join(box.work, "RULES.md"), "the project says NARWHAL")
      fs.writeFileSync(path.join(box.work, "opencode.json"), JSON.stringify({ instructions: ["RULES.md"] }))
      yield* told(false)
      expect((yield* first).system).toContain("NARWHAL")
    }), images)

  real(
    "reach the model by a server, which names its model and its sessions before they ask",
    (box) =>
      Effect.gen(function*() {
        const { runConfig } = yield* ModelProvider.ModelProvider
        const server = OpenCodeServer.layer({ defaults: { ...runConfig, cwd: box.work, title: "Scripted" } })
        yield* Effect.gen(function*() {
          const result = yield* told(true)
          expect(result.model).toBe("fake/m1")
          yield* respond(({ messages, step }) =>
            messages.some(({ text }) => text.includes("inner")) && !messages.some(({ text }) => text.includes("outer"))
              ? Reply.text("inner done")
              : step === 0
              ? Reply.toolCalls([{
                name: "task",
                arguments: { description: "inner", prompt: "inner", subagent_type: "general" }
              }])
              : Reply.text("outer done")
          )
          const sessions: Array<RunOptions.SessionStarted> = []
          const outer = yield* OpenCode.run("outer", {
            permission: { task: "allow" },
            onSession: (session) => Effect.sync(() => void sessions.push(session))
          })
          expect(outer.answer).toBe("outer done")
          expect(sessions).toMatchObject([
            { sessionId: outer.sessionId, parentId: undefined, runId: outer.runId, attempt: 1 },
            { parentId: outer.sessionId }
          ])
          // The next prompt does not remember it.
          expect((yield* asked).at(-1)?.messages.map(({ text }) => text).join("\n")).not.toContain("KRAKEN")
        }).pipe(Effect.provide(server.pipe(Layer.provide([NodeContext.layer, NodeHttpClient.layer]))))
      }),
    { ...images, timeout: 300_000 }
  )
})

describe.skipIf(opencode2.binary === undefined)(`OpenCode 2${opencode2.why}`, () => {
  real("gets a system prompt and files from memory, and names its model and its session", () =>
    Effect.gen(function*() {
      const result = yield* told(true)
      expect(result.model).toBe("fake/m1")
    }), { ...images, client: { binary: opencode2.binary, version: opencode2.version } })
})
