/** Facts about permissions. */
import type { Fact } from "../../contract.js"
import { always, changedIn, since, until } from "../../contract.js"
import * as stderr from "../../stderr.js"
import { lostEnd } from "./lostEnd.js"
import * as reading from "./reading.js"

const rules = ["internal/opencode/v1/permissionOrder.ts", "internal/opencode/ruleMerge.ts"]

const ofRules = { scenario: "rules", weight: "matters", usedBy: rules } as const

const ofAsked = { scenario: "asked", weight: "matters", usedBy: ["internal/opencode/v1/stderrFacts.ts"] } as const

type Observe = Fact["observe"]

const isOffered = (names: ReadonlyArray<string>): Observe => (recording) => {
  const tools = reading.requests(recording)[0]?.tools
  return tools === undefined ? undefined : names.filter((name) => tools.includes(name))
}

const rejections: (recording: Parameters<Observe>[0]) => ReadonlyArray<stderr.Fact & { _tag: "PermissionRejected" }> = (
  recording
) => reading.reports(recording).flatMap((fact) => fact._tag === "PermissionRejected" ? [fact] : [])

const isRun = (recording: Parameters<Observe>[0]): boolean => reading.process(recording) !== undefined

const denial = (text: string): Observe => (recording) => {
  if (!isRun(recording)) return undefined
  const call = reading.call(recording, text)
  return {
    status: call?.status ?? "no such call",
    saysRule: /specified a rule which prevents|^PermissionDeniedError\b/.test(call?.error ?? ""),
    file: recording.observed["kept"] ?? "deleted"
  }
}

export const facts: ReadonlyArray<Fact> = [
  {
    ...ofRules,
    id: "permission.over-project",
    says: "A configuration in the variable wins over the project's, and a denied tool is not offered.",
    expected: always([]),
    observe: isOffered(["edit", "write"]),
    otherwise: "A project's own configuration can allow what you deny."
  },
  {
    ...ofRules,
    id: "permission.project",
    weight: "note",
    says: "What a project denies stays denied beside the rules of a run.",
    expected: always([]),
    observe: isOffered(["webfetch"]),
    otherwise: "A project's own denials are lost."
  },
  {
    ...ofRules,
    id: "permission.variable",
    says: "`OPENCODE_PERMISSION` wins over the configuration.",
    expected: always(["glob"]),
    observe: isOffered(["glob", "grep"]),
    otherwise: "An inherited variable or your own rules have another effect."
  },
  {
    ...ofRules,
    id: "permission.pattern",
    says: "A command that a pattern denies fails as a call, and does not run.",
    expected: changedIn(1, 2, {
      before: { status: "no such call", saysRule: false, file: "alpha\n" },
      since: { status: "error", saysRule: true, file: "alpha\n" }
    }),
    observe: denial("rm a.txt"),
    otherwise: "Denied commands run."
  },
  {
    ...ofRules,
    id: "permission.continues",
    says: "After a call that a rule denies the run goes on.",
    expected: always(2),
    observe: (recording) => isRun(recording) ? reading.requests(recording).length : undefined,
    otherwise: "A denied call ends the run."
  },
  {
    ...ofAsked,
    id: "ask.stderr",
    says: "A permission that nobody grants is rejected, with a line on stderr that names it.",
    expected: always(["bash", "external_directory", "read"]),
    observe: (recording) =>
      isRun(recording) ? rejections(recording).map(({ event }) => event.permission).sort() : undefined,
    otherwise: "Runs that stop at a permission end as OpenCodeIncompleteError, without its name, or never."
  },
  {
    ...ofAsked,
    id: "ask.patterns",
    says: "The line has the patterns of the permission.",
    expected: always({ bash: "echo hi, there", external_directory: "/etc/*" }),
    observe: (recording) =>
      isRun(recording)
        ? Object.fromEntries(
          rejections(recording).filter(({ event }) => event.permission !== "read")
            .map(({ event }) => [event.permission, event.patterns.join(", ")])
        )
        : undefined,
    otherwise: "OpenCodePermissionError does not say what was asked for."
  },
  {
    ...ofAsked,
    id: "ask.tool",
    says: "A rejected call is an error with OpenCode's text for it.",
    expected: lostEnd(until(1, 2, 0, always(3))),
    observe: (recording) =>
      isRun(recording) ? reading.eventsOf(recording, "ToolUse").filter(stderr.isRejected).length : undefined,
    usedBy: ["internal/opencode/stderr.ts", "internal/opencode/verdict.ts"],
    otherwise: "Rejected calls are taken for other failures."
  },
  {
    ...ofAsked,
    id: "ask.stops",
    says:
      "After a rejected permission the model is not asked again: the last step ends with `tool-calls`, with code 0.",
    expected: lostEnd(always({ requests: 1, reason: "tool-calls", ending: "exit 0" })),
    observe: (recording) =>
      isRun(recording)
        ? {
          requests: reading.requests(recording).length,
          reason: reading.last(reading.eventsOf(recording, "StepFinish"))?.reason ?? "none",
          ending: reading.ending(recording)
        }
        : undefined,
    usedBy: ["internal/opencode/verdict.ts"],
    otherwise: "OpenCodePermissionError is reported for runs that went on, or not at all."
  },
  {
    scenario: "auto",
    weight: "matters",
    id: "auto.grants",
    says: "`auto` grants what would be asked for.",
    expected: since(1, 14, { status: "completed", output: "granted\n" }),
    observe: (recording) => {
      if (!isRun(recording)) return undefined
      const call = reading.call(recording, "echo granted")
      return { status: call?.status ?? "no such call", output: call?.output ?? "" }
    },
    usedBy: ["internal/opencode/v1/invocation.ts"],
    otherwise: "`auto` has no effect."
  },
  {
    scenario: "auto",
    weight: "matters",
    id: "auto.denials",
    says: "`auto` does not grant what a rule denies.",
    expected: since(1, 14, { status: "error", saysRule: true, file: "alpha\n" }),
    observe: denial("rm a.txt"),
    usedBy: ["internal/opencode/v1/invocation.ts", ...rules],
    otherwise: "`auto` runs denied commands."
  },
  {
    scenario: "sub-agent",
    weight: "matters",
    id: "sub-agent.ask",
    says: "A permission that a sub-agent asks for is rejected, and the parent goes on to its answer.",
    expected: changedIn(1, 18, {
      before: { rejected: [], answer: "none", ending: "no end" },
      since: { rejected: ["bash"], answer: "parent went on", ending: "exit 0" }
    }),
    observe: (recording) =>
      isRun(recording)
        ? {
          rejected: rejections(recording).map(({ event }) => event.permission),
          answer: reading.last(reading.eventsOf(recording, "Text"))?.text ?? "none",
          ending: reading.ending(recording)
        }
        : undefined,
    usedBy: ["internal/opencode/verdict.ts", "internal/run/watchdog.ts"],
    otherwise: "Runs with sub-agents hang until their time limit."
  },
  {
    scenario: "sub-agent",
    weight: "matters",
    id: "sub-agent.hidden",
    says: "Only the parent's events are on stdout; its `task` call names the session of the sub-agent.",
    expected: changedIn(1, 18, {
      before: { sessions: 1, tools: [], child: "missing" },
      since: { sessions: 1, tools: ["task"], child: "string" }
    }),
    observe: (recording) => {
      if (!isRun(recording)) return undefined
      const calls = reading.eventsOf(recording, "ToolUse")
      const metadata: unknown = calls[0]?.metadata
      return {
        sessions: new Set(reading.wires(recording).map((wire) => wire["sessionID"])).size,
        tools: calls.map(({ tool }) => tool),
        child: typeof metadata === "object" && metadata !== null && "sessionId" in metadata
          ? typeof metadata.sessionId
          : "missing"
      }
    },
    usedBy: ["Tool.ts", "internal/run/sessionExport.ts"],
    otherwise: "Usage of sub-agents is counted twice, or cannot be found."
  }
]
