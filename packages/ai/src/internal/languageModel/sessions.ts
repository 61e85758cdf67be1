/** The OpenCode sessions of conversations, found by what was said in them. */
import type { Service as OpenCodeService } from "effect-opencode/OpenCode"
import type { SessionOpenError } from "effect-opencode/OpenCodeError"
import type { Session, SessionOptions, TurnOptions } from "effect-opencode/Session"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"

/** A session in use by one call. */
export interface Held {
  readonly session: Session
  /** True if it has had the history of the call. */
  readonly isContinued: boolean
  /** OpenCode's names of tools that its server offers, but this call does not serve. */
  readonly hidden: ReadonlyArray<string>
  /** Keeps the session for the call that continues this conversation. */
  readonly keep: (fingerprint: string) => Effect.Effect<void>
  /** Closes the session. */
  readonly drop: Effect.Effect<void>
}

export interface Sessions {
  /**
   * Returns the session that has had exactly this conversation, with the same options, or else a new one. A session is
   * given to one call only: a second continuation of the same conversation gets a new one. Conversations of the same words
   * are told apart by their messages, as objects; where that is not possible, the session is a new one.
   */
  readonly take: (fingerprint: string, wanted: Wanted) => Effect.Effect<Held, SessionOpenError>
}

/** What a call needs of its session. */
export interface Wanted {
  /** The options of the session without tools. */
  readonly base: SessionOptions
  /** The options with the tools of the call, which a warm server has from its start. */
  readonly options: SessionOptions
  /** OpenCode's names of these tools. */
  readonly tools: ReadonlyArray<string>
  /** What the user says in the call, as an object. */
  readonly message?: object | undefined
  /** What the user has said last in the history. */
  readonly earlier?: object | undefined
}

interface Kept extends Wanted {
  readonly session: Session
  readonly scope: Scope.CloseableScope
}

interface Resting extends Kept {
  readonly timer: Fiber.Fiber<void>
}

/** The options that each turn sets for itself; the others belong to a session from its start. */
const turnNames = [
  "agent",
  "budget",
  "exitGrace",
  "idleTimeout",
  "keepRaw",
  "maxProviderRetries",
  "model",
  "onEvent",
  "onStart",
  "recover",
  "startupTimeout",
  "timeout",
  "title",
  "transcript",
  "usage",
  "variant"
] as const satisfies ReadonlyArray<keyof TurnOptions>

type TurnName = typeof turnNames[number]

/** Separates the options of a turn from those of its session. */
export const split = <O extends SessionOptions>(
  options: O
): { readonly ofTurn: Pick<O, TurnName & keyof O>; readonly ofSession: Omit<O, TurnName> } => {
  const isOfTurn = ([name, value]: readonly [string, unknown]): boolean =>
    value !== undefined && (turnNames as ReadonlyArray<string>).includes(name)
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  return {
    ofTurn: Object.fromEntries(entries.filter(isOfTurn)) as Pick<O, TurnName & keyof O>,
    ofSession: Object.fromEntries(entries.filter((entry) => !isOfTurn(entry))) as Omit<O, TurnName>
  }
}

const isSame = (a: unknown, b: unknown): boolean => {
  if (a === b || Equal.equals(a, b)) return true
  if (Redacted.isRedacted(a) || Redacted.isRedacted(b)) return false
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => isSame(item, b[index]))
  }
  if (!Predicate.isRecord(a) || !Predicate.isRecord(b)) return false
  const [left, right] = [Object.keys(a), Object.keys(b)]
  // In their order, which matters in permission rules.
  return left.length === right.length && left.every((key, index) => key === right[index] && isSame(a[key], b[key]))
}

const sorted = (options: SessionOptions): Record<string, unknown> =>
  Object.fromEntries(Object.entries(options).sort(([a], [b]) => a < b ? -1 : 1))

const areSame = (self: SessionOptions, that: SessionOptions): boolean => isSame(sorted(self), sorted(that))

/** True if a session can be continued by a call; one without tools does not mind those of the session. */
const fits = (kept: Kept, { base, options, tools }: Wanted): boolean =>
  areSame(kept.options, options) || (tools.length === 0 && areSame(kept.base, base))

export const make = (
  opencode: OpenCodeService,
  options: { readonly capacity: number; readonly timeToLive: Duration.Duration }
): Effect.Effect<Sessions, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    /** In the order of their last use. */
    const resting = new Map<Resting, string>()
    const known = new WeakSet<object>()

    const close = ({ scope: own }: Kept) => Effect.asVoid(Effect.forkIn(Scope.close(own, Exit.void), scope))

    const evict = (kept: Resting): Effect.Effect<void> =>
      Effect.suspend(() => resting.delete(kept) ? close(kept) : Effect.void)

    const keep = (kept: Kept, fingerprint: string): Effect.Effect<void> =>
      Effect.uninterruptible(Effect.gen(function*() {
        const self: { entry?: Resting } = {}
        const expire = Effect.suspend(() => self.entry === undefined ? Effect.void : evict(self.entry))
        const timer = yield* Effect.forkIn(
          Duration.isFinite(options.timeToLive)
            ? Effect.interruptible(Effect.delay(expire, options.timeToLive))
            : Effect.void,
          scope
        )
        self.entry = { ...kept, timer }
        resting.set(self.entry, fingerprint)
        const oldest = resting.size > options.capacity ? resting.keys().next().value : undefined
        if (oldest !== undefined) yield* Effect.andThen(Fiber.interruptFork(oldest.timer), evict(oldest))
      }))

    const held = (kept: Kept, isContinued: boolean, { tools }: Wanted): Held => ({
      session: kept.session,
      isContinued,
      hidden: areSame(kept.base, kept.options) ? [] : kept.tools.filter((tool) => !tools.includes(tool)),
      keep: (fingerprint) => keep(kept, fingerprint),
      drop: close(kept)
    })

    const open = (wanted: Wanted): Effect.Effect<Held, SessionOpenError> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
          const session = yield* restore(Scope.extend(opencode.session(wanted.options), own)).pipe(
            Effect.onError((cause) => Scope.close(own, Exit.failCause(cause)))
          )
          return held({ ...wanted, session, scope: own }, false, wanted)
        })
      )

    return {
      take: (fingerprint, wanted) =>
        Effect.suspend(() => {
          const { earlier, message } = wanted
          if (message !== undefined) known.add(message)
          const same = [...resting].flatMap(([kept, said]) => said === fingerprint && fits(kept, wanted) ? [kept] : [])
          // A message that was never seen is from an export, or was written again: it can belong to any of them.
          const isKnown = earlier !== undefined && known.has(earlier)
          const own = isKnown ? same.filter((kept) => kept.message === earlier) : same
          const kept = new Set(own.map(({ message }) => message)).size > 1 ? undefined : own.at(-1)
          if (kept === undefined) return open(wanted)
          resting.delete(kept)
          return Effect.as(Fiber.interruptFork(kept.timer), held({ ...kept, message }, true, wanted))
        })
    }
  })
