/** Facts about sessions and prompts: requests, replies, history, export. */
import * as Option from "effect/Option"
import type { Conversation } from "../../../../Conversation.js"
import type { Fact, Recording } from "../../contract.js"
import { at, kindsOf } from "../../contract.js"
import * as questions from "../questions.js"
import * as server from "../server.js"
import * as facts from "./fact.js"
import * as reading from "./reading.js"

const routes = ["internal/opencode/v2/server.ts"]

const text = facts.of("text", { usedBy: routes })

const session = facts.of("session", { usedBy: routes })

const interrupt = facts.of("interrupt", { usedBy: routes })

/** What the library reads in a recorded reply. */
const read = <A>(
  recording: Recording,
  name: string,
  of: (body: unknown) => A | undefined
): A | "unreadable" | undefined =>
  recording.observed[name] === undefined ? undefined : of(at(recording.observed[name], "body")) ?? "unreadable"

const status = (recording: Recording, name: string): unknown => reading.observed(recording, name, "status")

const exported =
  (observe: (conversation: Conversation, recording: Recording) => unknown) => (recording: Recording): unknown => {
    const found = reading.process(recording, "export")
    if (found === undefined) return undefined
    return Option.match(questions.session("").read(found.stdout), {
      onNone: () => "no session",
      onSome: (conversation) => observe(conversation, recording)
    })
  }

const accepted = (id: string, says: string, name: string, otherwise: string): Fact =>
  session(id, says, 204, (recording) => status(recording, name), otherwise)

const question = [{ action: "question", resource: "*", effect: "deny" }]

export const all: ReadonlyArray<Fact> = [
  text(
    "agents.list",
    "The agents of a directory have an id, a mode and rules.",
    { build: false, general: true, hasRules: true },
    (recording) => {
      const agents = read(recording, "agents", server.replies.agents)
      if (agents === undefined || agents === "unreadable") return agents
      const find = (name: string) => agents.find(({ id }) => id === name)
      return {
        build: find("build")?.isSubagent ?? "missing",
        general: find("general")?.isSubagent ?? "missing",
        hasRules: (find("build")?.rules.length ?? 0) > 0
      }
    },
    "A misspelled `agent` is not refused, or every run is."
  ),
  text(
    "agents.outside",
    "By default a directory outside of the working directory is asked for.",
    "ask",
    (recording) => {
      const agents = read(recording, "agents", server.replies.agents)
      if (agents === undefined || agents === "unreadable") return agents
      return agents.find(({ id }) => id === "build")?.rules.filter(({ action, resource }) =>
        action === "external_directory" && resource === "*"
      ).at(-1)?.effect ?? "no rule"
    },
    "Nothing: the library adds the rule.",
    { usedBy: ["internal/opencode/v2/permissions.ts"], weight: "note" }
  ),
  text(
    "models.list",
    "The server lists the models, also of a configured provider.",
    true,
    (recording) => {
      const models = read(recording, "models", server.replies.models)
      return Array.isArray(models) ? models.includes("fake/m1") : models
    },
    "`models` and `doctor` show wrong models.",
    { usedBy: [...routes, "internal/transport/private/catalog.ts"] }
  ),
  text(
    "session.create",
    "A new session has the title, the directory, the model and the rules that it was given.",
    {
      directory: "/sandbox/work",
      title: "--auto \"title\"",
      rules: [{ action: "websearch", resource: "*", effect: "deny" }, ...question],
      model: { id: "m1", providerID: "fake" }
    },
    (recording) => {
      const created = read(recording, "created", server.replies.session)
      if (created === undefined || created === "unreadable") return created
      const model = at(reading.reply(recording, "created").data, "model")
      return {
        directory: created.directory ?? "missing",
        title: created.title ?? "missing",
        rules: created.rules,
        model: { id: at(model, "id") ?? "missing", providerID: at(model, "providerID") ?? "missing" }
      }
    },
    "Runs have other rules, another model or another directory than they were given."
  ),
  text(
    "session.unknown",
    "An unknown session is answered with 404.",
    404,
    (recording) => status(recording, "unknownSession"),
    "A session that does not exist is not recognized.",
    { usedBy: ["internal/transport/private/attempt.ts"] }
  ),
  text(
    "title.given",
    "A session with a title asks the model for none.",
    0,
    (recording) =>
      reading.requests(recording).length === 0
        ? undefined
        : recording.requests.length - reading.requests(recording).length,
    "Each run costs a further request to the model.",
    { usedBy: ["internal/transport/private/attempt.ts"], weight: "note" }
  ),
  text(
    "prompt.admitted",
    "A prompt is answered at once, with the id of its message.",
    { status: 200, isMessage: true },
    (recording) => {
      const id = read(recording, "prompted", server.replies.prompt)
      return id === undefined
        ? undefined
        : {
          status: status(recording, "prompted"),
          isMessage: id === recording.observed["promptId"] && id !== "unreadable"
        }
    },
    "Prompts look refused."
  ),
  text(
    "prompt.verbatim",
    "A prompt arrives unchanged.",
    "verbatim",
    (recording) => {
      const prompt = reading.requests(recording)[0]?.prompts.at(-1)
      return prompt === undefined || prompt === recording.observed["prompt"]
        ? prompt === undefined ? undefined : "verbatim"
        : "another"
    },
    "The model sees another prompt than the program gave."
  ),
  text(
    "prompt.file",
    "The content of an attached file is in the prompt.",
    true,
    (recording) => {
      const found = reading.requestFor(recording, "FILE")
      return found === undefined ? undefined : found.prompts.some((prompt) => prompt.includes("alpha-content"))
    },
    "`files` do not reach the model.",
    { usedBy: [...routes, "internal/transport/private/transport.ts"] }
  ),
  text(
    "config.content",
    "The configuration in `OPENCODE_CONFIG_CONTENT` is used: the provider's key reaches the provider.",
    "Bearer scripted-key",
    (recording) => reading.requests(recording)[0]?.authorization,
    "`configOverrides`, `permission` and `mcp` have no effect.",
    { usedBy: ["internal/opencode/v2/invocation.ts", "internal/opencode/configContent.ts"] }
  ),
  text(
    "messages.list",
    "The messages of a session are listed, the newest first: the end, the answer, the prompt.",
    ["idle", "assistant", "user"],
    (recording) => {
      const page = read(recording, "messages", server.replies.messages)
      return page === undefined || page === "unreadable" ? page : page.messages.map(({ type }) => type)
    },
    "Events that were missed are not recovered.",
    { usedBy: [...routes, "internal/transport/private/turn.ts", "internal/opencode/v2/eventMapper.ts"] }
  ),
  text(
    "messages.prompt",
    "The message of a prompt has the id that the server has returned.",
    true,
    (recording) => {
      const page = read(recording, "messages", server.replies.messages)
      return page === undefined || page === "unreadable"
        ? page
        : page.messages.some(({ id, type }) => type === "user" && id === recording.observed["promptId"])
    },
    "After a gap in its events a run shows the answers to earlier prompts.",
    { usedBy: ["internal/transport/private/turn.ts"] }
  ),
  text(
    "active.none",
    "A session whose prompt has ended is not listed as active.",
    [],
    (recording) => read(recording, "active", server.replies.active),
    "After a gap in its events a run waits for ever.",
    { usedBy: ["internal/transport/private/turn.ts"] }
  ),
  interrupt(
    "active.working",
    "A session with a running prompt is listed as active.",
    true,
    (recording) => {
      const active = read(recording, "active", server.replies.active)
      return Array.isArray(active) ? active.includes(String(recording.observed["working"])) : active
    },
    "After a gap in its events a run ends too early.",
    { usedBy: ["internal/transport/private/turn.ts"] }
  ),
  session(
    "session.last",
    "The sessions of a directory are listed with the one used last first, from another server on the same database.",
    true,
    (recording) => {
      const sessions = read(recording, "last", server.replies.sessions)
      return Array.isArray(sessions) ? sessions[0]?.id === recording.observed["first"] : sessions
    },
    "`continueSession` goes on with another session."
  ),
  accepted(
    "session.rules",
    "The rules of a session can be replaced.",
    "ruled",
    "Continued sessions keep earlier rules."
  ),
  session(
    "session.rules-kept",
    "Replaced rules are those of the session from then on.",
    [{ action: "webfetch", resource: "*", effect: "deny" }, ...question],
    (recording) => {
      const found = read(recording, "ruledSession", server.replies.session)
      return found === undefined || found === "unreadable" ? found : found.rules
    },
    "Continued sessions keep earlier rules."
  ),
  accepted(
    "session.agent",
    "The agent of a session can be set.",
    "agentSet",
    "`agent` has no effect on a continued session."
  ),
  accepted(
    "session.model",
    "The model of a session can be set.",
    "modelSet",
    "`model` has no effect on a continued session."
  ),
  session(
    "session.agent-used",
    "The next prompt runs with that agent.",
    "plan",
    (recording) =>
      reading.frames(recording, "continuedEvents") === undefined
        ? undefined
        : at(reading.dataOf(recording, "continuedEvents", "session.step.started").at(-1), "agent") ?? "missing",
    "`agent` has no effect on a continued session."
  ),
  session(
    "session.continue",
    "A prompt to an existing session sees what was said before.",
    ["TOOLS", "SECOND"],
    (recording) => reading.history(recording, "SECOND"),
    "Conversations forget.",
    { usedBy: [...routes, "internal/run/session.ts"] }
  ),
  session(
    "session.fork",
    "A fork has another id, the directory of the original and what was said before.",
    { isSame: false, directory: "/sandbox/work", prompts: ["TOOLS", "SECOND", "THIRD"] },
    (recording) => {
      const forked = read(recording, "forked", server.replies.session)
      return forked === undefined || forked === "unreadable" ? forked : {
        isSame: forked.id === recording.observed["first"],
        directory: forked.directory ?? "missing",
        prompts: reading.history(recording, "THIRD") ?? "not asked"
      }
    },
    "Forks forget, or change the original.",
    { usedBy: [...routes, "internal/run/session.ts"] }
  ),
  session(
    "session.fork-before",
    "A fork with `before` has what is before that message.",
    { later: 1 },
    (recording) => {
      const [trunk, branch] = ["trunkMessages", "branchMessages"].map((name) =>
        read(recording, name, server.replies.messages)
      )
      if (trunk === undefined || trunk === "unreadable" || branch === undefined || branch === "unreadable") return trunk
      return { later: trunk.messages.length - branch.messages.length }
    },
    "A branch after an earlier message has later ones, too.",
    { usedBy: [...routes, "internal/transport/private/attempt.ts"] }
  ),
  session(
    "session.fork-question",
    "A rule keeps the question tool out of a fork.",
    false,
    (recording) => reading.requestFor(recording, "THIRD")?.tools.includes("question"),
    "A question of the model is declined, which ends the fork's prompt.",
    { usedBy: ["internal/opencode/v2/permissions.ts"], weight: "note" }
  ),
  session(
    "export.messages",
    "`session export` prints a session with its messages.",
    { isSession: true, roles: ["user", "assistant", "assistant"] },
    exported(({ info, messages }, recording) => ({
      isSession: info.id === recording.observed["first"],
      roles: messages.map(({ info }) => info.role)
    })),
    "`recover` and `Session.messages` do not work.",
    { usedBy: ["internal/opencode/v2/questions.ts", "Conversation.ts"] }
  ),
  session(
    "export.usage",
    "Exported messages have their cost and their tokens.",
    { cost: 0.0002, input: 120, output: 40 },
    exported(({ messages }) => {
      const sum = (...path: ReadonlyArray<string>) =>
        messages.reduce((total, { info }) => total + Number(at(info, ...path) ?? 0), 0)
      return { cost: sum("cost"), input: sum("tokens", "input"), output: sum("tokens", "output") }
    }),
    "Usage with sub-agents and recovered runs is wrong.",
    { usedBy: ["internal/opencode/v2/questions.ts", "internal/run/sessionExport.ts"] }
  ),
  session(
    "export.finish",
    "Exported messages have the reason of their end.",
    ["tool-calls", "stop"],
    exported(({ messages }) =>
      messages.filter(({ info }) => info.role === "assistant").map(({ info }) => info.finish ?? "none")
    ),
    "The end of a run cannot be recovered.",
    { usedBy: ["internal/opencode/v2/questions.ts", "internal/run/sessionExport.ts"] }
  ),
  session(
    "export.parts",
    "Exported messages have texts, reasoning and calls of tools, with their state.",
    ["reasoning", "step-finish", "step-start", "text", "tool"],
    exported(({ messages }) =>
      [...new Set(messages.flatMap(({ parts }) => parts.map(({ type }) => String(type))))].sort()
    ),
    "Recovered runs lack events.",
    { usedBy: ["internal/opencode/v2/parts.ts", "Conversation.ts"] }
  ),
  interrupt(
    "interrupt.accepted",
    "An interruption is answered with 200.",
    { running: 200, waiting: 200 },
    (recording) =>
      recording.observed["interrupted"] === undefined
        ? undefined
        : {
          running: status(recording, "interrupted"),
          waiting: status(recording, "waitingInterrupted") ?? "not asked"
        },
    "An interrupted run takes until its server has ended."
  ),
  interrupt(
    "interrupt.ends",
    "An interrupted prompt ends as interrupted by the user, whether a command or the provider keeps it waiting.",
    { running: ["interrupted user"], waiting: ["interrupted user"] },
    (recording) =>
      reading.frames(recording, "events") === undefined
        ? undefined
        : { running: reading.ends(recording, "events"), waiting: reading.ends(recording, "waitingEvents") },
    "An interrupted run takes until its server has ended.",
    { usedBy: ["internal/opencode/v2/eventMapper.ts"] }
  ),
  interrupt(
    "interrupt.tools",
    "An interruption ends the command that runs.",
    false,
    (recording) => recording.observed["survives"],
    "Commands of an interrupted run go on until the server has ended.",
    { usedBy: ["internal/transport/private/attempt.ts"] }
  ),
  text(
    "session.stored",
    "A session can be asked for by its id.",
    { id: "string", location: "object", permissions: "array" },
    (recording) =>
      recording.observed["session"] === undefined
        ? undefined
        : kindsOf(reading.reply(recording, "session").data, ["id", "location", "permissions"]),
    "Sessions cannot be continued."
  )
]
