/** Numbers the failed attempts at the provider, from 1 for each session. */
export interface RetryCount {
  /** The number of the next one. */
  readonly next: (sessionId: string | undefined) => number
  /** The number so far; without a session, that of the run's own. */
  readonly of: (sessionId: string | undefined) => number
}

/** Makes a counter. `own` returns the run's session once it is known; failures without a session belong to it. */
export const make = (own: () => string | undefined): RetryCount => {
  const counts = new Map<string | undefined, number>()
  const of = (sessionId: string | undefined): number => {
    const id = sessionId ?? own()
    // Before the session was known, its failures were counted without a name.
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
