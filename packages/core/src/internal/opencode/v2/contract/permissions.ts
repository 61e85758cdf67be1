/** Facts about rules, requests for permissions, questions and sub-agents. */
import type { Fact, Recording } from "../../contract.js"
import { at, kindsOf } from "../../contract.js"
import * as server from "../server.js"
import * as facts from "./fact.js"
import * as reading from "./reading.js"

const rules = facts.of("rules", { usedBy: ["internal/opencode/v2/permissions.ts", "internal/opencode/v2/server.ts"] })

const asked = facts.of("asked", {
  usedBy: ["internal/opencode/v2/eventMapper.ts", "internal/transport/private/turn.ts"]
})

const child = facts.of("sub-agent", {
  usedBy: ["internal/opencode/v2/eventMapper.ts", "internal/transport/private/turn.ts"]
})

const code = facts.of("code", { usedBy: ["internal/opencode/v2/permissions.ts"] })

const seen = (recording: Recording, name: string, observe: () => unknown): unknown =>
  reading.frames(recording, name) === undefined ? undefined : observe()

const offers = (recording: Recording, tool: string): boolean | undefined =>
  reading.requests(recording)[0]?.tools.includes(tool)

const hidden = (id: string, says: string, tool: string, isOffered: boolean, otherwise: string): Fact =>
  rules(id, says, isOffered, (recording) => offers(recording, tool), otherwise)

const firstRequest = (recording: Recording, name: string): unknown =>
  reading.dataOf(recording, name, "permission.asked")[0]

export const all: ReadonlyArray<Fact> = [
  hidden(
    "rules.hidden",
    "A session's rule that denies everything about a tool keeps it from the model, although a project allows it.",
    "glob",
    false,
    "A project decides over the rules of a run."
  ),
  hidden(
    "rules.content",
    "A rule in `permissions` of the configuration holds.",
    "skill",
    false,
    "`permission` has no effect where the session does not repeat it."
  ),
  hidden(
    "rules.project",
    "A rule of a project for the agent holds where the session says nothing.",
    "webfetch",
    false,
    "Rules of projects have no effect."
  ),
  hidden(
    "rules.variable",
    "`OPENCODE_PERMISSION` is not read.",
    "grep",
    true,
    "An inherited variable decides about the permissions of a run."
  ),
  rules(
    "rules.last",
    "A session's rule for a pattern holds although a project allows the tool: the call fails and nothing is done.",
    { status: "error", kept: "alpha\n" },
    (recording) =>
      seen(recording, "events", () => ({
        status: reading.call(recording, "events", "rm a.txt")?.status ?? "no call",
        kept: recording.observed["kept"] ?? "removed"
      })),
    "A project decides over the rules of a run."
  ),
  rules(
    "rules.edit",
    "Rules for `edit` decide about `write`.",
    { status: "error", written: false },
    (recording) =>
      seen(recording, "events", () => ({
        status: reading.call(recording, "events", "b.txt")?.status ?? "no call",
        written: recording.observed["written"]
      })),
    "Files are written although `edit` is denied."
  ),
  rules(
    "rules.allowed",
    "What no rule denies is done, in the same step.",
    { status: "completed", output: "alpha\n" },
    (recording) =>
      seen(recording, "events", () => {
        const found = reading.call(recording, "events", "cat a.txt")
        return { status: found?.status ?? "no call", output: found?.output ?? "none" }
      }),
    "Rules deny more than they say."
  ),
  rules(
    "rules.denial",
    "A denied call names the permission, and the run goes on.",
    { error: "Permission denied: shell", ends: ["succeeded"] },
    (recording) =>
      seen(recording, "events", () => ({
        error: reading.call(recording, "events", "rm a.txt")?.error ?? "no error",
        ends: reading.ends(recording, "events")
      })),
    "A denied call ends a run.",
    { usedBy: ["internal/opencode/v2/eventMapper.ts"], weight: "note" }
  ),
  rules(
    "finish.length",
    "An answer that reached its maximal length ends with `length`, and the prompt succeeds.",
    { reason: "length", ends: ["succeeded"] },
    (recording) =>
      seen(recording, "events", () => ({
        reason: reading.eventsOf(recording, "events", "StepFinish").at(-1)?.reason ?? "none",
        ends: reading.ends(recording, "events")
      })),
    "Cut answers are not recognized.",
    { usedBy: ["internal/opencode/v2/eventMapper.ts", "internal/opencode/finishReason.ts"] }
  ),
  asked(
    "ask.event",
    "`permission.asked` has the request's id, the session, the action and the resources.",
    { id: "string", sessionID: "string", action: "string", resources: "array" },
    (recording) =>
      seen(
        recording,
        "rejectEvents",
        () => kindsOf(firstRequest(recording, "rejectEvents"), ["id", "sessionID", "action", "resources"])
      ),
    "Runs that ask for a permission hang."
  ),
  asked(
    "ask.actions",
    "Reading an environment file is asked for, and what a rule asks for.",
    ["read", "shell"],
    (recording) =>
      seen(
        recording,
        "rejectEvents",
        () =>
          reading.dataOf(recording, "rejectEvents", "permission.asked").map((data) => String(at(data, "action"))).sort()
      ),
    "Files with secrets are read without a question.",
    { usedBy: ["Permission.ts"] }
  ),
  asked(
    "ask.pending",
    "The open requests of a session are listed.",
    ["string"],
    (recording) => {
      const ids = recording.observed["grantPending"] === undefined
        ? undefined
        : server.replies.ids(at(recording.observed["grantPending"], "body"))
      return recording.observed["grantPending"] === undefined ? undefined : ids?.map((id) => typeof id) ?? "unreadable"
    },
    "After a gap in its events a run that asks hangs.",
    { usedBy: ["internal/opencode/v2/server.ts", "internal/transport/private/turn.ts"] }
  ),
  asked(
    "ask.rejected",
    "A rejection is an event that the library reports, for each request of the step.",
    ["read", "shell"],
    (recording) =>
      seen(
        recording,
        "rejectEvents",
        () => reading.rejected(recording, "rejectEvents").sort()
      ),
    "OpenCodePermissionError is not reported."
  ),
  asked(
    "ask.stops",
    "After a rejection the model is not asked again: the prompt ends as interrupted.",
    { ends: ["interrupted shutdown"], requests: 1 },
    (recording) =>
      seen(recording, "rejectEvents", () => ({
        ends: reading.ends(recording, "rejectEvents"),
        requests: reading.requests(recording).filter(({ prompts }) => prompts.at(-1) === "ask").length
      })),
    "OpenCodePermissionError is reported for runs that went on, or not at all.",
    { usedBy: ["internal/opencode/v2/eventMapper.ts", "internal/opencode/verdict.ts"] }
  ),
  asked(
    "ask.granted",
    "A granted request lets the call and the run go on.",
    { reply: 204, status: "completed", ends: ["succeeded"] },
    (recording) =>
      seen(recording, "grantEvents", () => ({
        reply: reading.observed(recording, "grantReply", "status") ?? "none",
        status: reading.call(recording, "grantEvents", "echo granted")?.status ?? "no call",
        ends: reading.ends(recording, "grantEvents")
      })),
    "`auto` has no effect.",
    { usedBy: ["internal/opencode/v2/server.ts", "internal/transport/private/turn.ts"] }
  ),
  asked(
    "ask.outside",
    "A file outside of the working directory is asked for by its directory.",
    { action: "external_directory", resources: ["/etc/*"] },
    (recording) =>
      seen(recording, "outsideEvents", () => {
        const data = firstRequest(recording, "outsideEvents")
        return { action: at(data, "action") ?? "nothing", resources: at(data, "resources") ?? "nothing" }
      }),
    "An agent leaves its directory without a question.",
    { usedBy: ["internal/opencode/v2/permissions.ts"] }
  ),
  asked(
    "question.event",
    "A question of the model is a form with an id, which is listed as well.",
    { signal: true, listed: ["string"] },
    (recording) =>
      seen(recording, "questionEvents", () => ({
        signal: reading.run(recording, "questionEvents")?.signals.some(({ _tag }) => _tag === "Form") ?? false,
        listed: server.replies.ids(at(recording.observed["forms"], "body"))?.map((id) => typeof id) ?? "unreadable"
      })),
    "A question of the model hangs a run."
  ),
  asked(
    "question.declined",
    "A declined question ends the prompt as interrupted.",
    { status: 204, ends: ["interrupted shutdown"] },
    (recording) =>
      seen(recording, "questionEvents", () => ({
        status: reading.observed(recording, "declined", "status") ?? "none",
        ends: reading.ends(recording, "questionEvents")
      })),
    "A question of the model hangs a run.",
    { usedBy: ["internal/opencode/v2/server.ts", "internal/transport/private/turn.ts"] }
  ),
  code(
    "execute.fetch",
    "Code of `execute` reaches the network although a rule denies `webfetch`, without a request for a permission.",
    { status: "completed", reached: true, asked: 0 },
    (recording) =>
      seen(recording, "fetchEvents", () => {
        const call = reading.call(recording, "fetchEvents", "fetch(")
        return {
          status: call?.status ?? "no call",
          reached: call?.output?.includes("status 200") ?? false,
          asked: reading.dataOf(recording, "fetchEvents", "permission.asked").length
        }
      }),
    "Nothing: `execute` is closed with `webfetch` where it could stay open.",
    { weight: "note" }
  ),
  code(
    "execute.denied",
    "A rule that denies `execute` keeps it from the model, and from running.",
    { offered: false, status: "error" },
    (recording) =>
      seen(recording, "deniedEvents", () => ({
        offered: reading.requestFor(recording, "DENIED")?.tools.includes("execute") ?? "not asked",
        status: reading.call(recording, "deniedEvents", "fetch(")?.status ?? "no call"
      })),
    "Code of the model reaches the network although `webfetch` is denied."
  ),
  code(
    "move.opens",
    "Code moves its session to a directory outside, whose files are then read although a rule denies outside directories.",
    { status: "completed", output: true, asked: 0 },
    (recording) =>
      seen(recording, "movedEvents", () => ({
        status: reading.call(recording, "movedEvents", "session_move")?.status ?? "no call",
        output: reading.call(recording, "movedEvents", "b.txt")?.output?.includes("beta-content") ?? false,
        asked: reading.dataOf(recording, "movedEvents", "permission.asked").length
      })),
    "Nothing: the tool that moves a session is closed where it could stay open.",
    { weight: "note" }
  ),
  code(
    "move.denied",
    "A rule for `opencode_session_move` takes that tool out of the reach of code.",
    { known: false, output: false },
    (recording) =>
      seen(recording, "keptEvents", () => ({
        known: !JSON.stringify(reading.call(recording, "keptEvents", "session_move") ?? null).includes(
          "Unknown tool 'opencode.session_move'"
        ),
        output: reading.call(recording, "keptEvents", "b.txt")?.output?.includes("beta-content") ?? false
      })),
    "Code of the model leaves its directory, whatever the rules say."
  ),
  child(
    "sub-agent.created",
    "A sub-agent is a session whose event of creation names its parent.",
    "parent",
    (recording) =>
      seen(
        recording,
        "childEvents",
        () =>
          at(reading.dataOf(recording, "childEvents", "session.created")[0], "parentID") ===
              reading.observed(recording, "ids", "parent")
            ? "parent"
            : "another"
      ),
    "Permissions that sub-agents ask for hang a run.",
    { usedBy: ["internal/opencode/v2/protocol.ts", "internal/transport/server/hub.ts"] }
  ),
  child(
    "sub-agent.rules",
    "A sub-agent has the rules of its parent's session, and they hold.",
    { rules: ["shell", "question"], offersShell: false },
    (recording) =>
      seen(recording, "childEvents", () => ({
        rules: server.rulesOf(at(reading.dataOf(recording, "childEvents", "session.created")[0], "permissions"))
          .map(({ action }) => action),
        offersShell: reading.requestFor(recording, "CHILD")?.tools.includes("shell") ?? "not asked"
      })),
    "The library gives a sub-agent its rules after it has begun.",
    { usedBy: ["internal/opencode/v2/permissions.ts", "internal/transport/private/turn.ts"] }
  ),
  child(
    "sub-agent.ask",
    "A permission that a sub-agent asks for is one of its session; a rejection ends the sub-agent, and the parent goes on.",
    { asked: "read", child: ["interrupted shutdown"], parent: ["succeeded"], answer: "parent went on" },
    (recording) =>
      seen(recording, "childEvents", () => ({
        asked: at(firstRequest(recording, "childEvents"), "action") ?? "nothing",
        child: reading.ends(recording, "childEvents"),
        parent: reading.ends(recording, "events"),
        answer: reading.eventsOf(recording, "events", "Text").at(-1)?.text ?? "none"
      })),
    "Runs with sub-agents hang until their time limit."
  ),
  child(
    "sub-agent.session",
    "The parent's `subagent` call names the session of the sub-agent.",
    true,
    (recording) =>
      seen(recording, "events", () =>
        at(reading.call(recording, "events", "CHILD")?.metadata, "sessionID") ===
          reading.observed(recording, "ids", "child")),
    "Usage of sub-agents cannot be found.",
    { usedBy: ["Tool.ts", "internal/run/sessionExport.ts"] }
  )
]
