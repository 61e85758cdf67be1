/**
 * The `OpenCode` service without OpenCode, for tests that do not need processes: answers by prompt, by predicate or by
 * function, every failure on demand, timing on the test clock, and a record of all calls.
 *
 * The service is the real one on scripted processes and a fake disk: options are checked, time limits and budgets are
 * enforced, events are decoded and added up, and the outcome is decided by the production code. So `run` and `stream`
 * agree as they do in production, and the double cannot drift.
 *
 * @example
 * ```ts
 * import { OpenCode } from "effect-opencode"
 * import { Events, OpenCodeTest } from "effect-opencode-testing"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { text } = yield* OpenCode.run("Name a colour")
 *   const { calls } = yield* OpenCodeTest.OpenCodeTest
 *   return { text, asked: (yield* calls).map((call) => call.prompt) }
 * })
 *
 * const result = program.pipe(
 *   Effect.provide(OpenCodeTest.layer({
 *     "Name a colour": "blue",
 *     "Fix the test": OpenCodeTest.Reply.events([
 *       Events.turn(Events.tool({ tool: "edit", input: { filePath: "a.ts" } })),
 *       Events.turn("Fixed.")
 *     ])
 *   }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as OpenCode from "effect-opencode/OpenCode"
import * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as RunEvent from "effect-opencode/RunEvent"
import type { RunOptions } from "effect-opencode/RunOptions"
import type * as RunResult from "effect-opencode/RunResult"
import * as TokenUsage from "effect-opencode/TokenUsage"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Events from "./Events.js"
import * as calls from "./internal/openCodeTest/calls.js"
import * as failures from "./internal/openCodeTest/failures.js"
import * as services from "./internal/openCodeTest/service.js"
import * as MockCommandExecutor from "./MockCommandExecutor.js"

/**
 * A part of a reply: printed events, or any other action of a process, such as a `MockCommandExecutor.sleep` on the
 * test clock, a `waitFor`, a line on `stderr` or an `exit`.
 *
 * @since 0.1.0
 * @category models
 */
export type Item = Events.WireEvent | ReadonlyArray<Events.WireEvent> | MockCommandExecutor.Step

/**
 * What a run receives.
 *
 * @since 0.1.0
 * @category models
 */
export type Reply = Data.TaggedEnum<{
  readonly Events: { readonly items: ReadonlyArray<Item> }
  readonly Fail: { readonly error: OpenCodeError.OpenCodeError; readonly items: ReadonlyArray<Item> }
  readonly Sequence: { readonly answers: readonly [Answer, ...Array<Answer>] }
  readonly Attempts: { readonly answers: readonly [Answer, ...Array<Answer>] }
  readonly Rejected: { readonly permission: string; readonly patterns: ReadonlyArray<string> }
}>

/**
 * A reply, or its text.
 *
 * @since 0.1.0
 * @category models
 */
export type Answer = string | Reply

/**
 * The options of a text reply.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextOptions extends Events.FinishOptions {
  /** Items before the step that answers. Default: none. */
  readonly before?: ReadonlyArray<Item> | undefined
  /** The time before the first event. Default: none. */
  readonly delay?: Duration.DurationInput | undefined
}

const { Attempts, Events: Played, Fail, Rejected, Sequence } = Data.taggedEnum<Reply>()

/**
 * Constructors of replies.
 *
 * - `text`: a whole answer, after other events if there are any
 * - `events`: any events and other items; their outcome is decided as for a real run
 * - `fail`: this error, after these events or after those that it carries
 * - `never`: no event, until a time limit or an interruption ends the run
 * - `sequence`: the n-th answer to the n-th call that gets this reply; the last one repeats
 * - `attempts`: the n-th answer to the n-th start of the process within one call, after a crash or, with `runSchema`,
 *   for a correction
 * - `sqliteCrash`: the start-up crash that the service's `retry` covers
 * - `permissionRejected`: a tool call that nobody could permit, which ends the run
 *
 * @example
 * ```ts
 * import { Events, MockCommandExecutor, OpenCodeTest } from "effect-opencode-testing"
 *
 * const { Failure, Reply } = OpenCodeTest
 *
 * const slow = Reply.events([
 *   Events.stepStart(),
 *   MockCommandExecutor.sleep("10 minutes"),
 *   Events.text("At last."),
 *   Events.finish({ cost: 0.5 })
 * ])
 * const limited = Reply.events([Events.error({ message: "slow down", statusCode: 429 })])
 * const recovers = Reply.attempts([Reply.sqliteCrash, "Here I am."])
 * const flaky = Reply.sequence([Reply.fail(Failure.process({ exitCode: 137 })), "Second time lucky."])
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const Reply = {
  text: (text: string, options?: TextOptions): Reply =>
    Played({
      items: [
        ...(options?.delay === undefined ? [] : [MockCommandExecutor.sleep(options.delay)]),
        ...(options?.before ?? []),
        Events.turn(text, options)
      ]
    }),

  events: (items: ReadonlyArray<Item>): Reply => Played({ items }),

  fail: (error: OpenCodeError.OpenCodeError, items?: ReadonlyArray<Item>): Reply =>
    Fail({ error, items: items ?? eventsOf(error) }),

  never: Played({ items: [MockCommandExecutor.never] }) as Reply,

  sequence: (answers: readonly [Answer, ...Array<Answer>]): Reply => Sequence({ answers }),

  attempts: (answers: readonly [Answer, ...Array<Answer>]): Reply => Attempts({ answers }),

  sqliteCrash: Played({
    items: [MockCommandExecutor.stderr(Events.stderr.sqliteCrash()), MockCommandExecutor.exit(1)]
  }) as Reply,

  permissionRejected: (permission: string, patterns?: ReadonlyArray<string>): Reply =>
    Rejected({ permission, patterns: patterns ?? ["*"] })
} as const

const eventsOf = (error: OpenCodeError.OpenCodeError): ReadonlyArray<Events.WireEvent> =>
  (OpenCodeError.partialOf(error)?.events ?? []).flatMap((event) => {
    const wire = RunEvent.toWire(event)
    return isWireEvent(wire) ? [wire] : []
  })

const isWireEvent = (u: RunEvent.WireObject): u is Events.WireEvent =>
  Predicate.isString(u["type"]) && Predicate.isNumber(u["timestamp"]) && Predicate.isString(u["sessionID"])

/**
 * The options of a constructed error besides its own fields.
 *
 * @since 0.1.0
 * @category models
 */
export interface PartialOverrides {
  /** The events from which `partial` is computed. Default: a step and a piece of text. */
  readonly events?: ReadonlyArray<Events.WireEvent | ReadonlyArray<Events.WireEvent>> | undefined
  /** Fields of `partial`. */
  readonly partial?: { readonly [K in keyof OpenCodeError.RunSnapshot]?: OpenCodeError.RunSnapshot[K] } | undefined
}

/**
 * The fields of an error, all optional.
 *
 * @since 0.1.0
 * @category models
 */
export type Overrides<E> =
  & { readonly [K in Exclude<OwnFields<E>, "partial">]?: E[K] | undefined }
  & ("partial" extends keyof E ? PartialOverrides : {})

type OwnFields<E> = Exclude<keyof E, keyof Error | "_tag" | symbol>

/**
 * Makes the snapshot of a failed run from events: by default a step that began and a piece of text, after one second,
 * in one attempt.
 *
 * @since 0.1.0
 * @category errors
 */
export const partial: (overrides?: PartialOverrides) => OpenCodeError.RunSnapshot = failures.partial

/**
 * Constructors of every error of a run, with valid defaults for every field.
 *
 * @example
 * ```ts
 * import { Duration } from "effect"
 * import { Events, OpenCodeTest } from "effect-opencode-testing"
 *
 * const { Failure } = OpenCodeTest
 *
 * const idle = Failure.timeout({ phase: "idle", limit: Duration.minutes(1), events: Events.turn("Half of the answer") })
 * const limited = Failure.session({ kind: "rate-limit", statusCode: 429, retryAfter: Duration.seconds(20) })
 * const leftOver = Failure.process({ exitCode: 1, partial: { survivors: [4711], stderr: "boom" } })
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export const Failure = {
  binaryNotFound: (overrides?: Overrides<OpenCodeError.OpenCodeBinaryNotFoundError>) =>
    new OpenCodeError.OpenCodeBinaryNotFoundError({
      binary: "opencode",
      reason: "not-found",
      searched: ["/usr/bin"],
      ...failures.given(overrides ?? {})
    }),

  version: (overrides?: Overrides<OpenCodeError.OpenCodeVersionError>) =>
    new OpenCodeError.OpenCodeVersionError({
      binary: "/usr/bin/opencode",
      version: "1.0.0",
      reason: "it is too old",
      ...failures.given(overrides ?? {})
    }),

  config: (overrides?: Overrides<OpenCodeError.OpenCodeConfigError>) =>
    new OpenCodeError.OpenCodeConfigError({ path: "model", reason: "it is wrong", ...failures.given(overrides ?? {}) }),

  spawn: (overrides?: Overrides<OpenCodeError.OpenCodeSpawnError>) =>
    new OpenCodeError.OpenCodeSpawnError({
      binary: "/usr/bin/opencode",
      cwd: "/effect-opencode-testing/work",
      reason: "PermissionDenied",
      ...failures.given(overrides ?? {})
    }),

  sqlite: (overrides?: Overrides<OpenCodeError.OpenCodeSqliteError>) =>
    new OpenCodeError.OpenCodeSqliteError({
      signature: "database is locked",
      exitCode: 1,
      ...failures.fields(overrides, {
        ...failures.early,
        partial: { stderr: "Error: Unexpected error\n\ndatabase is locked\n", attempts: 3 }
      })
    }),

  process: (overrides?: Overrides<OpenCodeError.OpenCodeProcessError>) =>
    new OpenCodeError.OpenCodeProcessError({
      ...(overrides?.signal === undefined ? { exitCode: 1 } : {}),
      ...failures.fields(overrides)
    }),

  session: (overrides?: Overrides<OpenCodeError.OpenCodeSessionError>) =>
    new OpenCodeError.OpenCodeSessionError({
      kind: "other",
      errorName: overrides?.statusCode === undefined ? "UnknownError" : "APIError",
      reason: "Unexpected server error.",
      providerRetries: 0,
      error: undefined,
      ...failures.fields(overrides)
    }),

  permission: (overrides?: Overrides<OpenCodeError.OpenCodePermissionError>) =>
    new OpenCodeError.OpenCodePermissionError({
      permission: "bash",
      patterns: ["*"],
      ...failures.fields(overrides, { events: Events.turn(Events.toolRejected({ tool: "bash" })) })
    }),

  incomplete: (overrides?: Overrides<OpenCodeError.OpenCodeIncompleteError>) =>
    new OpenCodeError.OpenCodeIncompleteError({ exitCode: 0, ...failures.fields(overrides) }),

  timeout: (overrides?: Overrides<OpenCodeError.OpenCodeTimeoutError>) =>
    new OpenCodeError.OpenCodeTimeoutError({
      phase: "total",
      limit: Duration.minutes(1),
      ...failures.fields(overrides, overrides?.phase === "startup" ? failures.early : undefined)
    }),

  budget: (overrides?: Overrides<OpenCodeError.OpenCodeBudgetError>) => {
    const { partial, scope = "run", ...rest } = failures.fields(overrides)
    const limits = { limit: "cost", max: 1, reached: 1.25, ...rest, scope } as const
    return new OpenCodeError.OpenCodeBudgetError(
      scope === "fleet" && overrides?.partial === undefined ? limits : { ...limits, partial }
    )
  },

  output: (overrides?: Overrides<OpenCodeError.OpenCodeOutputError>) =>
    new OpenCodeError.OpenCodeOutputError({
      reason: "no-json",
      issues: "there is no JSON value",
      attempts: 3,
      runId: "run-of-a-test",
      answer: "I would rather not.",
      usage: TokenUsage.empty,
      cost: 0,
      steps: 3,
      duration: Duration.seconds(3),
      ...failures.given(overrides ?? {})
    }),

  cancelled: (overrides?: Overrides<OpenCodeError.OpenCodeCancelledError>) =>
    new OpenCodeError.OpenCodeCancelledError({ signal: "SIGTERM", ...failures.fields(overrides) }),

  server: (overrides?: Overrides<OpenCodeError.OpenCodeServerError>) => {
    const { partial, reason = "exited", ...rest } = failures.fields(overrides)
    const facts = {
      reason,
      ...(reason === "exited" ? { url: "http://127.0.0.1:4096", signal: "SIGKILL" } : {}),
      stderr: "",
      ...rest
    }
    return new OpenCodeError.OpenCodeServerError(
      reason === "exited" || overrides?.partial !== undefined ? { ...facts, partial } : facts
    )
  }
} as const

/**
 * A call to the service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  readonly prompt: string
  /** The options of the call, over those of `RunConfig.withRunConfig` around it. */
  readonly options: RunOptions
  /** The turns of a session are calls like any other. */
  readonly method: "run" | "stream" | "runSchema"
  /** The number of earlier calls. */
  readonly index: number
  /** The number of earlier calls with the same prompt. */
  readonly repetition: number
}

/**
 * How a call ended.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = Data.TaggedEnum<{
  readonly Running: {}
  /** A stream has no result. */
  readonly Done: { readonly result: RunResult.RunResult | undefined }
  readonly Failed: { readonly error: OpenCodeError.OpenCodeError }
  /** Also for a stream whose consumer stopped before its end. */
  readonly Interrupted: {}
  readonly Died: { readonly defect: unknown }
}>

/**
 * Constructors and matchers of `Outcome`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const Outcome = calls.Outcome

/**
 * A call and its outcome so far.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordedCall extends Call {
  readonly outcome: Outcome
  /** Starts of the process. */
  readonly attempts: number
}

/**
 * The records of the test service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Every call since the layer was built, in order. */
  readonly calls: Effect.Effect<ReadonlyArray<RecordedCall>>
  /** The number of calls that have not ended. */
  readonly running: Effect.Effect<number>
  /**
   * Waits until this many calls have begun since the layer was built. For a program that reads files, starts processes or
   * asks a server before it calls an agent: `TestClock.adjust` does not wait for those, so a test that moves the clock at
   * once moves it before the call has begun, and the call then waits for a time that does not come.
   */
  readonly awaitCalls: (count: number) => Effect.Effect<void>
}

/**
 * The record of the calls.
 *
 * @since 0.1.0
 * @category context
 */
export class OpenCodeTest extends Context.Tag("effect-opencode-testing/OpenCodeTest")<OpenCodeTest, Service>() {}

/**
 * Chooses the answer to a call; `undefined` for none.
 *
 * @since 0.1.0
 * @category models
 */
export type Respond = (call: Call) => Answer | undefined | Effect.Effect<Answer | undefined>

/**
 * Answers the n-th call with the n-th answer; the last one repeats. Concurrent calls are counted in the order in which
 * they begin.
 *
 * @since 0.1.0
 * @category choosing
 */
export const sequence = (answers: readonly [Answer, ...Array<Answer>]): Respond => (call) =>
  answers[Math.min(call.index, answers.length - 1)]

/**
 * Answers with the first matching case: a text that the prompt contains, a regular expression, or a predicate.
 *
 * @example
 * ```ts
 * import { OpenCodeTest } from "effect-opencode-testing"
 *
 * const layer = OpenCodeTest.layer(OpenCodeTest.match([
 *   ["summary", "It is about bees."],
 *   [/^Translate/, OpenCodeTest.Reply.fail(OpenCodeTest.Failure.timeout())],
 *   [(call) => call.options.agent === "plan", "1. Think. 2. Do."]
 * ]))
 * ```
 *
 * @since 0.1.0
 * @category choosing
 */
export const match =
  (cases: ReadonlyArray<readonly [when: string | RegExp | Predicate.Predicate<Call>, answer: Answer]>): Respond =>
  (call) =>
    cases.find(([when]) =>
      typeof when === "string"
        ? call.prompt.includes(when)
        : when instanceof RegExp
        ? call.prompt.search(when) >= 0
        : when(call)
    )?.[1]

/**
 * The options of the service under test, most of which are options of the real one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Omit<OpenCode.Options, "binary" | "isolation" | "environment"> {
  /**
   * The version of OpenCode. From 2.0.0 on `layer` plays a server of OpenCode 2: the same answers, with that major's names
   * of tools and errors, its live pieces of an answer and its rules for options. Default: 1.18.33.
   */
  readonly version?: string | undefined
  /** The models that `models` returns. Default: `fake/m1`. */
  readonly models?: ReadonlyArray<string> | undefined
}

/**
 * The service with answers by the whole prompt, or by a function of the call.
 *
 * A prompt without an answer is a mistake of the test and not an outcome of a run, so it is a defect that names the
 * prompt and the available ones. The disk is neither read nor written (not even a `transcript`), whatever directories
 * and files a call names; starts are not spaced unless `startup` is set.
 *
 * @example
 * ```ts
 * import { OpenCodeTest } from "effect-opencode-testing"
 *
 * const byPrompt = OpenCodeTest.layer({ "Capital of France?": "Paris" })
 * const byFunction = OpenCodeTest.layer((call) => `You said: ${call.prompt}`, { concurrency: 2 })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  respond: Respond | { readonly [prompt: string]: Answer },
  options?: Options
): Layer.Layer<OpenCode.OpenCode | OpenCodeTest> =>
  Layer.scopedContext(
    Effect.map(calls.make(respond, options, Reply.text), ({ opencode, records }) =>
      Context.make(OpenCode.OpenCode, opencode).pipe(Context.add(OpenCodeTest, records)))
  )

/**
 * The real service on scripted processes and a fake disk, for tests that script a process and check its input. Takes
 * scripts as `MockCommandExecutor.layer` does; only runs consume them.
 *
 * @example
 * ```ts
 * import { Events, MockCommandExecutor, OpenCodeTest } from "effect-opencode-testing"
 *
 * const stubborn = OpenCodeTest.layerProcess([
 *   MockCommandExecutor.scriptWith(
 *     { onSigterm: "ignore" },
 *     MockCommandExecutor.awaitStdin,
 *     MockCommandExecutor.lines([Events.stepStart()]),
 *     MockCommandExecutor.never
 *   )
 * ], { forceKillAfter: "1 second", defaults: { timeout: "1 minute" } })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerProcess = (
  scripts: Parameters<typeof MockCommandExecutor.layer>[0],
  options?: Options
): Layer.Layer<OpenCode.OpenCode | MockCommandExecutor.MockCommandExecutor> =>
  Layer.scopedContext(Effect.gen(function*() {
    const mock = yield* Layer.build(MockCommandExecutor.layer(services.scriptsOf(scripts, options)))
    return Context.make(OpenCode.OpenCode, yield* Effect.provide(services.make(options), mock)).pipe(
      Context.add(
        MockCommandExecutor.MockCommandExecutor,
        Context.get(mock, MockCommandExecutor.MockCommandExecutor)
      )
    )
  }))

/**
 * The real service on the executor of the context and a fake disk, for `Recording.replay` and for a test's own
 * executors.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCodeTest, Recording } from "effect-opencode-testing"
 * import { Layer } from "effect"
 *
 * const layer = OpenCodeTest.layerExecutor().pipe(
 *   Layer.provide(Recording.replay("test/transcripts")),
 *   Layer.provide(NodeContext.layer)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerExecutor = (
  options?: Omit<Options, "models">
): Layer.Layer<OpenCode.OpenCode, never, CommandExecutor.CommandExecutor> =>
  Layer.scoped(OpenCode.OpenCode, services.make(options))
