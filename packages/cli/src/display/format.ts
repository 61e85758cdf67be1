/**
 * Figures for people.
 */

/** With a comma between thousands. */
export const count = (value: number): string => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",")

const units = ["", "k", "M", "G", "T"]

/** Three digits and a unit: 987, 12.3k, 1.23M. */
export const compact = (value: number): string => {
  let scaled = Math.max(0, value)
  let unit = 0
  // 999.5 would be rounded to four digits
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000
    unit++
  }
  const digits = unit === 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2
  return `${scaled.toFixed(digits)}${units[unit]}`
}

/** US dollars: runs cost fractions of a cent, batches hundreds of dollars. */
export const dollars = (cost: number): string =>
  cost >= 100 ? `$${count(cost)}` : `$${cost.toFixed(cost >= 10 ? 2 : 4)}`

/** A cost in dollars that may be partly unknown: OpenCode reports 0 for a model without a price. */
export interface Cost {
  readonly cost: number
  readonly unpriced?: boolean | undefined
}

/** The cost for a column. */
export const cost = ({ cost, unpriced }: Cost): string =>
  unpriced !== true ? dollars(cost) : cost === 0 ? "?" : `≥${dollars(cost)}`

/** The cost for a sentence. */
export const costInWords = ({ cost, unpriced }: Cost): string =>
  unpriced !== true ? dollars(cost) : cost === 0 ? "cost unknown" : `at least ${dollars(cost)}`

/** Whether one or more steps used tokens without a price. */
export const isUnpriced = (cost: number, usage: { readonly total: number }): boolean => cost === 0 && usage.total > 0

const twoDigits = (value: number): string => value.toString().padStart(2, "0")

/** Milliseconds in stopwatch form: 0:04, 1:12, 1:03:20. */
export const clock = (milliseconds: number): string => {
  const seconds = Math.floor(Math.max(0, milliseconds) / 1000)
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${minutes}:${twoDigits(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${twoDigits(minutes % 60)}:${twoDigits(seconds % 60)}`
}

/** Milliseconds in words: 340 ms, 4.2 s, 1 min 12 s, 1 h 03 min. */
export const duration = (milliseconds: number): string => {
  if (milliseconds < 999.5) return `${Math.round(Math.max(0, milliseconds))} ms`
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`
  const seconds = Math.round(milliseconds / 1000)
  const minutes = Math.floor(seconds / 60)
  return seconds < 3600
    ? `${minutes} min ${twoDigits(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`
}
