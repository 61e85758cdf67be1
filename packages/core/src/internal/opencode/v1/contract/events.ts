/** Facts about the lines on stdout. */
import type { Fact } from "../../contract.js"
import { always, at, changedIn, kindOf, kindsOf, since } from "../../contract.js"
import * as eventSearch from "../../eventSearch.js"
import { lostEnd } from "./lostEnd.js"
import * as reading from "./reading.js"

const decoded = ["internal/opencode/decode.ts"]

const ofText = { scenario: "text", weight: "matters", usedBy: decoded } as const

const ofTools = { scenario: "session", weight: "matters", usedBy: decoded } as const

/** The last finished step of the text scenario. */
const finished = "step_finish"

const partOf = (type: string): (recording: Parameters<Fact["observe"]>[0]) => unknown => (recording) =>
  reading.wires(recording).find((wire) => wire["type"] === type)?.["part"]

const seen = (recording: Parameters<Fact["observe"]>[0], type: string, fields: ReadonlyArray<string>): unknown => {
  const part = partOf(type)(recording)
  return part === undefined ? "no such event" : kindsOf(part, fields)
}

/** The parameters of a tool that this library decodes. */
const parameters = (tool: string, wanted: ReadonlyArray<string>): Fact => ({
  id: `tool.parameters.${tool}`,
  says: `The tool \`${tool}\` has the parameters ${wanted.join(", ")}.`,
  scenario: "text",
  weight: "note",
  expected: always(wanted),
  observe: (recording) => {
    const found = reading.observed(recording, "parameters", tool)
    return Array.isArray(found) ? wanted.filter((name) => found.includes(name)) : "not offered"
  },
  usedBy: ["Tool.ts", "internal/opencode/fileChanges.ts"],
  otherwise: `\`Tool\` does not decode the calls of \`${tool}\`, and changed files can be missing.`
})

const tool = (
  id: string,
  says: string,
  text: string,
  value: unknown,
  observe: (call: NonNullable<ReturnType<typeof reading.call>>) => unknown,
  otherwise: string,
  expected: Fact["expected"] = always(value)
): Fact => ({
  ...ofTools,
  id,
  says,
  expected,
  observe: (recording) => {
    if (reading.process(recording, "first") === undefined) return undefined
    const call = reading.call(recording, text, "first")
    return call === undefined ? "no such call" : observe(call)
  },
  otherwise
})

export const facts: ReadonlyArray<Fact> = [
  {
    ...ofText,
    id: "events.order",
    says: "An answer is printed as step_start, text, step_finish.",
    expected: lostEnd(always(["step_start", "text", "step_finish"])),
    observe: (recording) => reading.process(recording) === undefined ? undefined : reading.types(recording),
    usedBy: ["internal/opencode/verdict.ts", ...decoded],
    otherwise: "Good runs end as OpenCodeIncompleteError."
  },
  {
    ...ofText,
    id: "events.lines",
    says: "Every line on stdout is an event as a JSON object.",
    expected: always(0),
    observe: (recording) => {
      const found = reading.process(recording)
      return found?.stdout.split("\n").filter((line) => {
        if (line === "") return false
        try {
          return !eventSearch.isEvent(JSON.parse(line))
        } catch {
          return true
        }
      }).length
    },
    usedBy: ["internal/opencode/eventSearch.ts", ...decoded],
    otherwise: "Lines become diagnostics, and events can be lost."
  },
  {
    ...ofText,
    id: "events.envelope",
    says: "Every event has a type, a time and the session's id.",
    expected: always([{ type: "string", timestamp: "number", sessionID: "string" }]),
    observe: (recording) => {
      const kinds = reading.wires(recording).map((wire) => kindsOf(wire, ["type", "timestamp", "sessionID"]))
      return kinds.length === 0
        ? undefined
        : kinds.filter((kind, index) =>
          kinds.findIndex((other) => JSON.stringify(other) === JSON.stringify(kind)) === index
        )
    },
    otherwise: "The session's id is unknown, and a session cannot be continued."
  },
  {
    ...ofText,
    id: "events.step-start",
    says: "`step_start` has a part with the ids of its message and its session.",
    expected: always({ id: "string", messageID: "string", sessionID: "string", type: "string" }),
    observe: (recording) => seen(recording, "step_start", ["id", "messageID", "sessionID", "type"]),
    usedBy: ["internal/opencode/v1/repeatedStep.ts", ...decoded],
    otherwise: "Repeated steps of a cut answer are not noticed."
  },
  {
    ...ofText,
    id: "events.text",
    says: "The text of an answer is printed once, whole, at its end.",
    expected: lostEnd(always(["one two three"])),
    observe: (recording) => reading.eventsOf(recording, "Text").map(({ text }) => text),
    usedBy: ["internal/opencode/answer.ts", ...decoded],
    otherwise: "Answers are incomplete, or repeated."
  },
  {
    ...ofText,
    id: "events.text-time",
    weight: "note",
    says: "A text has the times of its start and its end.",
    expected: lostEnd(always({ start: "number", end: "number" })),
    observe: (recording) => kindsOf(at(partOf("text")(recording), "time"), ["start", "end"]),
    otherwise: "Transcripts and reports lack times."
  },
  {
    ...ofText,
    id: "finish.stop",
    says: "A complete answer ends with the reason `stop`.",
    expected: lostEnd(always("stop")),
    observe: (recording) => at(partOf(finished)(recording), "reason") ?? "none",
    usedBy: ["internal/opencode/finishReason.ts", "internal/opencode/verdict.ts"],
    otherwise: "Good runs end as OpenCodeIncompleteError."
  },
  {
    ...ofText,
    id: "finish.tokens",
    says: "A finished step has its tokens, input without cached ones.",
    expected: lostEnd(always({ input: 60, output: 20, reasoning: 0, cache: { read: 40, write: 0 } })),
    observe: (recording) => {
      const tokens = at(partOf(finished)(recording), "tokens")
      return {
        ...Object.fromEntries(["input", "output", "reasoning"].map((name) => [name, at(tokens, name) ?? "missing"])),
        cache: { read: at(tokens, "cache", "read") ?? "missing", write: at(tokens, "cache", "write") ?? "missing" }
      }
    },
    usedBy: ["TokenUsage.ts", ...decoded],
    otherwise: "Usage and token budgets are wrong."
  },
  {
    ...ofText,
    id: "finish.cost",
    says: "A finished step has its cost in US dollars, by the configured prices.",
    expected: lostEnd(always(0.0001)),
    observe: (recording) => at(partOf(finished)(recording), "cost") ?? "missing",
    usedBy: ["internal/opencode/summary.ts", "internal/opencode/budget.ts"],
    otherwise: "Costs and cost budgets are wrong."
  },
  {
    ...ofText,
    id: "finish.total",
    weight: "note",
    says: "A finished step has the total of its tokens.",
    expected: lostEnd(always(120)),
    observe: (recording) => at(partOf(finished)(recording), "tokens", "total") ?? "missing",
    otherwise: "The total is added up instead."
  },
  {
    ...ofText,
    id: "exit.success",
    says: "A run that went well exits with code 0.",
    expected: always("exit 0"),
    observe: (recording) => reading.ending(recording),
    usedBy: ["internal/opencode/verdict.ts"],
    otherwise: "Good runs end as OpenCodeProcessError, or do not end."
  },
  {
    ...ofText,
    id: "stderr.quiet",
    weight: "note",
    says: "With the error log on, a run that went well prints nothing on stderr.",
    expected: changedIn(1, 17, { before: "other words", since: "nothing" }),
    observe: (recording) => {
      if (reading.process(recording) === undefined) return undefined
      return reading.stderrOf(recording).trim() === "" ? "nothing" : "other words"
    },
    usedBy: ["internal/opencode/v1/stderrFacts.ts"],
    otherwise: "The stderr of errors has words that do not matter."
  },
  {
    ...ofText,
    id: "reasoning.hidden",
    says: "Without `--thinking` no reasoning is printed.",
    weight: "note",
    expected: always(0),
    observe: (recording) =>
      reading.process(recording) === undefined ? undefined : reading.eventsOf(recording, "Reasoning").length,
    otherwise: "Reasoning appears although nobody asked for it."
  },
  {
    ...ofTools,
    id: "reasoning.shown",
    says: "With `--thinking` reasoning is an event of its own.",
    expected: always(["I need tools."]),
    observe: (recording) =>
      reading.process(recording, "first") === undefined
        ? undefined
        : reading.eventsOf(recording, "Reasoning", "first").map(({ text }) => text),
    otherwise: "`thinking` shows nothing."
  },
  {
    ...ofText,
    id: "tools.offered",
    says: "The model is offered the tools that permissions name.",
    expected: always(["bash", "edit", "glob", "grep", "read", "task", "todowrite", "webfetch", "write"]),
    observe: (recording) =>
      reading.requests(recording)[0]?.tools.filter((name) => !["skill", "question", "plan_exit"].includes(name)),
    usedBy: ["Permission.ts", "Tool.ts", "internal/opencode/v1/permissionOrder.ts"],
    otherwise: "A tool under another name is outside of your rules."
  },
  {
    ...ofText,
    id: "tools.question",
    says: "A run does not offer the tool that asks the user.",
    expected: changedIn(1, 14, { before: true, since: false }),
    observe: (recording) => reading.requests(recording)[0]?.tools.includes("question"),
    usedBy: ["internal/run/watchdog.ts"],
    otherwise: "A question of the model hangs a run until its time limit."
  },
  parameters("bash", ["command", "timeout"]),
  parameters("read", ["filePath"]),
  parameters("write", ["content", "filePath"]),
  parameters("edit", ["filePath", "newString", "oldString"]),
  parameters("glob", ["pattern"]),
  parameters("grep", ["pattern"]),
  parameters("task", ["description", "prompt", "subagent_type"]),
  parameters("todowrite", ["todos"]),
  parameters("webfetch", ["url"]),
  tool(
    "tool.completed",
    "A finished call has its id, input, output, title, metadata and times.",
    "pwd;",
    {
      callID: "string",
      tool: "string",
      status: "completed",
      input: "object",
      output: "string",
      title: "string",
      metadata: "object",
      time: { start: "number", end: "number" }
    },
    ({ raw }) => {
      const state = at(raw, "part", "state")
      return {
        ...kindsOf(at(raw, "part"), ["callID", "tool"]),
        status: at(state, "status"),
        ...kindsOf(state, ["input", "output", "title", "metadata"]),
        time: kindsOf(at(state, "time"), ["start", "end"])
      }
    },
    "Tool calls are incomplete in results and transcripts."
  ),
  tool(
    "tool.nonzero",
    "A command that fails is a completed call with its exit code in `metadata.exit`.",
    "pwd;",
    { status: "completed", exit: 3 },
    ({ metadata, status }) => ({ status, exit: at(metadata, "exit") ?? "missing" }),
    "`Tool.Bash` has no exit code."
  ),
  tool(
    "tool.environment",
    "Commands inherit the environment of OpenCode and have OPENCODE, AGENT and OPENCODE_PID.",
    "pwd;",
    "<1|1|pid|session>",
    ({ output }) => /<.*>/.exec(output ?? "")?.[0] ?? "nothing",
    "Processes that leave the tree of a run are not found.",
    changedIn(1, 2, { before: "<1|1||session>", since: "<1|1|pid|session>" })
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
    { status: "error", error: "string" },
    ({ error, status }) => ({ status, error: kindOf(error) }),
    "Failed calls look like finished ones.",
    changedIn(1, 2, { before: "no such call", since: { status: "error", error: "string" } })
  ),
  tool(
    "tool.write",
    "A written file is in the call's `metadata.filepath`.",
    "new.txt",
    { status: "completed", filepath: "/sandbox/work/new.txt" },
    ({ metadata, status }) => ({ status, filepath: at(metadata, "filepath") ?? "missing" }),
    "`filesChanged` lacks new files."
  ),
  {
    ...ofTools,
    id: "tool.invalid",
    weight: "note",
    says: "A call of an unknown tool appears as the tool `invalid`, completed.",
    expected: always({ tool: "invalid", status: "completed" }),
    observe: (recording) => {
      if (reading.process(recording, "first") === undefined) return undefined
      const found = reading.eventsOf(recording, "ToolUse", "first").find(({ input, tool }) =>
        tool === "nonesuch" || at(input, "tool") === "nonesuch"
      )
      return found === undefined ? "no such call" : { tool: found.tool, status: found.status }
    },
    otherwise: "Calls of unknown tools are reported differently."
  },
  {
    ...ofTools,
    id: "tool.parallel",
    says: "Each of several calls of one step is one event, also a call that failed.",
    expected: changedIn(1, 2, { before: 3, since: 4 }),
    observe: (recording) =>
      reading.process(recording, "first") === undefined
        ? undefined
        : reading.eventsOf(recording, "ToolUse", "first").length,
    otherwise: "Calls are missing, and budgets of calls are wrong."
  },
  {
    ...ofTools,
    id: "finish.tool-calls",
    says: "A step that calls tools ends with `tool-calls`, and another step follows under another message.",
    expected: lostEnd(always({ reasons: ["tool-calls", "stop"], messages: 2 })),
    observe: (recording) =>
      reading.process(recording, "first") === undefined ? undefined : {
        reasons: reading.eventsOf(recording, "StepFinish", "first").map(({ reason }) => reason ?? "none"),
        messages: new Set(reading.eventsOf(recording, "StepStart", "first").map(({ messageId }) => messageId)).size
      },
    usedBy: ["internal/opencode/finishReason.ts", "internal/opencode/v1/repeatedStep.ts"],
    otherwise: "Unfinished runs look finished, or finished ones unfinished."
  },
  {
    scenario: "rules",
    weight: "matters",
    id: "finish.length",
    says: "An answer that reached its maximal length ends with `length` and code 0.",
    expected: lostEnd(always({ reason: "length", ending: "exit 0" })),
    observe: (recording) =>
      reading.process(recording) === undefined ? undefined : {
        reason: reading.last(reading.eventsOf(recording, "StepFinish"))?.reason ?? "none",
        ending: reading.ending(recording)
      },
    usedBy: ["internal/opencode/finishReason.ts", "internal/opencode/verdict.ts"],
    otherwise: "Cut answers are not recognized."
  },
  {
    scenario: "auto",
    weight: "matters",
    id: "answer.empty",
    says: "An empty answer has no text event, ends with `stop` and code 0.",
    expected: lostEnd(since(1, 14, { texts: 0, reason: "stop", ending: "exit 0" })),
    observe: (recording) =>
      reading.process(recording) === undefined ? undefined : {
        texts: reading.eventsOf(recording, "Text").length,
        reason: reading.last(reading.eventsOf(recording, "StepFinish"))?.reason ?? "none",
        ending: reading.ending(recording)
      },
    usedBy: ["internal/opencode/verdict.ts"],
    otherwise: "Empty answers are judged differently."
  },
  {
    scenario: "compaction",
    weight: "matters",
    id: "compaction.continues",
    says: "After a compaction OpenCode prints a marked text of its own, and the run goes on to its answer.",
    expected: lostEnd(changedIn(1, 14, {
      before: { own: 1, marked: false, last: "FINAL", ending: "exit 0" },
      since: { own: 1, marked: true, last: "FINAL", ending: "exit 0" }
    })),
    observe: (recording) => {
      if (reading.process(recording) === undefined) return undefined
      const texts = reading.eventsOf(recording, "Text")
      const own = texts.filter(({ synthetic }) => synthetic === true)
      return {
        own: own.length,
        marked: at(own[0]?.raw, "part", "metadata", "compaction_continue") ?? false,
        last: reading.last(texts)?.text ?? "nothing",
        ending: reading.ending(recording)
      }
    },
    usedBy: ["internal/opencode/answer.ts", "internal/run/watchdog.ts", ...decoded],
    otherwise: "A run is ended during its compaction, or its answer has OpenCode's words."
  }
]
