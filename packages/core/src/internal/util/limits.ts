/** The defaults of a run, which are also those of several turns that share one budget and one time. */
export const steps = 500
export const timeout = "2 hours"

/** How much of stderr, and of a streamed answer, is kept: in characters. */
export const kept = 64 * 1024
