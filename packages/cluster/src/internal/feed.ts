import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** The place of an item: the feed it is from, and its number in it. */
export interface Position {
  readonly epoch: string
  readonly sequence: number
}

export interface Item<A> extends Position {
  readonly value: A
}

/** What a reader gets next. */
export interface Page<A> {
  /** Items that the reader will not see; `undefined` if it is not known how many. 0 without a gap. */
  readonly missed: number | undefined
  readonly items: ReadonlyArray<Item<A>>
}

/**
 * The latest items of a job, for readers that come late, come again, or are slow: nobody holds the agent up. A reader
 * that was behind by more than the capacity learns how many it missed; one that comes from another feed, of a runner
 * that is gone, that it missed some.
 */
export interface Feed<A> {
  readonly publish: (value: A) => void
  /** No items follow. */
  readonly close: () => void
  /** Waits for items after a position, from the oldest one without. `None` at the end. */
  readonly read: (after: Position | undefined) => Effect.Effect<Option.Option<Page<A>>>
}

/** The part without waiting: what follows a position in a window that begins at number `first`. */
export const pageOf = <A>(
  epoch: string,
  first: number,
  window: ReadonlyArray<A>,
  after: Position | undefined
): Page<A> => {
  const isOurs = after?.epoch === epoch
  const wanted = isOurs ? after.sequence + 1 : 0
  const from = Math.max(wanted, first)
  return {
    missed: after !== undefined && !isOurs ? undefined : from - wanted,
    items: window.slice(from - first).map((value, index) => ({ epoch, sequence: from + index, value }))
  }
}

export const make = <A>(epoch: string, capacity: number): Feed<A> => {
  let window: Array<A> = []
  let first = 0
  let isClosed = false
  const waiting = new Set<() => void>()

  const wake = (): void => {
    for (const resume of waiting) resume()
    waiting.clear()
  }

  const read: Feed<A>["read"] = (after) =>
    Effect.suspend(() => {
      const page = pageOf(epoch, first, window, after)
      if (page.items.length > 0) return Effect.succeed(Option.some(page))
      if (isClosed) return Effect.succeed(Option.none())
      return Effect.flatMap(
        Effect.async<void>((resume) => {
          const done = () => resume(Effect.void)
          waiting.add(done)
          return Effect.sync(() => waiting.delete(done))
        }),
        () => read(after)
      )
    })

  return {
    publish: (value) => {
      if (isClosed) return
      window.push(value)
      // Cut in large pieces: a shift for every event of a long run would move the window each time.
      if (window.length >= capacity * 2) {
        first += window.length - capacity
        window = window.slice(-capacity)
      }
      wake()
    },
    close: () => {
      isClosed = true
      wake()
    },
    read
  }
}

/** What a reader has seen last. */
export interface Seen {
  readonly position: Position | undefined
  /** True directly after a gap that was reported to it. */
  readonly isGap: boolean
}

export const unseen: Seen = { position: undefined, isGap: false }

/**
 * What a reader makes of an item. The engine sends a broken request again as it was, to the runner that owns the job by
 * then: the same items can come twice, and those of another feed without a word about it.
 */
export const follow = <A>(
  seen: Seen,
  sent: { readonly position?: Position | undefined; readonly event: A }
): readonly [Seen, "skip" | "pass" | "gap-before"] => {
  const { position } = sent
  if (position === undefined) return [{ ...seen, isGap: true }, seen.isGap ? "skip" : "pass"]
  const last = seen.position
  const next = { position, isGap: false }
  if (last === undefined) return [next, "pass"]
  if (last.epoch === position.epoch) {
    return position.sequence <= last.sequence
      ? [seen, "skip"]
      : [next, position.sequence === last.sequence + 1 || seen.isGap ? "pass" : "gap-before"]
  }
  return [next, seen.isGap ? "pass" : "gap-before"]
}
