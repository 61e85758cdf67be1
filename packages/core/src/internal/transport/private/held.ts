import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Sink } from "../../run/transport.js"
import * as fairSemaphore from "../../util/fairSemaphore.js"
import * as limits from "../../util/limits.js"
import * as runtime from "../../util/runtime.js"
import * as tail from "../../util/tail.js"
import type { Tail } from "../../util/tail.js"
import type { Lease } from "./lease.js"
import type { Output, Process } from "./process.js"

/** How long a server that no turn uses keeps running. */
const idleTimeToLive = Duration.minutes(5)

/** The servers of one conversation. A turn finds the server of the turn before it, and its branches use it, too. */
export interface Held {
  /**
   * Uses the server for these settings, or starts one. The key is only for comparing. Can be interrupted while it waits
   * and while the server starts, wherever it is called.
   */
  readonly lease: <E>(
    key: string,
    sink: Pick<Sink, "stderr" | "watchdog">,
    start: (output: Output) => Effect.Effect<Process, E, Scope.Scope>
  ) => Effect.Effect<Lease, E>
  /** True if a turn with this key would not start a process. */
  readonly isRunning: (key: string) => boolean
}

interface Entry {
  readonly key: string
  readonly scope: Scope.CloseableScope
  readonly process: Process
  /** The turns that use it, each with the lines of stderr since its begin. */
  readonly sinks: Map<Pick<Sink, "stderr" | "watchdog">, Tail>
  /** False once a turn has left something behind that a later one must not meet. */
  isUsable: boolean
  /** The timer that ends it. */
  alarm: runtime.Forked<void> | undefined
}

/** Holds servers until the scope closes, or until one was unused for five minutes. */
export const make: Effect.Effect<Held, never, Scope.Scope> = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const starting = yield* fairSemaphore.make(1)
  const entries = new Set<Entry>()

  const close = (entry: Entry): Effect.Effect<void> =>
    Effect.suspend(() => {
      entries.delete(entry)
      return Scope.close(entry.scope, Exit.void)
    })

  const stopAlarm = (entry: Entry): void => {
    if (entry.alarm !== undefined) runtime.interrupt(entry.alarm)
    entry.alarm = undefined
  }

  const find = (key: string): Entry | undefined => [...entries].find((entry) => entry.key === key && entry.isUsable)

  /** Those of other settings, which nobody uses: a conversation needs one server at a time. */
  const closeOthers = (key: string): Effect.Effect<void> =>
    Effect.forEach([...entries].filter((entry) => entry.key !== key && entry.sinks.size === 0), (entry) => {
      stopAlarm(entry)
      return close(entry)
    }, { discard: true })

  const rest = (entry: Entry): Effect.Effect<void> =>
    Effect.map(
      Effect.forkIn(
        Effect.interruptible(Effect.andThen(
          Effect.sleep(idleTimeToLive),
          Effect.uninterruptible(Effect.suspend(() => {
            entry.alarm = undefined
            return entry.sinks.size === 0 && entries.has(entry) ? close(entry) : Effect.void
          }))
        )),
        scope
      ),
      (alarm) => {
        entry.alarm = alarm
      }
    )

  const leaseOf = (entry: Entry, sink: Pick<Sink, "stderr" | "watchdog">): Lease => ({
    server: entry.process,
    end: ({ force, isResting }) =>
      Effect.gen(function*() {
        const { process } = entry
        const said = entry.sinks.get(sink)
        entry.sinks.delete(sink)
        if (!isResting || !process.isConnected() || process.dropped() !== undefined || (yield* process.hasExited)) {
          entry.isUsable = false
        }
        // The server's own would repeat what it said during earlier turns.
        const ownStderr = said?.read() ?? ""
        if (entry.sinks.size > 0) return { survivors: [], ownStderr }
        if (entry.isUsable) {
          yield* rest(entry)
          return { survivors: [], ownStderr }
        }
        // Takes what it says at its end.
        if (said !== undefined) entry.sinks.set(sink, said)
        const { survivors } = yield* process.end({ force })
        entry.sinks.delete(sink)
        yield* close(entry)
        return { survivors, ownStderr: said?.read() ?? "" }
      })
  })

  return {
    isRunning: (key) => find(key) !== undefined,
    lease: (key, sink, start) =>
      Effect.uninterruptible(Effect.scoped(
        Effect.gen(function*() {
          yield* Effect.interruptible(starting.enter)
          const found = find(key)
          if (found !== undefined && !(yield* found.process.hasExited)) {
            stopAlarm(found)
            found.sinks.set(sink, tail.make(limits.kept))
            return leaseOf(found, sink)
          }
          if (found !== undefined) {
            found.isUsable = false
            if (found.sinks.size === 0) yield* close(found)
          }
          yield* closeOthers(key)
          const sinks = new Map([[sink, tail.make(limits.kept)]])
          let reads = 0
          const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
          const process = yield* Effect.interruptible(Scope.extend(
            start({
              push: (line) => {
                for (const [{ stderr }, said] of sinks) {
                  stderr.push(line)
                  said.push(`${line}\n`, true)
                }
              },
              read: () => {
                reads++
              },
              reads: () => reads,
              isReading: () => true
            }),
            own
          )).pipe(Effect.onError((cause) => Scope.close(own, Exit.failCause(cause))))
          const entry: Entry = { key, scope: own, process, sinks, isUsable: true, alarm: undefined }
          entries.add(entry)
          return leaseOf(entry, sink)
        })
      ))
  }
})
