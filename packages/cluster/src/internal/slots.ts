import * as Effect from "effect/Effect"

/** A place in the queue for a slot. */
export interface Ticket {
  /** Waits for a slot in order of arrival; `"stopped"` if the ticket was given back meanwhile. */
  readonly wait: Effect.Effect<"granted" | "stopped">
  /** Leaves the queue; without effect once the slot is granted. */
  readonly stop: () => void
  /** Frees the slot, if it was granted. */
  readonly release: () => void
}

/** A bounded number of slots. A thousand waiting jobs cost a record each, not a stack of fibers in a semaphore. */
export interface Slots {
  readonly ticket: () => Ticket
  readonly waiting: () => number
  readonly used: () => number
  readonly size: number
}

interface Place {
  state: "new" | "waiting" | "granted" | "done"
  wake: ((outcome: "granted" | "stopped") => void) | undefined
}

export const make = (size: number): Slots => {
  const queue = new Set<Place>()
  let used = 0

  const grant = (place: Place): void => {
    queue.delete(place)
    place.state = "granted"
    used++
    place.wake?.("granted")
  }

  const leave = (place: Place): void => {
    if (place.state === "granted") {
      used--
      place.state = "done"
      for (const next of queue) {
        if (used >= size) break
        grant(next)
      }
    } else if (place.state !== "done") {
      queue.delete(place)
      place.state = "done"
      place.wake?.("stopped")
    }
  }

  return {
    size,
    waiting: () => queue.size,
    used: () => used,
    ticket: () => {
      const place: Place = { state: "new", wake: undefined }
      return {
        wait: Effect.async<"granted" | "stopped">((resume) => {
          if (place.state === "done") return resume(Effect.succeed("stopped"))
          place.wake = (outcome) => resume(Effect.succeed(outcome))
          if (used < size) return grant(place)
          place.state = "waiting"
          queue.add(place)
        }),
        stop: () => {
          if (place.state !== "granted") leave(place)
        },
        release: () => leave(place)
      }
    }
  }
}
