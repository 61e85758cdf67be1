/**
 * Runs the recipes of docs/recipes.md: `runMain` is not called, and the agents are those of the tests. The night over
 * many repositories runs as the script that it is, with git and the command line program; the scripted model answers the
 * real OpenCode.
 */
import { HttpClient, HttpClientRequest, HttpServer } from "@effect/platform"
import { NodeContext, NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import type { Console } from "effect"
import { Deferred, Effect, Exit, Fiber, Layer, Queue, Stream, TestClock } from "effect"
import { OpenCode } from "effect-opencode"
import { Events, FaultyOpenCode, MockCommandExecutor, ModelProvider, OpenCodeTest } from "effect-opencode-testing"
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { vi } from "vitest"
import { evaluate } from "../recipes/evaluation.js"
import * as mockModel from "../recipes/mock-model.js"
import { explain } from "../recipes/model-fallback.js"
import * as review from "../recipes/pr-review.js"
import * as retry from "../recipes/retry.js"
import { router } from "../recipes/web.js"
import { Tasks, worker } from "../recipes/worker.js"

const { Failure, Reply } = OpenCodeTest

vi.mock("@effect/platform-node", async (importOriginal) => {
  const original = await importOriginal<typeof import("@effect/platform-node")>()
  return { ...original, NodeRuntime: { ...original.NodeRuntime, runMain: () => () => undefined } }
})

const printing = (printed: Array<string>): Console.Console => {
  const push = (...args: ReadonlyArray<unknown>) => Effect.sync(() => void printed.push(args.map(String).join(" ")))
  const console = Effect.runSync(Effect.console)
  return { ...console, log: push, error: push }
}

const json = (value: unknown) => `\`\`\`json\n${JSON.stringify(value)}\n\`\`\``

const calls = Effect.flatMap(OpenCodeTest.OpenCodeTest, ({ calls }) => calls)

const untouched = { steps: 0, eventCount: 1 }

describe("a reviewer of pull requests", () => {
  const { exit, script, stdout } = MockCommandExecutor
  const git = (diff: string) => MockCommandExecutor.layer(() => script(stdout(diff), exit(0)))
  const reviewing = (answer: OpenCodeTest.Answer, diff = "+ a bug") =>
    Effect.gen(function*() {
      const printed: Array<string> = []
      const ended = yield* Effect.exit(Effect.withConsole(review.program, printing(printed)))
      let code: number | undefined
      review.teardown(ended, (given) => {
        code = given
      })
      return { code, printed, calls: yield* calls }
    }).pipe(Effect.provide([OpenCodeTest.layer(() => answer), git(diff)]))

  it.effect("exits with 1 for a bug, and an agent cannot write commands of the CI", () =>
    Effect.gen(function*() {
      const findings = [
        { file: "a.ts", line: 3, severity: "error", problem: "It is\n::add-mask::wrong" },
        { file: "b.ts,line=1::x", line: 1, severity: "warning", problem: "100% odd" }
      ]
      const { calls, code, printed } = yield* reviewing(json({ findings }))
      expect(code).toBe(1)
      expect(printed).toEqual([
        "::error file=a.ts,line=3::It is%0A::add-mask::wrong",
        "::warning file=b.ts%2Cline=1%3A%3Ax,line=1::100%25 odd",
        expect.stringMatching(/^2 findings, 1 of them errors, \$/)
      ])
      expect(calls[0]?.options.permission).toMatchObject({ edit: "deny", bash: "deny" })
      expect(calls[0]?.prompt).toContain("+ a bug")
    }))

  it.effect("exits with 0 without an error", () =>
    Effect.gen(function*() {
      expect((yield* reviewing(json({ findings: [] }))).code).toBe(0)
      expect(yield* reviewing("", "\n")).toMatchObject({ code: 0, printed: ["Nothing has changed."], calls: [] })
    }))

  it.effect("exits with 2 if there is no review", () =>
    Effect.gen(function*() {
      expect((yield* reviewing(Reply.fail(Failure.session({ kind: "quota" })))).code).toBe(2)
      expect((yield* reviewing("Looks good.")).code).toBe(2)
    }))
})

describe("a fallback to other models", () => {
  const tried = (respond: (model: string) => OpenCodeTest.Answer) =>
    Effect.gen(function*() {
      const ended = yield* Effect.exit(explain("a.ts"))
      const models = (yield* calls).map(({ options }) => options.model?.split("/")[0])
      return { answer: Exit.isSuccess(ended) ? ended.value.answer : undefined, models }
    }).pipe(Effect.provide(OpenCodeTest.layer(({ options }) => respond(options.model ?? ""))))

  const session = (kind: "rate-limit" | "quota" | "context-overflow") =>
    Reply.fail(Failure.session({ kind, partial: untouched }), [])

  it.effect("tries a rate-limited model twice, and goes on", () =>
    Effect.gen(function*() {
      expect(yield* tried((model) => model.startsWith("anthropic/") ? session("rate-limit") : "It exports.")).toEqual({
        answer: "It exports.",
        models: ["anthropic", "anthropic", "openai"]
      })
    }))

  it.effect("goes to the last one", () =>
    Effect.gen(function*() {
      expect(yield* tried((model) => model.startsWith("local/") ? "It exports." : session("quota"))).toEqual({
        answer: "It exports.",
        models: ["anthropic", "openai", "local"]
      })
    }))

  it.effect("does not ask another one what no model can do", () =>
    Effect.gen(function*() {
      expect(yield* tried(() => session("context-overflow"))).toEqual({ answer: undefined, models: ["anthropic"] })
    }))
})

describe("an evaluation", () => {
  it.effect("counts right answers, and a failed run as a wrong one", () =>
    Effect.gen(function*() {
      const printed: Array<string> = []
      const rows = yield* Effect.withConsole(evaluate, printing(printed))
      expect(rows.map(({ model, right }) => [model, right])).toEqual([["acme/large", "6/6"], ["acme/small", "3/6"]])
      expect(printed).toHaveLength(3)
      expect(rows[0]?.cost).toBeCloseTo(0.6)
    }).pipe(Effect.provide(OpenCodeTest.layer(({ options, prompt }) =>
      !prompt.includes("port")
        ? Reply.text("No.", { cost: 0.1 })
        : options.model === "acme/small"
        ? Reply.fail(Failure.session({ kind: "content-filter" }))
        : Reply.text("4096", { cost: 0.1 })
    ))))

  it.effect("ends when the budget is used up", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(evaluate)).toMatchObject({ _tag: "OpenCodeBudgetError", scope: "fleet" })
    }).pipe(Effect.provide(OpenCodeTest.layer(() => Reply.text("No.", { cost: 1 })))))
})

describe("retries", () => {
  it.effect("repeat a run that had not begun to act, and no other", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(retry.fix)
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(fiber)).answer).toBe("Fixed.")
      expect(yield* Effect.flip(retry.fix)).toMatchObject({ kind: "rate-limit" })
      expect(yield* calls).toHaveLength(3)
    }).pipe(Effect.provide(OpenCodeTest.layer({
      "Fix the failing test": Reply.sequence([
        Reply.fail(Failure.session({ kind: "rate-limit", partial: untouched }), []),
        "Fixed.",
        Reply.fail(Failure.session({ kind: "rate-limit" }))
      ])
    }))))

  it.effect("repeat a read-only run after any trouble that passes", () =>
    Effect.gen(function*() {
      expect((yield* retry.explain).answer).toBe("Layers.")
    }).pipe(Effect.provide(OpenCodeTest.layer({
      "Explain the architecture": Reply.sequence([Reply.fail(Failure.incomplete()), "Layers."])
    }))))
})

describe("a web endpoint", () => {
  const ask = (body: string) =>
    HttpClientRequest.post("/questions").pipe(
      HttpClientRequest.bodyText(body, "application/json"),
      HttpClient.execute
    )
  const serving = (respond: OpenCodeTest.Respond) =>
    HttpServer.serve(router).pipe(
      Layer.provideMerge(NodeHttpServer.layerTest),
      Layer.provideMerge(OpenCodeTest.layer(respond))
    )

  it.scopedLive("streams a run as events, and says nothing of its tools but their names", () =>
    Effect.gen(function*() {
      const response = yield* ask(JSON.stringify({ prompt: "What is it?" }))
      expect(response.headers["content-type"]).toContain("text/event-stream")
      expect(yield* response.text).toBe([
        `event: tool\ndata: {"tool":"read"}\n\n`,
        `event: text\ndata: {"text":"A server.\\n\\ndata: x"}\n\n`,
        `event: end\ndata: {}\n\n`
      ].join(""))
      expect((yield* ask(`{"prompt":""}`)).status).toBe(400)
      expect(yield* calls).toHaveLength(1)
    }).pipe(Effect.provide(serving(() =>
      Reply.events([
        Events.turn([Events.tool({ tool: "read", title: "secret.txt" })]),
        Events.turn("A server.\n\ndata: x")
      ])
    ))))

  it.scopedLive("reports a failure by its tag", () =>
    Effect.gen(function*() {
      const text = yield* Effect.flatMap(ask(`{"prompt":"What?"}`), (response) => response.text)
      expect(text).toContain(`event: failed\ndata: {"tag":"OpenCodeSessionError"}\n\n`)
    }).pipe(Effect.provide(serving(() => Reply.fail(Failure.session({ kind: "quota" }))))))

  it.scopedLive("ends the run when the client goes away", () =>
    Effect.gen(function*() {
      const response = yield* ask(`{"prompt":"What?"}`)
      yield* Stream.runHead(response.stream)
      const { running } = yield* OpenCodeTest.OpenCodeTest
      yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => Effect.map(running, (count) => count === 0) })
      expect((yield* calls).map(({ outcome }) => outcome._tag)).toEqual(["Interrupted"])
    }).pipe(Effect.scoped, Effect.provide(serving(() => Reply.events([Events.text("a"), MockCommandExecutor.never])))))
})

describe("a worker", () => {
  const working = (bodies: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<string>()
      yield* queue.offerAll(bodies)
      const settled: Array<string> = []
      const done = yield* Deferred.make<void>()
      const settle = (body: string, how: string) =>
        Effect.suspend(() => {
          settled.push(`${how}: ${body}`)
          return settled.length === bodies.length ? Effect.asVoid(Deferred.succeed(done, undefined)) : Effect.void
        })
      const tasks = Layer.succeed(Tasks, {
        take: Effect.map(queue.take, (body) => ({
          body,
          acknowledge: (outcome: string) => settle(outcome, "done"),
          reject: (reason: string) => settle(reason.split(":")[0] ?? "", "rejected"),
          giveBack: settle(/task \d/.exec(body)?.[0] ?? body, "returned")
        }))
      })
      const fiber = yield* Effect.fork(Effect.provide(worker(2), tasks))
      return { done: Deferred.await(done), fiber, settled }
    })

  const task = (number: number, options: object = {}) =>
    JSON.stringify({ id: `task-${number}`, prompt: `task ${number}`, options })

  it.effect("acknowledges, rejects and returns", () =>
    Effect.gen(function*() {
      const bodies = [task(1, { model: "acme/large" }), "{}", task(2), task(3), task(4, { onEvent: 1 })]
      const { done, fiber, settled } = yield* working(bodies)
      yield* TestClock.adjust("1 hour")
      yield* done
      yield* Fiber.interrupt(fiber)
      expect([...settled].sort()).toEqual([
        "done: Answered.",
        "rejected: OpenCode reported UnknownError (content-filter)",
        "rejected: not a task",
        "rejected: not a task",
        "returned: task 3"
      ])
      const [first] = yield* calls
      expect(first?.options).toMatchObject({ model: "acme/large", runId: "task-1" })
    }).pipe(Effect.provide(OpenCodeTest.layer(({ prompt }) =>
      prompt === "task 1"
        ? "Answered."
        : Reply.fail(
          prompt === "task 2"
            ? Failure.session({ kind: "content-filter" })
            : Failure.session({ kind: "provider-unavailable", partial: untouched }),
          []
        )
    ))))

  it.effect("takes no more than it can run, and returns what it has when it ends", () =>
    Effect.gen(function*() {
      const { fiber, settled } = yield* working([task(1), task(2), task(3)])
      const { awaitCalls } = yield* OpenCodeTest.OpenCodeTest
      yield* awaitCalls(2)
      yield* Fiber.interrupt(fiber)
      expect([...settled].sort()).toEqual(["returned: task 1", "returned: task 2"])
      expect(yield* calls).toHaveLength(2)
    }).pipe(Effect.provide(OpenCodeTest.layer(() => Reply.never))))
})

describe("a scripted model", () => {
  it.scopedLive("answers the real OpenCode with what it prints", () =>
    Effect.gen(function*() {
      const printed: Array<string> = []
      yield* Effect.forkScoped(Effect.withConsole(mockModel.program, printing(printed)))
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => printed.length === 2 })
      const [, model, file] = /--model (\S+) --config-overrides @(\S+)/.exec(printed[0] ?? "") ?? []
      const { answer, toolCalls } = yield* OpenCode.run("List the files", {
        model: model ?? "",
        configOverrides: JSON.parse(fs.readFileSync(file ?? "", "utf8")),
        permission: "allow"
      })
      expect({ answer, tools: toolCalls.flatMap((event) => event._tag === "ToolUse" ? [event.tool] : []) }).toEqual({
        answer: "These are the files.",
        tools: ["bash"]
      })
    }).pipe(Effect.provide(
      Layer.mergeAll(
        OpenCode.layer({ binary: createRequire(import.meta.url).resolve("opencode-ai/bin/opencode.exe") }),
        ModelProvider.layer({ respond: mockModel.respond })
      ).pipe(
        Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
        Layer.provideMerge(NodeContext.layer)
      )
    )))
})

describe.skipIf(process.platform === "win32")("a night over many repositories", () => {
  const recipes = fileURLToPath(new URL("../recipes", import.meta.url))
  const main = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url))
  const tsx = pathToFileURL(createRequire(main).resolve("tsx")).href

  const root = Effect.acquireRelease(
    Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-night-")))),
    (root) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 }))
  )

  it.scopedLive("leaves a branch for each repository in which an agent worked, and a report with the diff", () =>
    Effect.gen(function*() {
      const place = yield* root
      const { binary } = yield* FaultyOpenCode.FaultyOpenCode
      const executable = (name: string, text: string) =>
        fs.writeFileSync(path.join(place, "bin", name), text, { mode: 0o755 })
      for (const name of ["bin", "home", "night", "api", "web"]) fs.mkdirSync(path.join(place, name))
      for (const name of ["nightly.sh", "nightly.md", "nightly.permission.json", "repositories.csv"]) {
        fs.copyFileSync(path.join(recipes, name), path.join(place, "night", name))
      }
      executable("effect-opencode", `#!/bin/sh\nexec '${process.execPath}' --import '${tsx}' '${main}' "$@"\n`)
      // an agent that commits something in one of the repositories
      executable(
        "opencode",
        [
          "#!/bin/sh",
          "if [ \"$1\" = --version ]; then echo 1.18.33; exit; fi",
          "if grep -q api here.txt; then echo 'simpler <now>' > here.txt; git commit -qam simpler; fi",
          `exec '${binary}' "$@"\n`
        ].join("\n")
      )
      const env = {
        PATH: `${path.join(place, "bin")}:${process.env["PATH"]}`,
        HOME: path.join(place, "home"),
        OPENCODE_BINARY: path.join(place, "bin", "opencode"),
        GIT_CONFIG_NOSYSTEM: "1",
        ...Object.fromEntries(["AUTHOR", "COMMITTER"].flatMap((who) => [
          [`GIT_${who}_NAME`, "test"],
          [`GIT_${who}_EMAIL`, "test@example.invalid"]
        ]))
      }
      for (const name of ["api", "web"]) {
        const git = (...args: ReadonlyArray<string>) => execFileSync("git", args, { cwd: path.join(place, name), env })
        fs.writeFileSync(path.join(place, name, "here.txt"), `${name}\n`)
        git("init", "--quiet", "-b", "main")
        git("add", ".")
        git("commit", "--quiet", "-m", "first")
      }
      const ended = yield* Effect.async<{ readonly code: number | null; readonly output: string }>((resume) => {
        const child = spawn("./nightly.sh", { cwd: path.join(place, "night"), env, stdio: ["ignore", "pipe", "pipe"] })
        let output = ""
        child.stdout.on("data", (text) => {
          output += text
        })
        child.stderr.on("data", (text) => {
          output += text
        })
        child.on("close", (code) => resume(Effect.succeed({ code, output })))
      })
      expect(ended).toMatchObject({ code: 0, output: expect.stringMatching(/2 runs.*2 succeeded/) })
      const [, branch] = /^\.\.\/api: (effect-opencode\/[0-9a-f]{16})$/m.exec(ended.output) ?? []
      expect(branch).toBeDefined()
      const [night = ""] = fs.readdirSync(path.join(place, "night", "nights"))
      const report = fs.readFileSync(path.join(place, "night", "nights", night, "report.html"), "utf8")
      expect(report).toContain("+simpler &lt;now&gt;")
      expect(report).toContain("-api")
      expect(
        execFileSync("git", ["show", `${branch}:here.txt`], { cwd: path.join(place, "api"), encoding: "utf8", env })
      )
        .toBe("simpler <now>\n")
    }).pipe(Effect.provide(
      FaultyOpenCode.layer([
        FaultyOpenCode.script(FaultyOpenCode.lines(Events.turn("Done.")), FaultyOpenCode.exit(0))
      ]).pipe(Layer.provide(NodeContext.layer))
    )))
})
