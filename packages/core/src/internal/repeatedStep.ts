import type * as RunEvent from "../RunEvent.js"
import type { Summary } from "./summary.js"

/**
 * Finds the steps that begin again: where the provider's stream was cut, OpenCode asks again under the same message,
 * and says so nowhere else (1.18.33). A failure that its log has told of already is not told again.
 */
export const make = (state: Summary): (event: RunEvent.RunEvent) => RunEvent.ProviderRetry | undefined => {
  let open: string | undefined
  let retries = 0
  return (event) => {
    if (event._tag === "StepFinish") open = undefined
    if (event._tag !== "StepStart") return undefined
    const again = event.messageId !== undefined && event.messageId === open && retries >= state.retries
    open = event.messageId
    retries = Math.max(retries, state.retries) + (again ? 1 : 0)
    return again
      ? {
        _tag: "ProviderRetry",
        attempt: retries,
        kind: "provider-unavailable",
        reason: "the answer was cut off, the step begins again",
        provider: undefined,
        model: undefined
      }
      : undefined
  }
}
