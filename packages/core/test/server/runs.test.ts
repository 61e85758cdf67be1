/** Runs over a server in memory: their events and order, and how they end. */
import { assert, describe, expect, it } from "@effect/vitest"
import { FleetBudget, OpenCode, OpenCodeServer, RunConfig, Transcript } from "effect-opencode"
import type { OpenCodeError, RunEvent } from "effect-opencode"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as fs from "node:fs"
import * as path from "node:path"
import * as T from "../support/mock.js"
import * as F from "./fake.js"
import { json } from "./support.js"

const tags = (events: ReadonlyArray<RunEvent.RunEvent> | undefined) => (events ?? []).map((event) => event._tag)

const rulesOf = (session: F.Session | undefined) =>
  session?.permission.map((rule) => `${rule["permission"]} ${rule["pattern"]} ${rule["action"]}`) ?? []

const closing = ["question * deny", "plan_enter * deny", "plan_exit * deny"]

const apiError = (statusCode: number, message = "it failed") => ({
  name: "APIError",
  data: { message, statusCode, isRetryable: false }
})

/** A script that reports when it has started to work, and then waits for ever. */
const hanging = (said: string) =>
  Effect.map(Deferred.make<void>(), (begun) => ({
    begun: Deferred.await(begun),
    script: ((play) =>
      Effect.gen(function*() {
        yield* play.busy
        yield* play.stepStart
        yield* play.begin(said)
        yield* Deferred.succeed(begun, undefined)
        yield* Effect.never
      })) as F.Script
  }))

const withScripts = <A, E, R>(
  scripts: ReadonlyArray<F.Script>,
  body: Effect.Effect<A, E, R>,
  options?: Partial<OpenCodeServer.AttachOptions>
) => Effect.provide(body, F.layer(scripts, options))

describe("a run over a server", () => {
  it.effect("returns the answer", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("Say hello")
      assert.strictEqual(result.text, "hello")
      expect(result).toMatchObject({
        finishReason: "stop",
        steps: 1,
        cost: 0.25,
        forced: false,
        attempts: 1,
        stderr: ""
      })
      assert.isUndefined(result.exitCode)
      assert.deepStrictEqual(tags(result.events), ["StepStart", "Text", "StepFinish"])
      const { aborted, prompts, sessions } = yield* F.Fake
      const { work } = yield* T.Machine
      const session = sessions.get(result.sessionId!)!
      assert.strictEqual(session.directory, work)
      assert.strictEqual(session.title, "Say hello")
      assert.deepStrictEqual(rulesOf(session), closing)
      assert.deepStrictEqual(prompts[0]!.body, { parts: [{ type: "text", text: "Say hello" }] })
      assert.deepStrictEqual(aborted, [])
      // What the events have shown is not requested again.
      assert.deepStrictEqual(yield* F.requests("GET", /message$|status$/), [])
    }).pipe(Effect.provide(F.layer([F.answering("hello", ["hel", "lo"])]))))

  it.effect("passes pieces to onEvent and keeps them nowhere", () =>
    Effect.gen(function*() {
      const seen: Array<RunEvent.RunEvent> = []
      const { work } = yield* T.Machine
      const transcript = path.join(work, "run.jsonl")
      const result = yield* OpenCode.run("Say hello", {
        transcript,
        keepRaw: true,
        onEvent: (event) => Effect.sync(() => seen.push(event))
      })
      assert.deepStrictEqual(tags(seen), ["StepStart", "TextDelta", "TextDelta", "Text", "StepFinish"])
      assert.deepStrictEqual(tags(result.events), ["StepStart", "Text", "StepFinish"])
      assert.deepStrictEqual(
        result.rawLines?.map((line) => JSON.parse(line).type),
        ["step_start", "text", "step_finish"]
      )
      const recorded = yield* Transcript.read(transcript)
      expect(recorded).toMatchObject({
        runId: result.runId,
        cwd: work,
        sessionId: result.sessionId,
        directory: undefined,
        outcome: "success"
      })
      assert.deepStrictEqual(recorded.events, result.events)
    }).pipe(Effect.provide(F.layer([F.answering("hello", ["hel", "lo"])]))))

  it.effect("sends everything that a prompt can carry", () =>
    Effect.gen(function*() {
      const { prompts, sessions } = yield* F.Fake
      const { work } = yield* T.Machine
      fs.writeFileSync(path.join(work, "a.txt"), "Grüße\n")
      fs.writeFileSync(path.join(work, "b.png"), Buffer.from([0x89, 0x50, 0xff]))
      const result = yield* OpenCode.run("Look", {
        agent: "plan",
        model: "fake/vendor/m1",
        variant: "high",
        title: "A title",
        files: ["a.txt", "b.png"],
        dir: "sub",
        permission: { "*": "deny", read: "allow" }
      })
      assert.deepStrictEqual(prompts[0]!.body, {
        parts: [
          { type: "file", mime: "text/plain", url: "data:text/plain;base64,R3LDvMOfZQo=", filename: "a.txt" },
          { type: "file", mime: "image/png", url: "data:image/png;base64,iVD/", filename: "b.png" },
          { type: "text", text: "Look" }
        ],
        agent: "plan",
        model: { providerID: "fake", modelID: "vendor/m1" },
        variant: "high"
      })
      const session = sessions.get(result.sessionId!)
      assert.strictEqual(session?.title, "A title")
      assert.strictEqual(session?.directory, path.join(work, "sub"))
      assert.deepStrictEqual(rulesOf(session), ["* * deny", "read * allow", ...closing])
    }).pipe(Effect.provide(F.layer())))

  it.effect("refuses options that a server cannot apply, by name", () =>
    Effect.gen(function*() {
      const refused: ReadonlyArray<readonly [string, Parameters<typeof OpenCode.run>[1]]> = [
        ["command", { command: "review" }],
        ["attach", { attach: "http://localhost:1" }],
        ["extraEnv", { extraEnv: { A: "1" } }],
        ["pure", { pure: true }],
        ["printLogs", { printLogs: true }],
        ["cwd", { cwd: "~/project" }],
        ["cwd", { cwd: "~" }],
        ["dir", { dir: "~/project" }],
        ["files.0", { files: ["none.txt"] }],
        ["files.0", { files: ["."] }],
        ["permission.read.~/x", { permission: { read: { "~/x": "deny" } } }],
        ["permission.edit", { permission: { edit: "ask" as "deny" } }],
        ["agent", { agent: "nope" }],
        ["agent", { agent: "general" }],
        ["sessionId", { sessionId: "ses_none" }]
      ]
      for (const [path, options] of refused) {
        const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x", options))
        assert.strictEqual(error.path, path)
      }
      assert.deepStrictEqual((yield* F.Fake).prompts, [])
    }).pipe(Effect.provide(F.layer())))

  it.effect("has the budget, the fleet's budget and the provider retries of every run", () =>
    Effect.gen(function*() {
      const { aborted } = yield* F.Fake
      const error = yield* T.failsWith("OpenCodeBudgetError")(OpenCode.run("x", { budget: { steps: 1 } }))
      expect(error).toMatchObject({ scope: "run", limit: "steps", max: 1, reached: 2 })
      assert.strictEqual(aborted.length, 1)
      const retries = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x", { maxProviderRetries: 2 }))
      expect(retries).toMatchObject({ errorName: "ProviderRetryLimit", kind: "rate-limit", providerRetries: 2 })
      assert.strictEqual(aborted.length, 2)
      const fleet = yield* FleetBudget.FleetBudget
      expect(yield* fleet.spent).toMatchObject({ cost: 0.25, steps: 2 })
    }).pipe(
      Effect.provide(FleetBudget.layer({ cost: 10 })),
      Effect.provide(F.layer([
        (play) =>
          Effect.gen(function*() {
            yield* play.busy
            yield* play.stepStart
            yield* play.stepFinish("tool-calls")
            yield* play.stepStart
            yield* Effect.never
          }),
        (play) =>
          Effect.gen(function*() {
            yield* play.busy
            const retry = (attempt: number) =>
              play.tell("session.status", { status: { type: "retry", attempt, message: "Too Many Requests", next: 5 } })
            yield* retry(1)
            yield* retry(1)
            yield* retry(2)
            yield* Effect.never
          })
      ]))
    ))

  it.effect("ends on a permanent refusal by the provider, but not on a temporary one", () =>
    Effect.gen(function*() {
      const { aborted } = yield* F.Fake
      const fiber = yield* Effect.fork(T.failsWith("OpenCodeSessionError")(OpenCode.run("x")))
      const error = yield* T.advanceUntil(fiber)
      expect(error).toMatchObject({ errorName: "ProviderRefusal", kind: "quota", retryable: false, providerRetries: 1 })
      assert.strictEqual(aborted.length, 1)
      const goingOn = yield* Effect.fork(OpenCode.run("x"))
      assert.strictEqual((yield* T.advanceUntil(goingOn)).text, "hello")
    }).pipe(Effect.provide(F.layer([
      (play) =>
        Effect.gen(function*() {
          yield* play.busy
          const message = "You exceeded your current quota, please check your plan and billing details."
          yield* play.tell("session.status", { status: { type: "retry", attempt: 1, message, next: 5 } })
          yield* Effect.never
        }),
      (play) =>
        Effect.gen(function*() {
          yield* play.busy
          const message = "Quota exceeded for quota metric 'requests per minute'"
          yield* play.tell("session.status", { status: { type: "retry", attempt: 1, message, next: 5 } })
          yield* Effect.sleep("10 seconds")
          yield* play.answer("hello")
        })
    ]))))

  it.effect("counts the failures of each conversation separately, from its last finished step", () =>
    Effect.gen(function*() {
      const result = yield* OpenCode.run("x", { maxProviderRetries: 3 })
      const retries = result.events.filter((event) => event._tag === "ProviderRetry")
      assert.deepStrictEqual(retries.map(({ attempt }) => attempt), [1, 2, 3, 4, 1, 2])
      assert.strictEqual(new Set(retries.map(({ sessionId }) => sessionId)).size, 2)
      const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x", { maxProviderRetries: 3 }))
      expect(error).toMatchObject({ errorName: "ProviderRetryLimit", providerRetries: 3 })
    }).pipe(Effect.provide(F.layer([1, 0].map((steps): F.Script => (play) =>
      Effect.gen(function*() {
        yield* play.busy
        yield* play.stepStart
        const { id } = yield* play.child
        const retry = (attempt: number, sessionID?: string) =>
          play.tell("session.status", {
            ...(sessionID === undefined ? {} : { sessionID }),
            status: { type: "retry", attempt, message: "Too Many Requests", next: performance.now() }
          })
        yield* retry(1, id)
        yield* retry(2, id)
        if (steps > 0) {
          yield* play.tell("message.part.updated", {
            part: { id: "p", sessionID: id, messageID: "m", type: "step-finish" }
          })
        }
        yield* retry(3, id)
        yield* retry(4, id)
        yield* retry(1)
        yield* retry(2)
        yield* play.text("done")
        yield* play.stepFinish("stop")
        yield* play.idle
      })
    )))))

  it.effect("adds the spending of sub-agents with deep usage", () =>
    Effect.gen(function*() {
      const plain = yield* OpenCode.run("x")
      const deep = yield* OpenCode.run("x", { usage: "deep" })
      assert.strictEqual(plain.cost, 0.5)
      assert.strictEqual(deep.cost, 0.75)
    }).pipe(Effect.provide(F.layer([(play) =>
      Effect.gen(function*() {
        yield* play.busy
        yield* play.stepStart
        const child = yield* play.child
        child.messages.set("m", {
          info: { id: "m", sessionID: child.id, role: "assistant" },
          parts: new Map([["p", { id: "p", sessionID: child.id, messageID: "m", type: "step-finish", cost: 0.25 }]])
        })
        yield* play.tool("task", { metadata: { sessionId: child.id } })
        yield* play.stepFinish("tool-calls")
        yield* play.stepStart
        yield* play.text("done")
        yield* play.stepFinish("stop")
        yield* play.idle
      })]))))
})

describe("the end of a run over a server", () => {
  it.effect("is not that of an earlier prompt", () =>
    withScripts(
      [(play) => Effect.andThen(play.idle, play.answer("this one"))],
      Effect.gen(function*() {
        assert.strictEqual((yield* OpenCode.run("x")).text, "this one")
      })
    ))

  it.effect("can be an error before its message has it, followed by two idle events", () =>
    withScripts(
      [(play) =>
        Effect.gen(function*() {
          yield* play.busy
          yield* play.fail(apiError(401))
          yield* play.idle
          yield* play.stepStart
          yield* play.idle
        })],
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x"))
        expect(error).toMatchObject({ kind: "authentication", statusCode: 401 })
        assert.deepStrictEqual(tags(error.partial.events), ["SessionError"])
      })
    ))

  it.effect("is detected when only errors are sent", () =>
    withScripts(
      [(play) =>
        Effect.andThen(
          play.fail({ name: "UnknownError", data: { message: "Model not found: fake/nope." } }),
          play.fail({ name: "UnknownError", data: { message: "ProviderModelNotFoundError\n    at <anonymous>" } })
        )],
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(T.failsWith("OpenCodeSessionError")(OpenCode.run("x")))
        yield* T.advance("500 millis")
        const error = yield* Fiber.join(fiber)
        expect(error).toMatchObject({ kind: "model-not-found", reason: "Model not found: fake/nope." })
        assert.strictEqual(error.partial.eventCount, 1)
      })
    ))

  it.effect("is detected when only the message has the error", () =>
    withScripts(
      [(play) =>
        Effect.gen(function*() {
          yield* play.busy
          yield* play.stepStart
          const [id, { info }] = [...play.session.messages].at(-1)!
          play.session.messages.get(id)!.info = {
            ...info,
            error: { name: "StructuredOutputError", data: { message: "no output" } },
            time: { created: 1, completed: 2 }
          }
          yield* play.idle
        })],
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x"))
        assert.strictEqual(error.errorName, "StructuredOutputError")
      })
    ))

  it.effect("is an incomplete run when the conversation stops in the middle", () =>
    withScripts(
      [(play) =>
        Effect.gen(function*() {
          yield* play.busy
          yield* play.stepStart
          yield* play.stepFinish("tool-calls")
          yield* play.idle
        })],
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodeIncompleteError")(OpenCode.run("x"))
        assert.strictEqual(error.finishReason, "tool-calls")
        assert.deepStrictEqual((yield* F.Fake).aborted, [])
      })
    ))

  it.effect("is not assumed while the server still works", () =>
    withScripts(
      [(play) =>
        Effect.gen(function*() {
          yield* play.busy
          yield* play.fail({ name: "ContextOverflowError", data: { message: "too long" } })
          yield* Effect.sleep("20 seconds")
          yield* play.answer("shorter")
        })],
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("x"))
        yield* T.advance("20 seconds")
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(result.text, "shorter")
        assert.deepStrictEqual(tags(result.events), ["SessionError", "StepStart", "Text", "StepFinish"])
      })
    ))

  describe("when OpenCode continues by itself", () => {
    const message = (play: F.Play, id: string, info: object) =>
      play.tell("message.updated", {
        info: { id, sessionID: play.session.id, time: { created: 5000 }, ...info }
      })
    const part = (play: F.Play, messageID: string, more: object) =>
      play.tell("message.part.updated", {
        part: { id: `${messageID}_${JSON.stringify(more)}`, sessionID: play.session.id, messageID, ...more }
      })
    const summarize = (play: F.Play) =>
      Effect.gen(function*() {
        yield* message(play, "msg_order", { role: "user" })
        yield* part(play, "msg_order", { type: "compaction", auto: true })
        yield* message(play, "msg_summary", { role: "assistant", summary: true, mode: "compaction" })
        yield* part(play, "msg_summary", { type: "step-start" })
        const text = { type: "text", text: "SUMMARY", time: { start: 1, end: 2 } }
        yield* part(play, "msg_summary", text)
        yield* part(play, "msg_summary", { type: "step-finish", reason: "stop", cost: 0, tokens: {} })
        yield* message(play, "msg_summary", { role: "assistant", summary: true, finish: "stop" })
      })
    const goOn = (play: F.Play) =>
      Effect.andThen(
        message(play, "msg_on", { role: "user" }),
        part(play, "msg_on", {
          type: "text",
          text: "Continue if you have next steps",
          synthetic: true,
          metadata: { compaction_continue: true },
          time: { start: 1, end: 1 }
        })
      )
    const step = (play: F.Play, text: string, reason: string) =>
      Effect.andThen(play.stepStart, Effect.andThen(play.text(text), play.stepFinish(reason)))
    const thinking = Effect.sleep("40 seconds")
    const begins: ReadonlyArray<
      readonly [name: string, said: ReadonlyArray<string>, begin: (play: F.Play) => Effect.Effect<void>]
    > = [
      [
        "after a step with tools",
        ["One."],
        (play) => step(play, "One.", "tool-calls").pipe(Effect.andThen(summarize(play)), Effect.andThen(goOn(play)))
      ],
      ["after the last word", ["One."], (play) =>
        step(play, "One.", "stop").pipe(
          Effect.andThen(message(play, "msg_order", { role: "user" })),
          Effect.andThen(thinking),
          Effect.andThen(summarize(play)),
          Effect.andThen(goOn(play))
        )],
      [
        "after an overflow, with the prompt once more",
        [],
        (play) =>
          play.fail({ name: "ContextOverflowError", data: { message: "too long" } }).pipe(
            Effect.andThen(summarize(play)),
            Effect.andThen(message(play, "msg_again", { role: "user" }))
          )
      ],
      [
        "with a prompt of somebody else",
        ["One."],
        (play) => Effect.andThen(step(play, "One.", "stop"), message(play, "msg_other", { role: "user" }))
      ]
    ]
    for (const [name, said, begin] of begins) {
      it.effect(`comes after the wait, which may exceed the exit grace: ${name}`, () =>
        withScripts(
          [(play) =>
            Effect.gen(function*() {
              yield* play.busy
              yield* begin(play)
              yield* thinking
              yield* play.answer("FINAL")
            })],
          Effect.gen(function*() {
            const result = yield* T.advanceUntil(yield* Effect.fork(OpenCode.run("x", { exitGrace: "2 seconds" })))
            assert.strictEqual(result.text, [...said, "FINAL"].join("\n\n"))
            assert.isFalse(result.forced)
          })
        ))
    }

    it.effect("is an idle timeout if the continuation never finishes", () =>
      withScripts(
        [(play) =>
          Effect.gen(function*() {
            yield* play.busy
            yield* step(play, "One.", "tool-calls")
            yield* summarize(play)
            yield* goOn(play)
            yield* Effect.never
          })],
        Effect.gen(function*() {
          const options = { exitGrace: "2 seconds", idleTimeout: "1 minute" } as const
          const error = yield* T.advanceUntil(
            yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", options)))
          )
          assert.deepStrictEqual([error.phase, error.partial.text], ["idle", "One."])
        })
      ))

    it.effect("is not a summary that nothing follows", () =>
      withScripts(
        (["stop", "tool-calls"] as const).map((reason): F.Script => (play) =>
          Effect.gen(function*() {
            yield* play.busy
            yield* step(play, "One.", reason)
            yield* summarize(play)
            yield* play.idle
          })
        ),
        Effect.gen(function*() {
          const result = yield* T.advanceUntil(yield* Effect.fork(OpenCode.run("x")))
          assert.deepStrictEqual([result.text, result.finishReason], ["One.", "stop"])
          const error = yield* T.advanceUntil(
            yield* Effect.fork(T.failsWith("OpenCodeIncompleteError")(OpenCode.run("x")))
          )
          assert.strictEqual(error.finishReason, "tool-calls")
        })
      ))
  })

  it.effect("is a server error when the server refuses the prompt", () =>
    Effect.gen(function*() {
      const fake = yield* F.Fake
      fake.instead = ({ url }) =>
        url.pathname.endsWith("/prompt_async")
          ? json({ name: "BadRequest", data: { message: "Expected parts" } }, { status: 400 })
          : undefined
      const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("x"))
      expect(error).toMatchObject({ reason: "refused", status: 400, detail: "Expected parts" })
      assert.isDefined(error.partial)
    }).pipe(Effect.provide(F.layer())))

  it.effect("is a server error with the events so far when the server is lost", () =>
    Effect.gen(function*() {
      const { begun, script } = yield* hanging("half a")
      yield* withScripts(
        [script],
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(T.failsWith("OpenCodeServerError")(OpenCode.run("x")))
          yield* begun
          const fake = yield* F.Fake
          fake.instead = () => json({}, { status: 401 })
          fake.disconnect()
          yield* T.advance("200 millis")
          const error = yield* Fiber.join(fiber)
          assert.strictEqual(error.reason, "unauthorized")
          assert.strictEqual(error.partial?.eventCount, 1)
          // The next run reconnects.
          fake.instead = () => undefined
          fake.scripts = [F.answering("again")]
          assert.strictEqual((yield* OpenCode.run("x")).text, "again")
        })
      )
    }))
})

describe("a restarted foreign server", () => {
  it.effect("has forgotten its work: the run is incomplete, and the next one works", () =>
    Effect.gen(function*() {
      const { begun, script } = yield* hanging("half a")
      yield* withScripts(
        [script, F.answering("again")],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const fiber = yield* Effect.fork(T.failsWith("OpenCodeIncompleteError")(OpenCode.run("x")))
          yield* begun
          yield* T.settle
          yield* fake.restart()
          // Nothing listens for a while.
          fake.instead = () => Effect.fail(new Error("connect ECONNREFUSED"))
          yield* T.advance("10 seconds")
          assert.isFalse(yield* T.isDone(fiber))
          fake.instead = () => undefined
          const error = yield* T.advanceUntil(fiber)
          assert.deepStrictEqual(tags(error.partial.events), ["StepStart"])
          assert.match(error.partial.sessionId!, /^ses_/)
          assert.deepStrictEqual(fake.aborted, [])
          assert.strictEqual((yield* OpenCode.run("y", { sessionId: error.partial.sessionId })).text, "again")
        })
      )
    }))

  it.effect("before the start of the prompt: the run ends with its start-up timeout", () =>
    withScripts(
      [() => Effect.never, F.answering("again")],
      Effect.gen(function*() {
        const fake = yield* F.Fake
        const fiber = yield* Effect.fork(
          T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { startupTimeout: "1 minute" }))
        )
        yield* F.untilPrompted(1)
        yield* T.settle
        yield* fake.restart()
        assert.strictEqual((yield* T.advanceUntil(fiber)).phase, "startup")
        assert.strictEqual((yield* OpenCode.run("y")).text, "again")
      })
    ))
})

describe("a gap in the events", () => {
  it.effect("is filled from the messages", () =>
    Effect.gen(function*() {
      const [lost, back] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      yield* withScripts(
        [(play) =>
          Effect.gen(function*() {
            yield* play.busy
            yield* play.stepStart
            yield* play.tool("read")
            yield* Deferred.succeed(lost, undefined)
            yield* Deferred.await(back)
            yield* play.tool("edit")
            yield* play.stepFinish("tool-calls")
            yield* play.answer("done")
          })],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const fiber = yield* Effect.fork(OpenCode.run("x"))
          yield* Deferred.await(lost)
          fake.disconnect()
          yield* Deferred.succeed(back, undefined)
          yield* T.advance("200 millis")
          const result = yield* Fiber.join(fiber)
          assert.deepStrictEqual(tags(result.events), [
            "StepStart",
            "ToolUse",
            "ToolUse",
            "StepFinish",
            "StepStart",
            "Text",
            "StepFinish"
          ])
          assert.strictEqual(result.text, "done")
        })
      )
    }))

  it.effect("can hide the beginning, the questions and the sub-agents", () =>
    Effect.gen(function*() {
      const asked: Array<OpenCodeServer.PermissionRequest> = []
      yield* withScripts(
        [(play) =>
          Effect.gen(function*() {
            yield* play.busy
            yield* play.stepStart
            const child = yield* play.child
            yield* play.ask("bash", ["ls"], child.id)
            yield* play.tool("task")
            yield* play.stepFinish("tool-calls")
            yield* play.answer("done")
          })],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const fiber = yield* Effect.fork(OpenCode.run("x"))
          fake.isMute = true
          yield* T.until("a question", Effect.sync(() => fake.questions.size === 1))
          const request = [...fake.questions.values()][0]!.request
          // From an aborted prompt: nobody waits for it.
          const stale = {
            ...request,
            id: "per_stale",
            sessionID: [...fake.sessions.keys()][0],
            tool: { messageID: "msg_old" }
          }
          fake.questions.set("per_stale", {
            request: stale,
            answer: yield* Deferred.make<{ readonly [key: string]: unknown }>()
          })
          fake.isMute = false
          fake.disconnect()
          yield* T.advance("200 millis")
          const result = yield* Fiber.join(fiber)
          assert.strictEqual(result.text, "done")
          expect(asked).toMatchObject([{ permission: "bash", patterns: ["ls"], childId: request["sessionID"] }])
        }),
        {
          onPermission: (request) =>
            Effect.sync(() => {
              asked.push(request)
              return "once" as const
            })
        }
      )
    }))

  it.effect("can end with a question that is both listed and sent", () =>
    Effect.gen(function*() {
      const [lost, listing] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let asked = 0
      yield* withScripts(
        [(play) =>
          Effect.gen(function*() {
            yield* play.busy
            yield* play.stepStart
            yield* Deferred.succeed(lost, undefined)
            yield* Deferred.await(listing)
            yield* play.ask("bash", ["ls"])
            yield* Effect.never
          })],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const fiber = yield* Effect.fork(
            T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { idleTimeout: "1 minute" }))
          )
          yield* Deferred.await(lost)
          fake.instead = ({ url }) => {
            if (!url.pathname.endsWith("/children")) return undefined
            return Effect.as(Effect.andThen(Deferred.succeed(listing, undefined), T.settle), json([]))
          }
          fake.disconnect()
          const error = yield* T.advanceUntil(fiber)
          assert.strictEqual(error.phase, "idle")
          assert.deepStrictEqual(tags(error.partial.events), ["StepStart", "PermissionAsked"])
          assert.strictEqual(asked, 1)
          assert.strictEqual(fake.replies.length, 1)
        }),
        {
          onPermission: () =>
            Effect.sync(() => {
              asked++
              return "once" as const
            }).pipe(Effect.delay("10 seconds"))
        }
      )
    }))

  it.effect("can hide a failure that its message receives only later", () =>
    Effect.gen(function*() {
      const [lost, back] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      yield* withScripts(
        [(play) =>
          Effect.gen(function*() {
            yield* play.busy
            yield* play.stepStart
            yield* Deferred.succeed(lost, undefined)
            yield* Deferred.await(back)
            yield* play.fail(apiError(503))
            yield* play.idle
            yield* Effect.sleep("1 second")
            const [id, { info }] = [...play.session.messages].at(-1)!
            play.session.messages.get(id)!.info = { ...info, error: apiError(503), time: { created: 1, completed: 2 } }
          })],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const fiber = yield* Effect.fork(T.failsWith("OpenCodeSessionError")(OpenCode.run("x")))
          yield* Deferred.await(lost)
          fake.isMute = true
          fake.disconnect()
          yield* Deferred.succeed(back, undefined)
          yield* T.settle
          fake.isMute = false
          assert.strictEqual((yield* T.advanceUntil(fiber)).statusCode, 503)
        })
      )
    }))

  it.effect("can hide the end", () =>
    Effect.gen(function*() {
      const over = yield* Deferred.make<void>()
      yield* withScripts(
        [(play) => Effect.andThen(play.answer("done"), Deferred.succeed(over, undefined))],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const fiber = yield* Effect.fork(OpenCode.run("x"))
          yield* F.untilPrompted(0)
          fake.isMute = true
          yield* Deferred.await(over)
          fake.isMute = false
          fake.disconnect()
          yield* T.advance("200 millis")
          assert.strictEqual((yield* Fiber.join(fiber)).text, "done")
        })
      )
    }))
})

describe("a permission request", () => {
  const asking: F.Script = (play) =>
    Effect.gen(function*() {
      yield* play.busy
      yield* play.stepStart
      const answer = yield* play.ask("bash", ["rm -rf x"])
      if (answer["reply"] === "once") {
        yield* play.tool("bash")
        yield* play.stepFinish("tool-calls")
        return yield* play.answer("removed")
      }
      const why = typeof answer["message"] === "string" ? ` with the following feedback: ${answer["message"]}` : "."
      const error = `The user rejected permission to use this specific tool call${why}`
      yield* play.tool("bash", { status: "error", error, output: undefined })
      yield* play.stepFinish("tool-calls")
      return yield* answer["message"] === undefined ? play.idle : play.answer("another way")
    })

  it.effect("is rejected without a callback", () =>
    withScripts(
      [asking],
      Effect.gen(function*() {
        const error = yield* T.failsWith("OpenCodePermissionError")(OpenCode.run("x"))
        expect(error).toMatchObject({ permission: "bash", patterns: ["rm -rf x"] })
        assert.deepStrictEqual(tags(error.partial.events), [
          "StepStart",
          "PermissionAsked",
          "PermissionRejected",
          "ToolUse",
          "StepFinish"
        ])
        assert.deepStrictEqual((yield* F.Fake).replies.map(({ body }) => body), [{ reply: "reject" }])
      })
    ))

  it.effect("is granted once, and never always", () =>
    withScripts(
      [asking],
      Effect.gen(function*() {
        const result = yield* OpenCode.run("x")
        assert.strictEqual(result.text, "removed")
        assert.deepStrictEqual(tags(result.events).slice(0, 3), ["StepStart", "PermissionAsked", "ToolUse"])
        assert.deepStrictEqual((yield* F.Fake).replies.map(({ body }) => body), [{ reply: "once" }])
      }),
      { onPermission: () => Effect.succeed("once") }
    ))

  it.effect("is rejected with a reason, and the run continues", () =>
    withScripts(
      [asking],
      Effect.gen(function*() {
        assert.strictEqual((yield* OpenCode.run("x")).text, "another way")
        assert.deepStrictEqual((yield* F.Fake).replies.map(({ body }) => body), [{
          reply: "reject",
          message: "Use git."
        }])
      }),
      { onPermission: () => Effect.succeed({ reject: "Use git." }) }
    ))

  it.effect("is granted by `auto` without the callback", () =>
    withScripts(
      [asking],
      Effect.gen(function*() {
        assert.strictEqual((yield* OpenCode.run("x", { auto: true })).text, "removed")
      }),
      { onPermission: () => Effect.die("nobody is to be asked") }
    ))

  it.effect("is rejected when the callback dies", () =>
    withScripts(
      [asking],
      Effect.gen(function*() {
        const logged: Array<unknown> = []
        yield* T.failsWith("OpenCodePermissionError")(OpenCode.run("x")).pipe(
          Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void logged.push(message))))
        )
        expect(JSON.stringify(logged)).toContain("onPermission")
      }),
      { onPermission: () => Effect.die(new Error("boom")) }
    ))

  it.effect("is rejected when the callback is interrupted inside", () =>
    Effect.gen(function*() {
      const people = yield* Queue.unbounded<"once">()
      yield* Queue.shutdown(people)
      yield* withScripts(
        [asking],
        Effect.gen(function*() {
          const error = yield* T.advanceUntil(
            yield* Effect.fork(T.failsWith("OpenCodePermissionError")(OpenCode.run("x")))
          )
          assert.deepStrictEqual(error.patterns, ["rm -rf x"])
        }),
        { onPermission: () => Queue.take(people) }
      )
    }))

  it.effect("can take as long as the run may", () =>
    withScripts(
      [asking],
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("x", { idleTimeout: "1 minute" }))
        yield* T.advance("5 minutes")
        assert.strictEqual((yield* Fiber.join(fiber)).text, "removed")
        const late = yield* Effect.fork(T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { timeout: "1 minute" })))
        yield* T.advance("1 minute")
        assert.strictEqual((yield* Fiber.join(late)).phase, "total")
        assert.strictEqual((yield* F.Fake).aborted.length, 1)
      }),
      { onPermission: () => Effect.delay(Effect.succeed("once" as const), "5 minutes") }
    ))

  it.effect("is cancelled when the run stops, even if the server does not answer", () =>
    Effect.gen(function*() {
      const interrupted = yield* Deferred.make<void>()
      yield* withScripts(
        [asking],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          fake.instead = ({ url }) => url.pathname.endsWith("/abort") ? Effect.never : undefined
          const fiber = yield* Effect.fork(
            T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { timeout: "1 minute" }))
          )
          assert.strictEqual((yield* T.advanceUntil(fiber)).phase, "total")
          yield* Deferred.await(interrupted)
          assert.deepStrictEqual(fake.replies, [])
        }),
        { onPermission: () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)) }
      )
    }))

  it.effect("is cancelled when another client has replied", () =>
    Effect.gen(function*() {
      const [asked, interrupted] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      yield* withScripts(
        [asking],
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(OpenCode.run("x"))
          const fake = yield* F.Fake
          yield* Deferred.await(asked)
          yield* fake.reply([...fake.questions.keys()][0]!, { reply: "once" })
          assert.strictEqual((yield* Fiber.join(fiber)).text, "removed")
          yield* Deferred.await(interrupted)
        }),
        {
          onPermission: () =>
            Effect.andThen(
              Deferred.succeed(asked, undefined),
              Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
            )
        }
      )
    }))

  it.effect("ends the run when the reply does not arrive", () =>
    withScripts(
      [asking],
      Effect.gen(function*() {
        const fake = yield* F.Fake
        fake.instead = ({ url }) => url.pathname.endsWith("/reply") ? json({}, { status: 500 }) : undefined
        const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("x"))
        expect(error).toMatchObject({ reason: "refused", status: 500 })
        assert.strictEqual(fake.aborted.length, 1)
      })
    ))

  it.effect("can come from a sub-agent, whose parent continues", () =>
    withScripts(
      [(play) =>
        Effect.gen(function*() {
          yield* play.busy
          yield* play.stepStart
          const child = yield* play.child
          yield* play.ask("bash", ["ls"], child.id)
          yield* play.tool("task")
          yield* play.stepFinish("tool-calls")
          yield* play.answer("without it")
        })],
      Effect.gen(function*() {
        const result = yield* OpenCode.run("x")
        assert.strictEqual(result.text, "without it")
        const asked = result.events.find((event) => event._tag === "PermissionAsked")
        assert.notStrictEqual(asked?.sessionId, result.sessionId)
        assert.strictEqual(result.events.filter((event) => event._tag === "PermissionRejected").length, 1)
      })
    ))

  it.effect("is not confused with a question to a person, which is rejected", () =>
    withScripts(
      [(play) => Effect.andThen(play.tell("question.asked", { id: "que_1", questions: [] }), play.answer("done"))],
      Effect.gen(function*() {
        yield* OpenCode.run("x")
        assert.deepStrictEqual((yield* F.Fake).rejectedQuestions, ["que_1"])
      })
    ))

  it.effect("is enabled by the layer, without sub-agents unless the run names them", () =>
    withScripts(
      [F.answering("done")],
      Effect.gen(function*() {
        const { sessions } = yield* F.Fake
        const asks = yield* OpenCode.run("x", { permission: { edit: "deny" } })
        assert.deepStrictEqual(rulesOf(sessions.get(asks.sessionId!)), [
          "bash * ask",
          "edit * deny",
          "task * deny",
          ...closing
        ])
        const named = yield* OpenCode.run("x", { permission: { task: "allow" } })
        assert.deepStrictEqual(rulesOf(sessions.get(named.sessionId!)), ["bash * ask", "task * allow", ...closing])
      }),
      { ask: ["bash"] }
    ))
})

describe("a run over a server that stops", () => {
  it.effect("is aborted on interruption before it ends", () =>
    Effect.gen(function*() {
      const { begun, script } = yield* hanging("half a")
      yield* withScripts(
        [script],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const fiber = yield* Effect.fork(OpenCode.run("x"))
          yield* begun
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(fake.aborted.length, 1)
          assert.strictEqual(fake.playing, 0)
        })
      )
    }))

  it.effect("is aborted when the stream's consumer stops", () =>
    Effect.gen(function*() {
      const { script } = yield* hanging("half a")
      yield* withScripts(
        [script],
        Effect.gen(function*() {
          const first = yield* Stream.runHead(OpenCode.stream("x"))
          assert.strictEqual(first._tag, "Some")
          assert.strictEqual((yield* F.Fake).aborted.length, 1)
        })
      )
    }))

  it.effect("is aborted only after it has started, because the server would run it later", () =>
    Effect.gen(function*() {
      const [go, playing] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      yield* withScripts(
        [(play) =>
          Effect.gen(function*() {
            yield* Deferred.succeed(playing, undefined)
            yield* Deferred.await(go)
            yield* play.busy
            yield* play.stepStart
            yield* Effect.never
          })],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const fiber = yield* Effect.fork(OpenCode.run("x"))
          yield* Deferred.await(playing)
          const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
          yield* T.settle
          assert.deepStrictEqual(fake.aborted, [])
          yield* Deferred.succeed(go, undefined)
          yield* Fiber.join(interruption)
          assert.strictEqual(fake.aborted.length, 1)
          assert.strictEqual(fake.playing, 0)
        })
      )
    }))

  it.effect("is cancelled when another client aborts it", () =>
    Effect.gen(function*() {
      const { begun, script } = yield* hanging("half a")
      yield* withScripts(
        [script],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const fiber = yield* Effect.fork(T.failsWith("OpenCodeCancelledError")(OpenCode.run("x")))
          yield* begun
          yield* T.settle
          yield* fake.abort([...fake.sessions.values()][0]!)
          assert.match((yield* T.advanceUntil(fiber)).partial.sessionId!, /^ses_/)
        })
      )
    }))

  it.effect("is left behind with a warning when it cannot be aborted", () =>
    Effect.gen(function*() {
      const { begun, script } = yield* hanging("half a")
      const logged: Array<string> = []
      yield* withScripts(
        [script],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          fake.instead = ({ url }) => url.pathname.endsWith("/abort") ? Effect.never : undefined
          const fiber = yield* Effect.fork(OpenCode.run("x"))
          yield* begun
          const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
          yield* T.advance("5 seconds")
          yield* Fiber.join(interruption)
        })
      ).pipe(Effect.provide(Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void logged.push(String(message)))
      )))
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0]!, /could not be aborted .*took too long/)
    }))

  it.effect("ends at its timeout with the text so far", () =>
    Effect.gen(function*() {
      const { begun, script } = yield* hanging("half a")
      yield* withScripts(
        [script],
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(
            T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { timeout: "1 minute" }))
          )
          yield* begun
          yield* T.advance("1 minute")
          const error = yield* Fiber.join(fiber)
          expect(error).toMatchObject({ phase: "total", limit: Duration.minutes(1) })
          assert.strictEqual(error.partial.text, "what was said")
          assert.deepStrictEqual(tags(error.partial.events), ["StepStart", "Text"])
          assert.strictEqual((yield* F.Fake).aborted.length, 1)
        })
      )
    }))

  it.effect("is aborted completely when it is interrupted while it stops", () =>
    Effect.gen(function*() {
      const { begun, script } = yield* hanging("half a")
      yield* withScripts(
        [script],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const { handle } = fake
          const aborting = yield* Deferred.make<void>()
          fake.instead = (sent) => {
            if (!sent.url.pathname.endsWith("/abort")) return undefined
            fake.instead = () => undefined
            const answer = handle.call(fake, sent)
            return Deferred.succeed(aborting, undefined).pipe(
              Effect.andThen(Effect.sleep("1 second")),
              Effect.andThen(Effect.isEffect(answer) ? answer : Effect.succeed(answer))
            )
          }
          const fiber = yield* Effect.fork(OpenCode.run("x", { timeout: "1 minute" }))
          yield* begun
          yield* T.advance("1 minute")
          yield* Deferred.await(aborting)
          yield* T.advanceUntil(yield* Effect.fork(Fiber.interrupt(fiber)))
          assert.strictEqual(fake.aborted.length, 1)
          assert.strictEqual(fake.playing, 0)
        })
      )
    }))

  it.effect("ends when it is silent, which a piece of an answer prevents", () =>
    withScripts(
      [(play) =>
        Effect.gen(function*() {
          yield* play.busy
          yield* play.stepStart
          yield* play.begin("a")
          yield* Effect.repeatN(Effect.delay(play.begin("b"), "40 seconds"), 2)
          yield* Effect.never
        })],
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { idleTimeout: "1 minute" }))
        )
        for (const at of [40_000, 80_000, 120_000]) {
          yield* T.advanceTo(at)
          assert.isFalse(yield* T.isDone(fiber))
        }
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Fiber.join(fiber)).phase, "idle")
      })
    ))

  it.effect("ends when nothing starts", () =>
    withScripts(
      [() => Effect.never],
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          T.failsWith("OpenCodeTimeoutError")(OpenCode.run("x", { startupTimeout: "1 minute" }))
        )
        yield* F.untilPrompted(1)
        yield* T.advance("1 minute")
        yield* T.advance("10 seconds")
        yield* T.advance("1 second")
        assert.strictEqual((yield* Fiber.join(fiber)).phase, "startup")
      })
    ))

  it.effect("succeeds when only its end is missing", () =>
    withScripts(
      [(play) =>
        Effect.gen(function*() {
          yield* play.busy
          yield* play.stepStart
          yield* play.text("all of it")
          yield* play.stepFinish("stop")
          yield* Effect.never
        })],
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(OpenCode.run("x"))
        yield* T.advance("30 seconds")
        expect(yield* Fiber.join(fiber)).toMatchObject({ text: "all of it", forced: true })
        assert.strictEqual((yield* F.Fake).aborted.length, 1)
      })
    ))
})

describe("many runs over a server", () => {
  it.effect("run as many at a time as allowed, in order", () =>
    Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      yield* withScripts(
        [(play) => Effect.andThen(Deferred.await(go), play.answer("done"))],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const fiber = yield* Effect.fork(
            Effect.forEach(Array.from({ length: 10 }, (_, index) => `prompt ${index}`), (prompt) =>
              OpenCode.run(prompt), {
              concurrency: "unbounded"
            })
          )
          yield* F.untilPrompted(3)
          yield* T.settle
          assert.strictEqual(fake.prompts.length, 3)
          yield* Deferred.succeed(go, undefined)
          assert.strictEqual((yield* Fiber.join(fiber)).length, 10)
          assert.strictEqual(fake.mostPlaying, 3)
        }),
        { concurrency: 3 }
      )
    }))

  it.effect("do not mix", () =>
    withScripts(
      [(play) =>
        Effect.gen(function*() {
          const { text } = (play.body["parts"] as ReadonlyArray<{ readonly text: string }>)[0]!
          yield* play.busy
          for (let step = 0; step < 5; step++) {
            yield* play.stepStart
            yield* Effect.yieldNow()
            yield* play.text(`${text} `)
            yield* Effect.yieldNow()
            yield* play.stepFinish(step < 4 ? "tool-calls" : "stop")
          }
          yield* play.idle
        })],
      Effect.gen(function*() {
        const prompts = Array.from({ length: 50 }, (_, index) => `p${index}`)
        const results = yield* Effect.forEach(prompts, (prompt) => OpenCode.run(prompt), { concurrency: "unbounded" })
        assert.deepStrictEqual(
          results.map(({ text }) => text),
          prompts.map((prompt) => Array.from({ length: 5 }, () => `${prompt} `).join("\n\n"))
        )
      }),
      { concurrency: "unbounded" }
    ))

  it.effect(
    "are not delayed by a run whose consumer stalls, whose events stay bounded",
    () =>
      Effect.gen(function*() {
        const go = yield* Deferred.make<void>()
        const piece = "x".repeat(128 * 1024)
        const pieces = 100
        let taken = 0
        yield* withScripts(
          [(play) =>
            Effect.gen(function*() {
              const { text } = (play.body["parts"] as ReadonlyArray<{ readonly text: string }>)[0]!
              if (text !== "p0") return yield* play.answer(text)
              yield* play.busy
              yield* play.stepStart
              yield* play.text("all of it", Array.from({ length: pieces }, () => piece))
              yield* play.stepFinish("stop")
              yield* play.idle
            })],
          Effect.gen(function*() {
            const stalled = yield* Effect.fork(OpenCode.run("p0", {
              onEvent: (event) =>
                Effect.andThen(
                  Deferred.await(go),
                  Effect.sync(() => {
                    if (event._tag === "TextDelta") taken++
                  })
                )
            }))
            yield* F.untilPrompted(1)
            const prompts = Array.from({ length: 199 }, (_, index) => `p${index + 1}`)
            const results = yield* Effect.forEach(prompts, (prompt) => OpenCode.run(prompt), {
              concurrency: "unbounded"
            })
            assert.deepStrictEqual(results.map(({ text }) => text), prompts)
            assert.isFalse(yield* T.isDone(stalled))
            assert.strictEqual(taken, 0)
            yield* Deferred.succeed(go, undefined)
            const result = yield* Fiber.join(stalled)
            assert.strictEqual(result.text, "all of it")
            assert.deepStrictEqual(tags(result.events), ["StepStart", "Text", "StepFinish"])
            // Eight Mi characters wait for it; the rest came from the messages.
            assert.isAbove(taken, 32)
            assert.isBelow(taken, 8 * 1024 * 1024 / piece.length + 8)
          }),
          { concurrency: "unbounded" }
        )
      })
  )

  it.effect("in one session run one after the other, in order of arrival", () =>
    withScripts(
      [F.answering("first")],
      Effect.gen(function*() {
        const fake = yield* F.Fake
        const { sessionId } = yield* OpenCode.run("x")
        fake.mostPlaying = 0
        fake.scripts = [(play) => Effect.andThen(Effect.yieldNow(), play.answer("more"))]
        const prompts = ["a", "b", "c", "d", "e"]
        yield* Effect.forEach(prompts, (prompt) => OpenCode.run(prompt, { sessionId }), { concurrency: "unbounded" })
        assert.strictEqual(fake.mostPlaying, 1)
        assert.deepStrictEqual(
          fake.prompts.slice(1).map(({ body }) => (body["parts"] as ReadonlyArray<{ readonly text: string }>)[0]!.text),
          prompts
        )
      })
    ))

  it.effect("do not take a place that the run with the session's turn needs", () =>
    Effect.gen(function*() {
      const [listing, list] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      yield* withScripts(
        [F.answering("done")],
        Effect.gen(function*() {
          const fake = yield* F.Fake
          const { sessionId } = yield* OpenCode.run("x")
          fake.instead = ({ method, url }) =>
            method === "GET" && url.pathname === "/session"
              ? Deferred.succeed(listing, undefined).pipe(
                Effect.andThen(Deferred.await(list)),
                Effect.as(json([fake.info(fake.sessions.get(sessionId!)!)]))
              )
              : undefined
          const last = yield* Effect.fork(OpenCode.run("the last one", { continueSession: true }))
          yield* Deferred.await(listing)
          const named = yield* Effect.fork(OpenCode.run("by name", { sessionId }))
          yield* T.settle
          yield* Deferred.succeed(list, undefined)
          const results = [yield* T.advanceUntil(named), yield* T.advanceUntil(last)]
          assert.deepStrictEqual(results.map((result) => result.sessionId), [sessionId, sessionId])
        }),
        { concurrency: 1 }
      )
    }))

  it.effect("wait for a rate-limited provider", () =>
    withScripts(
      [
        (play) =>
          Effect.gen(function*() {
            yield* play.busy
            const status = { type: "retry", attempt: 1, message: "rate limit", next: 60_000 }
            yield* play.tell("session.status", { status })
            yield* play.answer("slowly")
          }),
        F.answering("next")
      ],
      Effect.gen(function*() {
        const { prompts } = yield* F.Fake
        const result = yield* OpenCode.run("x", { model: "fake/m1" })
        assert.deepStrictEqual(tags(result.events)[0], "ProviderRetry")
        const next = yield* Effect.fork(OpenCode.run("y", { model: "fake/m1" }))
        yield* T.settle
        assert.strictEqual(prompts.length, 1)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Fiber.join(next)).text, "next")
      }),
      { rateLimitGate: true }
    ))
})

describe("the end of a layer over a server", () => {
  it.effect("aborts its runs on the server and refuses new ones, sessions included", () =>
    Effect.gen(function*() {
      const first = yield* hanging("one")
      const second = yield* hanging("two")
      yield* Effect.gen(function*() {
        const fake = yield* F.Fake
        const outer = yield* Scope.make()
        const { fibers, service, session } = yield* Effect.gen(function*() {
          const service = yield* OpenCode.OpenCode
          const session = yield* Scope.extend(service.session(), outer)
          const run = yield* Effect.forkDaemon(service.run("1"))
          yield* first.begun
          const stream = yield* Effect.forkDaemon(Stream.runDrain(session.stream("2")))
          yield* second.begun
          const fibers: ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>> = [run, stream]
          return { fibers, service, session }
        }).pipe(Effect.provide(OpenCodeServer.layerAttach({ url: "http://127.0.0.1:4096" })))
        assert.lengthOf(fake.aborted, 2)
        for (const fiber of fibers) assert.isTrue(Exit.isInterrupted(yield* Fiber.await(fiber)))
        const { length } = fake.sent
        const refused: ReadonlyArray<Effect.Effect<unknown, OpenCodeError.OpenCodeError>> = [
          service.run("3"),
          session.run("3"),
          Effect.scoped(session.fork())
        ]
        for (const effect of refused) {
          assert.include((yield* T.failsWith("OpenCodeConfigError")(effect)).reason, "closed")
        }
        assert.lengthOf(fake.sent, length)
        yield* Scope.close(outer, Exit.void)
      }).pipe(Effect.provide(F.layer([first.script, second.script])))
    }))
})

describe("a session over a server", () => {
  it.effect("continues, forks and exports", () =>
    withScripts(
      [F.answering("one"), F.answering("two"), F.answering("three"), F.answering("four")],
      Effect.scoped(Effect.gen(function*() {
        const { prompts, sessions } = yield* F.Fake
        const session = yield* OpenCode.session({ permission: { bash: "deny" }, title: "Work" })
        const first = yield* session.run("1")
        assert.strictEqual((yield* session.run("2")).text, "two")
        const branch = yield* session.fork()
        const third = yield* branch.run("3")
        assert.strictEqual(third.text, "three")
        assert.deepStrictEqual(prompts.map(({ sessionId }) => sessionId), [
          first.sessionId,
          first.sessionId,
          third.sessionId
        ])
        assert.notStrictEqual(third.sessionId, first.sessionId)
        // The same rules are not repeated; a branch has lost them.
        assert.deepStrictEqual(rulesOf(sessions.get(first.sessionId!)), ["bash * deny", ...closing])
        assert.deepStrictEqual(rulesOf(sessions.get(third.sessionId!)), ["bash * deny", ...closing])
        const { messages } = yield* session.export()
        assert.deepStrictEqual(messages.map(({ info }) => info.role), ["user", "assistant", "user", "assistant"])
        expect(yield* session.usage).toMatchObject({ steps: 2, cost: 0.5 })
        // After the first answer, which leaves out the second prompt.
        const earlier = yield* session.fork({ after: messages[1]!.info.id })
        const fourth = yield* earlier.run("4")
        assert.strictEqual(sessions.get(fourth.sessionId!)!.messages.size, 4)
        const unknown = yield* Effect.flip(Effect.flatMap(session.fork({ after: "msg_no" }), (fork) => fork.run("5")))
        expect(unknown).toMatchObject({ _tag: "OpenCodeConfigError", path: "forkAfter" })
      }))
    ))

  it.effect("continues in a directory that the server knows by another name", () =>
    withScripts(
      [F.answering("done")],
      Effect.scoped(Effect.gen(function*() {
        const fake = yield* F.Fake
        const { work } = yield* T.Machine
        fake.resolve = (directory) => directory.replace("/link", "/real")
        const session = yield* OpenCode.session({ cwd: path.join(work, "link") })
        const first = yield* session.run("1")
        assert.strictEqual(fake.sessions.get(first.sessionId!)!.directory, path.join(work, "real"))
        assert.strictEqual((yield* session.run("2")).sessionId, first.sessionId)
        const error = yield* T.failsWith("OpenCodeConfigError")(
          OpenCode.run("3", { sessionId: first.sessionId, cwd: path.join(work, "elsewhere") })
        )
        assert.strictEqual(error.path, "cwd")
      }))
    ))

  it.effect("keeps no rule of an earlier turn", () =>
    withScripts(
      [F.answering("done")],
      Effect.scoped(Effect.gen(function*() {
        const { sessions } = yield* F.Fake
        const session = yield* OpenCode.session()
        const { sessionId } = yield* session.run("1", { permission: { bash: "allow" } })
        yield* session.run("2")
        const rules = ["bash * allow", ...closing, "* * ask", "* * allow", ...closing]
        assert.deepStrictEqual(rulesOf(sessions.get(sessionId!)), rules)
        yield* session.run("3")
        assert.deepStrictEqual(rulesOf(sessions.get(sessionId!)), rules)
        yield* session.run("4", { agent: "plan", permission: { bash: "deny" } })
        assert.deepStrictEqual(rulesOf(sessions.get(sessionId!)), [
          ...rules,
          "* * ask",
          "edit * deny",
          "bash * deny",
          ...closing
        ])
      }))
    ))

  it.effect("can continue a given session or the last one", () =>
    withScripts(
      [F.answering("one"), F.answering("two"), F.answering("three")],
      Effect.scoped(Effect.gen(function*() {
        const { work } = yield* T.Machine
        const first = yield* OpenCode.run("1")
        const last = yield* OpenCode.run("2", { continueSession: true })
        assert.strictEqual(last.sessionId, first.sessionId)
        const session = yield* OpenCode.resume({ sessionId: first.sessionId, cwd: work })
        assert.strictEqual((yield* session.run("3")).text, "three")
        const error = yield* T.failsWith("OpenCodeConfigError")(
          OpenCode.run("4", { sessionId: first.sessionId, cwd: path.join(work, "..") })
        )
        assert.strictEqual(error.path, "cwd")
      }))
    ))

  it.effect("has the rules of its last turn, even with several concurrent turns", () =>
    withScripts(
      [F.answering("done")],
      Effect.gen(function*() {
        const { sessions } = yield* F.Fake
        const { sessionId } = yield* OpenCode.run("1", { permission: { bash: "deny" } })
        yield* Effect.forEach(
          [{ bash: "allow" }, { bash: "deny" }, { bash: "allow" }, { bash: "deny" }] as const,
          (permission, index) => OpenCode.run(`turn ${index}`, { continueSession: true, permission }),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(rulesOf(sessions.get(sessionId!)).slice(-4), ["bash * deny", ...closing])
        assert.strictEqual(sessions.size, 1)
      })
    ))

  it.effect("is not disturbed while another program works in it", () =>
    withScripts(
      [F.answering("one")],
      Effect.gen(function*() {
        const fake = yield* F.Fake
        const { sessionId } = yield* OpenCode.run("1")
        fake.sessions.get(sessionId!)!.status = { type: "busy" }
        const error = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("2", { sessionId }))
        assert.match(error.message, /busy with another program's prompt/)
        assert.strictEqual(fake.prompts.length, 1)
        assert.deepStrictEqual(fake.aborted, [])
      })
    ))

  it.effect("asks again until the answer decodes", () =>
    withScripts(
      [F.answering("no json"), F.answering("{\"answer\":42}")],
      Effect.gen(function*() {
        const { result, value } = yield* OpenCode.runSchema(Schema.Struct({ answer: Schema.Int }), "How many?")
        assert.deepStrictEqual(value, { answer: 42 })
        assert.strictEqual(result.steps, 2)
        const { prompts } = yield* F.Fake
        assert.strictEqual(prompts[0]!.sessionId, prompts[1]!.sessionId)
      })
    ))
})

describe("a server's secrets", () => {
  const canary = "canary-5f1d"

  it.effect("are missing from everything that is written or shown", () =>
    Effect.gen(function*() {
      const { work } = yield* T.Machine
      const transcript = path.join(work, "run.jsonl")
      const fake = yield* F.Fake
      const error = yield* T.failsWith("OpenCodeSessionError")(OpenCode.run("x", { transcript }))
      assert.notInclude(JSON.stringify({ ...error, message: error.message }), canary)
      assert.notInclude(fs.readFileSync(transcript, "utf8"), canary)
      fake.instead = ({ url }) =>
        url.pathname.endsWith("/prompt_async")
          ? json({ data: { message: `what is ${canary}?` } }, { status: 400 })
          : undefined
      const refused = yield* T.failsWith("OpenCodeServerError")(OpenCode.run("x"))
      assert.notInclude(JSON.stringify({ ...refused, message: refused.message }), canary)
      for (const { body, headers, url } of fake.sent) {
        assert.notInclude(JSON.stringify([url.href, body]), canary)
        assert.match(headers["authorization"]!, /^Basic /)
      }
    }).pipe(Effect.provide(F.layer([(play) =>
      Effect.gen(function*() {
        yield* play.busy
        yield* play.stepStart
        yield* play.tool("bash", { output: `OPENCODE_SERVER_PASSWORD=${canary}` })
        yield* play.fail(apiError(500, `no ${canary}`))
        yield* play.idle
      })], { password: RunConfig.secret(canary) }))))
})

describe("a layer with a server", () => {
  it.effect("lists models and the version", () =>
    Effect.gen(function*() {
      const service = yield* OpenCode.OpenCode
      assert.deepStrictEqual(yield* service.models, ["fake/m1"])
      expect(yield* service.version).toMatchObject({ major: 1, minor: 18, patch: 33 })
    }).pipe(Effect.provide(F.layer())))

  it.effect("refuses to query models in an unknown home directory", () =>
    Effect.gen(function*() {
      const service = yield* OpenCode.OpenCode
      assert.strictEqual((yield* T.failsWith("OpenCodeConfigError")(service.models)).path, "cwd")
      assert.deepStrictEqual((yield* F.Fake).sent, [])
    }).pipe(Effect.provide(F.layer([], { defaults: { cwd: "~/project" } }))))

  it.effect("refuses unusable options", () =>
    Effect.gen(function*() {
      const refused = (path: string, options: Partial<OpenCodeServer.AttachOptions>) =>
        Effect.gen(function*() {
          const error = yield* T.failsWith("OpenCodeConfigError")(OpenCode.run("x"))
          assert.strictEqual(error.path, path)
        }).pipe(Effect.provide(F.layer([], options)))
      yield* refused("concurrency", { concurrency: 0 })
      yield* refused("forceKillAfter", { forceKillAfter: -1 })
      yield* refused("rateLimitGate.fallback", { rateLimitGate: { fallback: 0 } })
      yield* refused("url", { url: "localhost" })
    }))
})
