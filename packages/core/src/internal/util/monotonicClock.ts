import type * as Clock from "effect/Clock"

/** Milliseconds for deadlines: unlike the time of day nobody sets them back or forth. */
export const millis = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6
