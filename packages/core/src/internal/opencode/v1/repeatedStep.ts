import type * as RunEvent from "../../../RunEvent.js"
import type { RetryCount } from "../retryCount.js"

/**
 * Finds repeated steps: after a cut stream OpenCode asks again under the same message, and reports that nowhere else
 * (1.18.33). Failures already reported by the log are not reported twice.
 */
export const make = (count: RetryCount): (event: RunEvent.RunEvent) => RunEvent.ProviderRetry | undefined => {
  let open: string | undefined
  /** Failures of the run's own session when its last step began; those of sub-agents do not repeat its steps. */
  let retries = 0
  return (event) => {
    if (event._tag === "StepFinish") open = undefined
    if (event._tag !== "StepStart") return undefined
    const again = event.messageId !== undefined && event.messageId === open && retries >= count.of(event.sessionId)
    open = event.messageId
    const attempt = again ? count.next(event.sessionId) : undefined
    retries = count.of(event.sessionId)
    return attempt !== undefined
      ? {
        _tag: "ProviderRetry",
        attempt,
        kind: "provider-unavailable",
        reason: "the answer was cut off, the step begins again",
        provider: undefined,
        model: undefined,
        ...(event.sessionId === undefined ? {} : { sessionId: event.sessionId })
      }
      : undefined
  }
}
