/** Facts about the events of a prompt, and about tools. */
import type { Fact, Recording } from "../../contract.js"
import { at, kindOf, kindsOf } from "../../contract.js"
import * as server from "../server.js"
import * as facts from "./fact.js"
import * as reading from "./reading.js"

const mapper = { usedBy: ["internal/opencode/v2/protocol.ts", "internal/opencode/v2/eventMapper.ts"] }

const text = facts.of("text", mapper)

const session = facts.of("session", mapper)

const compaction = facts.of("compaction", mapper)

const mcp = facts.of("mcp", mapper)

const events = "events"

const incomplete = "Runs are incomplete."

/** The fields of the first event of a type. */
const fields = (name: string, type: string, wanted: ReadonlyArray<string>) => (recording: Recording): unknown => {
  if (reading.frames(recording, name) === undefined) return undefined
  const data = reading.dataOf(recording, name, type)[0]
  return data === undefined ? "no such event" : kindsOf(data, wanted)
}

const seen = (recording: Recording, observe: () => unknown, name = events): unknown =>
  reading.frames(recording, name) === undefined ? undefined : observe()

const parameters = (tool: string, wanted: ReadonlyArray<string>): Fact =>
  text(
    `tool.parameters.${tool}`,
    `The tool \`${tool}\` has the parameters ${wanted.join(", ")}.`,
    wanted,
    (recording) => {
      if (recording.observed["parameters"] === undefined) return undefined
      const found = reading.observed(recording, "parameters", tool)
      return Array.isArray(found) ? wanted.filter((name) => found.includes(name)) : "not offered"
    },
    `\`Tool\` does not decode the calls of \`${tool}\`, and changed files can be missing.`,
    { usedBy: ["Tool.ts", "internal/opencode/fileChanges.ts"], weight: "note" }
  )

const tool = (
  id: string,
  says: string,
  input: string,
  value: unknown,
  observe: (call: NonNullable<ReturnType<typeof reading.call>>) => unknown,
  otherwise: string,
  weight: Fact["weight"] = "matters"
): Fact =>
  session(
    id,
    says,
    value,
    (recording) =>
      seen(recording, () => {
        const call = reading.call(recording, events, input)
        return call === undefined ? "no such call" : observe(call)
      }),
    otherwise,
    { usedBy: ["internal/opencode/v2/eventMapper.ts", "internal/opencode/v2/parts.ts"], weight }
  )

/** Whether a tool was offered, and what its call with this input has brought. */
const mcpCall = (recording: Recording, name: string, input: string): unknown =>
  seen(recording, () => {
    const call = reading.call(recording, events, input)
    return {
      offered: reading.requests(recording)[0]?.tools.includes(name) ?? "not asked",
      status: call?.status ?? "no call",
      hasOutput: call?.output?.includes("echoed by the server") ?? false
    }
  })

export const all: ReadonlyArray<Fact> = [
  text(
    "events.first",
    "The events of all directories begin with `server.connected`.",
    "server.connected",
    (recording) =>
      recording.observed["firstFrame"] === undefined
        ? undefined
        : reading.observed(recording, "firstFrame", "type") ?? "none",
    "Runs wait for events that have begun.",
    { usedBy: ["internal/opencode/v2/protocol.ts", "internal/transport/server/hub.ts"] }
  ),
  text(
    "events.run",
    "A prompt's events are a step, its reasoning, its text and its end.",
    ["StepStart", "TextDelta", "Reasoning", "TextDelta", "Text", "StepFinish"],
    (recording) => reading.tags(recording, events),
    incomplete
  ),
  text(
    "events.created",
    "An event has the time of the server.",
    "number",
    (recording) => seen(recording, () => kindOf(at(reading.frames(recording, events)?.[0], "created"))),
    "Texts and calls of tools have no times.",
    { usedBy: ["internal/opencode/v2/protocol.ts"], weight: "note" }
  ),
  text(
    "events.step-started",
    "`session.step.started` has the message and the model.",
    { assistantMessageID: "string", model: "object", sessionID: "string" },
    fields(events, "session.step.started", ["assistantMessageID", "model", "sessionID"]),
    incomplete
  ),
  text(
    "events.delta",
    "`session.text.delta` has the message, the number of the text and the piece.",
    { assistantMessageID: "string", ordinal: "number", delta: "string" },
    fields(events, "session.text.delta", ["assistantMessageID", "ordinal", "delta"]),
    "`TextDelta` events are missing."
  ),
  text(
    "events.text",
    "The text of an answer arrives once, whole, at its end.",
    ["one two three"],
    (recording) => seen(recording, () => reading.eventsOf(recording, events, "Text").map(({ text }) => text)),
    "Answers are incomplete, or repeated."
  ),
  text(
    "events.deltas",
    "The pieces of a text are the text.",
    "one two three",
    (recording) =>
      seen(recording, () =>
        reading.eventsOf(recording, events, "TextDelta").filter(({ kind }) => kind === "text")
          .map(({ text }) => text).join("")),
    "Streamed answers differ from the result."
  ),
  text(
    "events.reasoning",
    "Reasoning arrives whole, at its end.",
    ["Let me think."],
    (recording) => seen(recording, () => reading.eventsOf(recording, events, "Reasoning").map(({ text }) => text)),
    "`thinking` shows nothing."
  ),
  text(
    "finish.stop",
    "A complete answer ends with the reason `stop`.",
    "stop",
    (recording) => seen(recording, () => reading.eventsOf(recording, events, "StepFinish").at(-1)?.reason ?? "none"),
    "Good runs end as OpenCodeIncompleteError."
  ),
  text(
    "finish.tokens",
    "A finished step has its tokens, input without cached ones.",
    { input: 60, output: 20, reasoning: 0, cache: { read: 40, write: 0 } },
    (recording) =>
      seen(recording, () => at(reading.dataOf(recording, events, "session.step.ended").at(-1), "tokens") ?? "missing"),
    "Usage and token budgets are wrong."
  ),
  text(
    "finish.cost",
    "A finished step has its cost in US dollars, by the configured prices.",
    0.0001,
    (recording) =>
      seen(recording, () => at(reading.dataOf(recording, events, "session.step.ended").at(-1), "cost") ?? "missing"),
    "Costs and cost budgets are wrong."
  ),
  text(
    "end.succeeded",
    "A prompt that went well has one end, `session.execution.succeeded`, which is its last event but for its usage.",
    { ends: ["succeeded"], later: 0 },
    (recording) =>
      seen(recording, () => {
        const types = reading.types(recording, events)
        const end = types.findIndex((type) =>
          String(type).startsWith("session.execution.") && type !== "session.execution.started"
        )
        return {
          ends: reading.ends(recording, events),
          later: types.slice(end + 1).filter((type) => type !== "session.usage.updated").length
        }
      }),
    "Runs wait for ever for their end, or end before it.",
    { usedBy: [...mapper.usedBy, "internal/transport/private/turn.ts"] }
  ),
  text(
    "tools.offered",
    "The model is offered the tools that permissions name.",
    ["edit", "execute", "glob", "grep", "read", "shell", "skill", "subagent", "webfetch", "write"],
    (recording) => reading.requests(recording)[0]?.tools.filter((name) => name !== "question" && name !== "websearch"),
    "A tool under another name is outside of your rules.",
    { usedBy: ["Permission.ts", "Tool.ts", "internal/opencode/v2/permissions.ts"] }
  ),
  text(
    "tools.question",
    "A rule keeps the tool that asks the user away from the model.",
    false,
    (recording) => reading.requests(recording)[0]?.tools.includes("question"),
    "A question of the model is declined, which ends its prompt.",
    { usedBy: ["internal/opencode/v2/permissions.ts"] }
  ),
  parameters("shell", ["command", "timeout"]),
  parameters("read", ["path"]),
  parameters("write", ["content", "path"]),
  parameters("edit", ["newString", "oldString", "path"]),
  parameters("glob", ["pattern"]),
  parameters("grep", ["pattern"]),
  parameters("subagent", ["agent", "description", "prompt"]),
  parameters("webfetch", ["url"]),
  parameters("execute", ["code"]),
  session(
    "events.tool-called",
    "`session.tool.called` has the call and its input.",
    { id: "string", input: "object", assistantMessageID: "string" },
    fields(events, "session.tool.called", ["id", "input", "assistantMessageID"]),
    "Calls of tools are incomplete."
  ),
  session(
    "events.tool-name",
    "`session.tool.input.started` has the name of the tool.",
    { id: "string", name: "string" },
    fields(events, "session.tool.input.started", ["id", "name"]),
    "Calls of tools have no name."
  ),
  tool(
    "tool.completed",
    "A finished call has its id, input, output and metadata.",
    "pwd;",
    { callId: "string", tool: "shell", status: "completed", input: "object", output: "string", metadata: "object" },
    (call) => ({
      ...kindsOf(call, ["callId", "input", "output", "metadata"]),
      tool: call.tool,
      status: call.status
    }),
    "Tool calls are incomplete in results and transcripts."
  ),
  tool(
    "tool.nonzero",
    "A command that fails is a completed call with its exit code in `metadata.exit`.",
    "pwd;",
    { status: "completed", exit: 3 },
    ({ metadata, status }) => ({ status, exit: at(metadata, "exit") ?? "missing" }),
    "`Tool` has no exit code."
  ),
  tool(
    "tool.environment",
    "Commands inherit the environment of the server without its password, and are given no mark of OpenCode.",
    "pwd;",
    "<||session|hidden>",
    ({ output }) => /<.*>/.exec(output ?? "")?.[0] ?? "nothing",
    "Commands see the password of their server, or are not found by their environment."
  ),
  tool(
    "tool.directory",
    "Commands run in the working directory.",
    "pwd;",
    "/sandbox/work",
    ({ output }) => output?.split("\n")[0] ?? "nothing",
    "`cwd` has no effect on commands."
  ),
  tool(
    "tool.error",
    "A call that fails has the status `error` and a text.",
    "missing.txt",
    { status: "error", error: "File not found: missing.txt" },
    ({ error, status }) => ({ status, error }),
    "Failed calls look like finished ones."
  ),
  tool(
    "tool.write",
    "A file is written into the working directory, by its path.",
    "new.txt",
    { tool: "write", status: "completed" },
    ({ status, tool }) => ({ tool, status }),
    "`filesChanged` lacks new files."
  ),
  session(
    "tool.unknown",
    "The call of an unknown tool fails under its own name, and the run goes on.",
    { tool: "nonesuch", status: "error", ends: ["succeeded"] },
    (recording) =>
      seen(recording, () => {
        const found = reading.eventsOf(recording, events, "ToolUse").find(({ tool }) => tool === "nonesuch")
        return { tool: found?.tool ?? "none", status: found?.status ?? "none", ends: reading.ends(recording, events) }
      }),
    "Calls of unknown tools are shown otherwise.",
    { weight: "note" }
  ),
  session(
    "tool.parallel",
    "Calls of one answer have different ids and the same message.",
    { calls: 4, ids: 4, messages: 1 },
    (recording) =>
      seen(recording, () => {
        const calls = reading.eventsOf(recording, events, "ToolUse")
        return {
          calls: calls.length,
          ids: new Set(calls.map(({ callId }) => callId)).size,
          messages: new Set(calls.map(({ messageId }) => messageId)).size
        }
      }),
    "Calls are lost or mixed up."
  ),
  session(
    "finish.tool-calls",
    "A step that calls tools ends with `tool-calls`, and another step follows under another message.",
    { reasons: ["tool-calls", "stop"], messages: 2 },
    (recording) =>
      seen(recording, () => {
        const steps = reading.eventsOf(recording, events, "StepFinish")
        return {
          reasons: steps.map(({ reason }) => reason),
          messages: new Set(steps.map(({ messageId }) => messageId)).size
        }
      }),
    "Unfinished runs look finished, or finished ones unfinished."
  ),
  compaction(
    "compaction.continues",
    "After a compaction the prompt goes on to its answer, and the summary does not belong to the text.",
    { ends: ["succeeded"], texts: ["FINAL"] },
    (recording) =>
      seen(recording, () => ({
        ends: reading.ends(recording, events),
        texts: reading.eventsOf(recording, events, "Text").map(({ text }) => text)
      })),
    "A run is ended during its compaction, or its answer has OpenCode's words."
  ),
  compaction(
    "compaction.messages",
    "The list of messages has a compaction as a message of its own kind.",
    true,
    (recording) => {
      const { data } = reading.reply(recording, "messages")
      return Array.isArray(data) ? data.some((message) => at(message, "type") === "compaction") : undefined
    },
    "A recovered run shows the summary as an answer.",
    { usedBy: ["internal/opencode/v2/eventMapper.ts", "internal/opencode/v2/parts.ts"], weight: "note" }
  ),
  mcp(
    "mcp.list",
    "The MCP servers of a directory are listed, each with whether it has connected or failed.",
    ["coded", "missing", "scripted"],
    (recording) => {
      if (recording.observed["servers"] === undefined) return undefined
      const servers = server.replies.mcp(at(recording.observed["servers"], "body"))
      return servers === undefined ? "unreadable" : servers.filter(({ isPending }) => !isPending)
        .map(({ name }) => name).sort()
    },
    "A prompt does not wait for the tools of its servers, or waits in vain.",
    { usedBy: ["internal/opencode/v2/server.ts", "internal/transport/private/mcp.ts"] }
  ),
  mcp(
    "mcp.plain",
    "With `codemode: false` the tools of an MCP server are offered by their names.",
    { offered: true, status: "completed", hasOutput: true },
    (recording) => mcpCall(recording, "scripted_echo", "by name"),
    "Rules cannot name the tools of MCP servers.",
    { usedBy: ["internal/opencode/v2/mcp.ts", "Permission.ts", "RunConfig.ts"] }
  ),
  mcp(
    "mcp.hidden",
    "With `codemode: true` they are not: calling one by its name fails.",
    { offered: false, status: "error", hasOutput: false },
    (recording) => mcpCall(recording, "coded_echo", "hidden"),
    "Nothing: rules can name the tools of those servers, too.",
    { usedBy: ["internal/opencode/v2/mcp.ts"], weight: "note" }
  ),
  mcp(
    "mcp.execute",
    "Then code calls them, also when another server does not start.",
    { offered: true, status: "completed", hasOutput: true },
    (recording) => mcpCall(recording, "execute", "by code"),
    "Servers with `codemode: true` have no effect.",
    { usedBy: ["internal/opencode/v2/mcp.ts"], weight: "note" }
  ),
  mcp(
    "mcp.ends",
    "A prompt succeeds although a server does not start.",
    ["succeeded"],
    (recording) => seen(recording, () => reading.ends(recording, events)),
    "A broken MCP server fails a run.",
    { weight: "note" }
  )
]
