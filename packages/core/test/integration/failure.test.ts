import { describe, expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { asked, bash, failing, real, Reply, run, steps, tags } from "./support.js"

const forbidden = steps([bash("touch forbidden"), Reply.text("done")])

describe("a typed failure is returned", () => {
  for (const [name, agent] of [["an unknown agent", "nope"], ["a sub-agent", "general"]] as const) {
    real(`for ${name}, without waiting for the default agent, which starts in its place`, () =>
      Effect.gen(function*() {
        const error = yield* run("Write", { agent }).pipe(failing("OpenCodeConfigError"))
        expect(error.path).toBe("agent")
        expect(error.reason).toContain(agent)
      }), { respond: () => Reply.never })
  }

  real("for an unknown model", () =>
    Effect.gen(function*() {
      const error = yield* run("Hello", { model: "fake/nope" }).pipe(failing("OpenCodeSessionError"))
      expect(error.kind).toBe("model-not-found")
      expect(error.message).toContain("opencode models")
      expect(yield* asked).toEqual([])
    }))

  real("for a rejected permission", (box) =>
    Effect.gen(function*() {
      const error = yield* run("Write", { extraEnv: { OPENCODE_PERMISSION: "{\"bash\":\"ask\"}" } }).pipe(
        failing("OpenCodePermissionError")
      )
      expect(error).toMatchObject({ permission: "bash", patterns: ["touch forbidden"] })
      expect(error.partial).toMatchObject({ steps: 1, survivors: [] })
      expect(error.partial.sessionId).toMatch(/^ses_/)
      expect([...tags(error.partial.events)].sort()).toEqual([
        "PermissionRejected",
        "StepFinish",
        "StepStart",
        "ToolUse"
      ])
      expect(fs.readdirSync(box.work)).toEqual([])
    }), { respond: forbidden })

  real("for a provider that never finishes a turn", () =>
    Effect.gen(function*() {
      const error = yield* run("Hello", { budget: { steps: 2 } }).pipe(failing("OpenCodeBudgetError"))
      expect(error).toMatchObject({ scope: "run", limit: "steps", max: 2, reached: 3, partial: { survivors: [] } })
      expect(error.partial?.text).toBe("and \n\nand ")
    }), { respond: ({ index }) => index < 2 ? Reply.noFinishReason("and ") : Reply.stall("and ") })

  real("for a provider with repeated failures", () =>
    Effect.gen(function*() {
      const error = yield* run("Hello", { maxProviderRetries: 2 }).pipe(failing("OpenCodeSessionError"))
      expect(error).toMatchObject({ kind: "rate-limit", retryable: true, providerRetries: 2 })
      expect(error.partial.events?.map((event) => event._tag === "ProviderRetry" && event.attempt)).toEqual([1, 2])
    }), {
    respond: ({ index }) =>
      index < 2 ? Reply.httpError(429, { error: { message: "rate limited" } }, { "retry-after": "1" }) : Reply.never
  })

  real("for a context overflow", () =>
    Effect.gen(function*() {
      const error = yield* run("Hello").pipe(failing("OpenCodeSessionError"))
      expect(error).toMatchObject({ kind: "context-overflow" })
    }), { respond: () => Reply.httpError(413) })

  real("for a malformed stream", () =>
    Effect.gen(function*() {
      const error = yield* run("Hello").pipe(failing("OpenCodeSessionError"))
      expect(error).toMatchObject({ kind: "other", errorName: "UnknownError", partial: { eventCount: 2 } })
    }), { respond: () => Reply.malformed("so far") })

  real("for a missing session", () =>
    Effect.gen(function*() {
      const error = yield* run("Hello", { sessionId: "ses_0000000000000000000000nope" }).pipe(
        failing("OpenCodeProcessError")
      )
      expect(error).toMatchObject({ exitCode: 1, partial: { eventCount: 0 } })
      expect(error.hint).toContain("session does not exist")
    }), { client: (box) => ({ isolation: { directory: box.data } }) })

  real("for a damaged database", (box) =>
    Effect.gen(function*() {
      fs.mkdirSync(path.join(box.data, "opencode"))
      fs.writeFileSync(path.join(box.data, "opencode", "opencode.db"), "no database ".repeat(1000))
      const error = yield* run("Hello").pipe(failing("OpenCodeProcessError"))
      expect(error).toMatchObject({ exitCode: 1, partial: { eventCount: 0, attempts: 1 } })
      expect(error.hint).toContain("damaged")
    }), { client: (box) => ({ isolation: { directory: box.data } }) })
})
