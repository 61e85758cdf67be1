/** How far a machine has come in giving numbers to processes. */
export interface Count {
  /** The number that was given last. */
  readonly last: number
  /** The processes and threads that were ever made. */
  readonly made: number
}

/**
 * Numbers that are given too soon to be told from those of a look: so many between two counts, and so many behind the
 * second. Linux starts with 32,768, so those are far from coming round.
 */
const few = 256

/** From `/proc/loadavg` and `/proc/stat`; `undefined` where they do not tell, as in some sandboxes. */
export const parse = (loadavg: string, stat: string): Count | undefined => {
  const last = Number(/^\S+ \S+ \S+ \S+ (\d+)\s*$/.exec(loadavg)?.[1])
  const made = Number(/^processes (\d+)$/m.exec(stat)?.[1])
  return last > 0 && made > 0 ? { last, made } : undefined
}

/**
 * Whether a number that was in use at the first count is still of the same process if it is in use soon after the
 * second: numbers are given in ascending order, so a later process has one of those between the counts, or the next
 * ones. Those beyond are of processes that are older than the last time that the numbers came round.
 */
export const isSame = (pid: number, before: Count, now: Count): boolean =>
  before.last <= now.last && before.made <= now.made && now.made - before.made < few &&
  (pid <= before.last || pid > now.last + few)
