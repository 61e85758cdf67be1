import * as Chunk from "effect/Chunk"
import * as Config from "effect/Config"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as FleetBudget from "../FleetBudget.js"
import { OpenCodeConfigError } from "../OpenCodeError.js"
import type { OpenCodeError, Partial } from "../OpenCodeError.js"
import type { RunEvent } from "../RunEvent.js"
import type * as StartupGate from "../StartupGate.js"
import * as TokenUsage from "../TokenUsage.js"
import type { Transcript } from "../Transcript.js"
import * as Verdict from "../Verdict.js"
import type { Version } from "../Version.js"
import * as check from "./check.js"
import type { Client } from "./client.js"
import * as decode from "./decode.js"
import * as exported from "./exported.js"
import * as guards from "./guards.js"
import * as intakes from "./intake.js"
import * as invocation from "./invocation.js"
import * as limits from "./limits.js"
import * as lineSplitter from "./lineSplitter.js"
import * as plans from "./plan.js"
import * as process from "./process.js"
import * as processTable from "./processTable.js"
import * as repeatedStep from "./repeatedStep.js"
import * as stderrFacts from "./stderrFacts.js"
import * as summary from "./summary.js"
import * as surroundings from "./surroundings.js"
import * as tail from "./tail.js"

/** What one start of the process needs from the run that it belongs to. */
export interface Context {
  readonly client: Client
  readonly plan: plans.Plan
  readonly binary: string
  readonly version: Version
  /** From 1. */
  readonly number: number
  /** Done when the run's total time is over. */
  readonly expired: Deferred.Deferred<void>
  /** Cuts a wait short when the run's total time is over. */
  readonly inTime: <A, R>(effect: Effect.Effect<A, OpenCodeError, R>) => Effect.Effect<A, OpenCodeError, R>
  readonly transcript: Transcript | undefined
  readonly fleet: FleetBudget.Service | undefined
  /** Keep the events, for a result or an error that carries them. */
  readonly collect: boolean
  readonly onTool: (event: RunEvent) => void
  /** Every time that events have arrived. */
  readonly onProgress: (progress: intakes.Progress) => void
  readonly onSuccess: (success: Success) => void
}

/** What is known of an attempt that finished. */
export interface Success {
  readonly finished: Verdict.Finished
  readonly recovered: boolean
  readonly partial: Partial
}

/** A line of stderr that is longer is no line of OpenCode's, and not worth the memory: in bytes. */
const maxStderrLine = 1024 * 1024

/** How long a pipe may be silent, after the process has exited, before it is given up: something else holds it. */
const drainPatience = Duration.seconds(1)

const inherited: Effect.Effect<string> = Config.string(processTable.variable).pipe(Effect.orElseSucceed(() => ""))

const toInvocation = (context: Context, env: { readonly [name: string]: string }): invocation.Invocation => {
  const { options, prompt } = context.plan
  const byArgument = options.promptVia === "argv"
  return {
    args: invocation.args(options, context.version, byArgument ? prompt : undefined),
    env,
    // OpenCode reads stdin to its end in any case: without one it would wait for ever.
    stdin: byArgument ? "" : prompt
  }
}

/** One start of the process, as a stream of its events that fails with the verdict if there is one to fail with. */
export const make = (context: Context): Stream.Stream<RunEvent, OpenCodeError> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const { client, plan } = context
    const scope = yield* Effect.scope
    const clock = yield* Effect.clock

    const around = yield* surroundings.make(client, plan.options, plan.cwd)
    // A run inside a run carries both ids, so that either sweep finds it.
    const marker = { [processTable.variable]: `${yield* inherited}:${plan.runId}` }
    const started = toInvocation(context, { ...around.env, ...marker })
    const problem = check.invocation(started)
    if (Option.isSome(problem)) return yield* new OpenCodeConfigError(problem.value)

    const state = summary.make({ keepText: context.collect ? Number.POSITIVE_INFINITY : limits.kept })
    const stderr = tail.make(limits.kept)
    const events: Array<RunEvent> = []
    const rawLines: Array<string> = []
    const keepRaw = context.collect && plan.options.keepRaw === true
    const outbox = yield* Mailbox.make<Chunk.Chunk<RunEvent>, OpenCodeError>(1)
    // Remembered only where somebody asks for what stdout does not show.
    const parts = plan.options.recover === undefined && plan.options.usage === undefined ? undefined : exported.parts()

    const pass = yield* context.inTime(enter(client, providerOf(context)))
    // As late as possible: those who stood before us in the queue have spent since.
    if (context.fleet !== undefined) yield* context.fleet.check
    if (context.transcript !== undefined) {
      yield* context.transcript.start({
        timestamp: clock.unsafeCurrentTimeMillis(),
        runId: plan.runId,
        attempt: context.number,
        cwd: plan.cwd,
        directory: around.directory
      })
    }
    // Here, because the time for the start begins: that for the wait at the gate is not the process's.
    const guard = yield* guards.make(plan, clock.unsafeCurrentTimeMillis())
    const running = yield* process.start(client.executor, client.table, {
      binary: context.binary,
      cwd: plan.cwd,
      invocation: started,
      extendEnv: client.environment.extend,
      marker: plan.runId,
      forceKillAfter: client.forceKillAfter
    })

    const intake = () =>
      intakes.make({
        state,
        guard,
        outbox,
        opened: pass.opened,
        events: context.collect ? events : undefined,
        parts,
        transcript: context.transcript,
        fleet: context.fleet,
        onTool: context.onTool,
        onProgress: context.onProgress
      })

    const stdoutLines = lineSplitter.make()
    const fromStdout = intake()
    const repeated = repeatedStep.make(state)
    const onStdout = (lines: ReadonlyArray<lineSplitter.Line>): Effect.Effect<void> => {
      if (keepRaw) {
        for (const line of lines) {
          if (typeof line === "string") rawLines.push(lineSplitter.copy(line))
        }
      }
      const arrived: Array<RunEvent> = []
      let limited: Effect.Effect<void> = Effect.void
      for (const line of lines) {
        const event = decode.fromSplit(line)
        const retry = repeated(event)
        if (retry !== undefined) arrived.push(retry)
        arrived.push(event)
        // At once: the first event lets the next run start.
        if (event._tag === "SessionError" && event.kind === "rate-limit") {
          limited = client.rateGate.limited(providerOf(context), event.retryAfter)
        }
      }
      return Effect.zipRight(limited, fromStdout(arrived))
    }

    const stderrLines = lineSplitter.make(maxStderrLine)
    const fromStderr = intake()
    const onStderr = (lines: ReadonlyArray<lineSplitter.Line>): Effect.Effect<void> => {
      const found: Array<RunEvent> = []
      let limited: Effect.Effect<void> = Effect.void
      for (const raw of lines) {
        const line = typeof raw === "string" ? stderrFacts.stripAnsi(raw) : `[a line of ${raw.tooLong} bytes]`
        stderr.push(`${line}\n`)
        const fact = stderrFacts.classify(line)
        switch (fact._tag) {
          case "PermissionRejected":
            found.push(fact.event)
            break
          case "AgentFallback":
            guard.agentFallback(fact.fallback)
            break
          case "ProviderFailure": {
            const retry = stderrFacts.providerRetry(fact, state.retries + found.length + 1)
            found.push(retry)
            if (retry.kind === "rate-limit") limited = client.rateGate.limited(providerOf(context), undefined)
            break
          }
        }
      }
      return Effect.zipRight(limited, fromStderr(found))
    }

    const stdoutPump = yield* Effect.forkIn(
      pump(running.stdout, (chunk) => {
        guard.read()
        return onStdout(splitAll(stdoutLines, chunk))
      }),
      scope
    )
    const stderrPump = yield* Effect.forkIn(
      pump(running.stderr, (chunk) => onStderr(splitAll(stderrLines, chunk))),
      scope
    )
    yield* pass.started
    yield* Effect.forkIn(guard.watch(Deferred.await(context.expired)), scope)

    const facts = (survivors: ReadonlyArray<number>): Partial => ({
      runId: plan.runId,
      cwd: plan.cwd,
      sessionId: state.sessionId,
      eventCount: state.eventCount,
      text: state.text(),
      usage: state.usage,
      cost: state.cost,
      turns: state.turns,
      stderr: plan.redact(stderr.read()),
      attempts: context.number,
      duration: clock.unsafeCurrentTimeMillis() - plan.startedAt,
      events: context.collect ? events : undefined,
      rawLines: keepRaw ? rawLines : undefined,
      survivors
    })

    /** The run's time is also that of the questions after it. */
    const untilExpired = <A>(asking: Effect.Effect<A>, otherwise: A): Effect.Effect<A> =>
      Effect.raceFirst(asking, Effect.as(Deferred.await(context.expired), otherwise))

    const supervise = Effect.gen(function*() {
      yield* Effect.raceFirst(running.exit, guard.await)
      yield* pass.opened
      guard.exited()
      const survivors = yield* running.terminate({ force: guard.fired()?._tag === "AgentFallback" })
      const exit = yield* Effect.map(
        Effect.timeoutOption(running.exit, survivors.length > 0 ? Duration.zero : drainPatience),
        Option.getOrElse((): Verdict.Exit => ({ _tag: "Lost" }))
      )
      yield* drain(stdoutPump, guard)
      yield* drain(stderrPump, guard)
      yield* onStderr(stderrLines.flush())
      yield* onStdout(stdoutLines.flush())
      // The options are what is to be cleaned out of its errors.
      const ask = { client: { ...client, defaults: plan.options }, cwd: plan.cwd, env: started.env }
      const lacksEnd = guard.fired() === undefined && exit._tag === "Code" && exit.code === 0 && !state.finished &&
        state.pendingError === undefined && state.rejection === undefined
      const missing = lacksEnd && plan.options.recover === "export" && state.sessionId !== undefined
        ? yield* untilExpired(exported.missing(ask, state.sessionId, parts), [])
        : []
      yield* fromStdout(missing)
      const hidden = plan.options.usage === "deep" && guard.fired() === undefined
        ? yield* untilExpired(exported.hidden(ask, parts), undefined)
        : undefined
      if (hidden !== undefined) {
        context.onProgress({ sessionId: state.sessionId, ...hidden, turns: 0 })
        if (context.fleet !== undefined) {
          yield* context.fleet.add({ steps: 0, cost: hidden.cost, tokens: hidden.usage.total, toolCalls: 0 })
        }
      }
      const partial = withHidden(facts(survivors), hidden)
      const judge = (partial: Partial) =>
        Verdict.decide({ evidence: state, exit, guard: guard.fired(), partial, redact: plan.redact })
      const first = judge(partial)
      // Errors are logged and sent on, events and all; a result is for the caller, who gets it as it was.
      const verdict = Either.isLeft(first) ? judge(plan.clean(partial)) : first
      if (context.transcript !== undefined) {
        yield* context.transcript.end({
          timestamp: clock.unsafeCurrentTimeMillis(),
          runId: plan.runId,
          outcome: Either.isLeft(verdict) ? verdict.left._tag : "success",
          finishReason: state.finishReason
        })
      }
      if (Either.isRight(verdict)) {
        context.onSuccess({ finished: verdict.right, recovered: missing.length > 0, partial })
      }
      yield* Either.isLeft(verdict) ? outbox.fail(verdict.left) : outbox.end
    })
    yield* Effect.forkIn(
      Effect.catchAllCause(supervise, (cause) => outbox.failCause(cause)),
      scope
    )
    return Stream.flattenChunks(Mailbox.toStream(outbox))
  })).pipe(Stream.withSpan("OpenCode.attempt", { attributes: { "opencode.attempt": context.number } }))

/** Passes both gates. Who is told to wait for a provider leaves the place among the starting to others. */
const enter = (client: Client, provider: string | undefined): Effect.Effect<StartupGate.Pass, never, Scope.Scope> =>
  Effect.gen(function*() {
    yield* client.rateGate.wait(provider)
    const pass = yield* client.gate.enter
    if (yield* client.rateGate.isOpen(provider)) return pass
    yield* pass.opened
    return yield* enter(client, provider)
  })

const providerOf = (context: Context): string | undefined => plans.provider(context.plan.options)

const splitAll = (
  splitter: lineSplitter.LineSplitter,
  chunk: Chunk.Chunk<Uint8Array>
): ReadonlyArray<lineSplitter.Line> => {
  const first = Chunk.unsafeHead(chunk)
  return chunk.length === 1
    ? splitter.push(first)
    : Chunk.toReadonlyArray(chunk).flatMap((bytes) => splitter.push(bytes))
}

const withHidden = (partial: Partial, hidden: exported.Hidden | undefined): Partial =>
  hidden === undefined ? partial : {
    ...partial,
    usage: TokenUsage.add(partial.usage, hidden.usage),
    cost: partial.cost + hidden.cost
  }

/**
 * Hands every chunk of a pipe to a consumer, until its end. Pulled by hand: an effect that a sink runs is held by the
 * channel for so long that the events in it outlive the young generation, which doubled the time in the collector.
 */
const pump = <E>(
  pipe: Stream.Stream<Uint8Array, E>,
  consume: (chunk: Chunk.Chunk<Uint8Array>) => Effect.Effect<void>
): Effect.Effect<void> =>
  Stream.toPull(pipe).pipe(
    Effect.flatMap((pull) => Effect.forever(Effect.flatMap(pull, consume))),
    Effect.scoped,
    Effect.ignore
  )

/** Waits for a pump to reach the end of its pipe; gives up when the pipe stays silent, not when the reader is slow. */
const drain = (pump: Fiber.RuntimeFiber<void>, guard: guards.Guards): Effect.Effect<void> => {
  const silent: Effect.Effect<void> = Effect.suspend(() => {
    const reads = guard.reads()
    return Effect.flatMap(
      Effect.sleep(drainPatience),
      () => guard.isReading() && guard.reads() === reads ? Effect.void : silent
    )
  })
  return Effect.zipRight(
    Effect.raceFirst(Effect.asVoid(Fiber.await(pump)), silent),
    Effect.asVoid(Fiber.interrupt(pump))
  )
}
