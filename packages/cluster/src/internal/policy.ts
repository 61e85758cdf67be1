import type { AfterCrash } from "../AgentJob.js"
import type { Attempt } from "../RunLedger.js"

/** What a runner does with a job that it has in hand. */
export type Next =
  | { readonly _tag: "Start"; readonly number: number }
  | { readonly _tag: "Resume"; readonly number: number; readonly from: Resumable }
  | { readonly _tag: "Publish"; readonly attempt: Claimed }
  | { readonly _tag: "Cancel"; readonly last: Attempt | undefined }
  | { readonly _tag: "Lose"; readonly last: Attempt }

/** An attempt whose session can be continued, if its data directory is there. */
export interface Resumable extends Attempt {
  readonly sessionId: string
  readonly cwd: string
  readonly directory: string
}

/** An attempt that is over, and whose branch may not be published yet. */
export interface Claimed extends Attempt {
  readonly claimed: string
}

const isClaimed = (attempt: Attempt): attempt is Claimed => attempt.claimed !== undefined && isCut(attempt)

const isResumable = (attempt: Attempt): attempt is Resumable =>
  attempt.sessionId !== undefined && attempt.cwd !== undefined && attempt.directory !== undefined

/** An attempt that ended without a verdict. */
export const isCut = ({ state }: Attempt): boolean => state !== "ended"

/** How many starts without a prompt are allowed beside those that count: nothing was done by any of them. */
const maxEmptyStarts = 5

/**
 * Decides from the attempts, oldest first. Under `fail` a second agent never starts after the first one may have got its
 * prompt.
 */
export const next = (
  job: { readonly afterCrash?: AfterCrash | undefined; readonly maxCrashes?: number | undefined },
  attempts: ReadonlyArray<Attempt>,
  cancel: string | undefined
): Next => {
  const cut = attempts.filter(isCut)
  const last = cut.at(-1)
  const claimed = attempts.find(isClaimed)
  if (claimed !== undefined) return { _tag: "Publish", attempt: claimed }
  if (cancel !== undefined) return { _tag: "Cancel", last }
  const number = (attempts.at(-1)?.number ?? 0) + 1
  if (last === undefined) return { _tag: "Start", number }
  const afterCrash = job.afterCrash ?? "fail"
  const crashes = cut.filter(({ prompted }) => prompted).length
  const isAllowed = crashes <= (afterCrash === "fail" ? 0 : job.maxCrashes ?? 1) &&
    cut.length - crashes <= maxEmptyStarts
  if (!isAllowed) return { _tag: "Lose", last }
  const from = afterCrash === "resume" ? cut.filter(isResumable).at(-1) : undefined
  return from === undefined ? { _tag: "Start", number } : { _tag: "Resume", number, from }
}
