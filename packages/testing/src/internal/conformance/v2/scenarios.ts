/**
 * The scenarios of OpenCode 2.x: each drives the private server of the real binary as the library does, against a
 * scripted provider.
 */
import * as Contract from "effect-opencode/Contract"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ModelProvider from "../../../ModelProvider.js"
import * as files from "../files.js"
import { awkward, one } from "../scenario.js"
import type { Scenario } from "../scenario.js"
import type { World } from "../world.js"
import { idOf, serving, unanswerable } from "./server.js"

const { Reply, steps } = ModelProvider

const shell = (command: string): ModelProvider.ToolCall => ({
  name: "shell",
  arguments: { command, description: "Scripted" }
})

const read = (path: string): ModelProvider.ToolCall => ({ name: "read", arguments: { path } })

const code = (text: string): ModelProvider.ToolCall => ({ name: "execute", arguments: { code: text } })

const Tools = Schema.Struct({
  tools: Schema.Array(Schema.Struct({
    function: Schema.Struct({
      name: Schema.String,
      parameters: Schema.Struct({ properties: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })
    })
  }))
})

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

const withoutKey = (world: World): { readonly [key: string]: unknown } =>
  JSON.parse(JSON.stringify(world.provider.configOverrides).replace(/,"apiKey":"[^"]*"/, ""))

const database = "data/opencode/opencode-2.db"

/** Answers the first request with this reply, and every later one with that. */
const once = (first: ModelProvider.Reply, later: ModelProvider.Reply): ModelProvider.Respond => {
  let isFirst = true
  return () => {
    const reply = isFirst ? first : later
    isFirst = false
    return reply
  }
}

/** Prompts that the provider answers badly, once or always, by the words that they contain. */
const failing = (): { readonly [word: string]: ModelProvider.Respond } => ({
  UNAUTHORIZED: () => Reply.unauthorized("canary refused"),
  QUOTA: () => Reply.quota(),
  INVALID: () => Reply.httpError(400),
  MISSING: () => Reply.modelNotFound(),
  OVERFLOW: () => Reply.contextOverflow(),
  FILTER: () => Reply.finish("content_filter", "partly"),
  MALFORMED: () => Reply.malformed("half"),
  EMPTY: () => Reply.text(""),
  RETRY: once(Reply.httpError(500), Reply.text("recovered")),
  LIMIT: once(Reply.rateLimited("1 second"), Reply.text("recovered")),
  CUT: once(Reply.cut("half"), Reply.text("whole"))
})

/** A summary with the sections that a compaction must have (2.0.14). */
const summary = [
  "Objective",
  "Requirements",
  "Decisions",
  "Work State",
  "Next Move",
  "Relevant Files",
  "Important Context"
]
  .map((section) => `## ${section}\n- SUMMARY`).join("\n\n")

const toolCommand = "echo $$ > pid; sleep 300"

/** Waits for the process of a scripted command, and returns its number. */
const toolOf = (world: World) => {
  const pid = Effect.map(world.read("work/pid"), (text) => Number(text?.trim() || "0"))
  return Effect.andThen(world.until(Effect.map(pid, (found) => found > 0)), pid)
}

/** Records whether the tool's process has survived the end of its server, which has a moment to end it. */
const survivors = (world: World, name: string, tool: number, moment: Duration.DurationInput = "15 seconds") =>
  Effect.gen(function*() {
    yield* Effect.timeoutOption(world.until(Effect.map(world.isAlive(tool), (isAlive) => !isAlive)), moment)
    yield* world.observe(name, yield* world.isAlive(tool))
    yield* world.own(tool)
    yield* world.write("work/pid", "")
  })

export const scenarios: ReadonlyArray<Scenario> = [
  {
    name: "command line",
    doing: "asking for its version, its help and its models",
    run: (world) =>
      Effect.gen(function*() {
        const queries = Contract.queries(world.version)
        yield* world.run("version", { args: ["--version"] })
        yield* world.run("help", { args: ["serve", "--help"] })
        yield* world.run("unknown flag", { args: ["serve", "--stdio", "--no-such-flag"] })
        yield* world.run("models", { args: queries?.models ?? [] })
        yield* world.run("export of nothing", { args: queries?.session("ses_nonesuch") ?? [] })
      })
  },
  one(
    "text",
    "a prompt with awkward characters, answered in three pieces",
    steps([Reply.reasoning("Let me think.", Reply.text("one two three", { deltas: ["one", " two", " three"] }))]),
    (world) =>
      Effect.gen(function*() {
        yield* serving(world, "serve", {}, (api) =>
          Effect.gen(function*() {
            const { ask, create, observe, prompt, routes } = api
            yield* observe("withoutPassword", routes.agents(world.work), false)
            yield* observe("agents", routes.agents(world.work))
            yield* world.until(
              Effect.map(ask(routes.models(world.work)), ({ body }) => JSON.stringify(body).includes("\"m1\""))
            )
            yield* observe("models", routes.models(world.work))
            yield* world.observe("firstFrame", api.frames()[0])
            const created = yield* observe(
              "created",
              routes.create({
                directory: world.work,
                title: "--auto \"title\"",
                agent: undefined,
                model: { provider: "fake", id: "m1" },
                rules: [{ action: "websearch", resource: "*", effect: "deny" }, unanswerable]
              })
            )
            const id = idOf(created.body)
            yield* observe("session", routes.session(id))
            yield* observe("unknownSession", routes.session("ses_nonesuch0000000000000000"))
            const sent = yield* observe("prompted", routes.prompt(id, awkward, []))
            yield* api.ended("events", id)
            yield* world.observe("promptId", idOf(sent.body))
            yield* observe("messages", routes.messages(id, undefined))
            yield* observe("active", routes.active)
            yield* world.write("work/a.txt", "alpha-content\n")
            const other = yield* create()
            yield* ask(routes.prompt(other, "FILE", [{ uri: `file://${world.path("work", "a.txt")}`, name: "a.txt" }]))
            yield* api.ended("fileEvents", other)
            const unknown = yield* create({ model: "nonesuch" })
            yield* prompt("unknownModelEvents", unknown, "UNKNOWN")
          }))
        yield* world.observe("prompt", awkward)
        yield* world.observe("parameters", yield* parameters(world))
        yield* world.observe("database", yield* world.exists(database))
        yield* world.observe("defaultDatabase", yield* world.exists("data/opencode/opencode.db"))
      })
  ),
  one(
    "session",
    "tools, an export, and the same session again, by another server",
    (request) =>
      request.prompt.includes("TOOLS")
        ? steps([
          Reply.reasoning(
            "I need tools.",
            Reply.toolCalls([
              shell(
                "pwd; echo \"<$OPENCODE|$AGENT|$EFFECT_OPENCODE_CONFORMANCE|${OPENCODE_PASSWORD:-hidden}>\"; exit 3"
              ),
              read("missing.txt"),
              { name: "write", arguments: { path: "new.txt", content: "new\n" } },
              { name: "nonesuch", arguments: {} }
            ], { text: "Working." })
          ),
          Reply.text("finished")
        ])(request)
        : Reply.text("again"),
    (world) =>
      Effect.gen(function*() {
        let first = ""
        yield* serving(world, "serve", {}, ({ create, prompt }) =>
          Effect.gen(function*() {
            first = yield* create()
            yield* prompt("events", first, "TOOLS")
          }))
        yield* world.observe("first", first)
        yield* world.observe("written", yield* world.read("work/new.txt"))
        const variables = { [Contract.variableNames.database]: world.path(database) }
        yield* world.run("export", { args: Contract.queries(world.version)?.session(first) ?? [], env: variables })
        yield* serving(world, "serve again", {}, ({ ask, observe, prompt, routes }) =>
          Effect.gen(function*() {
            yield* observe("last", routes.lastSession(world.work))
            yield* observe(
              "ruled",
              routes.setRules(first, [{ action: "webfetch", resource: "*", effect: "deny" }, unanswerable])
            )
            yield* observe("ruledSession", routes.session(first))
            yield* observe("agentSet", routes.setAgent(first, "plan"))
            yield* observe("modelSet", routes.setModel(first, { provider: "fake", id: "m1" }))
            yield* prompt("continuedEvents", first, "SECOND")
            const forked = yield* observe("forked", routes.fork(first, undefined))
            const fork = idOf(forked.body)
            yield* observe("forkedSession", routes.session(fork))
            const { body } = yield* observe("trunkMessages", routes.messages(first, undefined))
            const branch = yield* ask(routes.fork(first, idOf(body)))
            yield* observe("branchMessages", routes.messages(idOf(branch.body), undefined))
            yield* ask(routes.setRules(fork, [unanswerable]))
            yield* prompt("forkEvents", fork, "THIRD")
          }))
      })
  ),
  one(
    "rules",
    "the rules of a session against those of a project",
    steps([
      Reply.toolCalls([
        shell("rm a.txt"),
        shell("cat a.txt"),
        { name: "write", arguments: { path: "b.txt", content: "" } }
      ]),
      Reply.finish("length", "cut sho")
    ]),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("work/a.txt", "alpha\n")
        yield* world.write(
          "work/opencode.json",
          JSON.stringify({
            agents: {
              build: {
                permissions: [
                  { action: "shell", resource: "*", effect: "allow" },
                  { action: "glob", resource: "*", effect: "allow" },
                  { action: "webfetch", resource: "*", effect: "deny" }
                ]
              }
            }
          })
        )
        yield* serving(
          world,
          "serve",
          {
            config: { permission: { skill: "deny" } },
            env: { [Contract.variableNames.permission]: JSON.stringify({ grep: "deny" }) }
          },
          ({ create, prompt }) =>
            Effect.gen(function*() {
              const id = yield* create({
                rules: [
                  { action: "edit", resource: "*", effect: "allow" },
                  { action: "edit", resource: "b.txt", effect: "deny" },
                  { action: "glob", resource: "*", effect: "deny" },
                  { action: "shell", resource: "rm *", effect: "deny" }
                ]
              })
              yield* prompt("events", id, "rules")
            })
        )
        yield* world.observe("kept", yield* world.read("work/a.txt"))
        yield* world.observe("written", yield* world.exists("work/b.txt"))
      })
  ),
  one(
    "asked",
    "permissions that are rejected, and one that is granted; a question",
    (request) =>
      request.prompt.includes("QUESTION")
        ? steps([
          Reply.toolCalls([{
            name: "question",
            arguments: {
              questions: [{
                question: "Which?",
                header: "Which",
                options: [{ label: "A", description: "a" }, { label: "B", description: "b" }]
              }]
            }
          }]),
          Reply.text("went on")
        ])(request)
        : request.prompt.includes("GRANT")
        ? steps([Reply.toolCalls([shell("echo granted")]), Reply.text("went on")])(request)
        : request.prompt.includes("OUTSIDE")
        ? steps([Reply.toolCalls([read("/etc/hosts")]), Reply.text("went on")])(request)
        : steps([Reply.toolCalls([shell("echo hi, there"), read(".env")]), Reply.text("went on")])(request),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("work/.env", "A=1\n")
        const ask: Contract.ServerRule = { action: "shell", resource: "*", effect: "ask" }
        yield* serving(world, "serve", {}, (api) =>
          Effect.gen(function*() {
            const { create, ended, frames, hears, observe, routes, send } = api
            /** Answers every request of a session, until its prompt has ended. */
            const answering = (id: string, name: string, answer: "once" | "reject") => {
              const answered = new Set<string>()
              const next = Effect.gen(function*() {
                for (const { data, type } of frames(id)) {
                  const request = String(data?.["id"])
                  if (type !== "permission.asked" || answered.has(request)) continue
                  answered.add(request)
                  if (answered.size === 1) yield* observe(`${name}Pending`, routes.requests(id))
                  yield* observe(`${name}Reply`, routes.answer(id, request, answer))
                }
              })
              return Effect.raceFirst(
                ended(`${name}Events`, id),
                Effect.forever(Effect.andThen(next, Effect.sleep("50 millis")))
              )
            }
            for (
              const [name, text, answer] of [
                ["reject", "ask", "reject"],
                ["grant", "GRANT", "once"],
                ["outside", "OUTSIDE", "reject"]
              ] as const
            ) {
              const id = yield* create({ rules: [ask] })
              yield* send(id, text)
              yield* answering(id, name, answer)
            }
            const created = yield* api.ask(routes.create({
              directory: world.work,
              title: "Scripted",
              agent: undefined,
              model: { provider: "fake", id: "m1" },
              rules: []
            }))
            const asking = idOf(created.body)
            yield* send(asking, "QUESTION")
            yield* hears(asking, "form.created")
            const pending = yield* observe("forms", routes.forms(asking))
            const form = /"id":"([^"]+)"/.exec(JSON.stringify(pending.body))?.[1] ?? "frm_unknown"
            yield* observe("declined", routes.decline(asking, form))
            yield* ended("questionEvents", asking)
          }))
      })
  ),
  one(
    "sub-agent",
    "a sub-agent that asks for permission",
    (request) =>
      request.prompt.includes("CHILD")
        ? steps([Reply.toolCalls([shell("echo child"), read("a.env")]), Reply.text("child went on")])(request)
        : steps([
          Reply.toolCalls([{
            name: "subagent",
            arguments: { agent: "general", description: "Scripted", prompt: "CHILD" }
          }]),
          Reply.text("parent went on")
        ])(request),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("work/a.env", "A=1\n")
        yield* serving(world, "serve", {}, ({ ask, create, ended, frames, observe, routes, send }) =>
          Effect.gen(function*() {
            const id = yield* create({ rules: [{ action: "shell", resource: "*", effect: "deny" }] })
            yield* send(id, "delegate")
            const childOf = () =>
              frames().find(({ data, type }) =>
                type === "session.created" && data?.["parentID"] === id
              )?.data
                ?.["sessionID"]
            yield* world.until(Effect.sync(() =>
              childOf() !== undefined
            ))
            const child = String(childOf())
            yield* world.until(Effect.sync(() => frames(child).some(({ type }) => type === "permission.asked")))
            const request = frames(child).find(({ type }) => type === "permission.asked")?.data?.["id"]
            yield* observe("childSession", routes.session(child))
            yield* ask(routes.answer(child, String(request), "reject"))
            yield* ended("events", id)
            yield* world.observe("childEvents", frames(child))
            yield* world.observe("ids", { child, parent: id })
          }))
      })
  ),
  one(
    "failures",
    "providers that refuse, fail once, or send what nobody can read",
    () => Reply.never,
    (world) =>
      serving(world, "serve", {}, ({ create, prompt }) => {
        const bad = failing()
        const respond: ModelProvider.Respond = (request) =>
          // A retry of 2.x is asked for in the user's name.
          Object.entries(bad).find(([word]) =>
            request.messages.some(({ role, text }) => role === "user" && text.includes(word))
          )?.[1](request) ?? Reply.text("not scripted")
        return Effect.andThen(
          world.provider.respond(respond),
          Effect.forEach(
            Object.keys(bad),
            (word) => Effect.flatMap(create(), (id) => prompt(`${word.toLowerCase()}Events`, id, word)),
            {
              concurrency: 4,
              discard: true
            }
          )
        )
      })
  ),
  one(
    "interrupt",
    "an interruption while a command runs, and one while the provider does not answer",
    (request) => request.prompt.includes("NEVER") ? Reply.never : Reply.toolCalls([shell(toolCommand)]),
    (world) =>
      serving(world, "serve", {}, ({ create, ended, hears, observe, routes, send }) =>
        Effect.gen(function*() {
          const working = yield* create()
          yield* send(working, "WORK")
          const tool = yield* toolOf(world)
          yield* observe("active", routes.active)
          yield* world.observe("working", working)
          yield* observe("interrupted", routes.interrupt(working))
          yield* ended("events", working)
          yield* survivors(world, "survives", tool)
          const waiting = yield* create()
          yield* send(waiting, "NEVER")
          yield* hears(waiting, "session.execution.started")
          yield* Effect.ignore(observe("waitingInterrupted", routes.interrupt(waiting)))
          yield* ended("waitingEvents", waiting)
        }))
  ),
  one(
    "ends",
    "the end of its input, SIGTERM and SIGKILL while a command runs",
    () => Reply.toolCalls([shell(toolCommand)]),
    (world) =>
      Effect.forEach(
        ["lease", "terminate", "kill"] as const,
        (name): Effect.Effect<void, never, Scope.Scope> =>
          Effect.gen(function*() {
            let tool = 0
            yield* serving(world, name, {}, ({ create, kill, send }) =>
              Effect.gen(function*() {
                const id = yield* create()
                yield* send(id, "WORK")
                tool = yield* toolOf(world)
                if (name === "terminate") yield* Effect.andThen(kill("SIGTERM"), Effect.never)
                if (name === "kill") yield* Effect.andThen(kill("SIGKILL"), Effect.never)
              }))
            if (tool > 0) yield* survivors(world, `${name}Survives`, tool, name === "kill" ? "3 seconds" : undefined)
          })
      )
  ),
  {
    name: "configuration",
    doing: "configurations that it cannot read; models, plugins and a stored login",
    respond: () => Reply.text("done"),
    run: (world) =>
      Effect.gen(function*() {
        const content = (more: unknown) => JSON.stringify({ ...world.provider.configOverrides, ...Object(more) })
        const idle = Effect.sleep("1 second")
        yield* serving(world, "bad value", { content: content({ permissions: [{ action: 1 }] }) }, () => idle)
        yield* serving(world, "bad JSON", { content: "{ not json" }, () => idle)
        yield* serving(world, "unknown key", { content: content({ nonesuch: true }) }, () => idle)
        yield* world.write("data/opencode/auth.json", JSON.stringify({ fake: { type: "api", key: "stored-key" } }))
        yield* world.write("models.json", files.modelList)
        yield* serving(
          world,
          "login",
          {
            content: JSON.stringify(withoutKey(world)),
            env: { [Contract.variableNames.modelsPath]: world.path("models.json"), LISTED_KEY: "key" }
          },
          ({ ask, create, observe, prompt, routes }) =>
            Effect.gen(function*() {
              yield* Effect.timeoutOption(
                world.until(
                  Effect.map(ask(routes.models(world.work)), ({ body }) => JSON.stringify(body).includes("listed"))
                ),
                "30 seconds"
              )
              yield* observe("models", routes.models(world.work))
              const id = yield* create()
              yield* prompt("events", id, "hi")
            })
        )
        yield* world.write("work/opencode.json", JSON.stringify({ model: "fake/weak" }))
        yield* world.write("work/.opencode/opencode.json", JSON.stringify({ model: "fake/m1" }))
        yield* world.write("work/.opencode/plugins/scripted.js", files.plugin(world.path("plugged")))
        for (const [name, pure] of [["plugins", false], ["pure", true]] as const) {
          yield* serving(world, name, { config: { pure } }, ({ ask, observe, routes }) =>
            Effect.gen(function*() {
              // What a directory brings is loaded after the first question about it.
              yield* world.until(
                Effect.map(ask(routes.agents(world.work)), ({ body }) => JSON.stringify(body).includes("build"))
              )
              yield* observe(`${name}Configuration`, routes.configuration(world.work))
              yield* observe(`${name}Agents`, routes.agents(world.work))
              yield* idle
            }))
          yield* world.observe(`${name}Notes`, (yield* world.read("plugged")) ?? "")
          yield* world.write("plugged", "")
        }
      })
  },
  {
    name: "refusals",
    doing: "databases that it cannot open",
    run: (world) =>
      Effect.gen(function*() {
        const refused = (name: string, file: string) =>
          serving(
            world,
            name,
            { env: { [Contract.variableNames.database]: world.path(file) } },
            ({ routes, observe }) => observe(name, routes.lastSession(world.work))
          )
        yield* world.write("damaged.db", "this is not a database, ".repeat(100))
        yield* refused("damaged database", "damaged.db")
        yield* world.writeBytes("migrated.db", files.database)
        yield* refused("failed migration", "migrated.db")
        yield* world.write("file", "")
        yield* refused("data directory is a file", "file/opencode-2.db")
      })
  },
  one(
    "compaction",
    "a conversation that is compacted",
    ({ index }) =>
      [
        Reply.toolCalls([shell("echo hi")], { usage: { input: 190_000 } }),
        Reply.text(summary),
        Reply.text("FINAL")
      ][index] ?? Reply.text("nobody should have asked"),
    (world) =>
      serving(world, "serve", {}, ({ create, observe, prompt, routes }) =>
        Effect.gen(function*() {
          const id = yield* create()
          yield* prompt("events", id, "hi")
          yield* observe("messages", routes.messages(id, undefined))
        }))
  ),
  one(
    "mcp",
    "tools of MCP servers, by name and in code, beside a server that does not start",
    steps([
      Reply.toolCalls([
        { name: "scripted_echo", arguments: { text: "by name" } },
        { name: "coded_echo", arguments: { text: "hidden" } },
        code("return await tools.coded.echo({ text: 'by code' })")
      ]),
      Reply.text("done")
    ]),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("mcp.sh", files.mcpServer)
        const scripted = { type: "local", command: ["/bin/sh", world.path("mcp.sh")] } as const
        yield* serving(
          world,
          "serve",
          {
            config: {
              mcp: {
                scripted,
                coded: { ...scripted, codemode: true },
                missing: { type: "local", command: [world.path("missing")] }
              }
            }
          },
          ({ ask, create, observe, prompt, routes }) =>
            Effect.gen(function*() {
              // They are started beside the server.
              yield* world.until(
                Effect.map(ask(routes.mcp(world.work)), ({ body }) => {
                  const servers = JSON.stringify(body)
                  return servers.includes("scripted") && !servers.includes("pending")
                })
              )
              yield* observe("servers", routes.mcp(world.work))
              yield* prompt("events", yield* create(), "hi")
            })
        )
      })
  ),
  one(
    "code",
    "code of the model that asks the network, and that moves its session",
    (request) =>
      request.prompt.includes("FETCH")
        ? steps([
          Reply.toolCalls([code(`return 'status ' + (await fetch('${request.prompt.split(" ")[1] ?? ""}')).status`)]),
          Reply.text("done")
        ])(request)
        // A move adds a message of the user, so the answers are counted from the beginning.
        : [
          Reply.toolCalls([code("return await tools.opencode.session_move({ directory: '../elsewhere' })")]),
          Reply.toolCalls([read("b.txt")])
        ][request.messages.filter(({ role }) => role === "assistant").length] ?? Reply.text("done"),
    (world) =>
      Effect.gen(function*() {
        yield* world.write("elsewhere/b.txt", "beta-content\n")
        yield* serving(world, "serve", {}, ({ create, prompt }) =>
          Effect.gen(function*() {
            const deny = (action: string): Contract.ServerRule => ({ action, resource: "*", effect: "deny" })
            const fetching = `FETCH ${world.provider.baseUrl}/models`
            yield* prompt("fetchEvents", yield* create({ rules: [deny("webfetch")] }), fetching)
            yield* prompt("deniedEvents", yield* create({ rules: [deny("execute")] }), `${fetching} DENIED`)
            yield* prompt("movedEvents", yield* create({ rules: [deny("external_directory")] }), "MOVE")
            yield* prompt("keptEvents", yield* create({ rules: [deny("opencode_session_move")] }), "KEPT")
          }))
      })
  )
]
