import { describe, expect } from "@effect/vitest"
import { Conversation, OpenCode, RunEvent } from "effect-opencode"
import type { ModelProvider } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import * as support from "./support.js"

const { Reply } = support

/** The user's messages in a request to the model. */
const said = (request: ModelProvider.ProviderRequest): ReadonlyArray<string> =>
  request.messages.filter(({ role }) => role === "user").map(({ text }) => text)

const echo: ModelProvider.Respond = (request) => Reply.text(`answer to ${request.prompt.trim()}`)

describe("Session", () => {
  support.real(
    "turns share one conversation, one after the other in order; a fork does not disturb it; nothing is left",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session()
        expect(yield* session.id).toBeUndefined()
        const first = yield* session.run("one")
        const [second, third] = yield* Effect.forEach(["two", "three"], (prompt) =>
          Effect.tap(Effect.fork(session.run(prompt)), Effect.yieldNow())).pipe(
            Effect.flatMap(Effect.forEach(Fiber.join))
          )
        expect(third!.sessionId).toBe(first.sessionId)
        expect(second!.sessionId).toBe(first.sessionId)
        expect(yield* session.id).toBe(first.sessionId)

        const branch = yield* session.fork()
        const fourth = yield* branch.run("four")
        expect(fourth.sessionId).not.toBe(first.sessionId)
        yield* session.run("five")
        const message = second!.events.at(-1)!
        const earlier = yield* session.fork({ after: "messageId" in message ? message.messageId : undefined })
        const sixth = yield* earlier.run("six")
        expect(
          new Set([first, fourth, sixth].map(({ sessionId }) =>
            sessionId
          )).size
        ).toBe(3)

        const requests = yield* support.asked
        expect(requests.map((request) => said(request).length)).toEqual([1, 2, 3, 4, 4, 3])
        expect(said(requests[5]!).map((text) => text.trim())).toEqual(["one", "two", "six"])
        expect(said(requests[2]!)[2]).toContain("three")
        expect(said(requests[3]!)[3]).toContain("four")
        // The trunk has not heard what was said on the branch.
        expect(said(requests[4]!).join()).not.toContain("four")

        const trunk = yield* session.export()
        expect(trunk.info.id).toBe(first.sessionId)
        expect(Conversation.answer(trunk)).toContain("answer to five")
        expect(Conversation.lastTurn(trunk).map((event) => event._tag)).toEqual(["StepStart", "Text", "StepFinish"])
        const usage = yield* session.usage
        expect(usage.steps).toBe(4)
        expect(usage.usage).toEqual(Conversation.spent(trunk).usage)
        expect(usage.cost).toBeCloseTo(Conversation.spent(trunk).cost, 10)
      })),
    { respond: echo }
  )

  support.real("a kept session goes on through another layer, by its location", (box) => {
    const directory = path.join(box.root, "kept")
    return Effect.gen(function*() {
      const location = yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session()
        yield* Stream.runDrain(Stream.filter(session.stream("one"), RunEvent.is("Text")))
        return {
          sessionId: yield* session.id,
          directory: session.directory,
          cwd: session.cwd
        }
      }))
      expect(location.directory).toBe(directory)
      const result = yield* Effect.scoped(
        Effect.flatMap(OpenCode.resume(location), (session) => session.run("two"))
      ).pipe(Effect.provide(support.services(box, { respond: echo })))
      expect(result.sessionId).toBe(location.sessionId)
      expect(fs.existsSync(path.join(directory, "opencode", "opencode.db"))).toBe(true)
      const refused = yield* support.failing("OpenCodeConfigError")(Effect.scoped(OpenCode.resume({ directory })))
      expect(refused.path).toBe("sessionId")
    })
  }, { respond: echo, client: (box) => ({ isolation: { directory: path.join(box.root, "kept") } }) })

  support.real("an interrupted turn leaves the session usable", () =>
    Effect.scoped(Effect.gen(function*() {
      const session = yield* OpenCode.session()
      yield* session.run("one")
      const { asked, respond } = yield* support.announcing(Reply.never)
      yield* support.respond(respond)
      const turn = yield* Effect.fork(session.run("two"))
      yield* support.during(asked, turn)
      yield* Fiber.interrupt(turn)
      yield* support.respond(echo)
      expect((yield* session.run("three")).text).toContain("answer to three")
    })), { respond: echo })

  support.real("usage \"deep\" adds what sub-agents have spent", () =>
    Effect.gen(function*() {
      const deep = yield* support.run("go", { usage: "deep" })
      expect(deep.steps).toBe(2)
      // The two steps of the parent, which are all that the run prints, and one of the sub-agent.
      const flat = deep.events.filter(RunEvent.is("StepFinish"))
      expect(flat.map(({ tokens }) => tokens.total)).toEqual([120, 120])
      expect(deep.usage.total).toBe(360)
      expect(deep.cost).toBeCloseTo(flat.reduce((sum, { cost }) => sum + cost, 0) * 1.5, 10)
    }), {
    respond: (request) =>
      request.prompt.includes("the child")
        ? Reply.text("from below")
        : request.step === 0
        ? Reply.toolCalls([{
          name: "task",
          arguments: { description: "d", prompt: "You are the child", subagent_type: "general" }
        }])
        : Reply.text("done")
  })
})
