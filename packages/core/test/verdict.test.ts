import { describe, expect, it } from "@effect/vitest"
import { OpenCodeError, RunEvent } from "effect-opencode"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as fc from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as verdicts from "../src/internal/opencode/verdict.js"
import * as arbitraries from "./support/arbitraries.js"
import { code, eventsOf, facts, lost, signal, stderrOf, sum } from "./support/facts.js"
import * as fixtures from "./support/fixtures.js"

// -- Outcomes: the fields on which a caller branches ---------------------------------------------------------------------

type Outcome = { readonly tag: string; readonly [detail: string]: unknown }

const success = (finishReason: string): Outcome => ({ tag: "Success", finishReason })
const session = (kind: RunEvent.SessionErrorKind, statusCode?: number): Outcome => ({
  tag: "OpenCodeSessionError",
  kind,
  statusCode
})
const permission = (permission: string, ...patterns: ReadonlyArray<string>): Outcome => ({
  tag: "OpenCodePermissionError",
  permission,
  patterns
})
const incomplete = (finishReason: string | undefined): Outcome => ({ tag: "OpenCodeIncompleteError", finishReason })
const exited = (exitCode: number): Outcome => ({ tag: "OpenCodeProcessError", exitCode, signal: undefined })
const killed = (signal: string): Outcome => ({ tag: "OpenCodeProcessError", exitCode: undefined, signal })
const cancelled = (signal: string): Outcome => ({ tag: "OpenCodeCancelledError", signal })
const sqlite = (signature: string): Outcome => ({ tag: "OpenCodeSqliteError", signature })
const timeout = (phase: "startup" | "idle"): Outcome => ({ tag: "OpenCodeTimeoutError", phase })
const agent: Outcome = { tag: "OpenCodeConfigError", path: "agent" }
const steps: Outcome = { tag: "OpenCodeBudgetError", limit: "steps" }

const outcomeOf = (decided: Either.Either<verdicts.Finished, OpenCodeError.OpenCodeError>): Outcome =>
  Either.match(decided, { onLeft: outcomeOfError, onRight: ({ finishReason }) => success(finishReason) })

const outcomeOfError = (error: OpenCodeError.OpenCodeError): Outcome => {
  switch (error._tag) {
    case "OpenCodeSessionError":
      return session(error.kind, error.statusCode)
    case "OpenCodePermissionError":
      return permission(error.permission, ...error.patterns)
    case "OpenCodeIncompleteError":
      return incomplete(error.finishReason)
    case "OpenCodeProcessError":
      return { tag: error._tag, exitCode: error.exitCode, signal: error.signal }
    case "OpenCodeCancelledError":
      return { tag: error._tag, signal: error.signal }
    case "OpenCodeSqliteError":
      return sqlite(error.signature)
    case "OpenCodeTimeoutError":
      return { tag: error._tag, phase: error.phase }
    case "OpenCodeConfigError":
      return { tag: error._tag, path: error.path }
    case "OpenCodeBudgetError":
      return { tag: error._tag, limit: error.limit }
    default:
      return { tag: error._tag }
  }
}

// -- The expected outcome of every capture ---------------------------------------------------------------------------------

type Rows = ReadonlyArray<readonly [Outcome, ReadonlyArray<string>]>

const echoed = permission("bash", "echo hi-from-tool", "echo to-stderr 1>&2")
const etc = permission("external_directory", "/etc/*")

/** The common rows of 1.14.34, 1.15.13 and 1.17.19. */
const older: Rows = [
  [success("stop"), [
    "finish-empty-answer",
    "http-500-once",
    "input-argv-space",
    "input-both",
    "input-stdin",
    "multi",
    "perm-bash-ask-skip-permissions",
    "perm-bash-pattern-deny",
    // The rejection did not end the run: a further step finished.
    "perm-continue-on-deny",
    "reasoning-thinking",
    "task-subagent",
    // The parent continued and finished.
    "task-subagent-fail",
    "text",
    "tool-bash",
    "tool-bash-nonzero",
    "tool-mcp",
    "tool-read-missing"
  ]],
  [success("length"), ["finish-length"]],
  [agent, ["agent-unknown"]],
  [echoed, ["perm-bash-ask"]],
  [etc, ["perm-external-default"]],
  [session("authentication", 401), ["http-401", "http-401-second-step"]],
  [session("context-overflow"), ["context-overflow"]],
  [session("other"), ["command-unknown", "sse-malformed"]],
  [exited(1), [
    "config-bad-json",
    "config-bad-permission",
    "data-dir-is-file",
    "dir-missing",
    "file-missing",
    "flag-unknown",
    "prompt-none"
  ]],
  [timeout("startup"), ["hang-headers", "http-429", "http-500"]],
  // The sub-agent waits for an answer; none of it is on stdout.
  [timeout("idle"), ["perm-task-subagent-ask"]],
  // The same message again and again.
  [steps, ["stream-cut", "stream-cut-second-step"]]
]

const expected: { readonly [V in fixtures.FixtureVersion]: Rows } = {
  "1.14.34": [
    ...older,
    [success("content-filter"), ["finish-content-filter"]],
    [incomplete("other"), ["finish-missing"]],
    // Exit 0, the reason only as a stack trace on stderr.
    [incomplete(undefined), ["session-not-found"]],
    [session("model-not-found"), ["model-no-prefix", "model-unknown"]],
    // A corrupt database shows the same text here as two colliding processes: the retry is in vain.
    [sqlite("journal_mode"), ["db-corrupt"]],
    // `--auto` is unknown to this version: help text.
    [exited(1), ["perm-bash-ask-auto-flag"]]
  ],
  "1.15.13": [
    ...older,
    [success("content-filter"), ["finish-content-filter"]],
    [incomplete("unknown"), ["finish-missing"]],
    // "Unexpected server error. Check server logs": only the log shows the reason.
    [session("other"), ["model-no-prefix", "model-unknown"]],
    [sqlite("journal_mode"), ["db-corrupt"]],
    [exited(1), ["perm-bash-ask-auto-flag", "session-not-found"]],
    [timeout("startup"), ["conn-refused"]]
  ],
  "1.17.19": [
    ...older,
    [success("stop"), ["perm-bash-ask-auto-flag"]],
    [session("content-filter"), ["finish-content-filter"]],
    [incomplete("unknown"), ["finish-missing"]],
    [session("other"), ["model-no-prefix", "model-unknown"]],
    [exited(1), ["db-corrupt", "session-not-found"]],
    [timeout("startup"), ["conn-refused"]]
  ],
  "1.18.33": [
    [success("stop"), [
      "agent-plan-edit",
      "bash-background-child",
      "big-read",
      "big-tool-output",
      "config-file-missing-env",
      "config-file-unknown-key",
      "config-unknown-key",
      "continue-no-session",
      "cwd-vs-pwd",
      "cwd-vs-pwd-dir",
      "file-ok",
      "finish-empty-answer",
      "home-unset",
      "http-429-once",
      "http-500-once",
      "input-argv-multi",
      "input-argv-newline",
      "input-argv-nospace",
      "input-argv-quotes",
      "input-argv-space",
      "input-at-file",
      "input-both",
      "input-dash-stdin",
      "input-dashdash",
      "input-number",
      "input-slash-command",
      "input-stdin",
      "input-stdin-bad-utf8",
      "input-stdin-nul",
      "many-steps",
      "multi",
      "path-without-git",
      "perm-all-allow-string",
      "perm-all-deny-string",
      "perm-bash-ask-auto",
      "perm-bash-deny",
      "perm-bash-deny-auto",
      "perm-bash-pattern-deny",
      "perm-continue-on-deny",
      "perm-edit-deny",
      "perm-env-var-bad-json",
      "perm-external-allow",
      "perm-external-auto",
      "perm-external-deny",
      "perm-star-deny-read-allow",
      // Rejected in the sub-agent; the parent continued.
      "perm-task-subagent-ask",
      // One failed attempt on stderr, then an answer.
      "print-logs-warn-429",
      "prompt-whitespace",
      "reasoning-nothinking",
      "reasoning-only",
      "reasoning-thinking",
      "slow-stream",
      "stream-cut-once",
      "task-bad-agent",
      "task-subagent",
      "task-subagent-bash",
      "task-subagent-fail",
      "text",
      "tool-bad-args",
      "tool-bad-json",
      "tool-bash",
      "tool-bash-nonzero",
      "tool-bash-timeout",
      "tool-edit",
      "tool-edit-fail",
      "tool-glob",
      "tool-grep",
      "tool-mcp",
      "tool-mcp-error",
      "tool-parallel",
      "tool-question",
      "tool-read",
      "tool-read-missing",
      "tool-todowrite",
      "tool-unknown",
      "tool-webfetch-denied",
      "tool-webfetch-ok",
      "tool-write",
      "two-text-one-step",
      "unicode",
      "unicode-split"
    ]],
    [success("length"), ["finish-length"]],
    [agent, ["agent-subagent", "agent-unknown"]],
    [echoed, ["no-color", "perm-bash-ask", "perm-env-var"]],
    [etc, ["perm-bash-external-default", "perm-external-default"]],
    [permission("external_directory", "/tmp/*"), ["perm-write-outside-default"]],
    [permission("bash", "rm -f a.txt"), ["perm-bash-pattern-ask"]],
    [permission("edit", "a.txt"), ["perm-edit-ask"]],
    [permission("edit", "new.txt"), ["perm-write-ask"]],
    [permission("read", ".env"), ["tool-read-env"]],
    [session("authentication", 401), ["http-401"]],
    [session("authentication", 403), ["http-403"]],
    [session("quota", 402), ["http-402"]],
    [session("quota", 429), ["http-429-insufficient-quota"]],
    [session("rate-limit", 429), ["http-429", "http-429-retry-after-2"]],
    [session("rate-limit", 529), ["http-529"]],
    [session("model-not-found", 404), ["http-404"]],
    [session("model-not-found"), ["print-logs-error"]],
    [session("context-overflow"), ["context-overflow", "http-413"]],
    [session("content-filter"), ["finish-content-filter", "finish-content-filter-empty"]],
    [session("provider-unavailable", 500), ["http-500", "http-500-second-step"]],
    [session("provider-unavailable", 502), ["http-502-html"]],
    [session("provider-unavailable", 503), ["http-503"]],
    [session("provider-unavailable"), [
      "conn-refused",
      "dns-failure",
      "model-none-configured",
      // The provider sent {"type":"server_error"} in the middle of its stream.
      "sse-error-chunk",
      "stream-cut",
      "stream-cut-in-tool-args",
      "stream-cut-second-step",
      "timeout-chunk",
      "timeout-header",
      "timeout-total"
    ]],
    [session("other", 400), ["http-400"]],
    [session("other"), [
      "command-unknown",
      // A full disk in the middle of a run: OpenCode's own statement failed after it had acted.
      "disk-full-mid-run",
      "model-no-prefix",
      "model-unknown",
      "model-unknown-provider",
      "provider-npm-missing",
      "sse-malformed"
    ]],
    [incomplete(undefined), [
      // Not in JSON format: none of the output is an event.
      "format-default",
      // Help text on stdout.
      "input-dash"
    ]],
    [exited(1), [
      "attach-refused",
      "config-bad-json",
      "config-bad-model-type",
      "config-bad-permission",
      "config-dir-readonly",
      "config-file-bad-json",
      "data-dir-dev-full",
      "data-dir-is-file",
      "data-dir-readonly",
      "db-corrupt",
      "db-is-directory",
      "db-readonly-existing",
      "dir-missing",
      "disk-full-data",
      "file-missing",
      "file-swallows-prompt",
      "flag-unknown",
      "fork-without-session",
      "format-bad",
      "format-default-error",
      "input-stdin-empty-lines",
      "model-flag-twice",
      "prompt-empty",
      "prompt-none",
      "session-bad-id",
      "session-not-found",
      "state-dir-readonly",
      "stdout-closed",
      "tmpdir-missing"
    ]],
    [cancelled("SIGHUP"), ["signal-hup-provider-wait"]],
    [cancelled("SIGINT"), ["signal-int-bash", "signal-int-provider-wait"]],
    [cancelled("SIGTERM"), [
      "signal-term-bash",
      "signal-term-bash-trap",
      "signal-term-group-bash",
      "signal-term-group-bash-child",
      "signal-term-group-setsid",
      "signal-term-provider-wait",
      "signal-term-subagent-bash"
    ]],
    [killed("SIGKILL"), ["signal-kill-bash", "signal-kill-group-bash", "signal-kill-provider-wait"]],
    [timeout("startup"), [
      "hang-body",
      "hang-headers",
      "http-429-retry-after-600",
      "input-stdin-open",
      "session-other-cwd",
      "tool-glob-no-ripgrep"
    ]],
    [timeout("idle"), ["hang-mid-stream"]],
    [steps, [
      "finish-empty-body",
      "finish-missing",
      "finish-nothing",
      "finish-unknown-value",
      "http-200-html",
      "perm-doom-loop",
      "steps-limit",
      "steps-limit-nofinish",
      "stream-cut-clean"
    ]]
  ]
}

const table: ReadonlyMap<string, Outcome> = new Map(
  fixtures.versions.flatMap((version) =>
    expected[version].flatMap(([outcome, scenarios]) =>
      scenarios.map((scenario) => [`${version}/${scenario}`, outcome] as const)
    )
  )
)

const rows = fixtures.versions.flatMap((version) =>
  expected[version].flatMap(([, scenarios]) => scenarios.map((scenario) => `${version}/${scenario}`))
)

/** No capture has the 500 steps of the default budget; this many distinguish a loop from a wait in the captures. */
const maxSteps = 6

/** The guard that ends a run which does not end by itself. */
const guardOf = (
  fixture: fixtures.Fixture,
  fallback: ReturnType<typeof stderrOf>["fallback"]
): verdicts.Guard | undefined => {
  if (fallback !== undefined) return { _tag: "AgentFallback", ...fallback }
  if (!fixture.killedByTimeout) return undefined
  const began = fixtures.linesOf(fixture.stdout)
    .filter((line) => fixtures.objectOf(line)?.["type"] === "step_start").length
  if (began > maxSteps) return { _tag: "Budget", limit: "steps", max: maxSteps, reached: began }
  return { _tag: "Timeout", phase: fixture.stdout.length === 0 ? "startup" : "idle", limit: Duration.seconds(1) }
}

const exitOf = (fixture: fixtures.Fixture): verdicts.Exit =>
  fixture.exitCode !== null ? code(fixture.exitCode) : fixture.signal !== null ? signal(fixture.signal) : lost

/** The captures do not record how the two pipes were interleaved: these are the extremes, and the likely order between. */
const interleavings = (
  stdout: ReadonlyArray<RunEvent.RunEvent>,
  stderr: ReadonlyArray<RunEvent.RunEvent>
): { readonly [order: string]: ReadonlyArray<RunEvent.RunEvent> } => {
  const refused = stdout.findIndex((event) => event._tag === "ToolUse" && event.status === "error")
  const at = refused === -1 ? 0 : refused
  return {
    between: [...stdout.slice(0, at), ...stderr, ...stdout.slice(at)],
    first: [...stderr, ...stdout],
    last: [...stdout, ...stderr]
  }
}

describe("Verdict", () => {
  describe("captures", () => {
    it("have exactly one row each, and every row has a capture", () => {
      expect([...rows].sort()).toEqual(fixtures.all.map(({ name }) => name).sort())
    })

    for (const fixture of fixtures.all) {
      it(fixture.name, () => {
        const stderr = stderrOf(fixture.stderr)
        const decided = Object.entries(interleavings(eventsOf(fixture.stdout), stderr.events)).map((
          [order, events]
        ) => ({
          order,
          outcome: outcomeOf(verdicts.decide(facts({
            events,
            exit: exitOf(fixture),
            guard: guardOf(fixture, stderr.fallback),
            stderr: stderr.text
          })))
        }))
        const outcome = table.get(fixture.name)
        expect(decided).toEqual(["between", "first", "last"].map((order) => ({ order, outcome })))
      })
    }
  })

  const text = RunEvent.fromWire({ type: "text", part: { text: "hello" } })
  const start = RunEvent.fromWire({ type: "step_start", sessionID: "ses_1", part: { messageID: "msg_1" } })
  const finish = (reason?: string) => RunEvent.fromWire({ type: "step_finish", part: { reason } })
  const error = (name: string, data: object) => RunEvent.fromWire({ type: "error", error: { name, data } })
  const unauthorised = error("APIError", { message: "Incorrect API key provided", statusCode: 401, isRetryable: false })
  const rejected: RunEvent.PermissionRejected = { _tag: "PermissionRejected", permission: "bash", patterns: ["rm *"] }
  const finished = [start, text, finish("stop")]

  const decide = (input: Parameters<typeof facts>[0]) => outcomeOf(verdicts.decide(facts(input)))
  const right = (input: Parameters<typeof facts>[0]) => Either.getOrThrow(verdicts.decide(facts(input)))
  const left = (input: Parameters<typeof facts>[0]) => Either.getOrThrow(Either.flip(verdicts.decide(facts(input))))

  describe("is a success for", () => {
    it("exit 0 after a final step", () => {
      expect(right({ events: finished, exit: code(0) })).toEqual({ finishReason: "stop", exitCode: 0, forced: false })
    })

    it("exit 1 after an error that a finished step followed", () => {
      expect(right({ events: [start, unauthorised, ...finished], exit: code(1) })).toEqual({
        finishReason: "stop",
        exitCode: 1,
        forced: false
      })
    })

    it("a process that we ended because it did not exit after the end of the conversation", () => {
      const guard = { _tag: "ExitGrace" as const }
      expect(right({ events: finished, exit: signal("SIGTERM"), guard })).toEqual({
        finishReason: "stop",
        exitCode: undefined,
        forced: true
      })
      expect(right({ events: finished, exit: signal("SIGKILL"), guard }).forced).toBe(true)
      expect(right({ events: finished, exit: lost, guard }).forced).toBe(true)
    })

    it("a rejected permission followed by a finished step", () => {
      expect(decide({ events: [start, rejected, finish("tool-calls"), ...finished], exit: code(0) }))
        .toEqual(success("stop"))
    })
  })

  describe("is a failure for", () => {
    it("exit 1 after a finished step without an error event", () => {
      expect(decide({ events: finished, exit: code(1) })).toEqual(exited(1))
    })

    it("an error event after the last finished step, with any exit code", () => {
      for (const exit of [code(0), code(1), signal("SIGTERM"), lost]) {
        expect(decide({ events: [...finished, unauthorised], exit })).toEqual(session("authentication", 401))
      }
    })

    it("an aborted message: a cancellation", () => {
      expect(decide({ events: [start, error("MessageAbortedError", { message: "aborted" })], exit: code(1) }))
        .toEqual({ tag: "OpenCodeCancelledError", signal: undefined })
    })

    it("a rejected permission without a finished step after it, with any exit", () => {
      for (const exit of [code(0), code(1), signal("SIGKILL")]) {
        expect(decide({ events: [start, rejected, finish("tool-calls")], exit })).toEqual(permission("bash", "rm *"))
      }
    })

    it("an error event, which takes precedence over a rejected permission", () => {
      expect(decide({ events: [start, rejected, finish("tool-calls"), unauthorised], exit: code(1) }))
        .toEqual(session("authentication", 401))
    })

    it("exit 0 in an unfinished conversation", () => {
      expect(decide({ events: [], exit: code(0) })).toEqual(incomplete(undefined))
      expect(decide({ events: [start, text], exit: code(0) })).toEqual(incomplete(undefined))
      expect(decide({ events: [start, finish()], exit: code(0) })).toEqual(incomplete(undefined))
      expect(decide({ events: [start, finish("tool-calls")], exit: code(0) })).toEqual(incomplete("tool-calls"))
      expect(decide({ events: [start, finish("unknown")], exit: code(0) })).toEqual(incomplete("unknown"))
      // A further step began and its end was lost.
      expect(decide({ events: [...finished, start], exit: code(0) })).toEqual(incomplete("stop"))
    })

    it("a foreign signal, even after the end of the conversation", () => {
      for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) {
        expect(decide({ events: finished, exit: signal(name) })).toEqual(cancelled(name))
        expect(decide({ events: [start], exit: signal(name) })).toEqual(cancelled(name))
      }
      expect(decide({ events: finished, exit: signal("SIGKILL") })).toEqual(killed("SIGKILL"))
      expect(decide({ events: [], exit: signal("SIGSEGV") })).toEqual(killed("SIGSEGV"))
    })

    it("an unknown exit", () => {
      expect(decide({ events: finished, exit: lost }))
        .toEqual({ tag: "OpenCodeProcessError", exitCode: undefined, signal: undefined })
    })

    it("surviving processes, which it names", () => {
      const failed = left({ events: finished, exit: code(0), survivors: [4711] })
      expect(failed._tag).toBe("OpenCodeProcessError")
      expect(failed.message).toContain("4711")
    })

    it("an unfinished step, not for our own signal in the exit grace", () => {
      // The conversation had finished, then another step began while the process was being ended.
      expect(decide({ events: [...finished, start], exit: signal("SIGTERM"), guard: { _tag: "ExitGrace" } }))
        .toEqual(incomplete("stop"))
    })
  })

  describe("guards", () => {
    const everything = [start, unauthorised, rejected, ...finished]
    const retry: RunEvent.ProviderRetry = {
      _tag: "ProviderRetry",
      attempt: 10,
      kind: "rate-limit",
      reason: "AI_APICallError: rate limited",
      provider: "fake",
      model: "m1"
    }
    const cases: ReadonlyArray<readonly [verdicts.Guard, Outcome]> = [
      [{ _tag: "Timeout", phase: "startup", limit: Duration.seconds(1) }, timeout("startup")],
      [{ _tag: "Timeout", phase: "idle", limit: Duration.seconds(1) }, timeout("idle")],
      [{ _tag: "Timeout", phase: "total", limit: Duration.seconds(1) }, {
        tag: "OpenCodeTimeoutError",
        phase: "total"
      }],
      [{ _tag: "Budget", limit: "cost", max: 1, reached: 1.5 }, { tag: "OpenCodeBudgetError", limit: "cost" }],
      [{ _tag: "AgentFallback", agent: "nope", reason: "unknown" }, agent],
      [{ _tag: "ProviderRetries", retry }, session("rate-limit")]
    ]

    for (const [guard, outcome] of cases) {
      it(`${guard._tag} takes precedence over everything else`, () => {
        for (const events of [[], [start], everything, finished]) {
          for (const exit of [code(0), code(1), signal("SIGTERM"), signal("SIGKILL"), lost]) {
            for (const stderr of ["", "database is locked"]) {
              expect(decide({ events, exit, guard, stderr, survivors: [1] })).toEqual(outcome)
            }
          }
        }
      })
    }

    it("a budget reports the limit, its maximum and the reached value", () => {
      expect(left({
        events: finished,
        exit: signal("SIGTERM"),
        guard: { _tag: "Budget", limit: "cost", max: 1, reached: 1.5 }
      })).toMatchObject({ limit: "cost", max: 1, reached: 1.5, scope: "run", partial: { text: "hello", steps: 1 } })
    })

    it("a sub-agent named as agent is distinguished from an unknown one", () => {
      const reasonOf = (reason: "unknown" | "subagent") =>
        left({ events: [], exit: signal("SIGKILL"), guard: { _tag: "AgentFallback", agent: "general", reason } })
          .message
      expect(reasonOf("subagent")).toContain("sub-agent")
      expect(reasonOf("unknown")).not.toContain("sub-agent")
    })
  })

  describe("SQLite", () => {
    const crash = (line: string) => `Error: Unexpected error\n\n${line}\n`

    const transient = [
      "Failed query: CREATE TABLE `project` (id text) params: ",
      "database is locked",
      "Failed to run the query 'PRAGMA journal_mode = WAL'",
      "SQLITE_BUSY: database busy",
      "LockTimeoutError: could not get the lock",
      "Failed to execute statement",
      "locking protocol",
      "disk I/O error",
      "SQLiteError: something"
    ]

    for (const line of transient) {
      it(`is retryable: ${line}`, () => {
        for (const stderr of [crash(line), crash(line.toUpperCase()), crash(line.toLowerCase())]) {
          expect(decide({ events: [], exit: code(1), stderr }).tag).toBe("OpenCodeSqliteError")
        }
      })
    }

    it("is not retryable once an event was seen", () => {
      const stderr = crash("database is locked")
      expect(decide({ events: [start], exit: code(1), stderr })).toEqual(exited(1))
      // The model was queried, which the error log shows before any event.
      expect(decide({
        events: [{
          _tag: "ProviderRetry",
          attempt: 1,
          kind: "other",
          reason: "x",
          provider: undefined,
          model: undefined
        }],
        exit: code(1),
        stderr
      })).toEqual(exited(1))
    })

    it("is retryable after a line of stdout that was not an event", () => {
      expect(decide({ events: [RunEvent.fromLine("")], exit: code(1), stderr: crash("database is locked") }).tag)
        .toBe("OpenCodeSqliteError")
    })

    for (
      const line of [
        "file is not a database",
        "unable to open database file",
        "attempt to write a readonly database",
        "Error: Session not found",
        "sqlite-migration:done"
      ]
    ) {
      it(`is not retryable: ${line}`, () => {
        expect(decide({ events: [], exit: code(1), stderr: crash(line) })).toEqual(exited(1))
      })
    }

    it("is not assumed when healthy runs of 1.14 and 1.15 print their migration", () => {
      const stderr =
        "Performing one time database migration, may take a few minutes...\nsqlite-migration:done\nDatabase migration complete.\n"
      expect(decide({ events: finished, exit: code(0), stderr })).toEqual(success("stop"))
      expect(decide({ events: [], exit: code(1), stderr })).toEqual(exited(1))
    })
  })

  describe("session errors", () => {
    it("keep OpenCode's message, and the object without secret headers", () => {
      const failed = left({
        events: [
          start,
          error("APIError", {
            message: "Rate limit reached",
            statusCode: 429,
            isRetryable: true,
            responseHeaders: { "retry-after": "7", "set-cookie": "sid=canary-value", "x-request-id": "req_1" },
            responseBody: "x".repeat(10_000)
          })
        ],
        exit: code(1)
      })
      expect(failed).toMatchObject({
        _tag: "OpenCodeSessionError",
        kind: "rate-limit",
        errorName: "APIError",
        reason: "Rate limit reached",
        statusCode: 429,
        retryable: true,
        retryAfter: Duration.seconds(7),
        error: { name: "APIError", data: { responseHeaders: { "retry-after": "7", "x-request-id": "req_1" } } }
      })
      const encoded = JSON.stringify(Schema.encodeSync(OpenCodeError.OpenCodeError)(failed))
      expect(encoded).not.toContain("canary-value")
      expect(encoded).not.toContain("x".repeat(2001))
    })

    it("are cleaned by the run's own redaction", () => {
      const failed = Either.getOrThrow(Either.flip(verdicts.decide({
        ...facts({ events: [error("APIError", { message: "bad key canary", responseBody: "canary" })], exit: code(1) }),
        redact: (text) => text.replaceAll("canary", "<redacted>")
      })))
      expect(JSON.stringify(failed)).not.toContain("canary")
      expect(failed.message).not.toContain("canary")
    })

    it("of an unexpected kind are explained by the log on stderr", () => {
      const unexpected = error("UnknownError", { message: "Unexpected server error. Check server logs for details." })
      const stderr = "error=\"ProviderModelNotFoundError: Model not found: fake/nope.\""
      expect(decide({ events: [unexpected], exit: code(1), stderr })).toEqual(session("model-not-found"))
      const cause = "cause=\"Cause([Fail(ProviderModelNotFoundError: Model not found: fake/nope.)])\""
      for (const log of [stderr, cause]) {
        expect(left({ events: [unexpected], exit: code(1), stderr: log })).toMatchObject({
          reason: "Model not found: fake/nope."
        })
      }
      expect(decide({ events: [unexpected], exit: code(1) })).toEqual(session("other"))
    })
  })

  describe("any facts", () => {
    const any = {
      events: arbitraries.events,
      exit: arbitraries.exit,
      guard: arbitraries.guard,
      stderr: arbitraries.stderr,
      survivors: fc.array(fc.nat(), { maxLength: 2 })
    }

    it.prop("lead to exactly one outcome, always the same, that survives JSON", any, (input) => {
      const decided = verdicts.decide(facts(input))
      expect(outcomeOf(verdicts.decide(facts(input)))).toEqual(outcomeOf(decided))
      const error = Either.getOrUndefined(Either.flip(decided))
      if (error !== undefined) {
        const wire = Schema.encodeSync(OpenCodeError.OpenCodeError)(error)
        const back = Schema.decodeUnknownSync(OpenCodeError.OpenCodeError)(JSON.parse(JSON.stringify(wire)))
        expect(back._tag).toBe(error._tag)
        expect(back.message).toBe(error.message)
      }
    }, { fastCheck: { numRuns: 300 } })

    it.prop("are a success only where the conversation finished and nothing is left", any, (input) => {
      const decided = verdicts.decide(facts(input))
      const evidence = sum(input.events)
      const finished = Either.getOrUndefined(decided)
      if (finished !== undefined) {
        expect(input.guard?._tag ?? "ExitGrace").toBe("ExitGrace")
        expect(input.survivors).toEqual([])
        expect(evidence.pendingError).toBeUndefined()
        expect(evidence.finished).toBe(true)
        expect(["stop", "length", "content-filter"]).toContain(finished.finishReason)
        expect(finished.forced).toBe(input.guard !== undefined)
      }
    }, { fastCheck: { numRuns: 300 } })

    it.prop(
      "with a guard that ended the run lead to that guard's error",
      { ...any, guard: arbitraries.endingGuard },
      (input) => {
        const tags = {
          Timeout: "OpenCodeTimeoutError",
          Budget: "OpenCodeBudgetError",
          AgentFallback: "OpenCodeConfigError",
          ProviderRetries: "OpenCodeSessionError"
        }
        expect(decide(input).tag).toBe(tags[input.guard._tag])
      },
      { fastCheck: { numRuns: 300 } }
    )
  })
})
