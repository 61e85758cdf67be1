import { describe, expect } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { announcing, asked, during, leader, processes, real, Reply, respond, run, steps } from "./support.js"

const dataOf = (environment: string) => /(?:^|\0)XDG_DATA_HOME=([^\0]*)/.exec(environment)?.[1]

describe("isolation", () => {
  real("lets two runs work at once without a trace of each other", (box) =>
    Effect.gen(function*() {
      const both = yield* Deferred.make<void>()
      const data: Array<string | undefined> = []
      yield* respond((request) =>
        Effect.gen(function*() {
          if (request.index === 1) {
            for (const { environment, parent } of processes(box)) {
              if (parent === process.pid) data.push(dataOf(environment))
            }
            yield* Deferred.succeed(both, undefined)
          }
          yield* Deferred.await(both)
          return Reply.text(`answer to ${request.prompt}`)
        })
      )
      const [first, second] = yield* Effect.all([run("first"), run("second")], { concurrency: 2 })
      expect([first.text, second.text]).toEqual(["answer to first", "answer to second"])
      expect(first.sessionId).not.toBe(second.sessionId)
      expect(data.map((directory) => directory?.startsWith(box.tmp))).toEqual([true, true])
      expect(new Set(data).size).toBe(2)
      expect(fs.readdirSync(box.home)).not.toContain("opencode.db")
      for (const { messages, prompt } of yield* asked) {
        expect(messages.filter(({ role }) => role === "user").map(({ text }) => text)).toEqual([prompt])
      }
    }))

  real("loses none of eight runs on one fresh data directory", () =>
    Effect.gen(function*() {
      yield* respond((request) => Reply.text(`answer to ${request.prompt}`))
      const prompts = Array.from({ length: 8 }, (_, index) => `prompt${index}`)
      const results = yield* Effect.forEach(prompts, (prompt) => run(prompt), { concurrency: "unbounded" })
      expect(results.map(({ text }) => text)).toEqual(prompts.map((prompt) => `answer to ${prompt}`))
      expect(new Set(results.map(({ sessionId }) => sessionId)).size).toBe(8)
    }), { client: (box) => ({ isolation: { directory: box.data } }) })

  real("goes on in a session that is kept", (box) =>
    Effect.gen(function*() {
      yield* respond((request) => Reply.text(`answer to ${request.prompt}`))
      const first = yield* run("My name is Ada")
      const second = yield* run("What is my name?", { sessionId: first.sessionId })
      const third = yield* run("And again?", { continueSession: true, fork: true })
      expect(second.sessionId).toBe(first.sessionId)
      expect(third.sessionId).not.toBe(first.sessionId)
      const conversation = ((yield* asked)[2]?.messages ?? []).filter(({ role }) => role !== "system")
      expect(conversation.map(({ role, text }) => `${role}: ${text}`)).toEqual([
        "user: My name is Ada",
        "assistant: answer to My name is Ada",
        "user: What is my name?",
        "assistant: answer to What is my name?",
        "user: And again?"
      ])
      expect(fs.existsSync(path.join(box.data, "opencode", "opencode.db"))).toBe(true)
    }), { client: (box) => ({ isolation: "none", defaults: { extraEnv: { XDG_DATA_HOME: box.data } } }) })

  real("uses the stored credentials", (box) =>
    Effect.gen(function*() {
      const stored = path.join(box.home, ".local", "share", "opencode", "auth.json")
      fs.mkdirSync(path.dirname(stored), { recursive: true })
      fs.writeFileSync(stored, JSON.stringify({ fake: { type: "api", key: "stored-key" } }))
      const { asked: arrived, respond: answer } = yield* announcing(Reply.never)
      yield* respond(answer)
      // Nothing in the configuration may carry a key, or it would win.
      const running = yield* Effect.fork(run("Who am I?", {
        configOverrides: { provider: { fake: { options: { apiKey: undefined } } } }
      }))
      yield* during(arrived, running)
      expect((yield* asked)[0]?.authorization).toBe("Bearer stored-key")
      expect(dataOf(leader(box).environment)?.startsWith(box.tmp)).toBe(true)
      yield* running.interruptAsFork(running.id())
      yield* running.await
    }), { respond: steps([]) })
})
