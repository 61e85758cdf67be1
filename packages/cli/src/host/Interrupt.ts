/**
 * Signals, and what they mean: Ctrl-C ends the command, or, where the command has something to finish, asks it to stop
 * first and ends it the second time; SIGTERM, SIGHUP, SIGQUIT, a reader of the output that has gone, and a failure that
 * nothing has caught end it at once.
 * Ending is interruption, so everything that the command has started is ended before the program is.
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

/** `SIGPIPE` stands for output that nobody reads any more. */
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

/** Something was thrown where nothing could catch it. */
export class CrashedError extends Schema.TaggedError<CrashedError>("effect-opencode-cli/CrashedError")("CrashedError", {
  cause: Schema.Defect
}) {
  override get message(): string {
    const { cause } = this
    return `The program failed: ${cause instanceof Error ? cause.message : Inspectable.toStringUnknown(cause, 0)}`
  }
}

/** What a process is told from outside of the program. */
export type Received = Signal | CrashedError

/** What was received so far. */
export interface State {
  /** Whether the command finishes something after the first Ctrl-C. */
  readonly graceful: boolean
  readonly stopping: boolean
  /** When the last Ctrl-C came that counted, in milliseconds since the epoch. */
  readonly countedAt: number
}

export const initial: State = { graceful: false, stopping: false, countedAt: Number.NEGATIVE_INFINITY }

/**
 * Package managers hand a Ctrl-C on that their child has received, too: within milliseconds, or a few hundred of them on a
 * busy machine. A person who means it twice is slower.
 */
const echo = Duration.toMillis("400 millis")

/** What a signal asks for. */
export const receive = (state: State, received: Received, now: number): readonly ["none" | "stop" | "end", State] => {
  if (received !== "SIGINT") return ["end", state]
  if (now - state.countedAt < echo) return ["none", state]
  const counted = { ...state, countedAt: now }
  return state.graceful && !state.stopping ? ["stop", { ...counted, stopping: true }] : ["end", counted]
}

/**
 * The next signal that asks for an end, once nothing is left to finish. A Ctrl-C that a package manager hands on late is
 * none, and neither is output that nobody reads.
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
  /** Until the scope is closed the first Ctrl-C asks to stop, and only the second ends the command. */
  readonly graceful: Effect.Effect<void, never, Scope.Scope>
  /** Done by the first Ctrl-C, where the command is `graceful`. */
  readonly stopping: Deferred.Deferred<void>
  /** Done when everything is to end. */
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

/** Runs a command until it ends or is ended: then its finalizers have run when this fails. */
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
