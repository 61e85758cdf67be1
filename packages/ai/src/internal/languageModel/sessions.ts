/** The OpenCode sessions of conversations, found by what was said in them. */
import type { Service as OpenCodeService } from "effect-opencode/OpenCode"
import type { SessionOpenError } from "effect-opencode/OpenCodeError"
import type { Session, SessionOptions, TurnOptions } from "effect-opencode/Session"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
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
  /** Keeps the session for the calls that continue this conversation, which has ended with this message of OpenCode. */
  readonly keep: (said: Said, messageId: string | undefined) => Effect.Effect<void>
  /** Gives up what the call has said. The session is kept for branches from before it. */
  readonly drop: Effect.Effect<void>
  /**
   * The same after an error. If it was that of a branch that OpenCode has not even begun, nothing is going to branch off there
   * again, because the message can be unknown for good.
   */
  readonly fail: Effect.Effect<void>
}

/** What was said in a conversation, message by message. */
export type Said = ReadonlyArray<string>

export interface Sessions {
  /**
   * Returns the session that has had exactly this conversation, with the same options: the first continuation gets the
   * session itself, and every other one a branch after the last message. Otherwise it is a new one. Conversations of the
   * same words are told apart by their messages, as objects; where that is not possible, the session is a new one.
   */
  readonly take: (said: Said, wanted: Wanted) => Effect.Effect<Held, SessionOpenError>
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

/** A moment in a session at which a call has ended. */
interface Point {
  /** The number of messages that were said until then. */
  readonly length: number
  /** What the user has said in that call. */
  readonly message: object | undefined
  /** The last message of OpenCode. */
  readonly messageId: string | undefined
}

/** A session and what was said in it. */
interface Line {
  readonly wanted: Wanted
  readonly session: Session
  readonly scope: Scope.CloseableScope
  /** The session of which this one is a branch; it must not close earlier, because they share its data. */
  readonly trunk: Line | undefined
  /** The line itself and its branches, while they are needed. */
  users: number
  said: Said
  /** The first one first. */
  points: ReadonlyArray<Point>
  /** True if nothing was said since the last point. */
  isClean: boolean
  /** Ends the rest; `undefined` while a call has the session. */
  timer: Fiber.Fiber<void> | undefined
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
const fits = (kept: Wanted, { base, options, tools }: Wanted): boolean =>
  areSame(kept.options, options) || (tools.length === 0 && areSame(kept.base, base))

const commonLength = (a: Said, b: Said): number => {
  const at = a.findIndex((message, index) => message !== b[index])
  return at === -1 ? a.length : at
}

interface Settings {
  readonly capacity: number
  readonly timeToLive: Duration.Duration
}

/** Reads the options of a model, or says which one is not valid. */
export const settings = ({ capacity = 16, timeToLive = "30 minutes" }: {
  readonly capacity?: number | undefined
  readonly timeToLive?: Duration.DurationInput | undefined
}): Either.Either<Settings, string> => {
  if (capacity !== Infinity && (!Number.isInteger(capacity) || capacity < 0)) {
    return Either.left("`sessions.capacity` must be a whole number that is not negative, or `Infinity`")
  }
  const read = Option.filter(
    Duration.decodeUnknown(timeToLive),
    (duration) => Duration.greaterThan(duration, Duration.zero)
  )
  return Option.match(read, {
    onNone: () => Either.left("`sessions.timeToLive` must be a duration greater than zero"),
    onSome: (duration) => Either.right({ capacity, timeToLive: duration })
  })
}

export const make = (
  opencode: OpenCodeService,
  options: Settings
): Effect.Effect<Sessions, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    /** In the order of their last use. */
    const lines = new Set<Line>()
    const known = new WeakSet<object>()

    const release = (line: Line): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (--line.users > 0) return Effect.void
        const closing = Scope.close(line.scope, Exit.void)
        return line.trunk === undefined ? closing : Effect.andThen(closing, release(line.trunk))
      })

    /** Forgets a line, unless a call has taken it or it has another timer by now. */
    const evict = (line: Line, timer: Line["timer"]): Effect.Effect<void> =>
      Effect.suspend(() =>
        line.timer === timer && lines.delete(line)
          // Not cut short by the end of the scope, which waits for it.
          ? Effect.asVoid(Effect.forkIn(Effect.uninterruptible(release(line)), scope))
          : Effect.void
      )

    const rest = (line: Line): Effect.Effect<void> =>
      Effect.uninterruptible(Effect.gen(function*() {
        if (line.points.length === 0) return yield* evict(line, undefined)
        line.timer = yield* Effect.forkIn(
          Duration.isFinite(options.timeToLive)
            ? Effect.withFiberRuntime<void>((timer) => evict(line, timer)).pipe(
              Effect.delay(options.timeToLive),
              Effect.interruptible
            )
            : Effect.void,
          scope
        )
        lines.delete(line)
        lines.add(line)
        const resting = [...lines].filter(({ timer }) => timer !== undefined)
        if (resting.length <= options.capacity) return
        const [oldest] = resting
        const timer = oldest!.timer!
        yield* Effect.andThen(evict(oldest!, timer), Fiber.interruptFork(timer))
      }))

    /** Gives a point up at which no branch can begin. */
    const forget = (line: Line, point: Point): Effect.Effect<void> =>
      Effect.suspend(() => {
        line.points = line.points.filter((other) => other !== point)
        const { timer } = line
        return line.points.length > 0 || timer === undefined
          ? Effect.void
          : Effect.andThen(evict(line, timer), Fiber.interruptFork(timer))
      })

    const held = (line: Line, isContinued: boolean, wanted: Wanted, from?: Point): Held => ({
      session: line.session,
      isContinued,
      hidden: areSame(line.wanted.base, line.wanted.options)
        ? []
        : line.wanted.tools.filter((tool) => !wanted.tools.includes(tool)),
      keep: (said, messageId) =>
        Effect.suspend(() => {
          const common = commonLength(line.said, said)
          line.points = [
            ...line.points.filter(({ length }) => length <= common),
            { length: said.length, message: wanted.message, messageId }
          ]
          line.said = said
          line.isClean = true
          return rest(line)
        }),
      drop: rest(line),
      fail: Effect.flatMap(line.session.id, (id) =>
        id === undefined && line.trunk !== undefined && from !== undefined
          ? Effect.andThen(forget(line.trunk, from), rest(line))
          : rest(line))
    })

    /** Opens a session, and a scope for it that closes at the latest with ours. */
    const open = <E>(
      wanted: Wanted,
      session: Effect.Effect<Session, E, Scope.Scope>,
      trunk: Line | undefined
    ): Effect.Effect<Line, E> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          // Before the first pause, in which the trunk could be closed.
          if (trunk !== undefined) trunk.users++
          const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
          const line: Line = {
            wanted,
            session: yield* restore(Scope.extend(session, own)).pipe(
              Effect.onError((cause) =>
                Effect.andThen(
                  Scope.close(own, Exit.failCause(cause)),
                  trunk === undefined ? Effect.void : release(trunk)
                )
              )
            ),
            scope: own,
            trunk,
            users: 1,
            said: [],
            points: [],
            isClean: false,
            timer: undefined
          }
          lines.add(line)
          return line
        })
      )

    const fresh = (wanted: Wanted): Effect.Effect<Held, SessionOpenError> =>
      Effect.map(open(wanted, opencode.session(wanted.options), undefined), (line) => held(line, false, wanted))

    const find = (said: Said, wanted: Wanted): readonly [Line, Point] | undefined => {
      const { earlier } = wanted
      const same = [...lines].flatMap((line) => {
        const point = line.points.find(({ length }) => length === said.length)
        return point !== undefined && commonLength(said, line.said) === said.length && fits(line.wanted, wanted)
          ? [[line, point] as const]
          : []
      })
      // A message that was never seen is from an export, or was written again: it can belong to any of them.
      const own = earlier !== undefined && known.has(earlier)
        ? same.filter(([, { message }]) => message === earlier)
        : same
      if (new Set(own.map(([, { message }]) => message)).size > 1) return undefined
      return own.filter(([line, point]) => isFree(line, point)).at(-1) ?? own.at(-1)
    }

    /** True if nothing was said after the point, and nobody is going to say anything. */
    const isFree = (line: Line, point: Point): boolean =>
      line.timer !== undefined && line.isClean && line.points.at(-1) === point

    return {
      take: (said, wanted) =>
        Effect.suspend(() => {
          if (wanted.message !== undefined) known.add(wanted.message)
          const found = find(said, wanted)
          if (found === undefined) return fresh(wanted)
          const [line, point] = found
          if (isFree(line, point)) {
            const timer = line.timer!
            line.timer = undefined
            line.isClean = false
            return Effect.as(Fiber.interruptFork(timer), held(line, true, wanted))
          }
          const { messageId } = point
          if (messageId === undefined) return fresh(wanted)
          return open(line.wanted, line.session.fork({ after: messageId }), line).pipe(
            Effect.map((branch) => held(branch, true, wanted, point)),
            // A carrier that cannot branch off after a message.
            Effect.catchTag("OpenCodeConfigError", () => fresh(wanted))
          )
        })
    }
  })
