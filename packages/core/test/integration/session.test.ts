import { describe, expect } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { Conversation, OpenCode, RunEvent } from "effect-opencode"
import type { ModelProvider } from "effect-opencode-testing"
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
    "turns share one conversation, a fork does not disturb it, and nothing remains",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session()
        expect(yield* session.id).toBeUndefined()
        const first = yield* session.run("one")
        const second = yield* session.run("two")
        expect(second.sessionId).toBe(first.sessionId)
        expect(yield* session.id).toBe(first.sessionId)

        const branch = yield* session.fork()
        const third = yield* branch.run("three")
        expect(third.sessionId).not.toBe(first.sessionId)
        yield* session.run("four")

        const requests = yield* support.asked
        expect(requests.map((request) => said(request).length)).toEqual([1, 2, 3, 3])
        expect(said(requests[2]!)[2]).toContain("three")
        // The trunk did not receive the branch's prompt.
        expect(said(requests[3]!).join()).not.toContain("three")

        const trunk = yield* session.export()
        expect(trunk.info.id).toBe(first.sessionId)
        expect(Conversation.answer(trunk)).toContain("answer to four")
        expect(Conversation.lastTurn(trunk).map((event) => event._tag)).toEqual(["StepStart", "Text", "StepFinish"])
        const usage = yield* session.usage
        expect(usage.steps).toBe(3)
        expect(usage.usage).toEqual(Conversation.spent(trunk).usage)
        expect(usage.cost).toBeCloseTo(Conversation.spent(trunk).cost, 10)
      })),
    { respond: echo }
  )

  support.real("turns of one session wait for each other, in order", () =>
    Effect.scoped(Effect.gen(function*() {
      const session = yield* OpenCode.session()
      yield* session.run("one")
      const turns = yield* Effect.forEach(["two", "three"], (prompt) =>
        Effect.tap(Effect.fork(session.run(prompt)), Effect.yieldNow()))
      yield* Effect.forEach(turns, Fiber.join)
      expect((yield* support.asked).map((request) =>
        said(request).length
      )).toEqual([1, 2, 3])
      expect(said((yield* support.asked)[2]!).at(-1)).toContain("three")
    })), { respond: echo })

  support.real("a kept session continues in another layer, by its location", (box) => {
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

  support.real("runSchema returns a wrong answer to the agent, in the same session", () =>
    Effect.gen(function*() {
      const Answer = Schema.Struct({ count: Schema.Int, on: Schema.Date })
      const { result, value } = yield* OpenCode.runSchema(Answer, "How many?")
      expect(value).toEqual({ count: 3, on: new Date("2026-01-02T00:00:00.000Z") })
      expect(result.steps).toBe(2)
      const requests = yield* support.asked
      expect(requests.map((request) => said(request).length)).toEqual([1, 2])
      expect(said(requests[0]!)[0]).toContain("How many?")
      expect(said(requests[1]!)[1]).toContain("count")

      yield* support.respond(() => Reply.text("I do not know"))
      const error = yield* support.failing("OpenCodeOutputError")(
        OpenCode.runSchema(Answer, "How many?", { repairs: 1 })
      )
      expect(error.answer).toBe("I do not know")
      const budget = yield* support.failing("OpenCodeBudgetError")(
        OpenCode.runSchema(Answer, "How many?", { budget: { steps: 1 } })
      )
      expect(budget.partial?.text).toBe("I do not know")
    }), {
    respond: (request) =>
      request.messages.filter(({ role }) => role === "user").length === 1
        ? Reply.text("There are ```json\n{\"count\": \"three\", \"on\": \"2026-01-02\"}\n```")
        : Reply.text("```json\n{\"count\": 3, \"on\": \"2026-01-02\"}\n```")
  })

  support.real("usage \"deep\" adds the spending of sub-agents", () =>
    Effect.gen(function*() {
      const flat = yield* support.run("go")
      const deep = yield* support.run("go", { usage: "deep" })
      expect(flat.steps).toBe(2)
      expect(deep.steps).toBe(2)
      expect(deep.usage.total).toBe(flat.usage.total + flat.usage.total / 2)
      expect(deep.cost).toBeCloseTo(flat.cost * 1.5, 10)
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
