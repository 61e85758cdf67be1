/** OpenCode 2 over servers that many runs share, and over one that runs elsewhere. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { OpenCode, OpenCodeServer } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createServer } from "node:http"
import * as opencode2 from "../support/opencode2.js"
import { kill, portOf } from "../support/processFiles.js"
import * as support from "./support.js"
import { asked, during, failing, left, nothing, Reply, respond, run, tags, tools, working } from "./support.js"

const shell = (command: string) => Reply.toolCalls([{ name: "shell", arguments: { command, description: "Scripted" } }])

const provider = ModelProvider.layer({ respond: ({ prompt }) => Reply.text(`answer to ${prompt.trim()}`) }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)

const served = (box: support.Sandbox, options: OpenCodeServer.Options = {}) =>
  Layer.unwrapEffect(Effect.map(ModelProvider.ModelProvider, ({ configOverrides, model }) =>
    OpenCodeServer.layer({
      binary: opencode2.binary,
      version: opencode2.version,
      startTimeout: "10 minutes",
      forceKillAfter: "15 seconds",
      ...options,
      defaults: { configOverrides, model, title: "Scripted", cwd: box.work }
    }))).pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))

/** A test in its own sandbox, which must be empty when the layer has closed. */
const real = <E>(
  name: string,
  body: (
    box: support.Sandbox
  ) => Effect.Effect<void, E, OpenCode.OpenCode | ModelProvider.ModelProvider | Scope.Scope>,
  options: OpenCodeServer.Options = {}
): void =>
  it.scopedLive(name, () =>
    Effect.flatMap(support.sandbox, (box) =>
      Effect.scoped(body(box)).pipe(
        Effect.provide(Layer.provideMerge(served(box, options), provider)),
        Effect.andThen(Effect.sync(() => expect(left(box)).toEqual(nothing)))
      )))

/** The processes of servers. */
const servers = (box: support.Sandbox) =>
  support.processes(box).filter(({ command }) => command.includes("serve --stdio"))

describe.skipIf(opencode2.binary === undefined)(`OpenCode 2 over a server${opencode2.why}`, () => {
  real(
    "one server carries runs at the same time, a conversation, a branch and an abort",
    (box) =>
      Effect.gen(function*() {
        const prompts = ["a", "b", "c"]
        const results = yield* Effect.forEach(prompts, (prompt) => run(prompt), { concurrency: "unbounded" })
        expect(results.map(({ answer }) => answer)).toEqual(prompts.map((prompt) => `answer to ${prompt}`))
        const events = yield* OpenCode.stream("stream").pipe(Stream.runCollect, Effect.map((chunk) => [...chunk]))
        expect(tags(events)).toEqual(["StepStart", "TextDelta", "Text", "StepFinish"])

        const [one] = servers(box)
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* OpenCode.session()
          yield* session.run("one")
          yield* session.run("two")
          const branch = yield* session.fork()
          yield* branch.run("three")
          const said = (yield* asked).slice(-2).map(({ messages }) =>
            messages.filter(({ role }) => role === "user").map(({ text }) => text)
          )
          // The same process, so nothing new is said about the environment, except the id of a branch.
          expect(said[0]).toEqual(["one", "two"])
          expect(said[1]!.filter((text) => !text.includes("<system-update>"))).toEqual(["one", "two", "three"])
          expect((yield* session.export()).messages.length).toBeGreaterThan(3)
        }))
        expect(yield* Effect.flatMap(OpenCode.OpenCode, ({ models }) => models)).toContain("fake/m1")

        yield* respond(() => shell("sleep 7777"))
        const fiber = yield* Effect.fork(run("Go"))
        yield* during(working(box, "sleep 7777"), fiber)
        yield* Fiber.interrupt(fiber)
        expect(support.processes(box).filter(({ command }) => command.includes("7777"))).toEqual([])
        expect(servers(box).map(({ pid }) => pid)).toContain(one!.pid)

        const refused = yield* failing("OpenCodeConfigError")(run("Go", { sessionId: "ses_nope" }))
        expect(refused.path).toBe("sessionId")
      })
  )

  const questions: Array<OpenCodeServer.PermissionRequest> = []

  real(
    "asks for permissions, in sub-agents, too; a rejection with a reason lets the model go on",
    () =>
      Effect.gen(function*() {
        yield* respond(({ messages, prompt }) =>
          messages.some(({ role }) => role === "tool")
            ? Reply.text("over")
            : prompt.includes("CHILD")
            ? shell("echo child")
            : Reply.toolCalls([
              { name: "shell", arguments: { command: "echo allowed", description: "x" } },
              { name: "shell", arguments: { command: "echo refused", description: "x" } },
              { name: "subagent", arguments: { agent: "general", description: "x", prompt: "CHILD" } }
            ])
        )
        const result = yield* run("PARENT")
        expect(result.answer).toBe("over")
        expect(tools(result.events).map(({ status, tool }) => `${tool} ${status}`).sort()).toEqual([
          "shell completed",
          "shell error",
          "subagent completed"
        ])
        expect(
          questions.map(({ childId, patterns, permission }) => [permission, patterns, childId !== undefined]).sort()
        )
          .toEqual([
            ["bash", ["echo allowed"], false],
            ["bash", ["echo child"], true],
            ["bash", ["echo refused"], false]
          ])
        expect(tags(result.events).filter((tag) => tag === "PermissionAsked")).toHaveLength(3)
      }),
    {
      ask: ["bash"],
      onPermission: (request) =>
        Effect.sync(() => {
          questions.push(request)
          return request.patterns[0] === "echo refused" ? { reject: "not this" } : "once"
        })
    }
  )

  real(
    "a server that is killed fails its runs; the next run has another one on the same data",
    (box) =>
      Effect.gen(function*() {
        const first = yield* run("one")
        yield* respond(() => shell("sleep 7777"))
        const fiber = yield* Effect.fork(Effect.flip(run("Go")))
        yield* during(working(box, "sleep 7777"), fiber)
        for (const { pid } of servers(box)) kill(pid)
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "OpenCodeServerError", reason: "exited" })
        yield* respond(() => Reply.text("again"))
        expect(yield* run("two", { sessionId: first.sessionId })).toMatchObject({
          answer: "again",
          sessionId: first.sessionId
        })
      })
  )

  real("another layer attaches to it by its address, and leaves it running", (box) =>
    Effect.gen(function*() {
      yield* run("one")
      const [one] = servers(box)
      const password = Redacted.make(/OPENCODE_PASSWORD=([^\0]*)/.exec(one!.environment)![1]!)
      const result = yield* run("own")
      const url = `http://127.0.0.1:${portOf(one!.pid)}`
      const { model } = yield* ModelProvider.ModelProvider
      const attach = (password: Redacted.Redacted) =>
        OpenCodeServer.layerAttach({ url, password, defaults: { model, cwd: box.work } }).pipe(
          Layer.provide([NodeContext.layer, FetchHttpClient.layer])
        )
      yield* Effect.gen(function*() {
        const attached = yield* run("attached", { sessionId: result.sessionId })
        expect(attached.answer).toBe("answer to attached")
        expect((yield* failing("OpenCodeConfigError")(run("Go", { pure: true }))).path).toBe("pure")
      }).pipe(Effect.provide(attach(password)))
      const error = yield* failing("OpenCodeServerError")(Effect.provide(run("Go"), attach(Redacted.make("wrong"))))
      expect(error.reason).toBe("unauthorized")
      expect(servers(box).map(({ pid }) => pid)).toEqual([one!.pid])
    }))
})
