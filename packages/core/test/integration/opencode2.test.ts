import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect } from "@effect/vitest"
import { Containment, Conversation, OpenCode, RunResult, Sandbox, Tool } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { bundle } from "../support/bundle.js"
import * as opencode2 from "../support/opencode2.js"
import {
  asked,
  during,
  failing,
  left,
  nothing,
  processes,
  real as realOf,
  Reply,
  respond,
  run,
  steps,
  tags,
  tools,
  until,
  working
} from "./support.js"
import type { Options } from "./support.js"

const real = (name: string, body: Parameters<typeof realOf>[1], options: Options = {}) =>
  realOf(name, body, {
    ...options,
    client: { binary: opencode2.binary, version: opencode2.version, ...options.client }
  })

const shell = (command: string) => Reply.toolCalls([{ name: "shell", arguments: { command, description: "Scripted" } }])

/** An MCP server on standard input and output with one tool, which takes its time to start. */
const mcpServer = `
const fs = require("node:fs")
let text = ""
const answer = ({ id, method, params }) => {
  switch (method) {
    case "initialize":
      return {
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "mine", version: "1" }
      }
    case "tools/list":
      return { tools: [{ name: "greet", inputSchema: { type: "object", properties: { who: { type: "string" } } } }] }
    case "tools/call":
      fs.appendFileSync(process.env.MARK, "called\\n")
      return { content: [{ type: "text", text: "hello " + params.arguments.who }] }
    default:
      return {}
  }
}
const listen = () => process.stdin.on("data", (chunk) => {
  text += chunk
  const lines = text.split("\\n")
  text = lines.pop()
  for (const line of lines.filter((line) => line.trim() !== "")) {
    const message = JSON.parse(line)
    if (message.id === undefined) continue
    process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id: message.id, result: answer(message) }) + "\\n")
  }
})
setTimeout(listen, 1000)
`

/** An MCP server over HTTP on loopback, and the header `x-key` of the calls that it got. */
const remoteMcp = Effect.gen(function*() {
  const calls: Array<string | undefined> = []
  const answer = (method: unknown, params: { readonly [name: string]: unknown }) => {
    switch (method) {
      case "initialize":
        return {
          protocolVersion: params["protocolVersion"],
          capabilities: { tools: {} },
          serverInfo: { name: "far", version: "1" }
        }
      case "tools/list":
        return { tools: [{ name: "greet", inputSchema: { type: "object", properties: { who: { type: "string" } } } }] }
      case "tools/call":
        return { content: [{ type: "text", text: "hello you" }] }
      default:
        return {}
    }
  }
  const server = http.createServer((request, response) => {
    let body = ""
    request.on("data", (chunk) => {
      body += String(chunk)
    })
    request.on("end", () => {
      // It sends no events of its own.
      if (request.method !== "POST") return response.writeHead(405).end()
      const { id, method, params } = JSON.parse(body) as {
        readonly id?: number
        readonly method: string
        readonly params: { readonly [name: string]: unknown }
      }
      if (id === undefined) return response.writeHead(202).end()
      if (method === "tools/call") calls.push(String(request.headers["x-key"]))
      response.writeHead(200, { "content-type": "application/json" })
      return response.end(JSON.stringify({ jsonrpc: "2.0", id, result: answer(method, params) }))
    })
  })
  yield* Effect.acquireRelease(
    Effect.async<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.async<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )
  return { calls, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp` }
})

const write = (file: string, content: unknown) => {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, JSON.stringify(content))
}

describe.skipIf(opencode2.binary === undefined)(`OpenCode 2${opencode2.why}`, () => {
  real(
    "takes the prompt as it is, and ends with the answer, its cost and every event in the transcript",
    (box) =>
      Effect.gen(function*() {
        const prompt = "--help \"quoted\" 'single' $(touch pwned) $HOME \\n\n\n  -x\ttab Grüße, 世界: 🦀"
        const transcript = path.join(box.root, "run.jsonl")
        const result = yield* run(prompt, { keepRaw: true, transcript })
        expect((yield* asked).map(({ prompt }) => prompt)).toEqual([prompt])
        expect(result).toMatchObject({
          answer: "done",
          text: "done",
          finishReason: "stop",
          forced: false,
          steps: 1,
          attempts: 1,
          usage: { total: 120, output: 20 }
        })
        expect(result.sessionId).toMatch(/^ses_/)
        expect(result.cost).toBeGreaterThan(0)
        expect(tags(result.events)).toEqual(["StepStart", "Text", "StepFinish"])
        expect(fs.readFileSync(transcript, "utf8").trimEnd().split("\n")).toHaveLength(5)
      })
  )

  real(
    "streams texts as they arrive, and the calls of tools",
    (box) =>
      Effect.gen(function*() {
        const events = yield* OpenCode.stream("Go").pipe(Stream.runCollect, Effect.map((chunk) => [...chunk]))
        expect(tags(events)).toEqual([
          "StepStart",
          "ToolUse",
          "StepFinish",
          "StepStart",
          "TextDelta",
          "Text",
          "StepFinish"
        ])
        const [call] = tools(events)
        expect(call).toMatchObject({ tool: "shell", status: "completed", metadata: { exit: 3 } })
        const [directory, temporary] = call!.output!.split("\n")
        expect(directory).toBe(box.work)
        expect(path.relative(box.tmp, temporary!)).toMatch(/^effect-opencode-/)
        // Tools do not see the server's password.
        expect(call!.output).not.toContain("OPENCODE_PASSWORD")
      }),
    { respond: steps([shell("pwd; echo \"$TMPDIR\"; env | grep OPENCODE_PASSWORD; exit 3"), Reply.text("listed")]) }
  )

  real(
    "turns share one conversation; a fork does not disturb it; nothing is left",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session()
        const first = yield* session.run("one")
        const second = yield* session.run("two")
        expect(second.sessionId).toBe(first.sessionId)
        const branch = yield* session.fork()
        const third = yield* branch.run("three")
        expect(third.sessionId).not.toBe(first.sessionId)
        yield* session.run("four")
        const said = (yield* asked).map(({ messages }) =>
          messages.filter(({ role }) => role === "user").map(({ text }) => text)
        )
        // One server, so nothing new is said about the environment, except the id of the branch.
        expect(said[1]).toEqual(["one", "two"])
        expect(said[2]!.filter((text) => !text.includes("<system-update>"))).toEqual(["one", "two", "three"])
        expect(said[3]).toEqual(["one", "two", "four"])
        const trunk = yield* session.export()
        expect(trunk.info.id).toBe(first.sessionId)
        expect(Conversation.answer(trunk)).toBe("answer to four")
        expect(tags(Conversation.lastTurn(trunk))).toEqual(["StepStart", "Text", "StepFinish"])
        expect(Conversation.spent(trunk).steps).toBe(3)
      })),
    { respond: (request) => Reply.text(`answer to ${request.prompt.trim()}`) }
  )

  real(
    "names a refused key, at once and once",
    () =>
      Effect.gen(function*() {
        const error = yield* failing("OpenCodeSessionError")(run("Go"))
        expect(error).toMatchObject({ kind: "authentication", errorName: "provider.auth", statusCode: 401 })
        expect(tags(error.partial.events).filter((tag) => tag === "SessionError")).toHaveLength(1)
        expect(yield* asked).toHaveLength(1)
      }),
    { respond: steps([Reply.unauthorized()]) }
  )

  real(
    "reports a retry of the provider, and the one step that it belongs to",
    () =>
      Effect.gen(function*() {
        const result = yield* run("Go")
        expect(tags(result.events)).toEqual(["StepStart", "ProviderRetry", "Text", "StepFinish"])
        expect(result).toMatchObject({ answer: "again", steps: 1 })
      }),
    { respond: ({ index }) => index === 0 ? Reply.httpError(500) : Reply.text("again") }
  )

  real("an interruption ends the tool, the server and the directories", (box) =>
    Effect.gen(function*() {
      yield* respond(steps([shell("sleep 7777"), Reply.text("never")]))
      const fiber = yield* Effect.fork(run("Go"))
      yield* during(working(box, "sleep 7777"), fiber)
      yield* Fiber.interrupt(fiber)
      expect(left(box)).toEqual(nothing)
    }))

  real("a time limit ends a run that the model does not answer", (box) =>
    Effect.gen(function*() {
      // The limit can expire before the request on a busy machine, which changes nothing.
      const error = yield* failing("OpenCodeTimeoutError")(run("Go", { startupTimeout: "8 seconds" }))
      expect(error.phase).toBe("startup")
      expect(left(box)).toEqual(nothing)
    }), { respond: () => Reply.never })

  real("the rules of a run hold against those of the project, in sub-agents, too", (box) =>
    Effect.gen(function*() {
      write(path.join(box.work, "opencode.json"), {
        permission: { "*": "allow", bash: "allow", external_directory: "allow" },
        agent: { build: { permission: { bash: "allow" } }, general: { permission: { bash: "allow" } } },
        agents: { build: { permissions: [{ action: "*", resource: "*", effect: "allow" }] } }
      })
      yield* respond(({ messages, prompt }) => {
        const isChild = prompt.includes("CHILD")
        return messages.some(({ role }) => role === "tool")
          ? Reply.text(isChild ? "child" : "parent")
          : isChild
          ? shell("touch child.txt")
          : Reply.toolCalls([
            { name: "shell", arguments: { command: "touch parent.txt", description: "x" } },
            { name: "subagent", arguments: { agent: "general", description: "x", prompt: "CHILD" } }
          ])
      })
      const result = yield* run("PARENT", { permission: { bash: "deny" } })
      expect(result.answer).toBe("parent")
      expect(tools(result.events).map(({ status, tool }) => `${tool} ${status}`).sort()).toEqual([
        "shell error",
        "subagent completed"
      ])
      expect(fs.readdirSync(box.work)).toEqual(["opencode.json"])
    }))

  real(
    "rejects what would be asked, and says what it was",
    () =>
      Effect.gen(function*() {
        const error = yield* failing("OpenCodePermissionError")(run("Go"))
        expect(error.permission).toBe("external_directory")
      }),
    {
      respond: steps([
        Reply.toolCalls([{ name: "read", arguments: { path: "/etc/hostname" } }]),
        Reply.text("nobody should have asked")
      ])
    }
  )

  real("a configuration that OpenCode drops ends the run before the model is asked", () =>
    Effect.gen(function*() {
      const error = yield* failing("OpenCodeConfigError")(
        run("Go", { configOverrides: { agent: { build: { permission: { bash: "maybe" } } } } })
      )
      expect(error.message).toContain("$.agent.build")
      expect(yield* asked).toEqual([])
    }))

  real(
    "an unknown agent, a sub-agent and an unknown model are refused before the model is asked",
    () =>
      Effect.gen(function*() {
        expect((yield* failing("OpenCodeConfigError")(run("Go", { agent: "nope" }))).path).toBe("agent")
        expect((yield* failing("OpenCodeConfigError")(run("Go", { agent: "explore" }))).path).toBe("agent")
        expect((yield* failing("OpenCodeSessionError")(run("Go", { model: "fake/nope" }))).kind).toBe("model-not-found")
        expect(yield* asked).toEqual([])
      })
  )

  real(
    "refuses what OpenCode 2 lacks, by option and version",
    (box) =>
      Effect.gen(function*() {
        for (
          const [option, value] of Object.entries({
            share: true,
            extraArgs: ["--x"],
            promptVia: "argv" as const
          })
        ) {
          const error = yield* failing("OpenCodeVersionError")(run("Go", { [option]: value }))
          expect(error.option).toBe(option)
          expect(error.version).toMatch(/^2\./)
        }
        expect(processes(box)).toEqual([])
      })
  )

  real("refuses the database of the user", () =>
    Effect.gen(function*() {
      expect((yield* failing("OpenCodeConfigError")(run("Go"))).path).toBe("isolation")
    }), { client: { isolation: "none" } })

  real(
    "a run without a model is refused: OpenCode would send the prompt to a free one",
    (box) =>
      Effect.gen(function*() {
        const error = yield* failing("OpenCodeConfigError")(Effect.provide(
          run("Go"),
          Layer.provide(
            OpenCode.layer({ binary: opencode2.binary, version: opencode2.version, defaults: { cwd: box.work } }),
            NodeContext.layer
          )
        ))
        expect(error.path).toBe("model")
      })
  )

  real("a stored login that OpenCode 2 does not read is said, with what to do instead", (box) => {
    write(path.join(box.home, ".local", "share", "opencode", "auth.json"), {
      anthropic: { type: "api", key: "sk-ant-stored" }
    })
    return Effect.gen(function*() {
      const error = yield* failing("OpenCodeConfigError")(run("Go", { model: "anthropic/claude-sonnet-4-5" }))
      expect(error.path).toBe("model")
      expect(error.reason).toContain("extraEnv")
      expect(error.message).not.toContain("sk-ant-stored")
    })
  })

  real("lists the models, in a process namespace", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Effect.provide(Containment.look, NodeContext.layer)
      if (typeof namespace !== "string") {
        return console.warn(`The namespace of OpenCode 2 is not tested: ${namespace.refused}.`)
      }
      const opencode = yield* OpenCode.OpenCode
      expect(yield* opencode.models).toContain("fake/m1")
    }), { client: { containment: "namespace" } })

  real(
    "answers by a schema, and corrects an answer that does not decode in the same session",
    () =>
      Effect.gen(function*() {
        const { result, value } = yield* OpenCode.runSchema(Schema.Struct({ count: Schema.Int }), "How many?")
        expect(value).toEqual({ count: 3 })
        expect(result.steps).toBe(2)
        const requests = yield* asked
        expect(requests).toHaveLength(2)
        expect(requests[1]?.messages.some(({ text }) => text.includes("How many?"))).toBe(true)
      }),
    {
      respond: ({ messages }) =>
        Reply.text(messages.some(({ role }) => role === "assistant") ? "{\"count\": 3}" : "{\"count\": \"three\"}")
    }
  )

  real(
    "offers the tools of MCP servers from the first step, under their names; rules hold for them",
    (box) =>
      Effect.gen(function*() {
        const file = path.join(box.root, "mcp.cjs")
        const mark = path.join(box.root, "mark")
        fs.writeFileSync(file, mcpServer)
        const mcp = {
          mine: { type: "local", command: [process.execPath, file], environment: { MARK: mark } },
          broken: { type: "local", command: [path.join(box.root, "nothing")] },
          far: { type: "remote", url: "http://127.0.0.1:1/mcp" }
        }
        const result = yield* run("Go", { mcp })
        expect((yield* asked)[0]?.tools).toContain("mine_greet")
        expect(tools(result.events).map(({ output, tool }) => [tool, output])).toEqual([["mine_greet", "hello you"]])
        expect(fs.readFileSync(mark, "utf8")).toBe("called\n")
        const denied = yield* run("Go", { mcp, permission: { "mine_*": "deny" } })
        expect(tools(denied.events).map(({ status }) => status)).toEqual(["error"])
        expect(fs.readFileSync(mark, "utf8")).toBe("called\n")
      }),
    {
      respond: steps([
        Reply.toolCalls([{ name: "mine_greet", arguments: { who: "you" } }]),
        Reply.text("done")
      ])
    }
  )

  real(
    "offers the tools of a remote MCP server, which gets the calls with the configured headers",
    () =>
      Effect.gen(function*() {
        const { calls, url } = yield* remoteMcp
        const mcp = { far: { type: "remote", url, headers: { "x-key": "of the server" }, oauth: false } }
        const result = yield* run("Go", { mcp })
        expect((yield* asked)[0]?.tools).toContain("far_greet")
        expect(tools(result.events).map(({ output, tool }) => [tool, output])).toEqual([["far_greet", "hello you"]])
        expect(calls).toEqual(["of the server"])
      }).pipe(Effect.scoped),
    {
      respond: steps([
        Reply.toolCalls([{ name: "far_greet", arguments: { who: "you" } }]),
        Reply.text("done")
      ])
    }
  )

  real(
    "code of the model neither reaches the network without `webfetch` nor leaves the directory",
    (box) =>
      Effect.gen(function*() {
        fs.writeFileSync(path.join(box.data, "secret.txt"), "content of the secret")
        const moved = yield* Effect.either(run("Go"))
        expect(Either.match(moved, { onLeft: ({ _tag }) => _tag, onRight: () => "" })).toBe("OpenCodePermissionError")
        const first = yield* asked
        expect(JSON.stringify(first.map(({ body }) => body))).toContain("Unknown tool 'opencode.session_move'")
        yield* run("Go", { permission: { webfetch: "deny", external_directory: "deny" } })
        const second = (yield* asked).slice(first.length)
        expect(second[0]?.tools).not.toContain("execute")
        expect(JSON.stringify(second.map(({ body }) => body))).not.toContain("content of the secret")
      }),
    {
      respond: steps([
        Reply.toolCalls([{
          name: "execute",
          arguments: { code: "return await tools.opencode.session_move({ directory: '../data' })" }
        }]),
        Reply.toolCalls([{ name: "read", arguments: { path: "../data/secret.txt" } }]),
        Reply.text("done")
      ])
    }
  )

  real("ends a run that crosses its budget, and does not ask for more", () =>
    Effect.gen(function*() {
      const error = yield* failing("OpenCodeBudgetError")(run("Go", { budget: { toolCalls: 1 } }))
      expect([error.limit, error.max, error.reached]).toEqual(["toolCalls", 1, 2])
    }), { respond: () => shell("true") })

  real(
    "continues a conversation of a kept directory in another layer",
    (box) =>
      Effect.gen(function*() {
        const isolation = { directory: path.join(box.root, "kept") }
        const first = yield* run("one", { isolation })
        const continued = yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* OpenCode.resume({
            sessionId: first.sessionId,
            cwd: box.work,
            directory: isolation.directory
          })
          return yield* session.run("two")
        }))
        expect(continued.sessionId).toBe(first.sessionId)
        const last = (yield* asked).at(-1)
        expect(last?.messages.filter(({ role }) => role === "assistant").map(({ text }) => text)).toEqual(["done"])
      })
  )

  real("continues a conversation that was moved to another data directory", (box) =>
    Effect.gen(function*() {
      const opencode = yield* OpenCode.OpenCode
      const exported = yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* OpenCode.session()
        yield* session.run("one")
        return yield* session.export()
      }))
      const directory = path.join(box.root, "moved")
      const location = yield* opencode.importSession(exported, { isolation: { directory } })
      // It is there already, and stays as it is.
      yield* opencode.importSession(exported, { isolation: { directory } })
      const result = yield* Effect.scoped(Effect.flatMap(OpenCode.resume(location), (session) => session.run("two")))
      expect(result.sessionId).toBe(exported.info.id)
      const last = (yield* asked).at(-1)
      expect(last?.messages.filter(({ role }) => role === "assistant").map(({ text }) => text)).toEqual(["done"])
    }))

  real("a sandboxed agent writes in its directory and not elsewhere", (box) =>
    Effect.gen(function*() {
      const { missing } = yield* Effect.provide(Sandbox.support, NodeContext.layer)
      if (missing !== undefined) return console.warn(`The sandbox of OpenCode 2 is not tested: ${missing}.`)
      yield* respond(steps([
        shell(`echo in > in.txt; echo out > ${path.join(box.home, "out.txt")}; true`),
        Reply.text("over")
      ]))
      expect((yield* run("Go", { permission: { bash: "allow", external_directory: "allow" } })).answer).toBe("over")
      expect(fs.readdirSync(box.work)).toEqual(["in.txt"])
      expect(fs.existsSync(path.join(box.home, "out.txt"))).toBe(false)
    }), { client: { sandbox: { read: opencode2.readable } } })

  real("starts several at once, each with its own answer", () =>
    Effect.gen(function*() {
      const prompts = ["a", "b", "c", "d"]
      const results = yield* Effect.forEach(prompts, (prompt) => run(prompt), { concurrency: "unbounded" })
      expect(results.map(({ answer }) => answer)).toEqual(prompts.map((prompt) => `answer to ${prompt}`))
    }), { respond: (request) => Reply.text(`answer to ${request.prompt.trim()}`) })

  real("sends files by their paths, and names those of any name", (box) =>
    Effect.gen(function*() {
      const png = Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
        "base64"
      )
      const outside = path.join(box.root, "out side #1.txt")
      fs.writeFileSync(path.join(box.work, "a.txt"), "OCTOPUS")
      fs.writeFileSync(path.join(box.work, "b.png"), png)
      fs.writeFileSync(outside, "NARWHAL")
      fs.mkdirSync(path.join(box.work, "directory"))
      fs.writeFileSync(path.join(box.work, "directory", "listed.md"), "")
      const result = yield* run("Look", { files: ["a.txt", "b.png", outside, "directory"] })
      expect(result.answer).toBe("done")
      const [request] = yield* asked
      for (const text of ["OCTOPUS", "NARWHAL", "out side #1.txt", "listed.md"]) expect(request?.prompt).toContain(text)
      expect(JSON.stringify(request?.body)).toContain(png.toString("base64"))
    }), { images: true })

  real(
    "decodes the calls of its tools, and adds what a sub-agent has spent",
    () =>
      Effect.gen(function*() {
        const deep = yield* run("go", { usage: "deep" })
        // Three steps of the run, and one of the sub-agent.
        expect(deep).toMatchObject({ answer: "done", steps: 3, usage: { total: 480 } })
        const calls = tools(deep.events).map(Tool.fromEvent)
        expect(calls.filter(Tool.is("Task"))).toMatchObject([{
          input: { subagentType: "general" },
          sessionId: expect.stringMatching(/^ses_/)
        }])
        expect(calls.filter(Tool.is("Bash"))).toMatchObject([{ input: { command: "exit 4" }, exit: 4 }])
        expect(calls.filter(Tool.is("Write"))).toMatchObject([{ exists: false }])
        expect(calls.filter(Tool.is("Execute"))).toMatchObject([{
          output: "2",
          calls: [{ tool: "opencode.session_rename", status: "completed", input: { title: "x" } }],
          failed: false
        }])
        expect(deep.filesChanged).toEqual([{ path: "w.txt", kind: "created", additions: 3, deletions: 1 }])
        expect(RunResult.unifiedDiff(deep.events)).toContain("-one\n+three\n two\n")
      }),
    {
      respond: ({ prompt, step }) =>
        prompt.includes("the child") || step > 1
          ? Reply.text(step > 1 ? "done" : "from below")
          : step === 0
          ? Reply.toolCalls([
            { name: "subagent", arguments: { description: "d", prompt: "You are the child", agent: "general" } },
            { name: "shell", arguments: { command: "exit 4", description: "x" } },
            { name: "write", arguments: { path: "w.txt", content: "one\ntwo\n" } },
            {
              name: "execute",
              arguments: { code: "await tools.opencode.session_rename({ title: 'x' }); return 1 + 1" }
            }
          ])
          : Reply.toolCalls([{ name: "edit", arguments: { path: "w.txt", oldString: "one", newString: "three" } }])
    }
  )

  real("a killed program leaves neither server nor tools nor directories", (box) =>
    Effect.gen(function*() {
      const { configOverrides, model } = yield* ModelProvider.ModelProvider
      const child = spawn(process.execPath, [bundle(fileURLToPath(new URL("./programs/killed.ts", import.meta.url)))], {
        env: {
          ...process.env,
          RUN_BINARY: opencode2.binary,
          RUN_CWD: box.work,
          RUN_DATA: box.data,
          RUN_OPTIONS: JSON.stringify({ configOverrides, model, title: "Scripted" })
        },
        stdio: "ignore"
      })
      const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()))
      yield* Effect.raceFirst(
        working(box, "sleep 7777"),
        Effect.andThen(Effect.promise(() => exited), Effect.dieMessage("the program ended before its agent worked"))
      )
      child.kill("SIGKILL")
      yield* Effect.promise(() => exited)
      yield* until(() => left(box).survivors.length + left(box).directories.length === 0)
    }), { respond: () => shell("sleep 7777") })
})
