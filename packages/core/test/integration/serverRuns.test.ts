/**
 * Runs over one server of the real binary: that they do not disturb each other, what happens to abandoned ones, and to
 * all of them when the server ends.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { afterAll, describe, expect, it } from "@effect/vitest"
import { OpenCode, OpenCodeServer, type RunOptions } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { createServer } from "node:http"
import * as path from "node:path"
import { portOf } from "../support/processFiles.js"
import * as support from "./support.js"

const { Reply, bash, failing, steps, tags } = support

class Box extends Context.Tag("test/Box")<Box, support.Sandbox>() {}

type Decide = (request: OpenCodeServer.PermissionRequest) => OpenCodeServer.PermissionAnswer

/** The test's answer to permission requests, and the requests. */
const questions: { decide: Decide; readonly asked: Array<OpenCodeServer.PermissionRequest> } = {
  decide: () => "reject",
  asked: []
}

const surroundings = Layer.merge(
  Layer.scoped(Box, support.sandbox),
  ModelProvider.layer({ respond: () => Reply.never }).pipe(
    Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
  )
)

const opencode = Layer.unwrapEffect(Effect.gen(function*() {
  const { work } = yield* Box
  const { runConfig } = yield* ModelProvider.ModelProvider
  return OpenCodeServer.layer({
    version: support.version,
    concurrency: "unbounded",
    startTimeout: "10 minutes",
    forceKillAfter: "15 seconds",
    defaults: { ...runConfig, cwd: work, title: "Scripted" },
    onPermission: (request) =>
      Effect.sync(() => {
        questions.asked.push(request)
        return questions.decide(request)
      })
  })
})).pipe(Layer.provide([NodeContext.layer, NodeHttpClient.layer]))

const outer = Effect.runSync(Scope.make())
const inner = Effect.runSync(Scope.make())
const memo = Effect.runSync(Layer.makeMemoMap)
const services = Effect.andThen(
  Layer.buildWithMemoMap(surroundings, memo, outer),
  Layer.buildWithMemoMap(Layer.provideMerge(opencode, surroundings), memo, inner)
)

let used: support.Sandbox | undefined

afterAll(async () => {
  await Effect.runPromise(Scope.close(inner, Exit.void))
  const left = support.left(used!)
  await Effect.runPromise(Scope.close(outer, Exit.void))
  expect(left).toEqual(support.nothing)
})

const test = <E>(
  name: string,
  body: (
    box: support.Sandbox
  ) => Effect.Effect<void, E, ModelProvider.ModelProvider | OpenCode.OpenCode | Scope.Scope>
): void =>
  it.scopedLive(name, () =>
    Effect.gen(function*() {
      const box = yield* Box
      used = box
      for (const directory of [box.work, box.data]) {
        for (const name of fs.readdirSync(directory)) fs.rmSync(path.join(directory, name), { recursive: true })
      }
      questions.decide = () => "reject"
      questions.asked.length = 0
      yield* body(box)
    }).pipe(Effect.provide(Layer.effectContext(services))))

const done = steps([Reply.text("done")])

/** The server's own report of its busy sessions. */
const busy = (box: support.Sandbox): Effect.Effect<unknown> =>
  Effect.promise(async () => {
    const { environment, pid } = support.leader(box)
    const password = /OPENCODE_SERVER_PASSWORD=([^\0]*)/.exec(environment)![1]!
    const response = await fetch(
      `http://127.0.0.1:${portOf(pid)}/session/status?directory=${encodeURIComponent(box.work)}`,
      { headers: { authorization: `Basic ${Buffer.from(`opencode:${password}`).toString("base64")}` } }
    )
    return response.json()
  })

const working = (box: support.Sandbox, command: string): number =>
  support.processes(box).filter((process) => process.command.includes(command)).length

/** A session's permission to touch a file outside its directory. */
interface Kind {
  readonly options: (box: support.Sandbox) => RunOptions.RunOptions
  /** The answer, if it asks. */
  readonly answer?: OpenCodeServer.PermissionAnswer
  readonly touches: boolean
  /** How the run ends. Default: with the model's last words. */
  readonly fails?: "OpenCodePermissionError"
}

const kinds: { readonly [name: string]: Kind } = {
  allowed: { options: () => ({ permission: { external_directory: "allow" } }), touches: true },
  denied: { options: () => ({ permission: { external_directory: "deny" } }), touches: false },
  byPattern: {
    options: ({ data }) => ({ permission: { external_directory: { "*": "deny", [`${data}/*`]: "allow" } } }),
    touches: true
  },
  otherPattern: {
    options: ({ data, home }) => ({
      permission: { external_directory: { [`${home}/*`]: "allow", [`${data}/*`]: "deny" } }
    }),
    touches: false
  },
  withoutTool: { options: () => ({ permission: { bash: "deny", external_directory: "allow" } }), touches: false },
  auto: { options: () => ({ auto: true }), touches: true },
  once: { options: () => ({}), answer: "once", touches: true },
  rejected: { options: () => ({}), answer: "reject", touches: false, fails: "OpenCodePermissionError" },
  told: { options: () => ({}), answer: { reject: "Leave that alone." }, touches: false }
}

describe("a compaction", () => {
  test("after a step that used too many tokens: the run continues, and its own prompt is not part of the answer", () =>
    Effect.gen(function*() {
      yield* support.respond(support.compacting)
      const result = yield* OpenCode.run("Work", { exitGrace: "2 seconds" })
      expect(result).toMatchObject({ text: "FINAL", forced: false, steps: 3 })
      const texts = result.events.flatMap((event) =>
        event._tag === "Text" ? [[event.synthetic, event.text.slice(0, 8)]] : []
      )
      expect(texts).toEqual([[true, "SUMMARY"], [true, "Continue"], [undefined, "FINAL"]])
    }))

  test("after an overflow: the prompt is repeated", () =>
    Effect.scoped(Effect.gen(function*() {
      yield* support.respond(done)
      const session = yield* OpenCode.session()
      yield* session.run("First")
      yield* support.respond(support.overflowing)
      const result = yield* session.run("Second", { exitGrace: "2 seconds" })
      expect(result).toMatchObject({ text: "FINAL", forced: false, steps: 2 })
    })))
})

describe("permissions", () => {
  test("of fifty sessions in one directory stay separate", (box) =>
    Effect.gen(function*() {
      const kindOf = (name: string): Kind => kinds[name.split("-")[0]!]!
      const nameIn = (command: unknown): string => path.basename(String(command))
      const names = Array.from({ length: 50 }, (_, n) => {
        const all = Object.keys(kinds)
        return `${all[n % all.length]}-${n}`
      })
      questions.decide = ({ metadata }) => kindOf(nameIn(metadata["command"])).answer ?? "once"
      yield* support.respond((request) =>
        steps([bash(`touch ${box.data}/${request.prompt}`), Reply.text(`${request.prompt} is done`)])(request)
      )

      const ends = yield* Effect.forEach(names, (name) =>
        OpenCode.run(name, kindOf(name).options(box)).pipe(
          Effect.match({
            onFailure: (error) => ({ name, end: error._tag }),
            onSuccess: ({ text }) => ({ name, end: text })
          })
        ), { concurrency: "unbounded" })

      expect(ends).toEqual(names.map((name) => ({ name, end: kindOf(name).fails ?? `${name} is done` })))
      expect(fs.readdirSync(box.data).sort()).toEqual(names.filter((name) => kindOf(name).touches).sort())
      expect(questions.asked.map(({ metadata }) => nameIn(metadata["command"])).sort()).toEqual(
        names.filter((name) => kindOf(name).answer !== undefined).sort()
      )
      expect(new Set(questions.asked.map(({ sessionId }) => sessionId)).size).toBe(questions.asked.length)
      // The model gets the reason only for calls of its own session.
      const results = (yield* support.asked).flatMap(({ messages, prompt }) =>
        messages.filter(({ role }) => role === "tool").map(({ text }) => ({ prompt, text }))
      )
      const told = results.filter(({ text }) => text.includes("Leave that alone.")).map(({ prompt }) => prompt)
      expect(told.sort()).toEqual(names.filter((name) => name.startsWith("told-")).sort())
      expect(yield* busy(box)).toEqual({})

      // An answer to one of them does not apply to a later run.
      questions.asked.length = 0
      yield* failing("OpenCodePermissionError")(OpenCode.run("rejected-50"))
      expect(questions.asked.length).toBe(1)
      expect(fs.existsSync(path.join(box.data, "rejected-50"))).toBe(false)
    }))

  test("of a sub-agent reach the callback, and its parent continues after any answer", (box) =>
    Effect.gen(function*() {
      const delegating = (name: string): ModelProvider.Respond => (request) =>
        request.prompt === "delegated"
          ? steps([bash(`touch ${box.data}/${name}`), Reply.text("the sub-agent is done")])(request)
          : steps([
            Reply.toolCalls([{
              name: "task",
              arguments: { description: "Delegate", prompt: "delegated", subagent_type: "general" }
            }]),
            Reply.text("done")
          ])(request)
      const delegate = (name: string, answer: OpenCodeServer.PermissionAnswer, options?: RunOptions.RunOptions) =>
        Effect.gen(function*() {
          questions.asked.length = 0
          questions.decide = () => answer
          yield* support.respond(delegating(name))
          const { events, sessionId, text } = yield* OpenCode.run("delegate", options)
          expect(text).toBe("done")
          return {
            touched: fs.existsSync(path.join(box.data, name)),
            asked: questions.asked.map(({ childId, sessionId: parent }) => ({
              isParent: parent === sessionId,
              isChild: childId !== undefined && childId !== sessionId
            })),
            told: events.flatMap((event) => event._tag === "PermissionAsked" ? [event.sessionId !== sessionId] : [])
          }
        })
      const asked = { asked: [{ isParent: true, isChild: true }], told: [true] }
      expect(yield* delegate("rejected", "reject")).toEqual({ touched: false, ...asked })
      expect(yield* delegate("told", { reject: "Leave that alone." })).toEqual({ touched: false, ...asked })
      expect(yield* delegate("once", "once")).toEqual({ touched: true, ...asked })
      expect(yield* delegate("denied", "once", { permission: { external_directory: "deny" } })).toEqual({
        touched: false,
        asked: [],
        told: []
      })
    }))
})

describe("a provider that never answers", () => {
  test("is abandoned at the limit together with its tools, without disturbing others or the next run", (box) =>
    Effect.gen(function*() {
      yield* support.respond(done)
      yield* OpenCode.run("go")
      const { pid } = support.leader(box)

      const started = support.appearance(box.work, "started")
      const released = yield* Deferred.make<void>()
      yield* support.respond((request) => {
        switch (request.prompt) {
          case "says nothing":
            return Reply.never
          case "stops in the middle":
            return Reply.stall("so far so good")
          case "works for ever":
            return steps([bash("trap '' TERM; touch started; sleep 300")])(request)
          default:
            return Effect.as(Deferred.await(released), Reply.text("done"))
        }
      })
      const others = yield* Effect.fork(OpenCode.run("takes its time"))
      const tool = yield* Effect.fork(OpenCode.run("works for ever", { idleTimeout: "20 seconds" }))
      yield* support.during(started, tool)
      yield* support.during(support.working(box, "sleep 300"), tool)

      const [total, idle, working_] = yield* Effect.all([
        failing("OpenCodeTimeoutError")(OpenCode.run("says nothing", { timeout: "45 seconds" })),
        failing("OpenCodeTimeoutError")(OpenCode.run("stops in the middle", { idleTimeout: "30 seconds" })),
        failing("OpenCodeTimeoutError")(Fiber.join(tool))
      ], { concurrency: "unbounded" })
      expect(total).toMatchObject({ phase: "total", partial: { text: "", steps: 0 } })
      expect(total.partial.sessionId).toMatch(/^ses_/)
      expect(idle).toMatchObject({ phase: "idle", partial: { text: "so far so good", steps: 1 } })
      expect(working_).toMatchObject({ phase: "idle" })
      yield* Deferred.succeed(released, undefined)
      expect((yield* Fiber.join(others)).text).toBe("done")
      expect(yield* busy(box)).toEqual({})
      // OpenCode sends a tool SIGTERM and gives it three seconds (1.18.33).
      yield* support.until(() => working(box, "sleep 300") === 0)
      yield* support.respond(done)
      expect((yield* OpenCode.run("go")).text).toBe("done")
      expect(support.leader(box).pid).toBe(pid)
    }))
})

describe("a server that is killed", () => {
  test("fails its runs with the events so far and leaves nothing to its successor", (box) =>
    Effect.gen(function*() {
      const started = support.appearance(box.work, "started")
      const waits = yield* Deferred.make<void>()
      const second = yield* Deferred.make<void>()
      yield* support.respond((request) =>
        request.prompt === "work"
          ? steps([
            Reply.toolCalls([{ name: "bash", arguments: { command: "echo one", description: "Say one" } }], {
              text: "First this."
            }),
            bash("trap '' TERM; touch started; sleep 300")
          ])(request)
          : Effect.as(Deferred.succeed(waits, undefined), Reply.never)
      )
      const session = yield* OpenCode.OpenCode.pipe(Effect.flatMap((opencode) => opencode.session()))
      let steps_ = 0
      const worker = yield* Effect.fork(session.run("work", {
        onEvent: (event) =>
          event._tag === "StepStart" && ++steps_ === 2
            ? Effect.asVoid(Deferred.succeed(second, undefined))
            : Effect.void
      }))
      const bystander = yield* Effect.fork(OpenCode.run("wait"))
      yield* support.during(Effect.andThen(started, Deferred.await(second)), worker)
      yield* support.during(Deferred.await(waits), bystander)
      const { pid } = support.leader(box)
      process.kill(pid, "SIGKILL")

      const error = yield* failing("OpenCodeServerError")(Fiber.join(worker))
      expect(error).toMatchObject({
        reason: "exited",
        signal: "SIGKILL",
        partial: { text: "First this.", steps: 2, usage: { total: 120 }, cost: 0.0001 }
      })
      expect(error.partial?.sessionId).toMatch(/^ses_/)
      expect(tags(error.partial?.events)).toEqual(["StepStart", "Text", "ToolUse", "StepFinish", "StepStart"])
      expect(yield* failing("OpenCodeServerError")(Fiber.join(bystander))).toMatchObject({ reason: "exited" })

      yield* support.respond(done)
      expect((yield* OpenCode.run("go")).text).toBe("done")
      expect(support.leader(box).pid).not.toBe(pid)
      expect(working(box, "sleep 300")).toBe(0)

      // The conversation continues where it was.
      const continued = yield* session.run("go on")
      expect(continued).toMatchObject({ sessionId: error.partial?.sessionId, text: "done" })
      expect((yield* support.asked).at(-1)?.messages.map(({ text }) => text).join()).toContain("First this.")
    }))
})
