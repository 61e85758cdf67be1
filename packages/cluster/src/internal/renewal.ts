import * as ClusterError from "@effect/cluster/ClusterError"
import type * as RunnerStorage from "@effect/cluster/RunnerStorage"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

type Storage = RunnerStorage.RunnerStorage["Type"]

/** From the order to end an agent to its end, SIGKILL after 5 seconds included, with 3 seconds to spare. */
const toEndAgents = Duration.seconds(8)

const interval = Duration.seconds(1)

/**
 * How long a runner goes on without a renewal of its locks that it knows of. What is left of the locks then is enough to
 * end its agents.
 */
export const toleranceOf = (lockExpiration: Duration.Duration): Duration.Duration =>
  Duration.min(
    Duration.subtract(lockExpiration, toEndAgents),
    // The engine does not wait for a renewal longer than a third.
    Duration.sum(Duration.times(lockExpiration, 1 / 3), interval)
  )

/** How often the engine asks for a renewal, and how long it waits. */
export const engineIntervalOf = (lockExpiration: Duration.Duration): Duration.Duration =>
  Duration.subtract(toleranceOf(lockExpiration), interval)

/**
 * Renews the locks every second. The engine has one setting for how often it renews and how long it waits, and would
 * notice after twice that time that the database is lost: most of a lock's life would go by before agents are ended.
 */
export const make = (
  storage: Storage,
  lockExpiration: Duration.Duration
): Effect.Effect<Storage, never, Scope.Scope> =>
  Effect.gen(function*() {
    const tolerance = Duration.toMillis(toleranceOf(lockExpiration))
    let last: Parameters<Storage["refresh"]> | undefined
    let renewedAt: number | undefined
    let asking = 0

    // Counts from before the statement: its answer can be late.
    const renew = (...args: Parameters<Storage["refresh"]>) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.tap(storage.refresh(...args), () =>
          Effect.sync(() => {
            renewedAt = Math.max(renewedAt ?? 0, now)
          })))

    yield* Effect.suspend(() => asking > 0 || last === undefined ? Effect.void : Effect.ignore(renew(...last))).pipe(
      Effect.repeat(Schedule.spaced(interval)),
      Effect.forkScoped
    )

    return {
      ...storage,
      refresh: (address, shards) =>
        Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          const shardIds = [...shards]
          last = [address, shardIds]
          const left = renewedAt === undefined ? tolerance : renewedAt + tolerance - now
          // A database that starts again refuses connections for a moment.
          const renewed = yield* Effect.retry(renew(address, shardIds), Schedule.spaced("200 millis")).pipe(
            Effect.timeoutOption(Math.max(left, shardIds.length === 0 ? tolerance : 0))
          )
          return yield* Option.match(renewed, {
            onSome: Effect.succeed,
            onNone: () =>
              new ClusterError.PersistenceError({ cause: new Error("the locks could not be renewed in time") })
          })
        }).pipe(
          (effect) =>
            Effect.acquireUseRelease(Effect.sync(() => asking++), () => effect, () => Effect.sync(() => asking--))
        )
    }
  })
