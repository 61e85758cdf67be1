/**
 * Signals, and what they mean. Ctrl-C ends the command; if the command is graceful, the first Ctrl-C only asks it to
 * stop and the second ends it. SIGTERM, SIGHUP, SIGQUIT, a closed output pipe and an uncaught failure end it at once.
 * Ending is interruption, so everything that the command has started ends before the program does.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/** `SIGPIPE` stands for a closed output pipe. */
export type Signal = typeof Signal.Type

export const Signal = Schema.Literal("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGPIPE")

/** The command was ended by a signal. */
export class InterruptedError
  extends Schema.TaggedError<InterruptedError>("effect-opencode-cli/InterruptedError")("InterruptedError", {
    signal: Signal
  })
{
  override get message(): string {
    return this.signal === "SIGINT" ? "Interrupted." : `Ended by ${this.signal}.`
  }
}

/** An uncaught error outside of the program's fibers. */
export class CrashedError extends Schema.TaggedError<CrashedError>("effect-opencode-cli/CrashedError")("CrashedError", {
  cause: Schema.Defect
}) {
  override get message(): string {
    const { cause } = this
    return `The program failed: ${cause instanceof Error ? cause.message : Inspectable.toStringUnknown(cause, 0)}`
  }
}

/** What a process can receive from outside of the program. */
export type Received = Signal | CrashedError

/** The state after the signals received so far. */
export interface State {
  /** Whether the command finishes something after the first Ctrl-C. */
  readonly graceful: boolean
  readonly stopping: boolean
  /** When the last counted Ctrl-C arrived, in milliseconds since the epoch. */
  readonly countedAt: number
}

export const initial: State = { graceful: false, stopping: false, countedAt: Number.NEGATIVE_INFINITY }

/**
 * Package managers forward a Ctrl-C that their child has also received itself: within milliseconds, or a few hundred of
 * them on a busy machine. A person who presses it twice is slower.
 */
const echo = Duration.toMillis("400 millis")

/** Decides what a signal asks for. */
export const receive = (state: State, received: Received, now: number): readonly ["none" | "stop" | "end", State] => {
  if (received !== "SIGINT") return ["end", state]
  if (now - state.countedAt < echo) return ["none", state]
  const counted = { ...state, countedAt: now }
  return state.graceful && !state.stopping ? ["stop", { ...counted, stopping: true }] : ["end", counted]
}

/**
 * The next signal that asks for an end, after the command has ended. A Ctrl-C forwarded late by a package manager does
 * not count, and neither does a closed output pipe.
 */
export const next = (signals: Queue.Dequeue<Received>): Effect.Effect<Received> =>
  Effect.gen(function*() {
    const state: State = { ...initial, countedAt: yield* Clock.currentTimeMillis }
    while (true) {
      const signal = yield* Queue.take(signals)
      if (signal === "SIGPIPE") continue
      const [asked] = receive(state, signal, yield* Clock.currentTimeMillis)
      if (asked === "end") return signal
    }
  })

export interface Service {
  /** Until the scope is closed, the first Ctrl-C asks to stop and only the second ends the command. */
  readonly graceful: Effect.Effect<void, never, Scope.Scope>
  /** Completed by the first Ctrl-C if the command is `graceful`. */
  readonly stopping: Deferred.Deferred<void>
  /** Completed when everything must end. */
  readonly ending: Deferred.Deferred<Received>
}

export class Interrupt extends Context.Tag("effect-opencode-cli/Interrupt")<Interrupt, Service>() {}

/** Listens to signals until the scope is closed. */
export const make = (signals: Queue.Dequeue<Received>): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function*() {
    const state = yield* Ref.make(initial)
    const stopping = yield* Deferred.make<void>()
    const ending = yield* Deferred.make<Received>()
    const setGraceful = (graceful: boolean) => Ref.update(state, (current) => ({ ...current, graceful }))
    yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
      const signal = yield* Queue.take(signals)
      const now = yield* Clock.currentTimeMillis
      const asked = yield* Ref.modify(state, (current) => receive(current, signal, now))
      if (asked === "stop") yield* Deferred.succeed(stopping, undefined)
      if (asked === "end") yield* Deferred.succeed(ending, signal)
    })))
    return {
      graceful: Effect.acquireRelease(setGraceful(true), () => setGraceful(false)),
      stopping,
      ending
    }
  })

export const layer = (signals: Queue.Dequeue<Received>): Layer.Layer<Interrupt> =>
  Layer.scoped(Interrupt, make(signals))

/** Runs a command until it ends or is ended by a signal. Its finalizers have run by the time this fails. */
export const guard = <A, E, R>(
  command: Effect.Effect<A, E, R>
): Effect.Effect<A, E | InterruptedError | CrashedError, R | Interrupt> =>
  Effect.flatMap(Interrupt, ({ ending }) =>
    Effect.raceFirst(
      command,
      Effect.flatMap(
        Deferred.await(ending),
        (received): Effect.Effect<never, InterruptedError | CrashedError> =>
          typeof received === "string" ? new InterruptedError({ signal: received }) : received
      )
    ))
