import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Hash from "effect/Hash"
import * as RcMap from "effect/RcMap"
import * as Scope from "effect/Scope"
import * as environment from "../../launch/environment.js"
import * as fairSemaphore from "../../util/fairSemaphore.js"
import * as runtime from "../../util/runtime.js"
import * as connections from "./connection.js"
import type { Server, Services } from "./connection.js"
import type { Spec } from "./serverProcess.js"

export type { Spec }

/** Servers, shared by their start settings. */
export interface Pool {
  /**
   * Returns the server for these settings, while the scope is open. At the maximum number of servers, a start waits
   * until an unused one can be ended.
   */
  readonly get: (spec: Spec) => Effect.Effect<Server, never, Scope.Scope>
}

export interface Options {
  /** How many servers may run at the same time. Default: 4, which is 2.4 GB at 360 to 600 MB each (1.18.33). */
  readonly maxServers?: number | undefined
  /** How long an unused server keeps running. Default: 5 minutes. */
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

/** An unused server. */
interface Idle {
  readonly key: Key
  /** The timer that ends it. */
  alarm: runtime.Forked<void> | undefined
}

/** Waits for the slot of one more server, held while the scope is open. */
type Enter = Effect.Effect<void, never, Scope.Scope>

/**
 * Makes a pool with a maximum number of servers. `RcMap` shares them and counts their users; choosing the one to end is
 * ours.
 */
export const make = (
  options: Options,
  /** `enter` waits until a process may be started; called for every process of the server. */
  makeServer: (spec: Spec, enter: Effect.Effect<void>) => Effect.Effect<Server, never, Scope.Scope>
): Effect.Effect<Pool, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const idleTimeToLive = Duration.decode(options.idleTimeToLive ?? idleTimeToLiveDefault)
    const slots = yield* fairSemaphore.make(options.maxServers ?? maxServersDefault)
    // `RcMap` (3.22) can create an entry twice for two concurrent callers.
    const door = yield* fairSemaphore.make(1)
    const entries = new Map<string, Server>()
    /** One server per key at a time, also while the previous one is ending, because they share their data. */
    const turns = new Map<string, { readonly turn: fairSemaphore.FairSemaphore; entries: number }>()
    const users = new Map<string, number>()
    /** Unused servers, least recently used first. */
    const idle = new Map<string, Idle>()
    /** Servers being ended: their slots will be free. */
    const ending = new Set<object>()
    let waiting = 0

    const leaveIdle = (name: string): void => {
      const alarm = idle.get(name)?.alarm
      if (alarm !== undefined) runtime.interrupt(alarm)
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
    // On its own fiber, where nothing runs between the choice and the removal.
    const balance = Effect.forkIn(giveWay, scope)

    const enter: Enter = Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        waiting++
        return Effect.andThen(balance, restore(slots.enter))
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

    /** A server keeps its slot across crashes, so a restart does not wait for one again. */
    const onceIn = (enter: Enter): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
      Effect.gen(function*() {
        // Created before the server, so that it is closed after the server has ended.
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
      // The timer of `RcMap` (3.22) can remove the next entry of a key while the previous one is ending, so we use our
      // own.
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
          const server = yield* makeServer(key.spec, yield* onceIn(Effect.andThen(turn.enter, enter)))
          entries.set(name, server)
          // Registered first, so it runs last.
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => {
              ending.add(entry)
              // Not the entry of the next server, which may already exist.
              if (entries.get(name) === server) entries.delete(name)
            })
          )
          return server
        })
    })

    // `RcMap` ends servers one after the other, so it is left only those in use.
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
        // Once it has begun to end the server, it is not interrupted.
        const alarm = Effect.andThen(Effect.interruptible(Effect.sleep(idleTimeToLive)), end)
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
        // A crashed server continues with its data when it is needed again.
        if (server?.hasOpened() === true) return Effect.andThen(enterIdle(key), balance)
        // Nobody waits for its first start any more.
        const retire = Effect.suspend(() => users.has(name) ? Effect.void : RcMap.invalidate(servers, key))
        return Effect.flatMap(Effect.forkIn(retire, scope), Fiber.join)
      })

    return {
      get: (spec) =>
        Effect.gen(function*() {
          const key = new Key(spec)
          const use = yield* Effect.scope
          yield* Effect.acquireRelease(enterUse(spec.key), () => leaveUse(key))
          return yield* Effect.scoped(Effect.andThen(door.enter, Scope.extend(RcMap.get(servers, key), use)))
        })
    }
  })

/**
 * Makes a pool of our own servers. Each keeps its directories across restarts of its process. They start one after the
 * other: on one database they could crash each other, and the first one in a configuration directory installs a package
 * there (1.18.33).
 */
export const ofProcesses = (services: Services, options: Options): Effect.Effect<Pool, never, Scope.Scope> =>
  Effect.gen(function*() {
    const startTimeout = Duration.decode(options.startTimeout ?? startTimeoutDefault)
    const gate = yield* fairSemaphore.make(1)
    return yield* make(options, (spec, enter) =>
      Effect.gen(function*() {
        // Created before the server, so that it is closed after the server has ended.
        const kept = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        let prepared: environment.ProcessEnvironment | undefined
        const prepare = environment.make(
          { ...services, isolation: spec.isolation },
          spec.dialect,
          spec.config,
          spec.cwd
        ).pipe(
          Scope.extend(kept),
          Effect.tap((made) => {
            prepared = made
          })
        )
        return yield* connections.hold(Effect.gen(function*() {
          yield* enter
          const process = yield* Effect.scope
          const around = prepared ?? (yield* prepare)
          return yield* Effect.scoped(Effect.andThen(
            gate.enter,
            Scope.extend(connections.open(services, spec, around, { startTimeout }), process)
          ))
        }))
      }))
  })
