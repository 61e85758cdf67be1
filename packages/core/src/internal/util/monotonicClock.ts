import type * as Clock from "effect/Clock"

/** Milliseconds for deadlines, which unlike the time of day are never adjusted. */
export const millis = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6
