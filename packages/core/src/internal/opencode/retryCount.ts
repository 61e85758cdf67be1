/** Numbers the failed attempts at the provider, from 1 for each session. */
export interface RetryCount {
  /** The number of the next one. */
  readonly next: (sessionId: string | undefined) => number
  /** How many there were; without a session those of the run's own. */
  readonly of: (sessionId: string | undefined) => number
}

/** `own`: the session of the run, once it is known. Failures that name no session are its own. */
export const make = (own: () => string | undefined): RetryCount => {
  const counts = new Map<string | undefined, number>()
  const of = (sessionId: string | undefined): number => {
    const id = sessionId ?? own()
    // Before the session was known its failures could not be told from others without a name.
    return (counts.get(id) ?? 0) + (id !== undefined && id === own() ? counts.get(undefined) ?? 0 : 0)
  }
  return {
    next: (sessionId) => {
      const number = of(sessionId) + 1
      const id = sessionId ?? own()
      counts.set(id, (counts.get(id) ?? 0) + 1)
      return number
    },
    of
  }
}
