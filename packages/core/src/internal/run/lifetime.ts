import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { OpenCodeConfigError } from "../../OpenCodeError.js"

/** What ends together: the runs of a layer, the turns of a session, the fibers of a stream. */
export interface Lifetime {
  /**
   * Runs an effect on a fiber that the end of the lifetime interrupts and waits for, even if the caller cannot be
   * interrupted. After the end it is refused.
   */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E | OpenCodeConfigError>
  /** A lifetime that ends with this one or with the caller's scope. */
  readonly inner: (name: string) => Effect.Effect<Lifetime, OpenCodeConfigError, Scope.Scope>
  /** Is closed once everything that ran has ended. */
  readonly scope: Scope.Scope
}

/** One that runs inside a lifetime. */
interface Member {
  /** Ends it and waits for it. */
  readonly end: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

/** The runs that the current fiber is inside of. */
class Around extends Context.Reference<Around>()("effect-opencode/internal/lifetime/Around", {
  defaultValue: (): ReadonlyArray<Member> => []
}) {}

const unsafeMake = (name: string, scope: Scope.CloseableScope, onEnd: (self: Member) => void): Lifetime & Member => {
  const members = new Set<Member>()
  const ended = Effect.unsafeMakeLatch(false)
  let isOpen = true

  const refused = new OpenCodeConfigError({ path: name, reason: "its scope has been closed" })

  const close = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.forEach([...members], (member) => member.end(exit), { concurrency: "unbounded", discard: true }).pipe(
      Effect.andThen(Scope.close(scope, exit)),
      Effect.andThen(Effect.sync(() => onEnd(self))),
      Effect.andThen(ended.open)
    )

  const self: Lifetime & Member = {
    scope,
    run: <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | OpenCodeConfigError> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Around, (around) =>
          Effect.withFiberRuntime<A, E | OpenCodeConfigError>((fiber) => {
            // In one step: nothing starts between the look and the registration.
            if (!isOpen) return refused
            const member: Member = { end: () => Effect.asVoid(Fiber.interrupt(fiber)) }
            members.add(member)
            fiber.addObserver(() => members.delete(member))
            return Effect.provideService(effect, Around, [...around, member])
          }).pipe(
            Effect.interruptible,
            // A failure is the caller's, and nothing to be logged as one that nobody handles.
            Effect.exit,
            Effect.forkDaemon,
            Effect.flatMap((fiber) =>
              restore(Fiber.join(fiber)).pipe(Effect.onInterrupt(() => Fiber.interrupt(fiber)))
            ),
            Effect.flatten
          ))
      ),
    inner: (name) =>
      Effect.uninterruptible(Effect.gen(function*() {
        const outer = yield* Effect.scope
        const own = unsafeMake(name, yield* Scope.make(), (inner) => members.delete(inner))
        yield* Effect.suspend(() => {
          if (!isOpen) return refused
          members.add(own)
          return Effect.void
        })
        yield* Scope.addFinalizerExit(outer, own.end)
        return own
      })),
    end: (exit) =>
      Effect.flatMap(Around, (around) => {
        // A run that ends its own lifetime would wait for itself.
        const isInside = around.some((member) => members.has(member))
        if (!isOpen) return isInside ? Effect.void : ended.await
        isOpen = false
        return isInside ? Effect.asVoid(Effect.forkDaemon(close(exit))) : close(exit)
      })
  }
  return self
}

/** A lifetime that ends with the scope. */
export const make = (name: string): Effect.Effect<Lifetime, never, Scope.Scope> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const outer = yield* Effect.scope
    const lifetime = unsafeMake(name, yield* Scope.make(), () => {})
    yield* Scope.addFinalizerExit(outer, lifetime.end)
    return lifetime
  }))
