import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import * as FleetBudget from "../../FleetBudget.js"
import { OpenCodeTimeoutError } from "../../OpenCodeError.js"
import type { OpenCodeSqliteError, RunError, RunSnapshot } from "../../OpenCodeError.js"
import type { RunEvent } from "../../RunEvent.js"
import { CurrentObserver } from "../../RunOptions.js"
import type { Observer, RunOptions } from "../../RunOptions.js"
import { RunResult } from "../../RunResult.js"
import * as Transcript from "../../Transcript.js"
import * as runSnapshot from "../opencode/runSnapshot.js"
import * as monotonicClock from "../util/monotonicClock.js"
import { unchecked } from "../util/unchecked.js"
import * as attempt from "./attempt.js"
import type { Client } from "./client.js"
import type { Lifetime } from "./lifetime.js"
import * as liveIds from "./liveIds.js"
import * as plan from "./plan.js"
import type { Progress, Sinks } from "./recorder.js"
import * as telemetry from "./telemetry.js"
import * as unpriced from "./unpriced.js"

const nothingYet = (plan: plan.Plan, attempts: number, now: number): RunSnapshot =>
  runSnapshot.make({ runId: plan.runId, cwd: plan.cwd, attempts, duration: Duration.millis(now - plan.startedAt) })

const requestAttributes = (settled: plan.Plan) => {
  const { model } = settled.options
  return {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": settled.options.agent,
    "gen_ai.provider.name": plan.provider(settled.options),
    "gen_ai.request.model": model,
    "opencode.run.id": settled.runId,
    "opencode.cwd": settled.cwd
  }
}

const outcomeAttributes = (partial: RunSnapshot, finishReason: string | undefined) => ({
  "gen_ai.conversation.id": partial.sessionId,
  ...telemetry.usageAttributes(partial.usage),
  "gen_ai.response.finish_reasons": finishReason === undefined ? undefined : [finishReason],
  "opencode.cost_usd": partial.cost,
  "opencode.cost_unknown": partial.unpriced,
  "opencode.steps": partial.steps,
  "opencode.attempts": partial.attempts
})

/** OpenTelemetry's default limit of events in a span; without one the span would hold the whole run. */
const maxSpanEvents = 128

const annotate = (span: Tracer.Span, attributes: { readonly [name: string]: unknown }): void => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) span.attribute(name, value)
  }
}

export interface Mode {
  /** True to keep the events, for the result or the error. */
  readonly collect: boolean
  readonly onResult?: ((result: RunResult) => void) | undefined
  /** Given for a turn of a session. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** The id of the run, if the caller holds it for several turns. */
  readonly heldId?: string | undefined
}

/**
 * Starts a run, retries included, for both `run` and `stream`; it ends at the latest when the scope closes. `lifetime`
 * owns what a pull does besides waiting for events.
 */
const open = (
  client: Client,
  prompt: string,
  options: RunOptions,
  mode: Mode,
  lifetime?: Lifetime
): Effect.Effect<attempt.Pull, RunError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const clock = yield* Effect.clock
    const span = yield* telemetry.span
    const startedAt = clock.unsafeCurrentTimeMillis()
    let outcome = "interrupted"
    let toolEvents = 0
    yield* Effect.addFinalizer((exit) => {
      // A run that fails before its stream starts fails here.
      const tag = outcome === "interrupted" && Exit.isFailure(exit) ? tagOf(exit) : outcome
      return Effect.flatMap(Clock.currentTimeMillis, (now) => telemetry.runEnded(tag, now - startedAt))
    })

    const planned = observed(
      yield* plan.make(client, prompt, options, mode.onProgress !== undefined),
      yield* CurrentObserver
    )
    const settled = mode.heldId === undefined ? planned : { ...planned, runId: mode.heldId }
    if (mode.heldId === undefined) {
      const held = liveIds.hold(settled.runId)
      // Only a source of random numbers that repeats itself could have made one of a live run.
      yield* (settled.options.runId === undefined ? Effect.ignore(held) : held)
    }
    annotate(span, requestAttributes(settled))

    const expiry = expiryOf(clock, settled)

    yield* client.transport.checkFiles(settled)
    const prepare = yield* client.transport.acquire(settled, { inTime: (effect) => expiry.inTime(effect, 0) })
    const transcript = settled.options.transcript === undefined ? undefined : yield* openTranscript(client, settled)
    if (transcript !== undefined) {
      // Interruption, an early end of the stream and a failed start have no verdict, but the program is still alive and
      // can record them.
      yield* Effect.addFinalizer((exit) =>
        outcome === "interrupted" || transcript.isOpen()
          ? transcript.end({
            timestamp: clock.unsafeCurrentTimeMillis(),
            runId: settled.runId,
            outcome: outcome === "interrupted" && Exit.isFailure(exit) ? tagOf(exit) : outcome
          })
          : Effect.void
      )
    }
    const budget = yield* FleetBudget.FleetBudget
    // Without limits there is nothing to add up.
    const fleet = budget === FleetBudget.unlimited ? undefined : budget
    // Fast path: no timeout race when a slot is free.
    if (Option.isNone(yield* client.running.tryEnter)) yield* expiry.inTime(client.running.enter, 0)

    let isTold = false
    const onUnpriced = Effect.suspend(() => {
      if (isTold) return Effect.void
      isTold = true
      return unpriced.warn(settled, fleet)
    })

    const sinks: Sinks = {
      transcript,
      fleet,
      onTool: (event) => {
        if (event._tag !== "ToolUse" || toolEvents >= maxSpanEvents) return
        toolEvents++
        span.event("gen_ai.tool.call", clock.unsafeCurrentTimeNanos(), {
          "gen_ai.tool.name": event.tool,
          "gen_ai.tool.call.id": event.callId,
          "opencode.tool.status": event.status
        })
      },
      onProgress: (progress) => mode.onProgress?.(progress),
      onUnpriced
    }

    let driver: Schedule.ScheduleDriver<unknown, OpenCodeSqliteError> | undefined
    const delay = (error: OpenCodeSqliteError): Effect.Effect<unknown, OpenCodeSqliteError> =>
      Effect.gen(function*() {
        driver ??= yield* Schedule.driver(client.retry)
        return yield* Effect.mapError(driver.next(error), () => error)
      })
    const attemptOf = (number: number): Effect.Effect<attempt.Pull, RunError, Scope.Scope> =>
      attempt.make({
        client,
        plan: settled,
        prepare,
        number,
        expiry,
        sinks,
        collect: mode.collect,
        listening: !mode.collect || settled.options.onEvent !== undefined,
        unpriced: unpriced.limitOf(settled, fleet),
        onSuccess: (success) => {
          outcome = "success"
          annotate(span, outcomeAttributes(success.partial, success.finished.finishReason))
          mode.onResult?.(toResult(success))
        }
      })

    /** Runs each attempt in its own scope, which is closed before the next attempt. */
    const attempts = (number: number): Effect.Effect<attempt.Pull, RunError> =>
      Effect.flatMap(Scope.fork(scope, ExecutionStrategy.sequential), (own) => {
        const again = (error: RunError): Effect.Effect<attempt.Pull, RunError> =>
          error._tag !== "OpenCodeSqliteError" ?
            Effect.fail(error) :
            Effect.uninterruptible(Scope.close(own, Exit.fail(error))).pipe(
              Effect.andThen(expiry.inTime(delay(error), number)),
              Effect.andThen(Metric.increment(telemetry.retries)),
              Effect.andThen(attempts(number + 1)),
              // The consumer pulls in another span.
              Effect.withParentSpan(span)
            )
        return Scope.extend(attemptOf(number), own).pipe(
          Effect.map((pull): attempt.Pull =>
            Effect.catchAll(pull, (end) =>
              Option.match(end, {
                onNone: () => Effect.fail(Option.none()),
                onSome: (error) =>
                  Effect.flatMap(Effect.mapError(lifetime?.run(again(error)) ?? again(error), Option.some), (next) => {
                    current = next
                    return next
                  })
              }))
          ),
          Effect.catchAll(again)
        )
      })

    const failed = (error: RunError) =>
      Effect.sync(() => {
        outcome = error._tag
        annotate(span, { "error.type": error._tag })
        if ("partial" in error && error.partial !== undefined) {
          annotate(
            span,
            outcomeAttributes(error.partial, error._tag === "OpenCodeIncompleteError" ? error.finishReason : undefined)
          )
        }
      })

    let current = yield* Effect.tapError(attempts(1), failed)
    const pull = Effect.tapError(
      Effect.suspend(() => current),
      Option.match({ onNone: () => Effect.void, onSome: failed })
    )
    const { onEvent } = settled.options
    return onEvent === undefined
      ? pull
      : Effect.tap(pull, (events) => Effect.forEach(events, onEvent, { discard: true }))
  }).pipe(telemetry.inSpan("OpenCode.run"))

/** Streams the events of a run. */
export const make = (
  client: Client,
  prompt: string,
  options: RunOptions,
  mode: Mode
): Stream.Stream<RunEvent, RunError> =>
  Stream.unwrapScoped(
    Effect.flatMap(client.lifetime.inner("layer"), (lifetime) =>
      Effect.map(
        lifetime.run(Scope.extend(open(client, prompt, options, mode, lifetime), lifetime.scope)),
        Stream.repeatEffectChunkOption
      ))
  )

const both = <A>(
  first: ((value: A) => Effect.Effect<void>) | undefined,
  second: ((value: A) => Effect.Effect<void>) | undefined
) =>
  first === undefined
    ? second
    : second === undefined
    ? first
    : (value: A) => Effect.andThen(first(value), second(value))

/** Adds the observer of the region, which no layer of options replaces. */
const observed = (planned: plan.Plan, { onEvent, onSession }: Observer): plan.Plan =>
  onEvent === undefined && onSession === undefined ? planned : {
    ...planned,
    options: {
      ...planned.options,
      onEvent: both(onEvent, planned.options.onEvent),
      onSession: both(onSession, planned.options.onSession)
    }
  }

const expiryOf = (clock: Clock.Clock, settled: plan.Plan): attempt.Expiry => {
  const at = monotonicClock.millis(clock) + Duration.toMillis(settled.timeout)
  const over = Effect.suspend(() =>
    at === Number.POSITIVE_INFINITY ? Effect.never : Effect.sleep(at - monotonicClock.millis(clock))
  )
  return {
    at,
    await: over,
    inTime: (effect, attempts) =>
      Effect.raceFirst(
        effect,
        Effect.flatMap(over, () =>
          new OpenCodeTimeoutError({
            phase: "total",
            limit: settled.timeout,
            partial: nothingYet(settled, attempts, clock.unsafeCurrentTimeMillis())
          }))
      )
  }
}

const tagOf = (exit: Exit.Failure<unknown, unknown>): string => {
  const error = Exit.match(exit, {
    onSuccess: () => Option.none(),
    onFailure: (cause) => cause._tag === "Fail" ? Option.some(cause.error) : Option.none()
  })
  return Option.match(error, {
    onNone: () => "interrupted",
    onSome: (error) => typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : "defect"
  })
}

/** A transcript that knows whether it shows a run without an end. */
const openTranscript = (client: Client, settled: plan.Plan) =>
  Transcript.open(client.path.resolve(settled.cwd, settled.options.transcript!), {
    clean: settled.redactor.wireLine,
    runId: settled.runId
  }).pipe(
    Effect.map((transcript) => {
      let isOpen = false
      return {
        ...transcript,
        isOpen: () => isOpen,
        start: (start: Parameters<Transcript.Transcript["start"]>[0]) => {
          isOpen = true
          return transcript.start(start)
        },
        end: (end: Parameters<Transcript.Transcript["end"]>[0]) => {
          isOpen = false
          return transcript.end(end)
        }
      }
    }),
    Effect.provideService(FileSystem.FileSystem, client.fileSystem),
    Effect.provideService(Path.Path, client.path)
  )

const toResult = ({ answer, finished, model, partial, recovered }: attempt.Success): RunResult =>
  unchecked(RunResult, {
    runId: partial.runId,
    answer,
    text: partial.text,
    events: partial.events ?? [],
    sessionId: partial.sessionId,
    ...(model === undefined ? {} : { model }),
    usage: partial.usage,
    cost: partial.cost,
    ...(partial.unpriced === true ? { unpriced: true } : {}),
    steps: partial.steps,
    finishReason: finished.finishReason,
    exitCode: finished.exitCode,
    forced: finished.forced,
    recovered,
    lostLines: partial.lostLines ?? 0,
    stderr: partial.stderr,
    rawLines: partial.rawLines,
    attempts: partial.attempts,
    duration: partial.duration
  })

/** Runs to the end and returns the result. */
export const toEnd = (
  client: Client,
  prompt: string,
  options: RunOptions,
  mode?: Omit<Mode, "collect" | "onResult">
): Effect.Effect<RunResult, RunError> =>
  Effect.suspend(() => {
    let result: RunResult | undefined
    const events = open(client, prompt, options, {
      ...mode,
      collect: true,
      onResult: (ended) => {
        result = ended
      }
    })
    return client.lifetime.run(Effect.scoped(Effect.flatMap(events, drain))).pipe(
      // A run ends without a failure only after `onResult`.
      Effect.map(() => result!)
    )
  })

const drain = (pull: attempt.Pull): Effect.Effect<void, RunError> =>
  Effect.catchAll(Effect.forever(pull), Option.match({ onNone: () => Effect.void, onSome: Effect.fail }))
