import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { OpenCodeConfigError } from "../../OpenCodeError.js"

/** A group of effects that end together: the runs of a layer, the turns of a session, the fibers of a stream. */
export interface Lifetime {
  /**
   * Runs an effect on a fiber that the end of the lifetime interrupts and waits for, even if the caller cannot be
   * interrupted. Refused after the end.
   */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E | OpenCodeConfigError>
  /** Makes a lifetime that ends with this one or with the caller's scope. */
  readonly inner: (name: string) => Effect.Effect<Lifetime, OpenCodeConfigError, Scope.Scope>
  /** Closed once everything that ran has ended. */
  readonly scope: Scope.Scope
}

/** A running member of a lifetime. */
interface Member {
  /** Ends it and waits for it. */
  readonly end: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

/** The members that the current fiber runs inside. */
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
            // In one step, so that nothing starts between the check and the registration.
            if (!isOpen) return refused
            const member: Member = { end: () => Effect.asVoid(Fiber.interrupt(fiber)) }
            members.add(member)
            fiber.addObserver(() => members.delete(member))
            return Effect.provideService(effect, Around, [...around, member])
          }).pipe(
            Effect.interruptible,
            // The caller handles the failure, so it must not be logged as unhandled.
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
        // A run that ends its own lifetime must not wait for itself.
        const isInside = around.some((member) => members.has(member))
        if (!isOpen) return isInside ? Effect.void : ended.await
        isOpen = false
        return isInside ? Effect.asVoid(Effect.forkDaemon(close(exit))) : close(exit)
      })
  }
  return self
}

/** Makes a lifetime that ends with the scope. */
export const make = (name: string): Effect.Effect<Lifetime, never, Scope.Scope> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const outer = yield* Effect.scope
    const lifetime = unsafeMake(name, yield* Scope.make(), () => {})
    yield* Scope.addFinalizerExit(outer, lifetime.end)
    return lifetime
  }))
