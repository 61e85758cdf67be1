/** The service over one warm server of the real binary, which all tests of this file share. */
import { expect } from "@effect/vitest"
import { OpenCode, type OpenCodeServer, type RunOptions, Version } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import { read } from "../support/processFiles.js"
import { appearance, asked, bash, failing, left, Reply, respond, run, steps, tags, tools } from "./support.js"
import { Sandbox, warm } from "./warm.js"

/** The requests for permission so far, and the next answer. */
interface Permissions {
  readonly asked: Array<OpenCodeServer.PermissionRequest>
  answer: Effect.Effect<OpenCodeServer.PermissionAnswer>
}

const permissions: Permissions = { asked: [], answer: Effect.succeed("reject") }

const overServer = warm({
  onPermission: (request) =>
    Effect.suspend(() => {
      permissions.asked.push(request)
      return permissions.answer
    })
})

overServer("runs over a warm server", (it) => {
  it.effect("end with the answer, and show it as it is said", () =>
    Effect.gen(function*() {
      yield* respond(
        steps([Reply.reasoning("let me think", Reply.text("Hello world", { deltas: ["Hello ", "world"] }))])
      )
      const result = yield* run("Greet")
      expect(result).toMatchObject({ text: "Hello world", finishReason: "stop", forced: false, steps: 1, attempts: 1 })
      expect(result.exitCode).toBeUndefined()
      expect(result.cost).toBeGreaterThan(0)
      expect(tags(result.events)).toEqual(["StepStart", "Text", "StepFinish"])
      const events = yield* Stream.runCollect(OpenCode.stream("Greet", { thinking: true }))
      expect([...events].map((event) => event._tag)).toEqual([
        "StepStart",
        "TextDelta",
        "Reasoning",
        "TextDelta",
        "TextDelta",
        "Text",
        "StepFinish"
      ])
      // No title was requested.
      const { requests } = yield* ModelProvider.ModelProvider
      expect((yield* requests).map(({ isTitle }) => isTitle)).toEqual([false, false])
    }))

  it.effect("call tools concurrently, in the working directory", () =>
    Effect.gen(function*() {
      const { work } = yield* Sandbox
      const call = (command: string) => ({ name: "bash", arguments: { command, description: "Scripted" } })
      // Each waits until the other one exists.
      const meet = (own: string, other: string) => `touch side-${own}; until [ -e side-${other} ]; do sleep 0.05; done`
      yield* respond(steps([
        Reply.toolCalls([call(`${meet("a", "b")}; pwd`), call(`${meet("b", "a")}; echo quick; exit 3`)]),
        Reply.text("both")
      ]))
      const result = yield* run("Look around")
      expect(result.text).toBe("both")
      const ended = tools(result.events).map(({ metadata, output }) => [(metadata as { exit: number }).exit, output])
      expect(ended.sort()).toEqual([[0, `${work}\n`], [3, "quick\n"]])
    }))

  it.effect("keep the server's password out of everything written", () =>
    Effect.gen(function*() {
      const box = yield* Sandbox
      const transcript = path.join(box.work, "run.jsonl")
      yield* respond(steps([bash("printenv OPENCODE_SERVER_PASSWORD"), Reply.text("shown")]))
      const { events } = yield* run("Show it", { transcript })
      const password = tools(events)[0]!.output!.trim()
      expect(password).toMatch(/^[\w-]{43}$/)
      const written = fs.readFileSync(transcript, "utf8")
      expect(written).not.toContain(password)
      expect(written).toContain("<redacted>")
    }))

  it.effect("apply the given rules", () =>
    Effect.gen(function*() {
      yield* respond(steps([bash("echo no"), Reply.text("then not")]))
      const result = yield* run("Try", { permission: { bash: "deny" } })
      expect(tools(result.events)).toMatchObject([{ tool: "invalid" }])
      const request = (yield* asked).at(-1)
      expect(request?.tools).not.toContain("bash")
      expect(request?.tools).toContain("read")
      expect(request?.tools).not.toContain("question")
    }))

  it.effect("ask for permission, and continue, stop or get a reason", () =>
    Effect.gen(function*() {
      const { work } = yield* Sandbox
      fs.writeFileSync(path.join(work, "secrets.env"), "TOKEN=1\n")
      const read = Reply.toolCalls([{ name: "read", arguments: { filePath: path.join(work, "secrets.env") } }])
      yield* respond(steps([read, Reply.text("after it")]))

      permissions.answer = Effect.succeed("once")
      const allowed = yield* run("Read it")
      expect(allowed.text).toBe("after it")
      expect(tags(allowed.events)).toEqual([
        "StepStart",
        "PermissionAsked",
        "ToolUse",
        "StepFinish",
        "StepStart",
        "Text",
        "StepFinish"
      ])
      expect(permissions.asked).toMatchObject([{
        runId: allowed.runId,
        sessionId: allowed.sessionId,
        childId: undefined,
        permission: "read",
        cwd: work
      }])

      permissions.answer = Effect.succeed("reject")
      const error = yield* failing("OpenCodePermissionError")(run("Read it"))
      expect(error.permission).toBe("read")
      expect(tags(error.partial.events)).toEqual([
        "StepStart",
        "PermissionAsked",
        "PermissionRejected",
        "ToolUse",
        "StepFinish"
      ])

      permissions.answer = Effect.succeed({ reject: "it is none of your business" })
      const told = yield* run("Read it")
      expect(told.text).toBe("after it")
      expect(tools(told.events)[0]?.error).toContain("none of your business")
      permissions.answer = Effect.succeed("reject")
    }))

  it.effect("can be turns of a session, whose rules end with them", () =>
    Effect.scoped(Effect.gen(function*() {
      const { root, work } = yield* Sandbox
      const link = path.join(root, "link")
      fs.symlinkSync(work, link)
      const session = yield* OpenCode.session({ cwd: link })
      yield* respond(steps([Reply.text("one")]))
      const first = yield* session.run("First", { permission: { bash: "deny" } })
      yield* respond(steps([bash("echo two"), Reply.text("two")]))
      const second = yield* session.run("Second")
      expect(second.sessionId).toBe(first.sessionId)
      expect(tools(second.events)).toMatchObject([{ tool: "bash", output: "two\n" }])
      const third = yield* session.run("Third", { permission: { bash: "deny" } })
      expect(tools(third.events)).toMatchObject([{ tool: "invalid" }])
      const branch = yield* session.fork()
      const fourth = yield* branch.run("Fourth", { permission: { bash: "deny" } })
      expect(fourth.sessionId).not.toBe(first.sessionId)
      expect(tools(fourth.events)).toMatchObject([{ tool: "invalid" }])
      const message = first.events.at(-1)!
      const earlier = yield* session.fork({ after: "messageId" in message ? message.messageId : undefined })
      yield* respond(steps([Reply.text("five")]))
      yield* earlier.run("Fifth")
      const users = (yield* asked).at(-1)!.messages.filter(({ role }) => role === "user")
      expect(users.map(({ text }) => text)).toEqual(["First", "Fifth"])
      const unknown = yield* Effect.flip(Effect.flatMap(session.fork({ after: "msg_0" }), (fork) => fork.run("Sixth")))
      expect(unknown).toMatchObject({ _tag: "OpenCodeConfigError", path: "forkAfter" })
      const conversation = yield* session.export()
      expect(conversation.messages.filter(({ info }) => info.role === "user")).toHaveLength(3)
      expect(yield* session.usage).toMatchObject({ steps: 5 })
    })))

  it.effect("answer by a schema, and get a wrong answer back in the same session", () =>
    Effect.gen(function*() {
      const said = (request: ModelProvider.ProviderRequest) =>
        request.messages.filter(({ role }) => role === "user").map(({ text }) => text)
      yield* respond((request) =>
        said(request).length === 1
          ? Reply.text("There are ```json\n{\"count\": \"three\", \"on\": \"2026-01-02\"}\n```")
          : Reply.text("```json\n{\"count\": 3, \"on\": \"2026-01-02\"}\n```")
      )
      const Answer = Schema.Struct({ count: Schema.Int, on: Schema.Date })
      const earlier = (yield* asked).length
      const { result, value } = yield* OpenCode.runSchema(Answer, "How many?")
      expect(value).toEqual({ count: 3, on: new Date("2026-01-02T00:00:00.000Z") })
      expect(result.steps).toBe(2)
      const requests = (yield* asked).slice(earlier)
      expect(requests.map((request) => said(request).length)).toEqual([1, 2])
      expect(said(requests[0]!)[0]).toContain("How many?")
      expect(said(requests[1]!)[1]).toContain("count")

      yield* respond(() => Reply.text("I do not know"))
      const error = yield* failing("OpenCodeOutputError")(OpenCode.runSchema(Answer, "How many?", { repairs: 1 }))
      expect(error.answer).toBe("I do not know")
      const budget = yield* failing("OpenCodeBudgetError")(
        OpenCode.runSchema(Answer, "How many?", { budget: { steps: 1 } })
      )
      expect(budget.partial?.text).toBe("I do not know")
    }))

  it.effect("are aborted on interruption", () =>
    Effect.gen(function*() {
      const { work } = yield* Sandbox
      const marker = path.join(work, "interrupted")
      yield* respond(steps([bash(`touch ${marker}; sleep 300`), Reply.text("never")]))
      const begun = yield* Deferred.make<void>()
      const fiber = yield* OpenCode.stream("Sleep").pipe(
        Stream.runForEach((event) => event._tag === "StepStart" ? Deferred.succeed(begun, undefined) : Effect.void),
        Effect.fork
      )
      yield* Deferred.await(begun)
      yield* appearance(work, "interrupted")
      yield* Fiber.interrupt(fiber)
      const sandbox = yield* Sandbox
      expect(left(sandbox).survivors.filter((line) => line.includes("sleep 300"))).toEqual([])
      yield* respond(steps([Reply.text("still there")]))
      expect((yield* run("Are you there?")).text).toBe("still there")
    }))

  it.effect("stop at their limits and keep the text so far", () =>
    Effect.gen(function*() {
      yield* respond(steps([Reply.stall("Once upon a time")]))
      const error = yield* failing("OpenCodeTimeoutError")(run("Tell", { idleTimeout: "30 seconds" }))
      expect(error.phase).toBe("idle")
      expect(error.partial.text).toBe("Once upon a time")
    }))

  it.effect("work in several directories concurrently", () =>
    Effect.gen(function*() {
      const { root } = yield* Sandbox
      const directories = ["a", "b"].map((name) => path.join(root, name))
      for (const directory of directories) fs.mkdirSync(directory)
      yield* respond(steps([bash("pwd"), Reply.text("here")]))
      const results = yield* Effect.forEach(
        [...directories, ...directories],
        (cwd) => run("Where?", { cwd }),
        { concurrency: "unbounded" }
      )
      expect(results.map(({ events }) => tools(events)[0]?.output)).toEqual(
        [...directories, ...directories].map((directory) => `${directory}\n`)
      )
    }))

  it.effect("have the data directory that they name, and are announced before their prompt", () =>
    Effect.gen(function*() {
      const box = yield* Sandbox
      const isolation = { directory: path.join(box.root, "named") }
      yield* respond((request) => Reply.text(`answer to ${request.prompt.trim()}`))
      let started: RunOptions.Started | undefined
      let early: ReadonlyArray<unknown> = ["not called"]
      const requests = yield* Effect.map(ModelProvider.ModelProvider, ({ requests }) => requests)
      const before = (yield* requests).length
      const onStart = (one: RunOptions.Started) =>
        Effect.map(requests, (all) => {
          started = one
          early = all.slice(before)
        })
      const result = yield* run("one", { runId: "named", isolation, onStart })
      expect(result).toMatchObject({ runId: "named", answer: "answer to one" })
      expect(early).toEqual([])
      expect(started).toMatchObject({ runId: "named", attempt: 1, program: { pid: process.pid }, ...isolation })
      expect(read(`/proc/${started!.process!.pid}/environ`)).toContain(`XDG_DATA_HOME=${isolation.directory}\0`)
      expect(fs.existsSync(path.join(isolation.directory, "opencode", "opencode.db"))).toBe(true)
      // It is in this directory, and not in that of the other server.
      const again = yield* run("two", { isolation, sessionId: result.sessionId })
      expect(again.sessionId).toBe(result.sessionId)
      const error = yield* failing("OpenCodeConfigError")(run("two", { sessionId: result.sessionId }))
      expect(error.path).toBe("sessionId")
    }))

  it.effect("report errors more precisely than a process", () =>
    Effect.gen(function*() {
      const model = yield* failing("OpenCodeSessionError")(run("x", { model: "fake/nope" }))
      expect(model).toMatchObject({ kind: "model-not-found", reason: "Model not found: fake/nope." })
      const agent = yield* failing("OpenCodeConfigError")(run("x", { agent: "nope" }))
      expect(agent.path).toBe("agent")
      const session = yield* failing("OpenCodeConfigError")(run("x", { sessionId: "ses_nope" }))
      expect(session.path).toBe("sessionId")
      yield* respond(() => Reply.httpError(401, { error: { message: "Incorrect API key provided" } }))
      const error = yield* failing("OpenCodeSessionError")(run("x"))
      expect(error).toMatchObject({ kind: "authentication", statusCode: 401 })
    }))

  it.effect("list the models and the version", () =>
    Effect.gen(function*() {
      const service = yield* OpenCode.OpenCode
      expect(yield* service.models).toContain("fake/m1")
      expect(Version.format(yield* service.version)).toBe("1.18.33")
    }))
})
