/** Facts about runs that fail: errors of providers, refusals, signals. */
import * as Version from "../../../../Version.js"
import type { Fact, Recording } from "../../contract.js"
import { always, at, changedIn, kindOf, until } from "../../contract.js"
import * as providerErrors from "../../providerErrors.js"
import * as retryCount from "../../retryCount.js"
import * as crashTexts from "../crashTexts.js"
import * as repeatedStep from "../repeatedStep.js"
import { lostEnd } from "./lostEnd.js"
import * as reading from "./reading.js"

const verdict = ["internal/opencode/verdict.ts"]

const repeating = Version.make(1, 14, 0)

const repeated = { starts: 2, messages: 1, found: 1 }

const isRun = (recording: Recording): boolean => reading.process(recording) !== undefined

/** The last error event of a run, unread. */
const error = (recording: Recording): unknown =>
  reading.last(reading.wires(recording).filter(({ type }) => type === "error"))?.["error"]

const refused = { text: true, events: 0, ending: "exit 1" }

/** A run that goes on. */
const ignored = { text: false, events: 3, ending: "exit 0" }

/** A refusal before the model is asked: a text on stderr that explains it, and code 1. */
const refusal = (
  id: string,
  says: string,
  process: string,
  text: RegExp,
  otherwise: string,
  weight: Fact["weight"] = "matters",
  expected: Fact["expected"] = always(refused)
): Fact => ({
  id,
  says,
  scenario: "refusals",
  weight,
  expected,
  observe: (recording) =>
    reading.process(recording, process) === undefined ? undefined : {
      text: text.test(reading.stderrOf(recording, process)),
      events: reading.wires(recording, process).length,
      ending: reading.ending(recording, process)
    },
  usedBy: ["internal/opencode/v1/crashTexts.ts", ...verdict],
  otherwise
})

const explained = { hint: true, isTransient: false }

/** The hint that the library has for a refusal. */
const hint = (
  id: string,
  process: string,
  words: string,
  says: string,
  expected: Fact["expected"] = always(explained)
): Fact => ({
  id,
  says,
  scenario: "refusals",
  weight: "note",
  expected,
  observe: (recording) => {
    if (reading.process(recording, process) === undefined) return undefined
    const text = reading.stderrOf(recording, process)
    return {
      hint: crashTexts.hint(text)?.includes(words) ?? false,
      isTransient: crashTexts.sqlite(text) !== undefined
    }
  },
  usedBy: ["internal/opencode/v1/crashTexts.ts"],
  otherwise: "The error does not say what to do, or is tried again in vain."
})

export const facts: ReadonlyArray<Fact> = [
  {
    scenario: "unauthorized",
    weight: "matters",
    id: "error.event",
    says: "A provider's refusal is an error event with its name, its status and whether it can be tried again.",
    expected: always({ name: "APIError", message: "canary refused", statusCode: 401, isRetryable: false }),
    observe: (recording) =>
      isRun(recording)
        ? {
          name: at(error(recording), "name") ?? "no error",
          ...Object.fromEntries(
            ["message", "statusCode", "isRetryable"].map((
              field
            ) => [field, at(error(recording), "data", field) ?? "missing"])
          )
        }
        : undefined,
    usedBy: ["internal/opencode/providerErrors.ts", "internal/opencode/decode.ts"],
    otherwise: "OpenCodeSessionError lacks its facts."
  },
  {
    scenario: "unauthorized",
    weight: "matters",
    id: "error.kind",
    says: "A refused key is recognized as a fault of authentication.",
    expected: always("authentication"),
    observe: (recording) => isRun(recording) ? providerErrors.describe(error(recording)).kind : undefined,
    usedBy: ["internal/opencode/providerErrors.ts"],
    otherwise: "`kind` of OpenCodeSessionError is `other`."
  },
  {
    scenario: "unauthorized",
    weight: "note",
    id: "error.exit",
    says: "A run whose model failed for good exits with code 1.",
    expected: changedIn(1, 17, { before: "exit 0", since: "exit 1" }),
    observe: (recording) => reading.ending(recording),
    usedBy: verdict,
    otherwise: "The library does not need the code: the error event decides."
  },
  {
    scenario: "unauthorized",
    weight: "note",
    id: "error.log",
    says: "The error log names the failed attempt on stderr.",
    expected: always(["canary refused"]),
    observe: (recording) =>
      isRun(recording)
        ? reading.failures(recording).map(({ reason }) =>
          reason.includes("canary refused") ? "canary refused" : "another"
        )
        : undefined,
    usedBy: ["internal/opencode/v1/stderrFacts.ts"],
    otherwise: "Attempts that failed are not counted."
  },
  {
    scenario: "retry",
    weight: "matters",
    id: "retry.log",
    says: "A hidden retry is on stderr with the provider, the model and the reason.",
    expected: until(1, 2, [], always([{ provider: "fake", model: "m1", reason: "HTTP 500" }])),
    observe: (recording) =>
      isRun(recording)
        ? reading.failures(recording).map(({ model, provider, reason }) => ({
          provider: provider ?? "missing",
          model: model ?? "missing",
          reason: /HTTP 500/.exec(reason)?.[0] ?? "another"
        }))
        : undefined,
    usedBy: ["internal/opencode/v1/stderrFacts.ts", "internal/opencode/v1/invocation.ts"],
    otherwise: "`maxProviderRetries` has no effect, and retries are not shown."
  },
  {
    scenario: "retry",
    weight: "matters",
    id: "retry.recovers",
    says: "A run recovers from a provider that fails once, without an error event.",
    expected: lostEnd(always({ types: ["step_start", "text", "step_finish"], ending: "exit 0" })),
    observe: (recording) =>
      isRun(recording) ? { types: reading.types(recording), ending: reading.ending(recording) } : undefined,
    usedBy: verdict,
    otherwise: "Runs that recovered end as errors."
  },
  {
    scenario: "retry",
    weight: "matters",
    id: "logins.file",
    says: "Stored logins are read from `auth.json` in the data directory, also through a symbolic link.",
    expected: always("Bearer stored-key"),
    observe: (recording) => isRun(recording) ? reading.requests(recording)[0]?.authorization ?? "none" : undefined,
    usedBy: ["internal/launch/logins.ts"],
    otherwise: "Isolated runs have no credentials."
  },
  {
    scenario: "cut",
    weight: "matters",
    id: "cut.repeats",
    says: "After a cut answer the step begins again under the same message.",
    expected: lostEnd([
      // By chance: the first beginning can be lost with the connection.
      { below: repeating, value: repeated, varies: true },
      { from: repeating, value: repeated }
    ]),
    observe: (recording) => {
      if (!isRun(recording)) return undefined
      const starts = reading.eventsOf(recording, "StepStart")
      const find = repeatedStep.make(retryCount.make(() => undefined))
      return {
        starts: starts.length,
        messages: new Set(starts.map(({ messageId }) => messageId)).size,
        found: reading.events(recording).filter((event) => find(event) !== undefined).length
      }
    },
    usedBy: ["internal/opencode/v1/repeatedStep.ts"],
    otherwise: "Repeated steps are not counted as retries."
  },
  {
    scenario: "cut",
    weight: "matters",
    id: "cut.text",
    says: "The text of the cut answer is not printed.",
    expected: lostEnd(always(["whole"])),
    observe: (recording) => isRun(recording) ? reading.eventsOf(recording, "Text").map(({ text }) => text) : undefined,
    usedBy: ["internal/opencode/answer.ts"],
    otherwise: "Answers contain the beginning of an answer that was cut."
  },
  {
    scenario: "cut",
    weight: "matters",
    id: "logins.variable",
    says: "`OPENCODE_AUTH_CONTENT` carries logins.",
    expected: changedIn(1, 14, { before: "none", since: "Bearer variable-key" }),
    observe: (recording) => isRun(recording) ? reading.requests(recording)[0]?.authorization ?? "none" : undefined,
    usedBy: ["internal/launch/logins.ts", "internal/opencode/variables.ts"],
    otherwise: "Logins in the variable have no effect."
  },
  {
    scenario: "cut",
    weight: "matters",
    id: "data.variable",
    says: "`OPENCODE_DB` moves the database.",
    expected: until(
      1,
      2,
      // Sessions are files.
      { there: false, default: false },
      changedIn(1, 14, { before: { there: false, default: true }, since: { there: true, default: false } })
    ),
    observe: (recording) =>
      isRun(recording)
        ? { there: recording.observed["database"], default: recording.observed["defaultDatabase"] }
        : undefined,
    usedBy: ["internal/launch/directories.ts", "internal/opencode/variables.ts"],
    otherwise: "Concurrent runs share a database, and can crash each other at their start."
  },
  {
    scenario: "text",
    weight: "matters",
    id: "data.directory",
    says: "The database is below `XDG_DATA_HOME`.",
    expected: changedIn(1, 2, { before: false, since: true }),
    observe: (recording) => isRun(recording) ? recording.observed["database"] : undefined,
    usedBy: ["internal/launch/directories.ts"],
    otherwise: "Runs are not isolated from your own sessions."
  },
  {
    scenario: "content filter",
    weight: "matters",
    id: "filter.error",
    says: "An answer that a filter ends has the reason `content-filter`, an error event and code 1.",
    expected: lostEnd(changedIn(1, 17, {
      before: { reason: "content-filter", error: "no error", kind: "no error", ending: "exit 0" },
      since: { reason: "content-filter", error: "ContentFilterError", kind: "content-filter", ending: "exit 1" }
    })),
    observe: (recording) =>
      isRun(recording)
        ? {
          reason: reading.last(reading.eventsOf(recording, "StepFinish"))?.reason ?? "none",
          error: at(error(recording), "name") ?? "no error",
          kind: error(recording) === undefined ? "no error" : providerErrors.describe(error(recording)).kind,
          ending: reading.ending(recording)
        }
        : undefined,
    usedBy: ["internal/opencode/providerErrors.ts", "internal/opencode/finishReason.ts", ...verdict],
    otherwise: "Filtered answers look complete."
  },
  {
    scenario: "unknown model",
    weight: "matters",
    id: "model.unknown",
    says: "An unknown model is an error event with a mark, code 1, and no request.",
    expected: changedIn(1, 15, {
      before: { name: "UnknownError", ref: "undefined", requests: 0, ending: "exit 0" },
      since: { name: "UnknownError", ref: "string", requests: 0, ending: "exit 1" }
    }),
    observe: (recording) =>
      isRun(recording)
        ? {
          name: at(error(recording), "name") ?? "no error",
          ref: kindOf(at(error(recording), "data", "ref")),
          requests: reading.requests(recording).length,
          ending: reading.ending(recording)
        }
        : undefined,
    usedBy: [...verdict, "internal/opencode/decode.ts"],
    otherwise: "An unknown model is reported differently."
  },
  {
    scenario: "unknown model",
    weight: "note",
    id: "model.unknown-log",
    says: "The error log has the name of the unknown model beside that mark.",
    expected: changedIn(1, 17, { before: "not found", since: "Model not found: fake/nonesuch." }),
    observe: (recording) =>
      isRun(recording)
        ? crashTexts.missingModel(reading.stderrOf(recording), at(error(recording), "data", "ref")) ?? "not found"
        : undefined,
    usedBy: ["internal/opencode/v1/crashTexts.ts"],
    otherwise: "The error says \"Unexpected server error\" instead of the model's name."
  },
  {
    scenario: "arguments",
    weight: "matters",
    id: "agent.fallback",
    says: "An unknown agent is replaced by the default one, with a line on stderr, and the model is asked.",
    expected: always({ reported: { agent: "nonesuch", reason: "unknown" }, requests: 1, ending: "exit 0" }),
    observe: (recording) => {
      if (!isRun(recording)) return undefined
      const found = reading.reports(recording).find((fact) => fact._tag === "AgentFallback")
      return {
        reported: found?._tag === "AgentFallback" ? found.fallback : "nothing",
        requests: reading.requests(recording).length,
        ending: reading.ending(recording)
      }
    },
    usedBy: ["internal/opencode/v1/stderrFacts.ts", "internal/transport/cli.ts"],
    otherwise: "A misspelled `agent` runs another agent, which may write."
  },
  refusal(
    "refused.file",
    "A missing file ends it with a text and code 1.",
    "missing file",
    /^Error: File not found: missing\.txt$/m,
    "The error does not name the file.",
    "note"
  ),
  refusal(
    "refused.session",
    "An unknown session ends it with a text and code 1.",
    "missing session",
    /^Error: Session not found/m,
    "A session that does not exist is not recognized.",
    "matters",
    changedIn(1, 15, { before: { text: false, events: 0, ending: "exit 0" }, since: refused })
  ),
  refusal(
    "refused.fork",
    "`--fork` alone ends it with a text and code 1.",
    "fork alone",
    /^Error: --fork requires --continue or --session$/m,
    "A fork without a session starts a new one.",
    "note"
  ),
  refusal(
    "refused.json",
    "A configuration that is not JSON ends it with a text and code 1.",
    "bad JSON",
    /is not valid JSON/,
    "A configuration that cannot be read is ignored, with its permissions.",
    "matters",
    changedIn(1, 2, { before: { ...refused, text: false }, since: refused })
  ),
  refusal(
    "refused.value",
    "An invalid permission ends it with a text and code 1.",
    "bad value",
    /Configuration is invalid/,
    "An invalid permission is ignored, and everything is allowed.",
    "matters",
    changedIn(1, 2, { before: ignored, since: refused })
  ),
  refusal(
    "refused.database",
    "A damaged database ends it with a text and code 1.",
    "damaged database",
    /file is not a database/,
    "A damaged database is not recognized.",
    "matters",
    changedIn(1, 2, { before: ignored, since: refused })
  ),
  hint(
    "hint.session",
    "missing session",
    "the session does not exist",
    "The text of an unknown session is explained.",
    changedIn(1, 15, { before: { ...explained, hint: false }, since: explained })
  ),
  hint(
    "hint.config",
    "bad JSON",
    "fix OpenCode's configuration",
    "The text of a bad configuration is explained.",
    changedIn(1, 2, { before: { ...explained, hint: false }, since: explained })
  ),
  hint(
    "hint.database",
    "damaged database",
    "is damaged",
    "A damaged database is explained, and not tried again.",
    changedIn(1, 2, { before: { ...explained, hint: false }, since: explained })
  ),
  hint(
    "hint.directory",
    "data directory is a file",
    "check that OpenCode's data",
    "The text of an unusable data directory is explained, and not tried again."
  ),
  {
    scenario: "terminate",
    weight: "matters",
    id: "signal.term",
    says: "SIGTERM ends OpenCode by that signal while a command runs.",
    expected: always("SIGTERM"),
    observe: (recording) => reading.ending(recording),
    usedBy: ["internal/process/spawn.ts"],
    otherwise: "Interrupted runs take until SIGKILL."
  },
  {
    scenario: "terminate",
    weight: "note",
    id: "signal.survivors",
    says: "The command survives the end of OpenCode: the library has to find and end it.",
    expected: always(true),
    observe: (recording) => recording.observed["survives"],
    usedBy: ["internal/process/table.ts", "internal/process/limitMark.ts"],
    otherwise: "Nothing: fewer processes have to be ended."
  },
  {
    scenario: "interrupt",
    weight: "matters",
    id: "signal.int",
    says: "SIGINT ends OpenCode by that signal while the provider does not answer.",
    expected: always("SIGINT"),
    observe: (recording) => reading.ending(recording),
    usedBy: verdict,
    otherwise: "Ctrl-C does not end a run at once."
  }
]
