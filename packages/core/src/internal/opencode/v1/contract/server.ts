/** Facts about `opencode serve`. */
import type { Expectation, Fact, Recording } from "../../contract.js"
import { at, kindsOf } from "../../contract.js"
import * as server from "../server.js"
import * as reading from "./reading.js"

const api = ["internal/transport/server/api.ts"]

const mapper = ["internal/transport/server/eventMapper.ts", "internal/transport/server/protocol.ts"]

/** The server of older versions is not supported. */
const always = (value: unknown): ReadonlyArray<Expectation> => [{ from: server.supported.from, value }]

const fact = (
  id: string,
  says: string,
  value: unknown,
  observe: (recording: Recording) => unknown,
  usedBy: ReadonlyArray<string>,
  otherwise: string,
  weight: Fact["weight"] = "matters"
): Fact => ({
  id: `server.${id}`,
  says,
  scenario: "server",
  weight,
  expected: always(value),
  observe,
  usedBy,
  otherwise
})

/** The reply to a call, read if there was one. */
const reply = (name: string, read: (body: unknown, status: unknown) => unknown) => (recording: Recording): unknown => {
  const found = recording.observed[name]
  return found === undefined ? undefined : read(at(found, "body"), at(found, "status"))
}

const events = (recording: Recording, name: string): ReadonlyArray<unknown> | undefined => {
  const found = recording.observed[name]
  return Array.isArray(found) ? found : undefined
}

/** The events of one type, their properties. */
const properties = (recording: Recording, name: string, type: string): ReadonlyArray<unknown> | undefined =>
  events(recording, name)?.filter((event) => at(event, "type") === type).map((event) => at(event, "properties"))

const partTypes = (recording: Recording, name: string): ReadonlyArray<unknown> | undefined =>
  properties(recording, name, "message.part.updated")?.map((found) => at(found, "part", "type"))

const unique = (values: ReadonlyArray<unknown> | undefined): ReadonlyArray<unknown> | undefined =>
  values === undefined ? undefined : [...new Set(values)].sort()

const toolStates = (recording: Recording, name: string): unknown =>
  unique(
    properties(recording, name, "message.part.updated")?.filter((found) => at(found, "part", "type") === "tool")
      .map((found) => at(found, "part", "state", "status"))
  )

const unavailable = "OpenCodeServer.layer does not work."

export const facts: ReadonlyArray<Fact> = [
  fact(
    "address",
    "A server prints its address on a line of stdout.",
    "http://127.0.0.1",
    (recording) => {
      const found = reading.process(recording, "serve")
      if (found === undefined) return undefined
      return found.stdout.split("\n").map(server.address).find((one) => one !== undefined)?.replace(/:\d+$/, "") ??
        "no address"
    },
    ["internal/opencode/v1/server.ts"],
    unavailable
  ),
  fact(
    "password",
    "Without the password every call is answered with 401.",
    401,
    reply("withoutPassword", (_, status) => status),
    ["internal/transport/server/credentials.ts"],
    "Other users of the machine can use your server."
  ),
  fact(
    "health",
    "`GET /global/health` names the version.",
    { status: 200, version: "the version" },
    (recording) =>
      recording.observed["health"] === undefined ? undefined : {
        status: at(recording.observed["health"], "status"),
        version: typeof at(recording.observed["health"], "body", "version") === "string" ? "the version" : "missing"
      },
    api,
    unavailable
  ),
  fact(
    "first-event",
    "The stream of all directories begins with `server.connected`.",
    "server.connected",
    (recording) =>
      recording.observed["firstFrame"] === undefined
        ? undefined
        : at(recording.observed["firstFrame"], "payload", "type") ?? "none",
    ["internal/transport/server/hub.ts"],
    "Runs over a server wait for a stream that they do not recognize."
  ),
  fact(
    "directory",
    "`GET /path` resolves a directory.",
    "/sandbox/work",
    reply("path", (body) => at(body, "directory") ?? "missing"),
    api,
    unavailable
  ),
  fact(
    "models",
    "`GET /config/providers` lists the models of each provider.",
    ["m1"],
    reply("models", (body) => Object.keys(Object(at(body, "providers", 0, "models")))),
    api,
    "`models` of a server shows wrong models."
  ),
  fact(
    "agents",
    "`GET /agent` lists agents with their mode.",
    { build: "primary", general: "subagent" },
    (recording) => {
      const found = recording.observed["agents"]
      if (found === undefined) return undefined
      const modeOf = (name: string) =>
        Array.isArray(found) ? at(found.find((agent) => at(agent, "name") === name), "mode") ?? "missing" : "no list"
      return { build: modeOf("build"), general: modeOf("general") }
    },
    api,
    "A misspelled `agent` is not refused."
  ),
  fact(
    "session",
    "`POST /session` makes a session with its title and its rules.",
    {
      status: 200,
      id: "string",
      title: "Scripted",
      permission: [{ permission: "bash", pattern: "*", action: "allow" }]
    },
    reply("session", (body, status) => ({
      status,
      ...kindsOf(body, ["id"]),
      title: at(body, "title") ?? "missing",
      permission: at(body, "permission") ?? "missing"
    })),
    [...api, "internal/transport/server/rules.ts"],
    "Permissions of a run over a server have no effect."
  ),
  fact(
    "prompt",
    "`POST /session/:id/prompt_async` returns at once with 204.",
    204,
    reply("prompt", (_, status) => status),
    api,
    unavailable
  ),
  fact(
    "parts",
    "A prompt's parts arrive as events: step-start, reasoning, text, step-finish.",
    ["reasoning", "step-finish", "step-start", "text"],
    (recording) => unique(partTypes(recording, "textEvents")),
    mapper,
    "Runs over a server are incomplete."
  ),
  fact(
    "deltas",
    "Pieces of a text arrive as `message.part.delta` with the part's id.",
    {
      text: "Let me think.one two",
      fields: { sessionID: "string", messageID: "string", partID: "string", delta: "string" }
    },
    (recording) => {
      const found = properties(recording, "textEvents", "message.part.delta")
      return found === undefined ? undefined : {
        text: found.map((one) => String(at(one, "delta") ?? "")).join(""),
        fields: kindsOf(found[0], ["sessionID", "messageID", "partID", "delta"])
      }
    },
    mapper,
    "`TextDelta` events are missing."
  ),
  fact(
    "finish",
    "A finished step has its reason, its cost and its tokens.",
    { reason: "stop", cost: 0.0001, input: 60, cached: 40 },
    (recording) => {
      const found = properties(recording, "textEvents", "message.part.updated")
        ?.map((one) => at(one, "part")).find((part) => at(part, "type") === "step-finish")
      return recording.observed["textEvents"] === undefined ? undefined : {
        reason: at(found, "reason") ?? "none",
        cost: at(found, "cost") ?? "missing",
        input: at(found, "tokens", "input") ?? "missing",
        cached: at(found, "tokens", "cache", "read") ?? "missing"
      }
    },
    mapper,
    "Usage, costs and budgets of runs over a server are wrong."
  ),
  fact(
    "idle",
    "The end of a prompt is a status `idle`, followed by `session.idle`.",
    ["idle", "session.idle"],
    (recording) => {
      const found = events(recording, "textEvents")
      if (found === undefined) return undefined
      const status = reading.last(properties(recording, "textEvents", "session.status") ?? [])
      return [
        at(status, "status", "type") ?? "none",
        at(reading.last(found.filter((event) => at(event, "type") === "session.idle")), "type") ?? "none"
      ]
    },
    ["internal/transport/server/follow.ts"],
    "Runs over a server do not end."
  ),
  fact(
    "messages",
    "`GET /session/:id/message` lists the messages of a session with their parts, oldest first.",
    { roles: ["user", "assistant"], finish: "stop" },
    reply("messages", (body) => ({
      roles: Array.isArray(body) ? body.map((message) => at(message, "info", "role")) : "no list",
      finish: at(body, 1, "info", "finish") ?? "none"
    })),
    [...api, "internal/transport/server/turn.ts"],
    "Lost events of a run over a server cannot be recovered."
  ),
  fact(
    "fork",
    "`POST /session/:id/fork` copies a session without its rules.",
    { isNew: true, permission: "none" },
    (recording) =>
      recording.observed["forked"] === undefined ? undefined : {
        isNew: at(recording.observed["forked"], "body", "id") !== at(recording.observed["session"], "body", "id"),
        permission: at(recording.observed["forked"], "body", "permission") ?? "none"
      },
    [...api, "internal/transport/server/rules.ts"],
    "A fork has its rules twice."
  ),
  fact(
    "fork-before",
    "`POST /session/:id/fork` with `messageID` copies what is before that message.",
    ["user"],
    reply(
      "branchMessages",
      (body) => Array.isArray(body) ? body.map((message) => at(message, "info", "role")) : "no list"
    ),
    [...api, "internal/transport/server/http.ts"],
    "A branch after an earlier message has later ones, too."
  ),
  fact(
    "patch",
    "`PATCH /session/:id` appends rules.",
    ["allow", "deny"],
    reply("patched", (body) => {
      const found = at(body, "permission")
      return Array.isArray(found) ? found.map((rule) => at(rule, "action")) : "no rules"
    }),
    [...api, "internal/transport/server/rules.ts"],
    "A continued session has the rules of its last run."
  ),
  fact(
    "ask",
    "A permission that is asked for is an event, with its patterns and the call, and in the list of `GET /permission`.",
    { permission: "bash", patterns: ["echo asked"], listed: true, callID: "string" },
    (recording) => {
      const found = properties(recording, "askEvents", "permission.asked")
      return found === undefined ? undefined : {
        permission: at(found[0], "permission") ?? "not asked",
        patterns: at(found[0], "patterns") ?? "missing",
        listed: at(recording.observed["permissions"], "body", 0, "id") === at(found[0], "id"),
        ...kindsOf(at(found[0], "tool"), ["callID"])
      }
    },
    ["internal/transport/server/permissionRequests.ts"],
    "Permission callbacks are not called, and runs hang."
  ),
  fact(
    "once",
    "`once` grants a permission: the call completes.",
    { reply: true, states: ["completed", "pending", "running"], replied: "once" },
    (recording) =>
      events(recording, "askEvents") === undefined ? undefined : {
        reply: at(recording.observed["once"], "body"),
        states: toolStates(recording, "askEvents"),
        replied: at(properties(recording, "askEvents", "permission.replied")?.[0], "reply") ?? "none"
      },
    ["internal/transport/server/permissionRequests.ts"],
    "Granted calls do not run."
  ),
  fact(
    "reject",
    "`reject` ends the prompt: the call is an error, and the step ends with `tool-calls`.",
    { isError: true, reasons: ["tool-calls"] },
    (recording) => {
      const found = properties(recording, "rejectEvents", "message.part.updated")?.map((one) => at(one, "part"))
      return found === undefined ? undefined : {
        isError: found.some((part) => at(part, "state", "status") === "error"),
        reasons: found.filter((part) => at(part, "type") === "step-finish").map((part) => at(part, "reason"))
      }
    },
    ["internal/transport/server/permissionRequests.ts"],
    "Rejected runs go on."
  ),
  fact(
    "error",
    "A provider's refusal is `session.error` with the error of `opencode run`.",
    { name: "APIError", message: "canary refused", statusCode: 401 },
    (recording) => {
      const found = properties(recording, "errorEvents", "session.error")
      return found === undefined ? undefined : {
        name: at(found[0], "error", "name") ?? "no error",
        message: at(found[0], "error", "data", "message") ?? "missing",
        statusCode: at(found[0], "error", "data", "statusCode") ?? "missing"
      }
    },
    mapper,
    "Errors of runs over a server are lost."
  ),
  fact(
    "retry",
    "A hidden retry is a status with its number and its reason.",
    { type: "retry", attempt: 1, message: "string" },
    (recording) => {
      const found = properties(recording, "retryEvents", "session.status")
      if (found === undefined) return undefined
      const status = found.map((one) => at(one, "status")).find((one) => at(one, "type") === "retry")
      return {
        type: at(status, "type") ?? "none",
        attempt: at(status, "attempt") ?? 0,
        ...kindsOf(status, ["message"])
      }
    },
    mapper,
    "`maxProviderRetries` has no effect on runs over a server."
  ),
  fact(
    "status",
    "`GET /session/status` has the sessions that work.",
    "busy",
    (recording) =>
      recording.observed["status"] === undefined
        ? undefined
        : at(recording.observed["status"], String(recording.observed["aborted"]), "type") ?? "idle",
    api,
    "A lost connection ends runs that still work."
  ),
  fact(
    "abort",
    "`POST /session/:id/abort` ends a prompt with MessageAbortedError.",
    { status: 200, body: true, error: "MessageAbortedError" },
    (recording) =>
      recording.observed["abort"] === undefined ? undefined : {
        status: at(recording.observed["abort"], "status"),
        body: at(recording.observed["abort"], "body"),
        error: at(properties(recording, "abortEvents", "session.error")?.[0], "error", "name") ?? "none"
      },
    [...api, "internal/transport/server/turn.ts"],
    "Interrupted runs over a server go on, and cost."
  ),
  fact(
    "dispose",
    "`POST /global/dispose` is answered with `true`.",
    { status: 200, body: true },
    reply("dispose", (body, status) => ({ status, body })),
    api,
    "Tools survive their server."
  ),
  fact(
    "signal",
    "SIGTERM ends a server by that signal.",
    "SIGTERM",
    (recording) => reading.ending(recording, "serve"),
    ["internal/transport/server/serverProcess.ts"],
    "A server takes until SIGKILL to end."
  )
]
