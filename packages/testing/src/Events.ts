/**
 * Builders of the JSON lines that `opencode run --format json` prints, of the same shape as those of OpenCode 1.14.34
 * to 1.18.33, for scripts, fixtures and canned results.
 *
 * Every builder returns a complete event. Ids are counters and timestamps are fixed, so that every test run sees the
 * same ones; {@link session} numbers a list of events as one session.
 *
 * @example
 * ```ts
 * import { Events, MockCommandExecutor } from "effect-opencode-testing"
 *
 * const answer = MockCommandExecutor.script(
 *   MockCommandExecutor.awaitStdin,
 *   MockCommandExecutor.lines(Events.session([
 *     Events.turn([Events.tool({ tool: "bash", input: { command: "ls" }, output: "a.txt\n" })]),
 *     Events.turn("There is one file.", { cost: 0.002 })
 *   ]))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as RunEvent from "effect-opencode/RunEvent"
import * as Duration from "effect/Duration"

/**
 * One line of stdout, parsed.
 *
 * @since 0.1.0
 * @category models
 */
export type WireEvent = RunEvent.WireObject & {
  readonly type: string
  readonly timestamp: number
  readonly sessionID: string
}

/**
 * Tokens of a step. The defaults are those of captured real runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tokens {
  /** Default: 60. */
  readonly input?: number | undefined
  /** Default: 20. */
  readonly output?: number | undefined
  /** Default: 0. */
  readonly reasoning?: number | undefined
  /** Default: 40. */
  readonly cacheRead?: number | undefined
  /** Default: 0. */
  readonly cacheWrite?: number | undefined
  /** Default: the sum of the others. */
  readonly total?: number | undefined
}

/**
 * How a step ends.
 *
 * @since 0.1.0
 * @category models
 */
export interface FinishOptions {
  /**
   * `stop`, `tool-calls`, `length`, `content-filter`, `unknown` or anything else. Default: `stop`; in {@link turn}
   * `tool-calls` when the last part is a tool call.
   */
  readonly reason?: string | undefined
  readonly tokens?: Tokens | undefined
  /** US dollars. Default: 0.0001. */
  readonly cost?: number | undefined
}

/**
 * A tool call that succeeded from OpenCode's point of view.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolOptions {
  readonly tool: string
  /** Default: `{}`. */
  readonly input?: unknown
  /** Default: the empty string. */
  readonly output?: string | undefined
  /** Default: the tool's name. */
  readonly title?: string | undefined
  /** Default: `{}`; for `bash` its output and exit code 0. */
  readonly metadata?: { readonly [key: string]: unknown } | undefined
}

/**
 * A tool call that failed.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolErrorOptions {
  readonly tool: string
  /** Default: `{}`. */
  readonly input?: unknown
  readonly error: string
}

/**
 * An error that OpenCode reports.
 *
 * @since 0.1.0
 * @category models
 */
export interface ErrorOptions {
  readonly message: string
  /** Default: `APIError` with a status code, `UnknownError` without. */
  readonly name?: string | undefined
  readonly statusCode?: number | undefined
  /** Default: true for 429 and from 500 on. */
  readonly retryable?: boolean | undefined
  readonly responseHeaders?: { readonly [name: string]: string } | undefined
  /** Default: the message as OpenAI would send it. */
  readonly responseBody?: string | undefined
  /** The number of the error in OpenCode's log. */
  readonly ref?: string | undefined
}

/**
 * The options of {@link session}.
 *
 * @since 0.1.0
 * @category models
 */
export interface SessionOptions {
  /** Default: session 1, `ses_00000000000000000000000001`. */
  readonly id?: string | number | undefined
  /** The timestamp of the first event, in milliseconds. Default: 2026-01-01T00:00:00Z. */
  readonly startedAt?: number | undefined
  /** The time between two events. Default: 100 milliseconds. */
  readonly interval?: Duration.DurationInput | undefined
}

const digits = 26

const id = (prefix: "ses" | "msg" | "prt" | "call" | "run", number: number): string =>
  `${prefix}_${String(number).padStart(digits, "0")}`

/** Ids made by this module are renumbered, a test's own ids stay. */
const isCounted = (id: unknown): boolean => typeof id === "string" && /^(ses|msg|prt|call)_0\d{25}$/.test(id)

const epoch = Date.UTC(2026, 0, 1)

const base = (type: string) => ({ type, timestamp: epoch, sessionID: id("ses", 1) })

const partBase = (type: string) => ({
  id: id("prt", 1),
  messageID: id("msg", 1),
  sessionID: id("ses", 1),
  type
})

const span = { start: epoch, end: epoch }

/**
 * A step begins.
 *
 * @since 0.1.0
 * @category constructors
 */
export const stepStart = (options?: { readonly snapshot?: string | undefined }): WireEvent => ({
  ...base("step_start"),
  part: {
    ...partBase("step-start"),
    ...(options?.snapshot === undefined ? {} : { snapshot: options.snapshot })
  }
})

/**
 * A part of the answer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const text = (text: string): WireEvent => ({
  ...base("text"),
  part: { ...partBase("text"), text, time: span }
})

/**
 * A text that OpenCode or a plugin writes in the user's name. It is not part of the answer, and a finished run
 * continues after it. {@link compaction} contains the one with which OpenCode continues by itself.
 *
 * @since 0.1.0
 * @category constructors
 */
export const synthetic = (text: string): WireEvent => ({
  ...base("text"),
  part: { ...partBase("text"), synthetic: true, text, time: span }
})

/**
 * A part of the reasoning, which OpenCode prints with `thinking` only.
 *
 * @since 0.1.0
 * @category constructors
 */
export const reasoning = (text: string): WireEvent => ({
  ...base("reasoning"),
  part: { ...partBase("reasoning"), text, time: span }
})

/**
 * A completed tool call.
 *
 * @example
 * ```ts
 * import { Events } from "effect-opencode-testing"
 *
 * const failed = Events.tool({
 *   tool: "bash",
 *   input: { command: "npm test" },
 *   output: "1 failing",
 *   metadata: { exit: 1 }
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const tool = (options: ToolOptions): WireEvent => {
  const output = options.output ?? ""
  return {
    ...base("tool_use"),
    part: {
      ...partBase("tool"),
      tool: options.tool,
      callID: id("call", 1),
      state: {
        status: "completed",
        input: options.input ?? {},
        output,
        metadata: options.metadata ?? (options.tool === "bash" ? { output, exit: 0, truncated: false } : {}),
        title: options.title ?? options.tool,
        time: span
      }
    }
  }
}

/**
 * A tool call that failed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolError = (options: ToolErrorOptions): WireEvent => ({
  ...base("tool_use"),
  part: {
    ...partBase("tool"),
    tool: options.tool,
    callID: id("call", 1),
    state: { status: "error", input: options.input ?? {}, error: options.error, time: span }
  }
})

/**
 * A tool call that was rejected because nobody could permit it. A run ends after the step with it; OpenCode also
 * reports it on stderr: {@link stderr}.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolRejected = (options: Omit<ToolErrorOptions, "error">): WireEvent =>
  toolError({ ...options, error: "The user rejected permission to use this specific tool call." })

/**
 * A step has ended.
 *
 * @since 0.1.0
 * @category constructors
 */
export const finish = (options?: FinishOptions): WireEvent => {
  const input = options?.tokens?.input ?? 60
  const output = options?.tokens?.output ?? 20
  const reasoning = options?.tokens?.reasoning ?? 0
  const read = options?.tokens?.cacheRead ?? 40
  const write = options?.tokens?.cacheWrite ?? 0
  return {
    ...base("step_finish"),
    part: {
      ...partBase("step-finish"),
      reason: options?.reason ?? "stop",
      tokens: {
        total: options?.tokens?.total ?? input + output + reasoning + read + write,
        input,
        output,
        reasoning,
        cache: { write, read }
      },
      cost: options?.cost ?? 0.0001
    }
  }
}

/**
 * OpenCode reports an error. It exits with code 1 after one from which it does not recover.
 *
 * @example
 * ```ts
 * import { Events } from "effect-opencode-testing"
 *
 * const rateLimited = Events.error({
 *   message: "Rate limit reached",
 *   statusCode: 429,
 *   responseHeaders: { "retry-after": "20" }
 * })
 * const overflow = Events.error({ name: "ContextOverflowError", message: "prompt is too long" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const error = (options: ErrorOptions): WireEvent => {
  const { message, ref, statusCode } = options
  return {
    ...base("error"),
    error: {
      name: options.name ?? (statusCode === undefined ? "UnknownError" : "APIError"),
      data: {
        message,
        ...(statusCode === undefined ? {} : {
          statusCode,
          isRetryable: options.retryable ?? (statusCode === 429 || statusCode >= 500),
          responseHeaders: { "content-type": "application/json", ...options.responseHeaders },
          responseBody: options.responseBody ?? JSON.stringify({ error: { message, type: "scripted_error" } }),
          metadata: { url: "http://127.0.0.1/v1/chat/completions" }
        }),
        ...(ref === undefined ? {} : { ref })
      }
    }
  }
}

/**
 * A whole step: its start, its parts (a string is a piece of text), and its end.
 *
 * @example
 * ```ts
 * import { Events } from "effect-opencode-testing"
 *
 * const asks = Events.turn(["Let me look.", Events.tool({ tool: "read", input: { filePath: "a.txt" } })])
 * const answers = Events.turn("It is empty.", { tokens: { output: 5 }, cost: 0.01 })
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const turn = (
  parts: string | WireEvent | ReadonlyArray<string | WireEvent>,
  options?: FinishOptions
): ReadonlyArray<WireEvent> => {
  const list: ReadonlyArray<string | WireEvent> = Array.isArray(parts) ? parts : [parts as string | WireEvent]
  const events = list.map((part) => typeof part === "string" ? text(part) : part)
  const reason = options?.reason ?? (events.at(-1)?.type === "tool_use" ? "tool-calls" : "stop")
  return session([stepStart(), ...events, finish({ ...options, reason })])
}

/**
 * OpenCode compacts its context and continues by itself (1.18.33): a step with the summary, then the text with which it
 * asks itself to continue. Later events come when the model has answered that.
 *
 * - `"usage"`: a step has used too many tokens; the compaction follows it, whether it called tools or finished.
 * - `"overflow"`: the provider refused the conversation, which is reported as an error first. Such a run exits with code
 *   1, although it finishes.
 * - `"replay"`: like `"overflow"` in a continued session, where the prompt is sent again, which prints nothing.
 *
 * @example
 * ```ts
 * import { Events } from "effect-opencode-testing"
 *
 * const long = Events.session([
 *   Events.turn(Events.tool({ tool: "bash" })),
 *   Events.compaction({ summary: "The tests were run." }),
 *   Events.turn("They pass.")
 * ])
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const compaction = (
  options?: FinishOptions & {
    /** Default: `Summary of the work so far.` */
    readonly summary?: string | undefined
    /** Default: `"usage"`. */
    readonly cause?: "usage" | "overflow" | "replay" | undefined
  }
): ReadonlyArray<WireEvent> => {
  const cause = options?.cause ?? "usage"
  const overflow = error({ name: "ContextOverflowError", message: "The conversation is too long" })
  const goOn = synthetic(
    `${
      cause === "usage" ? "" : "The previous request exceeded the provider's size limit.\n\n"
    }Continue if you have next steps, or stop and ask for clarification if you are unsure how to proceed.`
  )
  const { part } = goOn as WireEvent & { readonly part: RunEvent.WireObject }
  return session([
    ...(cause === "usage" ? [] : [overflow]),
    turn(options?.summary ?? "Summary of the work so far.", options),
    ...(cause === "replay" ? [] : [{ ...goOn, part: { ...part, metadata: { compaction_continue: true } } }])
  ])
}

/**
 * Numbers events as one session: a part id for each, a message id for each step, a call id for each tool call,
 * timestamps at regular intervals. Ids that were not made by this module stay.
 *
 * @example
 * ```ts
 * import { Events } from "effect-opencode-testing"
 *
 * const events = Events.session(
 *   [Events.turn(Events.tool({ tool: "bash" })), Events.turn("Done.")],
 *   { id: "ses_of_my_own", startedAt: 0, interval: "1 second" }
 * )
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const session = (
  events: ReadonlyArray<WireEvent | ReadonlyArray<WireEvent>>,
  options?: SessionOptions
): ReadonlyArray<WireEvent> => {
  const number = numbering(options)
  return events.flatMap((event): ReadonlyArray<WireEvent> => isList(event) ? event.map(number) : [number(event)])
}

const isList = (u: WireEvent | ReadonlyArray<WireEvent>): u is ReadonlyArray<WireEvent> => Array.isArray(u)

/**
 * Makes a function that numbers events one after the other.
 *
 * @internal
 */
export const numbering = (options?: SessionOptions): (event: WireEvent) => WireEvent => {
  const sessionID = typeof options?.id === "string" ? options.id : id("ses", options?.id ?? 1)
  const startedAt = options?.startedAt ?? epoch
  const interval = Duration.toMillis(options?.interval ?? "100 millis")
  let index = 0
  let steps = 0
  let calls = 0
  return (event) => {
    const timestamp = startedAt + index++ * interval
    if (event.type === "step_start") steps++
    const own = (value: unknown, counted: string) => isCounted(value) ? counted : value
    const part = event["part"]
    const numbered = { ...event, timestamp, sessionID: isCounted(event.sessionID) ? sessionID : event.sessionID }
    if (!isObject(part)) return numbered
    const state = part["state"]
    return {
      ...numbered,
      part: {
        ...part,
        id: own(part["id"], id("prt", index)),
        messageID: own(part["messageID"], id("msg", Math.max(1, steps))),
        sessionID: numbered.sessionID,
        ...("time" in part ? { time: { start: timestamp, end: timestamp } } : {}),
        ...("callID" in part ? { callID: own(part["callID"], id("call", ++calls)) } : {}),
        ...(isObject(state) && "time" in state
          ? { state: { ...state, time: { start: timestamp, end: timestamp } } }
          : {})
      }
    }
  }
}

const isObject = (u: unknown): u is RunEvent.WireObject => typeof u === "object" && u !== null && !Array.isArray(u)

/**
 * Decodes the events as a program sees them.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (events: ReadonlyArray<WireEvent>): ReadonlyArray<RunEvent.RunEvent> =>
  events.map(RunEvent.fromWire)

/**
 * Writes the events as OpenCode prints them: one JSON line for each.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toText = (events: ReadonlyArray<WireEvent>): string =>
  events.map((event) => `${RunEvent.toLine(RunEvent.fromWire(event))}\n`).join("")

const warning = "\u001b[93m\u001b[1m! \u001b[0m"

const failure = "\u001b[91m\u001b[1mError: \u001b[0m"

/**
 * What OpenCode prints on stderr (1.18.33), colours included.
 *
 * - `permissionRejected`: a permission that nobody could grant; belongs to {@link toolRejected}
 * - `agentFallback`: the agent is unknown, and the default agent is used
 * - `providerFailure`: a line of the error log for a failed attempt at the provider that is retried
 * - `sqliteCrash`: the crash at start-up of several processes on one data directory; exit code 1, nothing on stdout
 * - `failure`: any other failure before the first event
 *
 * @example
 * ```ts
 * import { Events, MockCommandExecutor } from "effect-opencode-testing"
 *
 * const rejected = MockCommandExecutor.script(
 *   MockCommandExecutor.awaitStdin,
 *   MockCommandExecutor.stderr(Events.stderr.permissionRejected("bash", ["rm *"])),
 *   MockCommandExecutor.lines(Events.turn(Events.toolRejected({ tool: "bash", input: { command: "rm -r ." } })))
 * )
 * ```
 *
 * @since 0.1.0
 * @category stderr
 */
export const stderr = {
  permissionRejected: (permission: string, patterns: ReadonlyArray<string> = ["*"]): string =>
    `${warning}permission requested: ${permission} (${patterns.join(", ")}); auto-rejecting\n`,
  agentFallback: (agent: string, reason: "unknown" | "subagent" = "unknown"): string =>
    `${warning} agent "${agent}" ${
      reason === "unknown" ? "not found" : "is a subagent, not a primary agent"
    }. Falling back to default agent\n`,
  providerFailure: (reason: string, options?: {
    /** `provider/model`. Default: `fake/m1`. */
    readonly model?: string | undefined
  }): string => {
    const [provider = "fake", model = "m1"] = (options?.model ?? "fake/m1").split("/")
    return `timestamp=${new Date(epoch).toISOString()} level=ERROR run=00000000 message="stream error" ` +
      `providerID=${provider} modelID=${model} session.id=${id("ses", 1)} small=false agent=build mode=primary ` +
      `error.error=${JSON.stringify(reason)}\n`
  },
  sqliteCrash: (text = "database is locked"): string => `${failure}Unexpected error\n\n${text}\n`,
  failure: (text: string): string => `${failure}${text}\n`
} as const
