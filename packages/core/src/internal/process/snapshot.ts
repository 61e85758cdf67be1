import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as runtime from "../util/runtime.js"

/** The processes that existed at some time: identities by pid. */
export type Baseline = ReadonlyMap<string, string>

/** A process in a snapshot. */
export interface Entry<A> {
  readonly pid: string
  /** `undefined` if the platform does not report it: such a process never counts as part of a baseline. */
  readonly identity: string | undefined
  /** What was read about it; `undefined` if every caller already has it in its baseline. */
  readonly info: A | undefined
}

/** Takes snapshots of the machine's processes, one for all concurrent callers. */
export interface Snapshots<A> {
  /** The processes that run now and are not in `before`, never older than the call. */
  readonly changedSince: (before: Baseline | undefined) => Effect.Effect<ReadonlyArray<A>>
  /** Processes that are older than anything started after the call; possibly not all of them. */
  readonly baseline: Effect.Effect<Baseline>
}

const nothing: Baseline = new Map()

export const isKnown = (entry: Pick<Entry<unknown>, "pid" | "identity">, before: Baseline): boolean =>
  entry.identity !== undefined && before.get(entry.pid) === entry.identity

/** True when every caller already has it in its baseline. */
export const isKnownToAll = (
  entry: Pick<Entry<unknown>, "pid" | "identity">,
  wanted: ReadonlySet<Baseline>
): boolean => {
  for (const before of wanted) if (!isKnown(entry, before)) return false
  return true
}

/** The baseline for later snapshots. */
const baselineOf = (entries: ReadonlyArray<Entry<unknown>>): Baseline => {
  const found = new Map<string, string>()
  for (const { identity, pid } of entries) if (identity !== undefined) found.set(pid, identity)
  return found
}

interface Look<A> {
  readonly wanted: Set<Baseline>
  readonly seen: Deferred.Deferred<ReadonlyArray<Entry<A>>>
}

/**
 * Makes snapshots with `look`, which reads the processes that are missing from one of the `wanted` baselines. Reading a
 * process takes longer than the rest of a short run, and there can be thousands of unrelated ones.
 */
export const make = <A>(
  look: (wanted: ReadonlySet<Baseline>) => Effect.Effect<ReadonlyArray<Entry<A>>>
): Snapshots<A> => {
  let latest: Baseline | undefined
  let next: Look<A> | undefined
  let isLooking = false

  const work: Effect.Effect<void> = Effect.suspend(() => {
    const current = next
    next = undefined
    if (current === undefined) {
      isLooking = false
      return Effect.void
    }
    return look(current.wanted).pipe(
      Effect.tap((entries) =>
        Effect.sync(() => {
          latest = baselineOf(entries)
        })
      ),
      Effect.intoDeferred(current.seen),
      Effect.andThen(work)
    )
  })

  /**
   * A running snapshot may have missed newer processes, so callers that arrive meanwhile wait for the next one. Only
   * the waiting is interruptible: a snapshot marked as running really runs.
   */
  const ask = (before: Baseline | undefined): Effect.Effect<ReadonlyArray<Entry<A>>> =>
    Effect.suspend(() => {
      next ??= { wanted: new Set(), seen: runtime.deferred() }
      if (before !== undefined) next.wanted.add(before)
      const { seen } = next
      if (isLooking) return Effect.succeed(seen)
      isLooking = true
      return Effect.as(Effect.forkDaemon(work), seen)
    }).pipe(Effect.uninterruptible, Effect.flatMap(Deferred.await))

  return {
    changedSince: (before = nothing) =>
      Effect.map(
        ask(before),
        (entries) => entries.flatMap((entry) => entry.info === undefined || isKnown(entry, before) ? [] : [entry.info])
      ),
    baseline: Effect.suspend(() =>
      latest !== undefined ? Effect.succeed(latest) : Effect.map(ask(undefined), () => latest ?? nothing)
    )
  }
}
