/** What a budget limits. */
export const limits = ["steps", "cost", "tokens", "toolCalls"] as const

export type Limit = typeof limits[number]

/** Sums of money carry the noise of binary fractions: 0.1 + 0.2 is no more than 0.3. */
const exact = (value: number): number => Number(value.toPrecision(12))

/** A limit may be reached, by a run as by a fleet. What is more crosses it. */
export const isCrossed = (reached: number, max: number): boolean => reached > max && exact(reached) > exact(max)

/** With two digits at least, and those that tell a fraction of a cent. */
const dollars = (value: number, digits: number): string => {
  const [whole, fraction = ""] = value.toFixed(digits).split(".")
  return `$${whole}.${fraction.replace(/0+$/, "").padEnd(2, "0")}`
}

/**
 * What was spent and its limit, for a message: money rounded to a hundredth of a cent, and no further than lets one be
 * told from the other and from nothing.
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
