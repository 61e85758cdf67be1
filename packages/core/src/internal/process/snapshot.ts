import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

/** The processes that were there at some time: by pid, what another process of the same pid will not have. */
export type Baseline = ReadonlyMap<string, string>

/** A process that was come across. */
export interface Entry<A> {
  readonly pid: string
  /** `undefined` where the platform does not tell: it is never taken for one that was there before. */
  readonly identity: string | undefined
  /** What was read of it; nothing where all who ask have known it from before. */
  readonly info: A | undefined
}

/** Looks at the processes of the machine, once for all who ask at the same time. */
export interface Snapshots<A> {
  /** What runs now and did not run before, never older than the question. */
  readonly changedSince: (before: Baseline | undefined) => Effect.Effect<ReadonlyArray<A>>
  /** Processes that are older than whatever is started next; not all of them. */
  readonly baseline: Effect.Effect<Baseline>
}

const nothing: Baseline = new Map()

export const isKnown = (entry: Pick<Entry<unknown>, "pid" | "identity">, before: Baseline): boolean =>
  entry.identity !== undefined && before.get(entry.pid) === entry.identity

/** Whether nobody who asks wants to know more of it. */
export const isKnownToAll = (
  entry: Pick<Entry<unknown>, "pid" | "identity">,
  wanted: ReadonlySet<Baseline>
): boolean => {
  for (const before of wanted) if (!isKnown(entry, before)) return false
  return true
}

/** What later looks can be held against. */
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
 * `look` reads those processes that are not known to all of `wanted`. Reading a process takes longer than everything
 * else about a short run, and there can be thousands that have nothing to do with it.
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
   * A look that has begun may have passed by what came up since, so whoever asks meanwhile waits for another one. Only
   * the waiting can be interrupted: a look that is said to be under way is.
   */
  const ask = (before: Baseline | undefined): Effect.Effect<ReadonlyArray<Entry<A>>> =>
    Effect.fiberIdWith((id) => {
      next ??= { wanted: new Set(), seen: Deferred.unsafeMake(id) }
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
