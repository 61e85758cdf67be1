/**
 * Outcomes on a page: their names, and the families that share a colour and a mark.
 */

/** The kind of an outcome. Colours show only the kind; the text always names the outcome. */
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

/** The families' names for people. */
export const familyLabels: { readonly [F in Family]: string } = {
  success: "success",
  limit: "out of time or budget",
  stopped: "cancelled or not permitted",
  failure: "failed"
}

/** Marks differ in shape as well, for people who do not see the colours. */
export const marks: { readonly [F in Family]: string } = { success: "✓", limit: "◷", stopped: "⊘", failure: "✗" }
