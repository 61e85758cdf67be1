/**
 * Outcomes on a page: their names, and the few families that share a colour and a mark.
 */

/** What kind of an end it was: colours tell no more than that, the text always says which. */
export type Family = "success" | "limit" | "stopped" | "failure"

/** In the order in which charts show them. */
export const families: ReadonlyArray<Family> = ["success", "limit", "stopped", "failure"]

const limits = new Set(["OpenCodeTimeoutError", "OpenCodeBudgetError"])

const stopped = new Set(["OpenCodeCancelledError", "OpenCodePermissionError", "interrupted"])

export const family = (outcome: string): Family =>
  outcome === "success"
    ? "success"
    : limits.has(outcome)
    ? "limit"
    : stopped.has(outcome)
    ? "stopped"
    : "failure"

/** What the families are for people. */
export const familyLabels: { readonly [F in Family]: string } = {
  success: "success",
  limit: "out of time or budget",
  stopped: "cancelled or not permitted",
  failure: "failed"
}

/** Shapes differ too, for those who do not see the colours. */
export const marks: { readonly [F in Family]: string } = { success: "✓", limit: "◷", stopped: "⊘", failure: "✗" }

/** `OpenCodeTimeoutError` is a timeout to a person. */
export const label = (outcome: string): string => {
  const words = outcome.replace(/^OpenCode(?=.)/, "").replace(/(?<=.)Error$/, "")
  return words.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase()
}
