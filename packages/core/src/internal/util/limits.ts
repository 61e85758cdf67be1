/** The defaults of a run, and of several turns that share one budget and time limit. */
export const steps = 500
export const timeout = "2 hours"

/** How much of stderr, and of a streamed answer, is kept: in characters. */
export const kept = 64 * 1024
