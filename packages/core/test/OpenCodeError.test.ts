import { describe, expect, it } from "@effect/vitest"
import { OpenCodeError as E, RunEvent } from "effect-opencode"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { eventsOf, partial } from "./support/facts.js"
import * as fixtures from "./support/fixtures.js"

/** Stands for the prompt and the answer: neither belongs in a log line. */
const canary = "canary-answer-7d1e"

const seen = partial({
  runId: "run-4711",
  cwd: "/srv/place",
  sessionId: "ses_42",
  eventCount: 3,
  text: canary,
  usage: { total: 30, input: 20, output: 10, reasoning: 0, cacheRead: 0, cacheWrite: 0 },
  cost: 0.5,
  steps: 1,
  stderr: "the last line",
  attempts: 2,
  events: [
    ...eventsOf(fixtures.get("1.17.19/http-401-second-step").stdout),
    RunEvent.fromWire({ type: "text", part: { text: canary } }),
    { _tag: "PermissionRejected", permission: "bash", patterns: ["rm *"] }
  ],
  rawLines: [`{"type":"text","text":"${canary}"}`],
  survivors: []
})

interface Case {
  readonly error: E.OpenCodeError
  /** The message must say what happened and what to do about it. */
  readonly says: ReadonlyArray<string>
}

const cases: ReadonlyArray<Case> = [
  {
    error: new E.OpenCodeBinaryNotFoundError({
      binary: "opencode",
      reason: "not-found",
      searched: ["/usr/bin", "/opt/bin"]
    }),
    says: ["\"opencode\"", "not found", "/usr/bin, /opt/bin", "npm install opencode-ai", "OPENCODE_BINARY"]
  },
  {
    error: new E.OpenCodeBinaryNotFoundError({ binary: "/x/opencode", reason: "not-executable", searched: [] }),
    says: ["\"/x/opencode\"", "not an executable", "make it executable"]
  },
  {
    error: new E.OpenCodeVersionError({
      binary: "/x/opencode",
      version: "1.13.0",
      option: "pure",
      reason: "`pure` needs OpenCode 1.14.0"
    }),
    says: ["1.13.0", "/x/opencode", "`pure` needs OpenCode 1.14.0"]
  },
  {
    error: new E.OpenCodeVersionError({ binary: "/x/opencode", reason: "it could not be asked" }),
    says: ["unknown version", "/x/opencode", "it could not be asked"]
  },
  {
    error: new E.OpenCodeConfigError({ path: "permission.edit.*.py", reason: "use \"allow\" or \"deny\"" }),
    says: ["`permission.edit.*.py`", "use \"allow\" or \"deny\""]
  },
  {
    error: new E.OpenCodeSpawnError({ binary: "/x/opencode", cwd: "/srv/place", reason: "E2BIG" }),
    says: ["/x/opencode", "/srv/place", "E2BIG"]
  },
  {
    error: new E.OpenCodeSpawnError({ binary: "/x/opencode", cwd: "/srv/place", reason: "EMFILE", hint: "do this" }),
    says: ["/x/opencode", "/srv/place", "EMFILE", "Hint: do this."]
  },
  {
    error: new E.OpenCodeSqliteError({ signature: "database is locked", exitCode: 1, partial: seen }),
    says: ["database is locked", "2 attempts", "Isolate", "startup.concurrency", "retries", "the last line"]
  },
  {
    error: new E.OpenCodeProcessError({ exitCode: 3, hint: "do this", partial: seen }),
    says: ["code 3", "3 events", "Hint: do this", "the last line"]
  },
  { error: new E.OpenCodeProcessError({ signal: "SIGKILL", partial: seen }), says: ["SIGKILL", "the last line"] },
  { error: new E.OpenCodeProcessError({ partial: seen }), says: ["ended in an unknown way"] },
  {
    error: new E.OpenCodeSessionError({
      kind: "authentication",
      errorName: "APIError",
      reason: "Incorrect API key provided",
      statusCode: 401,
      retryable: false,
      providerRetries: 2,
      error: { name: "APIError", data: { message: "Incorrect API key provided" } },
      partial: seen
    }),
    says: ["APIError", "authentication", "HTTP 401", "Incorrect API key provided", "2 failed attempts", "credentials"]
  },
  {
    error: new E.OpenCodeSessionError({
      kind: "rate-limit",
      errorName: "ProviderRetryLimit",
      reason: "Rate limit reached",
      retryable: true,
      retryAfter: Duration.seconds(2),
      providerRetries: 10,
      error: undefined,
      partial: seen
    }),
    says: ["rate-limit", "Rate limit reached", "Run fewer agents"]
  },
  {
    error: new E.OpenCodePermissionError({ permission: "bash", patterns: ["rm *", "ls"], partial: seen }),
    says: ["bash (rm *, ls)", "nobody could grant", "Allow or deny it in `permission`"]
  },
  {
    error: new E.OpenCodePermissionError({ permission: "doom_loop", patterns: [], partial: seen }),
    says: ["doom_loop", "`permission`"]
  },
  {
    error: new E.OpenCodeIncompleteError({ finishReason: "tool-calls", exitCode: 0, partial: seen }),
    says: ["code 0", "did not finish", "\"tool-calls\"", "3 events", "the last line"]
  },
  {
    error: new E.OpenCodeIncompleteError({ partial: seen }),
    says: ["did not finish", "no step had finished"]
  },
  {
    error: new E.OpenCodeTimeoutError({ phase: "startup", limit: Duration.millis(1500), partial: seen }),
    says: ["no event within 1.5 s", "`startupTimeout`", "the last line"]
  },
  {
    error: new E.OpenCodeTimeoutError({ phase: "idle", limit: Duration.minutes(1), partial: seen }),
    says: ["no event for 60 s", "`idleTimeout`"]
  },
  {
    error: new E.OpenCodeTimeoutError({ phase: "total", limit: Duration.hours(2), partial: seen }),
    says: ["did not end within 7200 s", "`timeout`"]
  },
  {
    error: new E.OpenCodeBudgetError({ scope: "run", limit: "cost", max: 1, reached: 1.25, partial: seen }),
    says: ["cost budget", "1.25", "at most $1.00"]
  },
  {
    error: new E.OpenCodeBudgetError({ scope: "run", limit: "steps", max: 2, reached: 2, partial: seen }),
    says: ["needs more than its steps budget (2 of 2 used)"]
  },
  {
    error: new E.OpenCodeBudgetError({ scope: "fleet", limit: "tokens", max: 100, reached: 120 }),
    says: ["not started", "fleet", "tokens", "120 of 100"]
  },
  {
    error: new E.OpenCodeCancelledError({ signal: "SIGTERM", partial: seen }),
    says: ["cancelled from outside", "SIGTERM", "3 events"]
  },
  { error: new E.OpenCodeCancelledError({ partial: seen }), says: ["cancelled from outside"] },
  {
    error: new E.OpenCodeOutputError({
      reason: "mismatch",
      issues: "└─ [\"name\"] is missing",
      attempts: 3,
      runId: "run-4711",
      sessionId: "ses_42",
      answer: "{\"nome\":1}",
      usage: seen.usage,
      cost: 0.5,
      steps: 3,
      duration: Duration.seconds(1)
    }),
    says: ["does not match the schema", "3 attempts", "ses_42", "run-4711", "[\"name\"] is missing", "`repairs`"]
  },
  {
    error: new E.OpenCodeOutputError({
      reason: "no-json",
      issues: "",
      attempts: 1,
      runId: "run-4711",
      answer: "",
      usage: seen.usage,
      cost: 0,
      steps: 1,
      duration: Duration.seconds(1)
    }),
    says: ["no JSON value", "1 attempt,", "run run-4711"]
  },
  {
    error: new E.OpenCodeServerError({ reason: "start-failed", exitCode: 1, stderr: "port is taken" }),
    says: ["server could not be started", "code 1", "before it listened", "stderr: port is taken"]
  },
  {
    error: new E.OpenCodeServerError({ reason: "start-timeout", detail: "not within 1m", stderr: "" }),
    says: ["did not listen in time", "not within 1m", "`startTimeout`"]
  },
  {
    error: new E.OpenCodeServerError({
      reason: "exited",
      url: "http://127.0.0.1:4096",
      signal: "SIGKILL",
      stderr: "out of memory",
      partial: seen
    }),
    says: ["http://127.0.0.1:4096", "by SIGKILL", "while it was in use", "next run", "stderr: out of memory"]
  },
  {
    error: new E.OpenCodeServerError({
      reason: "unreachable",
      url: "http://host:1",
      request: "POST /session/:id/abort",
      detail: "connect ECONNREFUSED",
      stderr: ""
    }),
    says: ["http://host:1 does not answer", "POST /session/:id/abort", "connect ECONNREFUSED. Check the address"]
  },
  {
    error: new E.OpenCodeServerError({ reason: "unauthorized", url: "http://host:1", status: 401, stderr: "" }),
    says: ["http://host:1 refused the password", "OPENCODE_SERVER_PASSWORD"]
  },
  {
    error: new E.OpenCodeServerError({
      reason: "refused",
      url: "http://host:1",
      request: "GET /session/:id",
      status: 404,
      detail: "Session not found: ses_x",
      stderr: ""
    }),
    says: ["http://host:1 refused a request with HTTP 404", "GET /session/:id", "Session not found: ses_x."]
  },
  {
    error: new E.OpenCodeServerError({ reason: "unexpected-reply", url: "http://host:1", status: 200, stderr: "" }),
    says: ["sent an unexpected reply", "HTTP 200", "supported version"]
  }
]

describe("OpenCodeError", () => {
  it("has a case here for every error of the union", () => {
    const tags = E.OpenCodeError.members.map((member) => member._tag)
    expect([...new Set(cases.map(({ error }) => error._tag))].sort()).toEqual([...tags].sort())
  })

  cases.forEach(({ error, says }, index) => {
    describe(`${error._tag} (${index})`, () => {
      it("survives JSON, with its partial facts", () => {
        const wire: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(E.OpenCodeError)(error)))
        const back = Schema.decodeUnknownSync(E.OpenCodeError)(wire)
        expect(back).toBeInstanceOf(error.constructor)
        expect({ ...back }).toEqual({ ...error })
        expect(back.message).toBe(error.message)
        expect(E.partialOf(back)).toEqual(E.partialOf(error))
      })

      it("says what happened and what to do", () => {
        for (const words of says) expect(error.message).toContain(words)
      })

      it("names the run, if there was one, and nothing of the conversation", () => {
        const facts = E.partialOf(error)
        if (facts !== undefined) {
          for (const words of ["ses_42", "run-4711", "/srv/place"]) expect(error.message).toContain(words)
        }
        expect(error.message).not.toContain(canary)
        expect(error.message).not.toMatch(/undefined|\[object|NaN/)
      })

      it("names the remaining processes", () => {
        const facts = E.partialOf(error)
        if (facts === undefined) return
        const wire = Schema.encodeSync(E.OpenCodeError)(error)
        const left = Schema.decodeUnknownSync(E.OpenCodeError)({
          ...wire,
          partial: { ...Schema.encodeSync(E.RunSnapshot)(facts), survivors: [11, 12] }
        })
        expect(left.message).toContain("11, 12")
      })
    })
  })

  it("prints its tag first, however it is printed", () => {
    const tags = E.OpenCodeError.members.map((member) => member.identifier.replace("effect-opencode/", ""))
    expect(new Set(cases.map(({ error }) => error._tag))).toEqual(new Set(tags))
    for (const { error } of cases) {
      expect(error).toBeInstanceOf(Error)
      expect(error.name).toBe(error._tag)
      expect(String(error)).toMatch(new RegExp(`^${error._tag}: `))
      expect(Cause.pretty(Cause.fail(error))).toMatch(new RegExp(`^${error._tag}: `))
    }
  })

  it("shows only the end of a long stderr", () => {
    const { message } = new E.OpenCodeProcessError({
      exitCode: 1,
      partial: { ...seen, stderr: `${"x".repeat(10_000)}the end` }
    })
    expect(message).toContain("the end")
    expect(message).not.toContain("x".repeat(2001))
  })

  it("has no partial before a run has begun", () => {
    expect(E.partialOf(new E.OpenCodeConfigError({ path: "model", reason: "no" }))).toBeUndefined()
    expect(E.partialOf(new E.OpenCodeCancelledError({ partial: seen }))).toEqual(seen)
  })
})
