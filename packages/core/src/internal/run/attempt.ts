import * as Cause from "effect/Cause"
import type * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { OpenCodeTimeoutError, RunError, RunSnapshot } from "../../OpenCodeError.js"
import type { RunEvent } from "../../RunEvent.js"
import * as TokenUsage from "../../TokenUsage.js"
import * as summary from "../opencode/summary.js"
import * as verdicts from "../opencode/verdict.js"
import * as limits from "../util/limits.js"
import * as monotonicClock from "../util/monotonicClock.js"
import * as runtime from "../util/runtime.js"
import * as tail from "../util/tail.js"
import type { Client } from "./client.js"
import * as plans from "./plan.js"
import * as recorders from "./recorder.js"
import * as sessionExport from "./sessionExport.js"
import type { Pass } from "./startupGate.js"
import * as telemetry from "./telemetry.js"
import type { Prepare, Prepared, Request, Sink } from "./transport.js"
import * as watchdogs from "./watchdog.js"

/** The parts of a run that one attempt needs. */
export interface Context {
  readonly client: Client
  readonly plan: plans.Plan
  readonly prepare: Prepare
  /** From 1. */
  readonly number: number
  readonly expiry: Expiry
  readonly sinks: recorders.Sinks
  /** True if a result or an error will carry the events. */
  readonly collect: boolean
  /** True if a consumer reads the events. */
  readonly listening: boolean
  /** A cost limit that ends the run if the cost is unknown. */
  readonly unpriced: watchdogs.Unpriced | undefined
  readonly onSuccess: (success: Success) => void
}

/** The end of a run's total time. */
export interface Expiry {
  /** By `monotonic.millis`. */
  readonly at: number
  readonly await: Effect.Effect<void>
  /** Interrupts a wait when the time is over, after the given number of attempts. */
  readonly inTime: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    attempts: number
  ) => Effect.Effect<A, E | OpenCodeTimeoutError, R>
}

/** Pulls the next chunk of a run's events, if they are read; fails with `None` at the end. */
export type Pull = Effect.Effect<Chunk.Chunk<RunEvent>, Option.Option<RunError>>

/** The facts about an attempt that finished. */
export interface Success {
  readonly finished: verdicts.Finished
  readonly recovered: boolean
  readonly answer: string
  readonly model: string | undefined
  readonly partial: RunSnapshot
}

/**
 * Runs one attempt: emits its events, then fails if the verdict is an error. It ends at the latest when the scope
 * closes.
 */
export const make = (context: Context): Effect.Effect<Pull, RunError, Scope.Scope> =>
  Effect.gen(function*() {
    const { client, plan } = context
    const { fleet, transcript } = context.sinks
    const inTime: Request["inTime"] = (effect) => context.expiry.inTime(effect, context.number - 1)
    const scope = yield* Effect.scope
    const clock = yield* Effect.clock

    const prepared = yield* context.prepare({ inTime })

    const state = summary.make({
      keepText: context.collect ? Number.POSITIVE_INFINITY : limits.kept,
      clean: plan.redactor.known,
      isPriced: plan.isPriced(plan.options.model)
    })
    const stderr = tail.ofLines(limits.kept, plan.redactor.lines())
    const events: Array<RunEvent> = []
    const rawLines: Array<string> = []
    const keepRaw = context.collect && plan.options.keepRaw === true
    const outbox = context.listening ? yield* Mailbox.make<Chunk.Chunk<RunEvent>, RunError>(1) : undefined
    if (outbox !== undefined) {
      // Releases a consumer that waits for events of a run that is ended from outside.
      yield* Scope.addFinalizer(scope, outbox.failCause(runtime.interruption))
    }
    // Kept only if the parts missing from stdout will be recovered.
    const recovers = plan.options.recover === "export" || prepared.losesEnd
    const parts = !recovers && plan.options.usage === undefined
      ? undefined
      : sessionExport.parts()

    // Fast path: no timeout race when a slot is free.
    const entered = yield* tryEnter(client, providerOf(context), prepared)
    const pass = Option.isSome(entered)
      ? entered.value
      : yield* inTime(enter(client, providerOf(context), prepared))
    // As late as possible, because runs ahead of us in the queue have spent meanwhile.
    if (fleet !== undefined) yield* fleet.check()
    if (transcript !== undefined) {
      yield* transcript.start({
        timestamp: clock.unsafeCurrentTimeMillis(),
        runId: plan.runId,
        attempt: context.number,
        cwd: plan.cwd,
        directory: prepared.directory,
        temporary: prepared.temporary,
        ...(plan.options.fork === true ? {} : { sessionId: plan.options.sessionId })
      })
    }
    // Here, because the start-up time begins now: the wait at the gate does not count.
    const watchdog = yield* watchdogs.make(plan, monotonicClock.millis(clock), context.expiry.at, context.unpriced)
    const { onSession, onStart } = plan.options
    const sessions = new Set<string>()
    // Its caller may be a reader of a pipe, whose defects and interruptions nobody sees.
    const broken = yield* Deferred.make<never>()
    const introduced: Sink["onSession"] = (sessionId, parentId) =>
      Effect.suspend(() => {
        if (onSession === undefined || sessions.has(sessionId)) return Effect.void
        sessions.add(sessionId)
        // On its own fiber: only there an interruption from inside differs from one of its caller.
        return Effect.fork(
          Effect.suspend(() => onSession({ runId: plan.runId, attempt: context.number, sessionId, parentId }))
        ).pipe(
          Effect.flatMap((fiber) => Effect.onInterrupt(Fiber.await(fiber), () => Fiber.interrupt(fiber))),
          Effect.flatMap(Exit.match({
            onFailure: (cause) => Effect.andThen(Deferred.failCause(broken, cause), Effect.failCause(cause)),
            onSuccess: () => Effect.void
          }))
        )
      })
    const recorder = recorders.make({
      ...context.sinks,
      state,
      watchdog,
      outbox,
      opened: pass.opened,
      onSession: onSession === undefined ? undefined : introduced,
      events: context.collect ? events : undefined,
      parts
    })

    const announce: Sink["onStart"] = (started) =>
      Effect.gen(function*() {
        // Here, because the call may take longer than the start.
        yield* Scope.extend(pass.started, scope)
        if (onStart === undefined) return
        watchdog.reading(false)
        yield* Effect.ensuring(
          onStart({
            runId: plan.runId,
            attempt: context.number,
            cwd: plan.cwd,
            directory: prepared.directory,
            temporary: prepared.temporary,
            ...(yield* started)
          }),
          Effect.sync(() => watchdog.reading(true))
        )
      })
    const start = prepared.start({
      state,
      watchdog,
      stderr,
      rawLines: keepRaw ? rawLines : undefined,
      recorder,
      onStart: announce,
      onSession: introduced,
      onRateLimited: (retryAfter) => client.rateGate.onRateLimited(providerOf(context), retryAfter)
    })
    const running = yield* (onStart === undefined ? start : context.expiry.inTime(start, context.number))

    const facts = (survivors: ReadonlyArray<number>): RunSnapshot => ({
      runId: plan.runId,
      cwd: plan.cwd,
      sessionId: state.sessionId,
      eventCount: state.eventCount,
      text: state.text(),
      usage: state.usage,
      cost: state.cost,
      ...(state.unpriced ? { unpriced: true } : {}),
      steps: state.steps,
      stderr: plan.redactor.text(stderr.read()),
      attempts: context.number,
      duration: Duration.millis(clock.unsafeCurrentTimeMillis() - plan.startedAt),
      events: context.collect ? events : undefined,
      rawLines: keepRaw ? rawLines : undefined,
      survivors,
      lostLines: state.lostLines === 0 ? undefined : state.lostLines
    })

    /** The run's total time also limits the queries after it. */
    const untilExpired = <A>(asking: Effect.Effect<A>, otherwise: A): Effect.Effect<A> =>
      Effect.raceFirst(asking, Effect.as(context.expiry.await, otherwise))

    const supervise = Effect.gen(function*() {
      yield* (onSession === undefined ? watchdog.watch : Effect.raceFirst(watchdog.watch, Deferred.await(broken)))
      yield* pass.opened
      const { exit, ownStderr, survivors } = yield* running.stop({ force: watchdog.fired()?._tag === "AgentFallback" })
      if (yield* Deferred.isDone(broken)) yield* Deferred.await(broken)
      const lacksEnd = watchdog.fired() === undefined && exit._tag === "Code" && exit.code === 0 &&
        (!state.finished || state.answerLost === true) &&
        state.pendingError === undefined && state.rejection === undefined
      const missing = lacksEnd && recovers && state.sessionId !== undefined
        ? yield* untilExpired(sessionExport.missing(prepared.conversation, state.sessionId, parts), [])
        : []
      yield* recorder.source()(missing)
      const hidden = plan.options.usage === "deep" && watchdog.fired() === undefined
        ? yield* untilExpired(sessionExport.hidden(prepared.conversation, plan.isPriced, parts), sessionExport.unasked)
        : undefined
      if (hidden !== undefined) yield* recorder.hidden(hidden)
      if (state.lostLines > 0) {
        yield* Effect.logWarning(
          `${state.lostLines} ${state.lostLines === 1 ? "line" : "lines"} of OpenCode's stdout could be events but ` +
            `cannot be read: run ${plan.runId}`
        )
      }
      const partial = withHidden(facts(survivors), hidden)
      const judge = (partial: RunSnapshot) =>
        verdicts.decide({
          evidence: state,
          exit,
          guard: watchdog.fired(),
          partial,
          ownStderr,
          crashTexts: prepared.dialect.crashTexts,
          redact: plan.redactor.text
        })
      const first = judge(partial)
      // Errors are logged and passed on with their events, so they are masked; a result goes to the caller unchanged.
      const verdict = Either.isLeft(first) ? judge(plan.clean(partial)) : first
      if (transcript !== undefined) {
        yield* transcript.end({
          timestamp: clock.unsafeCurrentTimeMillis(),
          runId: plan.runId,
          outcome: Either.match(verdict, { onLeft: ({ _tag }) => _tag, onRight: () => "success" }),
          finishReason: state.finishReason
        })
      }
      const finished = yield* Either.match(verdict, { onLeft: Effect.fail, onRight: Effect.succeed })
      context.onSuccess({
        finished,
        recovered: missing.length > 0,
        answer: state.answer(),
        model: state.model,
        partial
      })
    })
    if (outbox === undefined) {
      return Effect.andThen(
        Effect.mapError(Effect.withParentSpan(supervise, yield* telemetry.span), Option.some),
        Effect.fail(Option.none())
      )
    }
    // The watchdog also fires while a reader is slow.
    yield* Effect.forkIn(
      Effect.matchCauseEffect(supervise, {
        onFailure: (cause) => outbox.failCause(cause),
        onSuccess: () => outbox.end
      }),
      scope
    )
    return Effect.catchAllCause(outbox.take, endOf)
  }).pipe(telemetry.inSpan("OpenCode.attempt", {
    "opencode.run.id": context.plan.runId,
    "opencode.attempt": context.number
  }))

/** A mailbox (3.22) adds its own end to the cause that it was ended with. */
const endOf = (
  cause: Cause.Cause<RunError | Cause.NoSuchElementException>
): Effect.Effect<never, Option.Option<RunError>> => {
  for (const error of Cause.failures(cause)) {
    if (!Cause.isNoSuchElementException(error)) return Effect.fail(Option.some(error))
  }
  return Cause.isInterrupted(cause) || Cause.isDie(cause)
    ? Effect.failCause(Cause.stripFailures(cause))
    : Effect.fail(Option.none())
}

/** Passes both gates if neither requires waiting. */
const tryEnter = (
  client: Client,
  provider: string | undefined,
  { shared, startsNothing }: Prepared
): Effect.Effect<Option.Option<Pass>, never, Scope.Scope> =>
  shared !== undefined && startsNothing !== true
    ? Effect.succeedNone
    : Effect.flatMap(
      client.rateGate.isOpen(provider),
      (isOpen) => !isOpen ? Effect.succeedNone : startsNothing === true ? openPass : client.gate.tryEnter
    )

const freePass: Pass = { started: Effect.void, opened: Effect.void }

const openPass = Effect.succeedSome(freePass)

/** Passes both gates; a run held back by the rate gate gives its start slot to another. */
const enter = (
  client: Client,
  provider: string | undefined,
  prepared: Prepared
): Effect.Effect<Pass, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { shared, startsNothing } = prepared
    yield* client.rateGate.wait(provider)
    const pass = startsNothing === true
      ? freePass
      : yield* (shared === undefined ? client.gate.enter : client.gate.enterIn(shared))
    if (yield* client.rateGate.isOpen(provider)) return pass
    yield* pass.opened
    return yield* enter(client, provider, prepared)
  })

const providerOf = (context: Context): string | undefined => plans.provider(context.plan.options)

const withHidden = (partial: RunSnapshot, hidden: sessionExport.Hidden | undefined): RunSnapshot =>
  hidden === undefined ? partial : {
    ...partial,
    usage: TokenUsage.add(partial.usage, hidden.usage),
    cost: partial.cost + hidden.cost,
    ...(hidden.unpriced ? { unpriced: true } : {})
  }
