import type * as RunEvent from "../../../RunEvent.js"
import type { RetryCount } from "../retryCount.js"

/**
 * Finds the steps that begin again: where the provider's stream was cut, OpenCode asks again under the same message,
 * and says so nowhere else (1.18.33). A failure that its log has told of already is not told again.
 */
export const make = (count: RetryCount): (event: RunEvent.RunEvent) => RunEvent.ProviderRetry | undefined => {
  let open: string | undefined
  /** Failures of the run's own session when its last step began; those of sub-agents repeat no step of it. */
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
