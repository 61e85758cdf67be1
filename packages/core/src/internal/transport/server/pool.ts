import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Hash from "effect/Hash"
import * as RcMap from "effect/RcMap"
import * as Scope from "effect/Scope"
import * as environment from "../../launch/environment.js"
import * as fairSemaphore from "../../util/fairSemaphore.js"
import * as connections from "./connection.js"
import type { Server, Services } from "./connection.js"
import type { Spec } from "./serverProcess.js"

export type { Spec }

/** Servers by what they were started with. */
export interface Pool {
  /**
   * The server of this kind, for as long as the scope is open. Where there are as many servers as there may be, a start
   * waits for one that nobody uses, which gives way.
   */
  readonly get: (spec: Spec) => Effect.Effect<Server, never, Scope.Scope>
}

export interface Options {
  /** Server processes at the same time. Default: 4, which is 2.4 GB at 360 to 600 MB each (1.18.33). */
  readonly maxServers?: number | undefined
  /** How long a server that nobody uses goes on. Default: 5 minutes. */
  readonly idleTimeToLive?: Duration.DurationInput | undefined
  /** How long a server may take until it listens. Default: 60 seconds; 1.5 to 7 are usual. */
  readonly startTimeout?: Duration.DurationInput | undefined
}

const maxServersDefault = 4
const idleTimeToLiveDefault = "5 minutes"
const startTimeoutDefault = "60 seconds"

class Key implements Equal.Equal {
  constructor(readonly spec: Spec) {}
  [Equal.symbol](that: unknown): boolean {
    return that instanceof Key && that.spec.key === this.spec.key
  }
  [Hash.symbol](): number {
    return Hash.string(this.spec.key)
  }
}

/** A server that nobody uses. */
interface Idle {
  readonly key: Key
  /** What will end it. */
  alarm: Fiber.RuntimeFiber<void> | undefined
}

/** Waits until one more server may be started; it may run as long as the scope is open. */
type Enter = Effect.Effect<void, never, Scope.Scope>

/**
 * At most so many servers. `RcMap` shares them, counts their users and ends those that stay idle; what it lacks is the
 * choice of the one that gives way.
 */
export const make = (
  options: Options,
  /** `enter` waits until a process may be started; it is there for every process of the server. */
  makeServer: (spec: Spec, enter: Effect.Effect<void>) => Effect.Effect<Server, never, Scope.Scope>
): Effect.Effect<Pool, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const idleTimeToLive = Duration.decode(options.idleTimeToLive ?? idleTimeToLiveDefault)
    const slots = yield* fairSemaphore.make(options.maxServers ?? maxServersDefault)
    // `RcMap` (3.22) can make an entry twice for two who come at the same time.
    const door = yield* fairSemaphore.make(1)
    const entries = new Map<string, Server>()
    /** One server of a kind at a time, also while the last one is being ended: they share their data. */
    const turns = new Map<string, { readonly turn: fairSemaphore.FairSemaphore; entries: number }>()
    const users = new Map<string, number>()
    /** In the order in which they were used last. */
    const idle = new Map<string, Idle>()
    /** What is being ended: a slot will be free. */
    const ending = new Set<object>()
    let waiting = 0

    const leaveIdle = (name: string): void => {
      idle.get(name)?.alarm?.unsafeInterruptAsFork(FiberId.none)
      idle.delete(name)
    }

    const giveWay: Effect.Effect<void> = Effect.suspend(() => {
      if (waiting <= ending.size) return Effect.void
      for (const [name, { key }] of idle) {
        leaveIdle(name)
        return RcMap.invalidate(servers, key)
      }
      return Effect.void
    })
    // On a fiber of its own, at whose beginning nothing comes between the choice and the removal.
    const balance = Effect.forkIn(giveWay, scope)

    const enter: Enter = Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        waiting++
        return Effect.zipRight(balance, restore(slots.enter))
      }).pipe(
        Effect.ensuring(Effect.sync(() => {
          waiting--
        })),
        Effect.asVoid
      )
    )

    const turnOf = (name: string) =>
      Effect.acquireRelease(
        Effect.gen(function*() {
          const known = turns.get(name) ?? { turn: yield* fairSemaphore.make(1), entries: 0 }
          known.entries++
          turns.set(name, known)
          return known
        }),
        (known) =>
          Effect.sync(() => {
            known.entries--
            if (known.entries === 0) turns.delete(name)
          })
      )

    /** A server keeps its slot over its crashes: whoever has it does not wait for one again. */
    const onceIn = (enter: Enter): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
      Effect.gen(function*() {
        // Made before the server is: closed when that is gone.
        const kept = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        let hasEntered = false
        return Effect.suspend(() =>
          hasEntered ?
            Effect.void :
            Effect.uninterruptibleMask((restore) =>
              Effect.flatMap(Scope.fork(kept, ExecutionStrategy.sequential), (own) =>
                Scope.extend(restore(enter), own).pipe(
                  Effect.onError(() => Scope.close(own, Exit.void)),
                  Effect.map(() => {
                    hasEntered = true
                  })
                ))
            )
        )
      })

    const servers: RcMap.RcMap<Key, Server> = yield* RcMap.make({
      // Its own timer (3.22) can remove the next entry of a key while the last one is being ended.
      idleTimeToLive: Duration.infinity,
      lookup: (key: Key) =>
        Effect.gen(function*() {
          const name = key.spec.key
          const entry = {}
          yield* Effect.addFinalizer(() =>
            Effect.suspend(() => {
              ending.delete(entry)
              return balance
            })
          )
          const { turn } = yield* turnOf(name)
          const server = yield* makeServer(key.spec, yield* onceIn(Effect.zipRight(turn.enter, enter)))
          entries.set(name, server)
          // The first of the finalizers.
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => {
              ending.add(entry)
              // Not that of the next one, which can be there already.
              if (entries.get(name) === server) entries.delete(name)
            })
          )
          return server
        })
    })

    // `RcMap` ends one after the other, and only what is in use is left to it.
    yield* Effect.addFinalizer(() =>
      Effect.forEach([...idle.values()], ({ key }) => RcMap.invalidate(servers, key), {
        concurrency: "unbounded",
        discard: true
      })
    )

    const enterUse = (name: string) =>
      Effect.sync(() => {
        users.set(name, (users.get(name) ?? 0) + 1)
        leaveIdle(name)
      })

    const enterIdle = (key: Key): Effect.Effect<void> =>
      Effect.suspend(() => {
        const name = key.spec.key
        const self: Idle = { key, alarm: undefined }
        idle.set(name, self)
        if (!Duration.isFinite(idleTimeToLive)) return Effect.void
        const end = Effect.suspend(() => {
          if (idle.get(name) !== self) return Effect.void
          idle.delete(name)
          return RcMap.invalidate(servers, key)
        })
        // Once it has begun to end the server, it is not stopped.
        const alarm = Effect.zipRight(Effect.interruptible(Effect.sleep(idleTimeToLive)), end)
        return Effect.map(Effect.forkIn(Effect.uninterruptible(alarm), scope), (fiber) => {
          self.alarm = fiber
        })
      })

    const leaveUse = (key: Key): Effect.Effect<void> =>
      Effect.suspend(() => {
        const name = key.spec.key
        const left = (users.get(name) ?? 1) - 1
        if (left > 0) {
          users.set(name, left)
          return Effect.void
        }
        users.delete(name)
        const server = entries.get(name)
        // One that has died goes on with its data when somebody needs it.
        if (server?.hasOpened() === true) return Effect.zipRight(enterIdle(key), balance)
        // Nobody waits for its first start any more, or it had none.
        const retire = Effect.suspend(() => users.has(name) ? Effect.void : RcMap.invalidate(servers, key))
        return Effect.flatMap(Effect.forkIn(retire, scope), Fiber.join)
      })

    return {
      get: (spec) =>
        Effect.gen(function*() {
          const key = new Key(spec)
          const use = yield* Effect.scope
          yield* Effect.acquireRelease(enterUse(spec.key), () => leaveUse(key))
          return yield* Effect.scoped(Effect.zipRight(door.enter, Scope.extend(RcMap.get(servers, key), use)))
        })
    }
  })

/**
 * Servers of our own. Each has its directories for as long as it is kept, over however many of its processes. They
 * start one after the other: on one database they could crash each other, and the first one in a configuration directory
 * installs a package there (1.18.33).
 */
export const ofProcesses = (services: Services, options: Options): Effect.Effect<Pool, never, Scope.Scope> =>
  Effect.gen(function*() {
    const startTimeout = Duration.decode(options.startTimeout ?? startTimeoutDefault)
    const gate = yield* fairSemaphore.make(1)
    return yield* make(options, (spec, enter) =>
      Effect.gen(function*() {
        // Made before the server is: closed when that is gone.
        const kept = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        let prepared: environment.ProcessEnvironment | undefined
        const prepare = environment.make({ ...services, isolation: spec.isolation }, spec.config, spec.cwd).pipe(
          Scope.extend(kept),
          Effect.tap((made) => {
            prepared = made
          })
        )
        return yield* connections.hold(Effect.gen(function*() {
          yield* enter
          const process = yield* Effect.scope
          const around = prepared ?? (yield* prepare)
          return yield* Effect.scoped(Effect.zipRight(
            gate.enter,
            Scope.extend(connections.open(services, spec, around, { startTimeout }), process)
          ))
        }))
      }))
  })
