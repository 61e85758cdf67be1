/** The quantities that a budget limits. */
export const limits = ["steps", "cost", "tokens", "toolCalls"] as const

export type Limit = typeof limits[number]

/** Removes binary rounding noise from sums of money, so that 0.1 + 0.2 does not exceed 0.3. */
const exact = (value: number): number => Number(value.toPrecision(12))

/** True if a limit, which may be reached, is exceeded. */
export const isCrossed = (reached: number, max: number): boolean => reached > max && exact(reached) > exact(max)

/** Formats dollars with at least two digits, and more for fractions of a cent. */
const dollars = (value: number, digits: number): string => {
  const [whole, fraction = ""] = value.toFixed(digits).split(".")
  return `$${whole}.${fraction.replace(/0+$/, "").padEnd(2, "0")}`
}

/**
 * Formats the spending and its limit for a message: money is rounded to a hundredth of a cent, or more precisely if the
 * two would look equal or zero.
 */
export const figures = (limit: Limit, reached: number, max: number): readonly [reached: string, max: string] => {
  if (limit !== "cost") return [String(reached), String(max)]
  const at = (digits: number) => [dollars(reached, digits), dollars(max, digits)] as const
  for (let digits = 4; digits < 12; digits++) {
    const [one, other] = at(digits)
    const isTold = (one !== other || !isCrossed(reached, max)) && (max === 0 || Number(other.slice(1)) > 0)
    if (isTold) return [one, other]
  }
  return at(12)
}
