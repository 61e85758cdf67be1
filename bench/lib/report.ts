/** Medians, tables, and targets. */
import type { Measured } from "./meter.js"

export const medianOf = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The median of one figure over the rounds. */
export const median = (rounds: ReadonlyArray<Measured>, figure: string): number =>
  medianOf(rounds.map((round) => round[figure]!))

/** The ratio to another variant's figure: the median over the rounds, because each round has its own noise. */
export const ratio = (
  rounds: ReadonlyArray<Measured>,
  floor: ReadonlyArray<Measured>,
  figure: string
): number => medianOf(rounds.map((round, index) => round[figure]! / floor[index]![figure]!))

/** A target. */
export interface Check {
  readonly what: string
  readonly most: number
  readonly measured: number
  readonly unit: "×" | "ms" | "MB" | "KB" | ""
}

export interface Section {
  readonly title: string
  readonly text: string
  readonly checks: ReadonlyArray<Check>
  /** Where these are not as many as were asked for. */
  readonly rounds?: number
}

export const number = (value: number, digits = value < 10 ? 2 : value < 100 ? 1 : 0): string => value.toFixed(digits)

export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string | number>>): string =>
  [head, head.map((_, index) => index === 0 ? "---" : "---:"), ...rows]
    .map((row) => `| ${row.map((cell) => typeof cell === "number" ? number(cell) : cell).join(" | ")} |`)
    .join("\n")

const isMet = (check: Check): boolean => check.measured <= check.most

export const checks = (all: ReadonlyArray<Check>): string =>
  table(
    ["target", "at most", "measured", ""],
    all.map((check) => [
      check.what,
      `${Number(check.most.toFixed(2))}${unit(check)}`,
      `${number(check.measured)}${unit(check)}`,
      isMet(check) ? "✔" : "✘"
    ])
  )

const unit = ({ unit }: Check): string => unit === "" || unit === "×" ? unit : ` ${unit}`
