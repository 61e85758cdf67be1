/** The scenarios of OpenCode 1.x: each drives the real binary as the library does, against a scripted provider. */
import * as Contract from "effect-opencode/Contract"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as ModelProvider from "../../../ModelProvider.js"
import * as files from "../files.js"
import { awkward, dashTitle, one, titled } from "../scenario.js"
import type { Scenario } from "../scenario.js"
import type { World } from "../world.js"
import * as server from "./server.js"

const { Reply } = ModelProvider

const bash = (command: string): ModelProvider.ToolCall => ({
  name: "bash",
  arguments: { command, description: "Scripted" }
})

const read = (filePath: string): ModelProvider.ToolCall => ({ name: "read", arguments: { filePath } })

const steps = ModelProvider.steps

/** The session of a run, from its first event. */
const sessionOf = ({ stdout }: Contract.ProcessRecord): string =>
  /"sessionID":"([^"]+)"/.exec(stdout)?.[1] ?? "ses_unknown"

const withoutKey = (world: World): { readonly [key: string]: unknown } => {
  const text = JSON.stringify(world.provider.configOverrides).replace(/,"apiKey":"[^"]*"/, "")
  return JSON.parse(text)
}

const logins = (key: string): string => JSON.stringify({ fake: { type: "api", key } })

/** The names of the parameters of each offered tool. */
const parameters = (world: World) =>
  Effect.map(world.provider.requests, (requests) => {
    const tools = requests.find(({ isTitle }) => !isTitle)?.body
    return Object.fromEntries(
      Schema.is(Tools)(tools)
        ? tools.tools.map(({ function: { name, parameters } }) => [name, Object.keys(parameters.properties).sort()])
        : []
    )
  })

const Tools = Schema.Struct({
  tools: Schema.Array(Schema.Struct({
    function: Schema.Struct({
      name: Schema.String,
      parameters: Schema.Struct({ properties: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })
    })
  }))
})

export const scenarios: ReadonlyArray<Scenario> = [
  {
    name: "command line",
    doing: "asking for its version, its help and its models",
    run: (world) =>
      Effect.gen(function*() {
        yield* world.run("version", { args: ["--version"] })
        yield* world.run("help", { args: ["run", "--help"] })
        yield* world.run("models", { args: Contract.queries(world.version)?.models ?? [] })
        yield* world.run("unknown flag", { args: ["run", "--format", "json", "--no-such-flag", "--", "hi"] })
        yield* world.run("no prompt", { prompt: "", options: titled })
      })
  },
  one(
    "text",
    "a prompt with awkward characters, answered in three pieces",
    steps([Reply.reasoning("Let me think.", Reply.text("one two three", { deltas: ["one", " two", " three"] }))]),
    (world) =>
      Effect.gen(function*() {
        const half = awkward.length / 2
        yield* world.run("run", {
          prompt: awkward,
          stdin: [awkward.slice(0, half), awkward.slice(half)],
          options: titled
        })
        yield* world.observe("prompt", awkward)
        yield* world.observe("parameters", yield* parameters(world))
        yield* world.observe("database", yield* world.exists("data/opencode/opencode.db"))
      })
  ),
  one(
    "session",
    "tools, an export, and the same session again",
    (request) =>
      request.prompt.includes("TOOLS")
        ? steps([
          Reply.reasoning(
            "I need tools.",
            Reply.toolCalls([
              bash("pwd; echo \"<$OPENCODE|$AGENT|${OPENCODE_PID:+pid}|$EFFECT_OPENCODE_CONFORMANCE>\"; exit 3"),
              read("missing.txt"),
              { name: "write", arguments: { filePath: "new.txt", content: "new\n" } },
              { name: "nonesuch", arguments: {} }
            ], { text: "Working." })
          ),
          Reply.text("finished")
        ])(request)
        : Reply.text("again"),
    (world) =>
      Effect.gen(function*() {
        const first = yield* world.run("first", { prompt: "TOOLS", options: { thinking: true, title: dashTitle } })
        yield* world.observe("title", dashTitle)
        yield* world.observe("written", yield* world.read("work/new.txt"))
        const sessionId = sessionOf(first)
        const queries = Contract.queries(world.version)
        yield* world.run("export", { args: queries?.session(sessionId) ?? [] })
        yield* world.run("continued", { prompt: "SECOND", options: { continueSession: true } })
        yield* world.run("fork", {
          prompt: "THIRD",
          options: { sessionId, fork: true },
          config: { tools: { question: false } }
        })
      })
  ),
  one(
    "rules",
    "permissions from a project, a configuration and a variable",
    steps([
      Reply.toolCalls([bash("rm a.txt"), bash("cat a.txt"), { name: "glob", arguments: { pattern: "*.txt" } }]),
      Reply.finish("length", "cut sho")
    ]),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("work/a.txt", "alpha\n")
        yield* world.write("work/opencode.json", JSON.stringify({ permission: { edit: "allow", webfetch: "deny" } }))
        yield* world.run("run", {
          prompt: "rules",
          options: titled,
          config: { permission: { edit: "deny", glob: "deny", bash: { "*": "allow", "rm *": "deny" } } },
          env: { [Contract.variableNames.permission]: JSON.stringify({ glob: "allow", grep: "deny" }) }
        })
        yield* world.observe("kept", yield* world.read("work/a.txt"))
      })
  ),
  one(
    "asked",
    "permissions that nobody grants",
    steps([
      Reply.toolCalls([bash("echo hi, there"), read("/etc/hosts"), read(".env")]),
      Reply.text("went on")
    ]),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("work/.env", "A=1\n")
        yield* world.run("run", { prompt: "ask", options: titled, config: { permission: { bash: "ask" } } })
      })
  ),
  one(
    "auto",
    "permissions that are granted without a question",
    steps([Reply.toolCalls([bash("echo granted"), bash("rm a.txt")]), Reply.text("")]),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("work/a.txt", "alpha\n")
        yield* world.run("run", {
          prompt: "auto",
          options: { ...titled, auto: true },
          config: { permission: { bash: { "*": "ask", "rm *": "deny" } } }
        })
        yield* world.observe("kept", yield* world.read("work/a.txt"))
      })
  ),
  one(
    "sub-agent",
    "a sub-agent that asks for permission",
    (request) =>
      request.prompt.includes("CHILD")
        ? steps([Reply.toolCalls([bash("echo child")]), Reply.text("child went on")])(request)
        : steps([
          Reply.toolCalls([{
            name: "task",
            arguments: { description: "Scripted", prompt: "CHILD", subagent_type: "general" }
          }]),
          Reply.text("parent went on")
        ])(request),
    (world) => world.run("run", { prompt: "delegate", options: titled, config: { permission: { bash: "ask" } } })
  ),
  one(
    "unauthorized",
    "a provider that refuses the key",
    () => Reply.unauthorized("canary refused"),
    (world) => world.run("run", { prompt: "hi", options: titled })
  ),
  one(
    "retry",
    "a provider that fails once; a stored login",
    ModelProvider.sequence([Reply.httpError(500), Reply.text("recovered")]),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("logins.json", logins("stored-key"))
        yield* world.link("logins.json", "data/opencode/auth.json")
        yield* world.run("run", { prompt: "hi", options: titled, content: JSON.stringify(withoutKey(world)) })
      })
  ),
  {
    name: "cut",
    doing: "an answer that is cut off once; a login in a variable; a database elsewhere",
    run: (world) =>
      Effect.gen(function*() {
        // OpenCode forgets a beginning that it has not read when the connection breaks.
        const hasBegun = yield* Deferred.make<void>()
        yield* world.provider.respond(
          ModelProvider.sequence([Reply.cut("half", { after: Deferred.await(hasBegun) }), Reply.text("whole")])
        )
        yield* world.run("run", {
          prompt: "hi",
          options: titled,
          content: JSON.stringify(withoutKey(world)),
          during: ({ stdout }) =>
            Effect.andThen(
              world.until(Effect.sync(() => stdout().includes("step_start"))),
              Deferred.succeed(hasBegun, undefined)
            ),
          env: {
            [Contract.variableNames.logins]: logins("variable-key"),
            [Contract.variableNames.database]: world.path("elsewhere.db")
          }
        })
        yield* world.observe("database", yield* world.exists("elsewhere.db"))
        yield* world.observe("defaultDatabase", yield* world.exists("data/opencode/opencode.db"))
      })
  },
  one(
    "content filter",
    "an answer that the provider's filter ends",
    () => Reply.finish("content_filter", "partly"),
    (world) => world.run("run", { prompt: "hi", options: titled })
  ),
  one(
    "unknown model",
    "a model that does not exist",
    () => Reply.text("never"),
    (world) => world.run("run", { prompt: "hi", options: { ...titled, model: "fake/nonesuch" } })
  ),
  one(
    "arguments",
    "a prompt as an argument, a file, an unknown agent, no title",
    () => Reply.text("done"),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("work/a.txt", "alpha-content\n")
        yield* world.run("run", {
          prompt: "-x two words",
          options: { promptVia: "argv", agent: "nonesuch", files: ["a.txt"] },
          // Otherwise old versions ask a model of opencode.ai.
          config: { small_model: world.provider.model }
        })
      })
  ),
  {
    name: "refusals",
    doing: "what it refuses before it asks a model",
    run: (world) =>
      Effect.gen(function*() {
        yield* world.run("missing file", { prompt: "hi", options: { ...titled, files: ["missing.txt"] } })
        yield* world.run("missing session", { prompt: "hi", options: { ...titled, sessionId: "ses_nonesuch" } })
        yield* world.run("fork alone", { prompt: "hi", options: { ...titled, fork: true } })
        yield* world.run("bad JSON", { prompt: "hi", options: titled, content: "{ not json" })
        yield* world.run("bad value", {
          prompt: "hi",
          options: titled,
          config: { permission: { bash: "maybe" } }
        })
        yield* world.write("damaged/opencode/opencode.db", "this is not a database, ".repeat(100))
        yield* world.run("damaged database", {
          prompt: "hi",
          options: titled,
          env: { [Contract.variableNames.dataHome]: world.path("damaged") }
        })
        yield* world.write("file", "")
        yield* world.run("data directory is a file", {
          prompt: "hi",
          options: titled,
          env: { [Contract.variableNames.dataHome]: world.path("file") }
        })
      })
  },
  one(
    "terminate",
    "SIGTERM while a command runs",
    steps([
      Reply.toolCalls([bash("echo $$ > pid; sleep 300")]),
      Reply.text("went on")
    ]),
    (world) =>
      Effect.gen(function*() {
        const pid = Effect.map(world.read("work/pid"), (text) => Number(text?.trim() || "0"))
        yield* world.run("run", {
          prompt: "hi",
          options: titled,
          during: ({ kill }) => Effect.andThen(world.until(Effect.map(pid, (found) => found > 0)), kill("SIGTERM"))
        })
        const tool = yield* pid
        if (tool > 0) {
          yield* world.observe("survives", yield* world.isAlive(tool))
          yield* world.own(tool)
        }
      })
  ),
  one(
    "interrupt",
    "SIGINT while the provider does not answer",
    () => Reply.never,
    (world) =>
      world.run("run", {
        prompt: "hi",
        options: titled,
        during: ({ kill }) =>
          Effect.andThen(
            world.until(Effect.map(world.provider.requests, (requests) => requests.length > 0)),
            kill("SIGINT")
          )
      })
  ),
  one(
    "compaction",
    "a conversation that is compacted",
    ({ index }) =>
      [
        Reply.toolCalls([bash("echo hi")], { usage: { input: 190_000 } }),
        Reply.text("SUMMARY"),
        Reply.text("FINAL")
      ][index] ?? Reply.text("nobody should have asked"),
    (world) => world.run("run", { prompt: "hi", options: titled })
  ),
  one(
    "overflow",
    "a conversation that is too long",
    () => Reply.contextOverflow(),
    (world) => world.run("run", { prompt: "hi", options: titled })
  ),
  one(
    "malformed",
    "an answer that is not JSON",
    () => Reply.malformed("half"),
    (world) => world.run("run", { prompt: "hi", options: titled })
  ),
  one(
    "mcp",
    "tools of an MCP server, beside one that does not start",
    steps([
      Reply.toolCalls([{ name: "scripted_echo", arguments: { text: "hi" } }]),
      Reply.text("done")
    ]),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("mcp.sh", files.mcpServer)
        yield* world.run("run", {
          prompt: "hi",
          options: titled,
          config: {
            mcp: {
              scripted: { type: "local", command: ["/bin/sh", world.path("mcp.sh")] },
              missing: { type: "local", command: [world.path("missing")] }
            }
          }
        })
      })
  ),
  {
    name: "start",
    doing: "a list of models of its own, and a database whose migration fails",
    run: (world) =>
      Effect.gen(function*() {
        yield* world.write("models.json", files.modelList)
        yield* world.run("models", {
          args: Contract.queries(world.version)?.models ?? [],
          env: { [Contract.variableNames.modelsPath]: world.path("models.json"), LISTED_KEY: "key" }
        })
        yield* world.writeBytes("migrated/opencode/opencode.db", files.database)
        yield* world.run("failed migration", {
          prompt: "hi",
          options: titled,
          env: { [Contract.variableNames.dataHome]: world.path("migrated") }
        })
      })
  },
  {
    name: "attach",
    doing: "a run by a server, with a tool",
    respond: steps([Reply.toolCalls([bash("echo attached")]), Reply.text("finished")]),
    run: server.attach
  },
  {
    name: "server",
    doing: "a server: prompts, permissions, errors, an abort",
    respond: server.respond,
    run: server.run
  }
]
