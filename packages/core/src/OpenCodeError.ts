/**
 * The errors of this library. Each tag is a case that a caller handles differently; each run error carries what was
 * seen so far as `partial`, and a `message` that says what happened, to which run, and what to do. Secrets are masked
 * in messages and in `partial.stderr`.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { MakeOptions } from "effect/Schema"
import * as budgets from "./internal/opencode/budget.js"
import { isFinal } from "./internal/opencode/finishReason.js"
import { DurationInMillis } from "./internal/util/durationInMillis.js"
import * as schemas from "./internal/util/schemas.js"
import { unchecked } from "./internal/util/unchecked.js"
import { RunEvent, SessionErrorKind } from "./RunEvent.js"
import { TokenUsage } from "./TokenUsage.js"

/**
 * What a run had done when it ended without success.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunSnapshot extends Schema.Schema.Type<typeof RunSnapshot> {}

/**
 * @since 0.1.0
 * @category schemas
 */
export const RunSnapshot = Schema.Struct({
  /** The id of the run; OpenCode's processes have it in their environment. */
  runId: Schema.String,
  cwd: Schema.String,
  sessionId: Schema.optional(Schema.String),
  /** Events that OpenCode printed, without diagnostics. */
  eventCount: schemas.AnyNumber,
  /** What the agent said so far: all of it with `run`, the last 64 KiB with `stream`. */
  text: Schema.String,
  usage: TokenUsage,
  /** US dollars. */
  cost: schemas.AnyNumber,
  /** `true` if some of the cost is unknown and not in `cost`: OpenCode reports 0 for a model without a price. */
  unpriced: Schema.optional(Schema.Boolean),
  /** Steps that began. */
  steps: schemas.AnyNumber,
  /** The last 64 KiB of stderr, without ANSI codes and secrets. */
  stderr: Schema.String,
  /** Starts of the process, retries included. */
  attempts: schemas.AnyNumber,
  /** The time since the run was requested. In JSON: milliseconds. */
  duration: DurationInMillis,
  /** All events: with `run` only, `stream` has handed them out already. */
  events: Schema.optional(Schema.Array(RunEvent)),
  /** The lines of stdout, with `run` and `keepRaw`. */
  rawLines: Schema.optional(Schema.Array(Schema.String)),
  /** Processes of the run that could not be ended. */
  survivors: Schema.Array(schemas.AnyNumber),
  /** Lines of stdout that look like events and could not be read; see `RunResult.lostLines`. */
  lostLines: Schema.optional(schemas.AnyNumber)
})

const lostOf = ({ lostLines = 0 }: RunSnapshot): string =>
  lostLines === 0 ? "" : ` (${plural(lostLines, "line")} of stdout that could be events cannot be read)`

const where = (partial: RunSnapshot): string =>
  `${partial.sessionId === undefined ? "" : `session ${partial.sessionId}, `}run ${partial.runId} in ${partial.cwd}${
    lostOf(partial)
  }`

const seconds = (duration: Duration.Duration): string => `${Number(Duration.toSeconds(duration).toFixed(3))} s`

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

/** The reason is at the end of stderr; a longer excerpt would drown the log line that shows it. */
const shownStderr = 2000

const stderrOf = (partial: RunSnapshot): string => {
  const text = partial.stderr.trim()
  return text === "" ? "" : `\nstderr: ${text.slice(-shownStderr)}`
}

const survivorsOf = (partial: RunSnapshot): string =>
  partial.survivors.length === 0 ? "" : ` Could not be killed, still running: pid ${partial.survivors.join(", ")}.`

/**
 * The `opencode` binary was not found or is not executable.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeBinaryNotFoundError
  extends Schema.TaggedError<OpenCodeBinaryNotFoundError>("effect-opencode/OpenCodeBinaryNotFoundError")(
    "OpenCodeBinaryNotFoundError",
    {
      binary: Schema.String,
      reason: Schema.Literal("not-found", "not-executable"),
      /** The directories or files that were searched, in order. */
      searched: Schema.Array(Schema.String)
    }
  )
{
  override get message(): string {
    return this.reason === "not-executable"
      ? `The OpenCode binary "${this.binary}" exists but is not an executable file; make it executable or pass another \`binary\`.`
      : `The OpenCode binary "${this.binary}" was not found. Searched: ${
        this.searched.length === 0 ? "nothing (PATH is empty)" : this.searched.join(", ")
      }. Install it (npm install opencode-ai), set OPENCODE_BINARY, or pass \`binary\`.`
  }
}

/**
 * The installed version of OpenCode is not supported, or lacks an option that was used.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeVersionError
  extends Schema.TaggedError<OpenCodeVersionError>("effect-opencode/OpenCodeVersionError")("OpenCodeVersionError", {
    binary: Schema.String,
    /** The output of `opencode --version`; `undefined` if it could not be run. */
    version: Schema.optional(Schema.String),
    /** The option that the version lacks; `undefined` when the version as a whole is the problem. */
    option: Schema.optional(Schema.String),
    reason: Schema.String
  })
{
  override get message(): string {
    return `OpenCode ${this.version ?? "of unknown version"} (${this.binary}): ${this.reason}`
  }
}

/**
 * An option has an invalid value. Raised before anything is spawned, except for `agent`, which only OpenCode can check:
 * it is caught at start-up, before the model is asked.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeConfigError
  extends Schema.TaggedError<OpenCodeConfigError>("effect-opencode/OpenCodeConfigError")("OpenCodeConfigError", {
    /** The option, dotted (`permission.edit.*.py`). */
    path: Schema.String,
    reason: Schema.String
  })
{
  override get message(): string {
    return `The option \`${this.path}\` cannot be used: ${this.reason}`
  }
}

/**
 * The process could not be started.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeSpawnError
  extends Schema.TaggedError<OpenCodeSpawnError>("effect-opencode/OpenCodeSpawnError")("OpenCodeSpawnError", {
    binary: Schema.String,
    cwd: Schema.String,
    /** The platform's message, or the system's error code: `NotFound`, `PermissionDenied`, `E2BIG`, `EMFILE`, … */
    reason: Schema.String,
    /** How to fix it. */
    hint: Schema.optional(Schema.String)
  })
{
  override get message(): string {
    return `OpenCode (${this.binary}) could not be started in ${this.cwd}: ${this.reason}.${
      this.hint === undefined ? "" : ` Hint: ${this.hint}.`
    }`
  }
}

/**
 * OpenCode crashed on its SQLite database during start-up, before any event. Processes that share a data directory can
 * cause this for each other (1.15.13 to 1.18.33). Nothing was done yet, so it is safe to try again; the layer's `retry`
 * is already exhausted.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeSqliteError
  extends Schema.TaggedError<OpenCodeSqliteError>("effect-opencode/OpenCodeSqliteError")("OpenCodeSqliteError", {
    /** The known text that was found on stderr. */
    signature: Schema.String,
    exitCode: Schema.optional(schemas.AnyNumber),
    partial: RunSnapshot
  })
{
  override get message(): string {
    return `OpenCode crashed on its database during start-up (${this.signature}), ${
      plural(this.partial.attempts, "attempt")
    }, ${where(this.partial)}. Isolate the runs, lower \`startup.concurrency\` or allow more retries.${
      survivorsOf(this.partial)
    }${stderrOf(this.partial)}`
  }
}

/**
 * The process ended with a code other than 0, or by a signal that this library did not send, and no more specific error
 * applies; or processes of the run could not be ended.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeProcessError
  extends Schema.TaggedError<OpenCodeProcessError>("effect-opencode/OpenCodeProcessError")("OpenCodeProcessError", {
    exitCode: Schema.optional(schemas.AnyNumber),
    signal: Schema.optional(Schema.String),
    hint: Schema.optional(Schema.String),
    partial: RunSnapshot
  })
{
  override get message(): string {
    const ending = this.signal !== undefined
      ? `was ended by ${this.signal}`
      : this.exitCode !== undefined
      ? `exited with code ${this.exitCode}`
      : "ended in an unknown way"
    return `OpenCode ${ending} after ${plural(this.partial.eventCount, "event")}, ${where(this.partial)}.${
      this.hint === undefined ? "" : ` Hint: ${this.hint}.`
    }${survivorsOf(this.partial)}${stderrOf(this.partial)}`
  }
}

const advice: { readonly [K in SessionErrorKind]?: string } = {
  "authentication": "Check the provider's credentials (`opencode auth login`, or the API key in the environment).",
  "quota": "The account has no quota left; raise it or use another provider.",
  "rate-limit": "Run fewer agents at once, or wait.",
  "context-overflow": "Give the agent a smaller task or a model with a larger context.",
  "model-not-found": "Check `model` against `opencode models`.",
  "provider-unavailable": "The provider cannot be reached or is failing; try again later."
}

/**
 * OpenCode reported an error of its own (provider, model, context, …) and did not recover from it. Branch on `kind`;
 * `errorName` and `statusCode` are as OpenCode reports them. `error` is the object that OpenCode printed, with harmless
 * response headers only and the body cut at 2,000 characters, both with secrets masked.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeSessionError
  extends Schema.TaggedError<OpenCodeSessionError>("effect-opencode/OpenCodeSessionError")("OpenCodeSessionError", {
    kind: SessionErrorKind,
    /** OpenCode's name of the error: `APIError`, `ContextOverflowError`, … */
    errorName: Schema.String,
    /** OpenCode's own message. */
    reason: Schema.String,
    statusCode: Schema.optional(schemas.AnyNumber),
    retryable: Schema.optional(Schema.Boolean),
    /** How long the provider asked to wait. In JSON: milliseconds. */
    retryAfter: Schema.optional(DurationInMillis),
    /** Failed attempts at the provider that OpenCode logged. */
    providerRetries: schemas.AnyNumber,
    error: Schema.optional(schemas.AnyValue),
    partial: RunSnapshot
  })
{
  override get message(): string {
    const status = this.statusCode === undefined ? "" : `, HTTP ${this.statusCode}`
    const retries = this.providerRetries === 0 ? "" : `, after ${plural(this.providerRetries, "failed attempt")}`
    return `OpenCode reported ${this.errorName} (${this.kind}${status}${retries}): ${
      this.reason.replace(/[.\s]+$/, "")
    }. ${advice[this.kind] === undefined ? "" : `${advice[this.kind]} `}[${where(this.partial)}]${
      survivorsOf(this.partial)
    }`
  }
}

/**
 * OpenCode rejected a permission that nobody could grant, which ended the run (with exit code 0).
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodePermissionError
  extends Schema.TaggedError<OpenCodePermissionError>("effect-opencode/OpenCodePermissionError")(
    "OpenCodePermissionError",
    {
      permission: Schema.String,
      patterns: Schema.Array(Schema.String),
      partial: RunSnapshot
    }
  )
{
  override get message(): string {
    const what = this.patterns.length === 0 ? this.permission : `${this.permission} (${this.patterns.join(", ")})`
    return `The run ended because OpenCode asked for a permission that nobody could grant: ${what}. ` +
      `Allow or deny it in \`permission\`. [${where(this.partial)}]${survivorsOf(this.partial)}`
  }
}

/**
 * OpenCode ended without an error, but the conversation did not finish: the last events were lost or the last step
 * asked for more. Also raised if it finished but its answer was on lines that cannot be read (`partial.lostLines`).
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeIncompleteError
  extends Schema.TaggedError<OpenCodeIncompleteError>("effect-opencode/OpenCodeIncompleteError")(
    "OpenCodeIncompleteError",
    {
      /** The reason of the last finished step; `undefined` if none finished. */
      finishReason: Schema.optional(Schema.String),
      exitCode: Schema.optional(schemas.AnyNumber),
      partial: RunSnapshot
    }
  )
{
  override get message(): string {
    const last = this.finishReason === undefined
      ? "no step had finished"
      : `the last step finished with "${this.finishReason}"${
        !isFinal(this.finishReason)
          ? ""
          : (this.partial.lostLines ?? 0) > 0
          ? ", and its text is lost"
          : ", then OpenCode continued by itself"
      }`
    return `OpenCode exited${
      this.exitCode === undefined ? "" : ` with code ${this.exitCode}`
    } but the conversation did ` +
      `not finish: ${last} after ${plural(this.partial.eventCount, "event")}, ${where(this.partial)}.${
        survivorsOf(this.partial)
      }${stderrOf(this.partial)}`
  }
}

/**
 * A time limit was reached and the run was ended: `startup` (no event yet), `idle` (no further event), `total` (all
 * attempts together).
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeTimeoutError
  extends Schema.TaggedError<OpenCodeTimeoutError>("effect-opencode/OpenCodeTimeoutError")("OpenCodeTimeoutError", {
    phase: Schema.Literal("startup", "idle", "total"),
    /** In JSON: milliseconds. */
    limit: DurationInMillis,
    partial: RunSnapshot
  })
{
  override get message(): string {
    const what = {
      startup: `printed no event within ${seconds(this.limit)} of its start (\`startupTimeout\`)`,
      idle: `printed no event for ${seconds(this.limit)} (\`idleTimeout\`)`,
      total: `did not end within ${seconds(this.limit)} (\`timeout\`)`
    }
    return `OpenCode ${what[this.phase]} and was ended after ${plural(this.partial.eventCount, "event")}, ${
      where(this.partial)
    }.${survivorsOf(this.partial)}${stderrOf(this.partial)}`
  }
}

/** What to do if OpenCode has no price for a model. */
const pricing = "Give the model a price in `configOverrides.provider.<id>.models.<id>.cost` (0 if it is free), limit " +
  "`tokens` instead, or set `unpriced` to \"allow\"."

/**
 * A budget was crossed: the run's own, which ended it, or the fleet's, which kept it from starting. With `unpriced:
 * "error"` also raised when a cost limit cannot be enforced because a step used tokens at an unknown cost; such a step
 * ends the run, for the fleet's limit, too.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeBudgetError
  extends Schema.TaggedError<OpenCodeBudgetError>("effect-opencode/OpenCodeBudgetError")("OpenCodeBudgetError", {
    scope: Schema.Literal("run", "fleet"),
    limit: Schema.Literal("steps", "cost", "tokens", "toolCalls"),
    max: schemas.AnyNumber,
    reached: schemas.AnyNumber,
    /** `true` if the limit was not crossed but the cost is unknown to OpenCode, see `Budget.unpriced`. */
    unpriced: Schema.optional(Schema.Boolean),
    /** What the run had done; `undefined` if it was not started. */
    partial: Schema.optional(RunSnapshot)
  })
{
  override get message(): string {
    const whose = this.scope === "fleet" ? "the fleet's" : "its"
    const [reached, max] = budgets.figures(this.limit, this.reached, this.max)
    if (this.unpriced === true) {
      return this.partial === undefined
        ? `The run was not started: what the fleet has spent is unknown, so ${whose} cost budget (${max}) cannot be ` +
          `kept. ${pricing}`
        : `The run was ended: OpenCode does not know what it costs (${plural(this.partial.usage.total, "token")}, ` +
          `${
            budgets.figures("cost", this.partial.cost, this.max)[0]
          }), so ${whose} cost budget (${max}) cannot be enforced. ` +
          `${pricing} [${where(this.partial)}]${survivorsOf(this.partial)}`
    }
    return this.partial === undefined
      ? `The run was not started: the fleet's ${this.limit} budget is used up (${reached} of ${max}).`
      : `The run was ended: it ${
        budgets.isCrossed(this.reached, this.max)
          ? `crossed its ${this.limit} budget (${reached}, at most ${max})`
          // A turn that is still to come.
          : `needs more than its ${this.limit} budget (${reached} of ${max} used)`
      }, ${where(this.partial)}.${survivorsOf(this.partial)}`
  }
}

/**
 * The run was aborted from outside: SIGINT, SIGTERM or SIGHUP that this library did not send, or OpenCode's own
 * abort.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeCancelledError
  extends Schema.TaggedError<OpenCodeCancelledError>("effect-opencode/OpenCodeCancelledError")(
    "OpenCodeCancelledError",
    {
      signal: Schema.optional(Schema.String),
      partial: RunSnapshot
    }
  )
{
  override get message(): string {
    return `OpenCode was cancelled from outside${this.signal === undefined ? "" : ` by ${this.signal}`} after ${
      plural(this.partial.eventCount, "event")
    }, ${where(this.partial)}.${survivorsOf(this.partial)}`
  }
}

/** How much of the end of the answer, where the value should be, a log line shows. */
const shownAnswer = 500

/** An issue tree starts with what was expected, so the beginning is kept. */
const shownIssues = 2000

/**
 * The agent's answer did not decode with the requested Schema, even after the `repairs` that are allowed. The
 * conversations themselves finished.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeOutputError
  extends Schema.TaggedError<OpenCodeOutputError>("effect-opencode/OpenCodeOutputError")("OpenCodeOutputError", {
    /** Why the last answer failed: without JSON, with invalid JSON, or with JSON that does not match the Schema. */
    reason: Schema.Literal("no-json", "invalid-json", "mismatch"),
    /** The problem with the last answer; for a mismatch, the issues as a tree. */
    issues: Schema.String,
    /** Number of answers, including the first. */
    attempts: schemas.AnyNumber,
    /** The id of the first run. */
    runId: Schema.String,
    sessionId: Schema.optional(Schema.String),
    /** The last answer. */
    answer: Schema.String,
    /** Of all answers. */
    usage: TokenUsage,
    /** US dollars, of all answers. */
    cost: schemas.AnyNumber,
    /** `true` if some of the cost is unknown and not in `cost`. */
    unpriced: Schema.optional(Schema.Boolean),
    /** Steps that began, of all answers. */
    steps: schemas.AnyNumber,
    /** Of all answers. In JSON: milliseconds. */
    duration: DurationInMillis
  })
{
  override get message(): string {
    const what = {
      "no-json": "has no JSON value",
      "invalid-json": "has no valid JSON value",
      "mismatch": "does not match the schema"
    }
    const answer = this.answer.trim()
    const session = this.sessionId === undefined ? "" : `session ${this.sessionId}, `
    return `The agent's answer ${what[this.reason]}, after ${
      plural(this.attempts, "attempt")
    }, ${session}run ${this.runId}. ` +
      `Describe the value in the prompt, make the schema simpler, or allow more \`repairs\`.${
        this.reason === "no-json" ? "" : `\nissues: ${this.issues.slice(0, shownIssues)}`
      }${answer === "" ? "" : `\nanswer: ${answer.slice(-shownAnswer)}`}`
  }
}

const serverAdvice: { readonly [reason: string]: string | undefined } = {
  "start-timeout": "Raise `startTimeout`, or check what slows the machine down.",
  "exited": "The next run starts a new server.",
  "unreachable": "Check the address and that the server is running; the run can be retried.",
  "unauthorized": "Pass the OPENCODE_SERVER_PASSWORD that the server was started with as `password`.",
  "unexpected-reply": "Check that it is an OpenCode server of a supported version."
}

/**
 * The server behind the runs (`OpenCodeServer`) could not be started, has ended, or sent an unexpected reply. The next
 * run starts or contacts a server again; what the failed run did on disk is kept.
 *
 * - `start-failed`: the process ended before it listened.
 * - `start-timeout`: it did not listen in time.
 * - `exited`: it ended while it was in use.
 * - `unreachable`: no connection, or no reply in time.
 * - `unauthorized`: the password is not the server's.
 * - `refused`: it answered with an error, see `status` and `detail`.
 * - `unexpected-reply`: its reply is not one that OpenCode 1.18 sends.
 *
 * @since 0.1.0
 * @category errors
 */
export class OpenCodeServerError
  extends Schema.TaggedError<OpenCodeServerError>("effect-opencode/OpenCodeServerError")("OpenCodeServerError", {
    reason: Schema.Literal(
      "start-failed",
      "start-timeout",
      "exited",
      "unreachable",
      "unauthorized",
      "refused",
      "unexpected-reply"
    ),
    /** Without credentials; `undefined` if the server never listened. */
    url: Schema.optional(Schema.String),
    /** The method and route of the request: `POST /session/:id/abort`. */
    request: Schema.optional(Schema.String),
    /** The HTTP status of the answer. */
    status: Schema.optional(schemas.AnyNumber),
    /** Further details, without secrets. */
    detail: Schema.optional(Schema.String),
    exitCode: Schema.optional(schemas.AnyNumber),
    signal: Schema.optional(Schema.String),
    /** The last 64 KiB of the server's stderr, without ANSI codes and secrets. */
    stderr: Schema.String,
    /** What the run had done; `undefined` if it had not begun. */
    partial: Schema.optional(RunSnapshot)
  })
{
  override get message(): string {
    const at = this.url === undefined ? "" : ` at ${this.url}`
    const request = this.request === undefined ? "" : ` (${this.request})`
    const status = this.status === undefined ? "" : ` with HTTP ${this.status}`
    const ending = this.signal !== undefined
      ? `by ${this.signal}`
      : this.exitCode !== undefined
      ? `with code ${this.exitCode}`
      : "in an unknown way"
    const what = {
      "start-failed": `could not be started: it ended ${ending} before it listened`,
      "start-timeout": "did not listen in time and was ended",
      "exited": `${at.slice(1)} ended ${ending} while it was in use`.trimStart(),
      "unreachable": `${at.slice(1)} does not answer${request}`.trimStart(),
      "unauthorized": `${at.slice(1)} refused the password${request}`.trimStart(),
      "refused": `${at.slice(1)} refused a request${status}${request}`.trimStart(),
      "unexpected-reply": `${at.slice(1)} sent an unexpected reply${status}${request}`.trimStart()
    }
    const detail = this.detail === undefined ? "" : `: ${this.detail.replace(/[.\s]+$/, "")}`
    const hint = serverAdvice[this.reason]
    const stderr = this.stderr.trim()
    return `The OpenCode server ${what[this.reason]}${detail}.${hint === undefined ? "" : ` ${hint}`}${
      this.partial === undefined ? "" : ` [${where(this.partial)}]${survivorsOf(this.partial)}`
    }${stderr === "" ? "" : `\nstderr: ${stderr.slice(-shownStderr)}`}`
  }
}

/**
 * The errors of a run: of `run` and `stream`, on the service and on a session.
 *
 * @since 0.1.0
 * @category errors
 */
export type RunError =
  | OpenCodeBinaryNotFoundError
  | OpenCodeVersionError
  | OpenCodeConfigError
  | OpenCodeSpawnError
  | OpenCodeSqliteError
  | OpenCodeProcessError
  | OpenCodeSessionError
  | OpenCodePermissionError
  | OpenCodeIncompleteError
  | OpenCodeTimeoutError
  | OpenCodeBudgetError
  | OpenCodeCancelledError
  | OpenCodeServerError

/**
 * The Schema of {@link RunError}: errors pass through JSON and RPC with their partial facts.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RunError = Schema.Union(
  OpenCodeBinaryNotFoundError,
  OpenCodeVersionError,
  OpenCodeConfigError,
  OpenCodeSpawnError,
  OpenCodeSqliteError,
  OpenCodeProcessError,
  OpenCodeSessionError,
  OpenCodePermissionError,
  OpenCodeIncompleteError,
  OpenCodeTimeoutError,
  OpenCodeBudgetError,
  OpenCodeCancelledError,
  OpenCodeServerError
)

/**
 * The errors of a run whose answer is decoded with a Schema: of `runSchema`, on the service and on a session.
 *
 * @since 0.1.0
 * @category errors
 */
export type SchemaError = RunError | OpenCodeOutputError

/**
 * The Schema of {@link SchemaError}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SchemaError = Schema.Union(...RunError.members, OpenCodeOutputError)

/**
 * The errors of queries that do not ask a model: `version`, `models` and the `export` of a session.
 *
 * @since 0.1.0
 * @category errors
 */
export type QueryError =
  | OpenCodeBinaryNotFoundError
  | OpenCodeVersionError
  | OpenCodeConfigError
  | OpenCodeSpawnError
  | OpenCodeProcessError
  | OpenCodeServerError

/**
 * The Schema of {@link QueryError}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const QueryError = Schema.Union(
  OpenCodeBinaryNotFoundError,
  OpenCodeVersionError,
  OpenCodeConfigError,
  OpenCodeSpawnError,
  OpenCodeProcessError,
  OpenCodeServerError
)

/**
 * The errors of opening a session with `session` or `resume`. The first turn starts what the session needs, and fails
 * with a {@link RunError}.
 *
 * @since 0.1.0
 * @category errors
 */
export type SessionOpenError = OpenCodeBinaryNotFoundError | OpenCodeConfigError

/**
 * The Schema of {@link SessionOpenError}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SessionOpenError = Schema.Union(OpenCodeBinaryNotFoundError, OpenCodeConfigError)

/**
 * Every error of this library: the union of {@link RunError}, {@link SchemaError}, {@link QueryError} and
 * {@link SessionOpenError}.
 *
 * @since 0.1.0
 * @category errors
 */
export type OpenCodeError = SchemaError | QueryError | SessionOpenError

/**
 * The Schema of {@link OpenCodeError}.
 *
 * @since 0.1.0
 * @category schemas
 */
export const OpenCodeError = SchemaError

/**
 * Returns what a run had done when it failed; `undefined` if it had not begun.
 *
 * @example
 * ```ts
 * import { OpenCode, OpenCodeError } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const program = OpenCode.run("Fix the failing test").pipe(
 *   Effect.tapError((error) => Effect.logError(error.message, OpenCodeError.partialOf(error)?.sessionId))
 * )
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const partialOf = (error: OpenCodeError): RunSnapshot | undefined =>
  "partial" in error ? error.partial : undefined

/** True if no step had begun: the model had not answered yet, so no tool can have run. */
const isUntouched = (partial: RunSnapshot | undefined): boolean =>
  partial === undefined ||
  (partial.steps === 0 && (partial.lostLines ?? 0) === 0 && partial.survivors.length === 0)

/** Shortages of the system that pass. */
const shortages: ReadonlyArray<string> = ["EAGAIN", "EMFILE", "ENFILE", "ENOMEM", "ETXTBSY", "Busy"]

/** Troubles of a provider that pass. */
const passing: ReadonlyArray<SessionErrorKind> = ["rate-limit", "provider-unavailable"]

/**
 * Returns true if the same run can be started again: its cause can pass by itself, and the run had not begun to act.
 *
 * | error | retryable |
 * |---|---|
 * | `OpenCodeSqliteError` | yes |
 * | `OpenCodeSessionError` of the kind `rate-limit` or `provider-unavailable` | if no step had begun and OpenCode does not call it final |
 * | `OpenCodeServerError` with `start-failed`, `start-timeout`, `exited` or `unreachable` | if the run had not begun |
 * | `OpenCodeTimeoutError` of the phase `startup` | if no step had begun |
 * | `OpenCodeSpawnError` for want of processes, files or memory | yes |
 * | any other | no |
 *
 * A run that breaks off later is not retryable, because its tools may have changed something, and OpenCode reports a
 * tool call only when it has ended. Repeat such a run only if that is harmless: a read-only run, or one in a worktree
 * that is thrown away. A turn of a session that is repeated is in the conversation twice.
 *
 * OpenCode itself repeats a request five times before it reports a rate limit (1.18.33).
 *
 * @example
 * ```ts
 * import { OpenCode, OpenCodeError } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const program = OpenCode.run("Fix the failing test").pipe(
 *   Effect.retry({ times: 1, while: OpenCodeError.isRetryable })
 * )
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const isRetryable = (error: OpenCodeError): boolean => {
  switch (error._tag) {
    case "OpenCodeSqliteError":
      return error.partial.survivors.length === 0
    case "OpenCodeSessionError":
      return passing.includes(error.kind) && error.retryable !== false && isUntouched(error.partial)
    case "OpenCodeServerError":
      // A server that cannot be reached may be working on the prompt.
      return ["start-failed", "start-timeout", "exited", "unreachable"].includes(error.reason) &&
        error.partial === undefined
    case "OpenCodeTimeoutError":
      return error.phase === "startup" && isUntouched(error.partial)
    case "OpenCodeSpawnError":
      return shortages.includes(error.reason)
    default:
      return false
  }
}

const longWait = Duration.minutes(5)

/** How long the provider asked to wait. */
const askedWait = (error: OpenCodeError): Duration.Duration =>
  error._tag === "OpenCodeSessionError" ? error.retryAfter ?? Duration.zero : Duration.zero

/**
 * Repeats retryable errors at most four times: after about 2, 4, 8 and 16 seconds, each varied by a fifth, or as long as
 * the provider asked to wait. Any other error, see {@link isRetryable}, ends it at once. A wait of more than five
 * minutes ends it as well: a caller who has that much time uses a Schedule of its own.
 *
 * @example
 * ```ts
 * import { OpenCode, OpenCodeError } from "effect-opencode"
 * import { Effect } from "effect"
 *
 * export const program = OpenCode.run("Fix the failing test").pipe(Effect.retry(OpenCodeError.retrySchedule))
 * ```
 *
 * @since 0.1.0
 * @category schedules
 */
export const retrySchedule: Schedule.Schedule<OpenCodeError, OpenCodeError> = Schedule.exponential("2 seconds").pipe(
  Schedule.jittered,
  Schedule.intersect(Schedule.recurs(4)),
  Schedule.whileInput((error: OpenCodeError) =>
    isRetryable(error) && !Duration.greaterThan(askedWait(error), longWait)
  ),
  Schedule.passthrough,
  Schedule.modifyDelay((error, delay) => Duration.max(delay, askedWait(error)))
)

/**
 * Returns an error without what can be megabytes, the `events` and `rawLines` of its `partial`. An error that has none
 * is returned as it is.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withoutEvents = <E extends OpenCodeError>(error: E): E => {
  const { events, rawLines, ...facts } = partialOf(error) ?? {}
  if (events === undefined && rawLines === undefined) return error
  const Class = error.constructor as new(fields: object, options?: MakeOptions) => E
  return unchecked(Class, { ...error, partial: facts })
}

/**
 * The slim form of a Schema of errors, for messages and databases: its JSON lacks the events. A decoded error is of the
 * same class and lacks them too, see {@link withoutEvents}.
 *
 * @example
 * ```ts
 * import { OpenCodeError } from "effect-opencode"
 * import { Schema } from "effect"
 *
 * const RunError = OpenCodeError.Slim(OpenCodeError.RunError)
 * const error = new OpenCodeError.OpenCodeConfigError({ path: "model", reason: "unknown" })
 * console.log(Schema.encodeSync(RunError)(error)) // { _tag: "OpenCodeConfigError", path: "model", reason: "unknown" }
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const Slim = <E extends OpenCodeError, I>(schema: Schema.Schema<E, I>): Schema.Schema<E, I> =>
  schemas.converted(schema, Schema.typeSchema(schema), { decode: (error) => error, encode: withoutEvents })
