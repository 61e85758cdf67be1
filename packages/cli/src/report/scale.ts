/**
 * Axis scales: round numbers from zero to slightly more than the largest value.
 */

export interface Scale {
  /** The value at the right end. */
  readonly max: number
  /** Evenly spaced, zero and `max` included. */
  readonly ticks: ReadonlyArray<number>
}

/** Steps for plain numbers, within a power of ten. */
const decimal = [1, 2, 2.5, 5, 10]

const minute = 60_000
const hour = 60 * minute

/** Steps for milliseconds, in round seconds, minutes and hours. */
const times = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * minute),
  ...[1, 2, 3, 6, 12, 24].map((hours) => hours * hour)
]

const decimalStep = (least: number): number => {
  const power = 10 ** Math.floor(Math.log10(least))
  return (decimal.find((step) => step * power >= least * (1 - 1e-9)) ?? 10) * power
}

const timeStep = (least: number): number =>
  times.find((step) => step >= least) ?? Math.ceil(least / (24 * hour)) * 24 * hour

const make = (max: number, step: (least: number) => number): Scale => {
  if (!(max > 0)) return { max: 1, ticks: [0] }
  const size = step(max / 3)
  const count = Math.max(1, Math.ceil(max / size - 1e-9))
  // repeated addition would drift
  return { max: count * size, ticks: Array.from({ length: count + 1 }, (_, index) => index * size) }
}

/** A scale for amounts. */
export const amount = (max: number): Scale => make(max, decimalStep)

/** A scale for milliseconds. */
export const time = (max: number): Scale => max < 5000 ? make(max, decimalStep) : make(max, timeStep)
