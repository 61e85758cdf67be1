/** Facts about what is around a run: MCP servers, a server to attach to, the list of models, the start of the database. */
import * as Version from "../../../../Version.js"
import type { Fact, Recording } from "../../contract.js"
import { always, at, changedIn } from "../../contract.js"
import * as providerErrors from "../../providerErrors.js"
import * as crashTexts from "../crashTexts.js"
import * as questions from "../questions.js"
import { lostEnd } from "./lostEnd.js"
import * as reading from "./reading.js"

const isRun = (recording: Recording, name?: string): boolean => reading.process(recording, name) !== undefined

const errors = (recording: Recording): ReadonlyArray<unknown> =>
  reading.wires(recording).filter(({ type }) => type === "error").map(({ error }) => error)

const last = (recording: Recording) => {
  const error = reading.last(errors(recording))
  return {
    name: at(error, "name") ?? "no error",
    kind: error === undefined ? "no error" : providerErrors.describe(error).kind,
    ending: reading.ending(recording)
  }
}

const attaching = Version.make(1, 18, 0)

const early = { reasons: ["tool-calls"], requests: 2, ending: "exit 0" }

const failed = "OpenCodeSessionError lacks its facts, or a failed run looks complete."

export const facts: ReadonlyArray<Fact> = [
  {
    scenario: "overflow",
    weight: "matters",
    id: "overflow.error",
    says: "A conversation that is too long is an error event of its own name, and code 1.",
    expected: changedIn(1, 17, {
      before: { name: "ContextOverflowError", kind: "context-overflow", ending: "exit 0" },
      since: { name: "ContextOverflowError", kind: "context-overflow", ending: "exit 1" }
    }),
    observe: (recording) => isRun(recording) ? last(recording) : undefined,
    usedBy: ["internal/opencode/providerErrors.ts", "internal/opencode/verdict.ts"],
    otherwise: failed
  },
  {
    scenario: "overflow",
    weight: "note",
    id: "overflow.compaction",
    says: "It is reported twice: the compaction that is tried first fails in the same way.",
    expected: changedIn(1, 2, { before: { errors: 1, requests: 1 }, since: { errors: 2, requests: 2 } }),
    observe: (recording) =>
      isRun(recording) ? { errors: errors(recording).length, requests: recording.requests.length } : undefined,
    usedBy: ["internal/opencode/verdict.ts"],
    otherwise: "A run costs more, or fewer, requests to the model."
  },
  {
    scenario: "malformed",
    weight: "matters",
    id: "malformed.error",
    says: "An answer that is not JSON is an error event with the parser's words and code 1, and is not tried again.",
    expected: lostEnd(changedIn(1, 17, {
      before: { name: "UnknownError", text: true, requests: 1, ending: "exit 0" },
      since: { name: "UnknownError", text: true, requests: 1, ending: "exit 1" }
    })),
    observe: (recording) =>
      isRun(recording)
        ? {
          name: last(recording).name,
          text: String(at(reading.last(errors(recording)), "data", "message")).includes("JSON parsing failed"),
          requests: recording.requests.length,
          ending: reading.ending(recording)
        }
        : undefined,
    usedBy: ["internal/opencode/decode.ts", "internal/opencode/verdict.ts"],
    otherwise: failed
  },
  {
    scenario: "mcp",
    weight: "matters",
    id: "mcp.offered",
    says: "The tools of an MCP server are offered as `server_tool`.",
    expected: always(["scripted_echo"]),
    observe: (recording) => reading.requests(recording)[0]?.tools.filter((name) => name.startsWith("scripted")),
    usedBy: ["RunConfig.ts", "Permission.ts", "internal/opencode/configContent.ts"],
    otherwise: "`mcp` has no effect, or rules about its tools have none."
  },
  {
    scenario: "mcp",
    weight: "matters",
    id: "mcp.call",
    says: "A call of such a tool is a tool event with the server's answer.",
    expected: lostEnd(always({ status: "completed", output: "echoed by the server" })),
    observe: (recording) => {
      if (!isRun(recording)) return undefined
      const call = reading.eventsOf(recording, "ToolUse").find(({ tool }) => tool === "scripted_echo")
      return { status: call?.status ?? "no call", output: call?.output ?? "none" }
    },
    usedBy: ["internal/opencode/decode.ts"],
    otherwise: "Calls of MCP tools are missing from results and transcripts."
  },
  {
    scenario: "mcp",
    weight: "note",
    id: "mcp.missing",
    says: "A server that does not start is not in the error log, and the run goes on without it.",
    expected: lostEnd(changedIn(1, 15, {
      before: { ending: "exit 0", stderr: true, texts: ["done"] },
      since: { ending: "exit 0", stderr: false, texts: ["done"] }
    })),
    observe: (recording) =>
      isRun(recording)
        ? {
          ending: reading.ending(recording),
          stderr: reading.stderrOf(recording).includes("missing"),
          texts: reading.eventsOf(recording, "Text").map(({ text }) => text)
        }
        : undefined,
    usedBy: ["RunConfig.ts"],
    otherwise: "Runs fail whose MCP server does not start."
  },
  {
    scenario: "start",
    weight: "matters",
    id: "models.path",
    says: "`OPENCODE_MODELS_PATH` names the list of models; a provider with its key in a variable is listed.",
    expected: always(true),
    observe: (recording) => {
      const found = reading.process(recording, "models")
      return found === undefined ? undefined : questions.models.read(found.stdout).includes("listed/one")
    },
    usedBy: ["internal/launch/narrowedModels.ts", "internal/opencode/variables.ts"],
    otherwise: "The fast start-up profile hides models, or saves nothing."
  },
  {
    scenario: "start",
    weight: "matters",
    id: "crash.migration",
    says: "A migration that fails, as one run twice does, ends it before its first event, and is tried again.",
    expected: changedIn(1, 2, {
      before: { events: 3, isTransient: false, ending: "exit 0" },
      since: { events: 0, isTransient: true, ending: "exit 1" }
    }),
    observe: (recording) =>
      isRun(recording, "failed migration")
        ? {
          events: reading.wires(recording, "failed migration").length,
          isTransient: crashTexts.sqlite(reading.stderrOf(recording, "failed migration")) !== undefined,
          ending: reading.ending(recording, "failed migration")
        }
        : undefined,
    usedBy: ["internal/opencode/sqliteCrash.ts", "internal/run/startupGate.ts"],
    otherwise: "Crashes of concurrent starts fail runs instead of being tried again."
  },
  {
    scenario: "text",
    weight: "matters",
    id: "title.elsewhere",
    says: "No other provider than that of the run is asked for a title.",
    expected: changedIn(1, 2, { before: true, since: false }),
    observe: (recording) => isRun(recording) ? reading.stderrOf(recording).includes("opencode.ai") : undefined,
    usedBy: ["internal/opencode/v1/unattended.ts"],
    otherwise: "The prompt of a run leaves for a free model of opencode.ai."
  },
  {
    scenario: "attach",
    weight: "note",
    id: "attach.ends",
    says: "A run that is attached to a server ends after the first step that calls tools, although the server goes on.",
    expected: [
      // By chance: 1.2.27 did not end so in one of two runs.
      { from: Version.make(1, 2, 0), below: attaching, value: early, varies: true },
      { from: attaching, value: early }
    ],
    observe: (recording) =>
      isRun(recording)
        ? {
          reasons: reading.eventsOf(recording, "StepFinish").map(({ reason }) => reason),
          requests: reading.requests(recording).length,
          ending: reading.ending(recording)
        }
        : undefined,
    usedBy: ["internal/opencode/v1/invocation.ts", "internal/opencode/verdict.ts"],
    otherwise: "Nothing, if it ends later: runs with `attach` end as OpenCodeIncompleteError where they should not."
  }
]
