/**
 * Statistics of a batch's results.
 */
import * as Duration from "effect/Duration"
import type { JobResult } from "../jobs/JobResult.js"

export interface Distribution {
  readonly count: number
  readonly sum: number
  readonly mean: number
  readonly median: number
  readonly min: number
  readonly max: number
}

/** For no values, everything is 0. */
export const distribution = (values: ReadonlyArray<number>): Distribution => {
  const sorted = [...values].sort((a, b) => a - b)
  const count = sorted.length
  const sum = sorted.reduce((total, value) => total + value, 0)
  const middle = count >> 1
  const upper = sorted[middle] ?? 0
  return {
    count,
    sum,
    mean: count === 0 ? 0 : sum / count,
    median: count % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2,
    min: sorted[0] ?? 0,
    max: sorted[count - 1] ?? 0
  }
}

export const succeeded = (result: JobResult): boolean => result.outcome === "success"

/** Sorts results by the order of the input, not by the order in which they ended. */
export const inOrder = (results: ReadonlyArray<JobResult>): ReadonlyArray<JobResult> =>
  [...results].sort((a, b) => a.index - b.index || a.repeat - b.repeat || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))

/** An outcome as reports count it: its name, and the kind of the failure. */
export interface Outcome {
  readonly outcome: string
  readonly kind: string
}

/** The count of each kind of outcome: success first, then the most frequent failures. */
export const outcomes = (
  results: ReadonlyArray<JobResult>
): ReadonlyArray<Outcome & { readonly count: number }> => {
  const counts = new Map<string, Outcome & { readonly count: number }>()
  for (const { kind, outcome } of results) {
    counts.set(kind, { outcome, kind, count: (counts.get(kind)?.count ?? 0) + 1 })
  }
  const rank = ({ outcome }: Outcome) => (outcome === "success" ? 0 : 1)
  return [...counts.values()].sort((a, b) => rank(a) - rank(b) || b.count - a.count || (a.kind < b.kind ? -1 : 1))
}

/** The runs of one cell of the matrix. */
export interface Group {
  /** The value on each axis. */
  readonly cell: { readonly [axis: string]: string }
  readonly results: ReadonlyArray<JobResult>
  readonly succeeded: number
  /** US dollars. */
  readonly cost: Distribution
  /** Runs whose cost is partly unknown. */
  readonly unpriced: number
  readonly tokens: Distribution
  /** Milliseconds. */
  readonly duration: Distribution
}

const group = (cell: Group["cell"], results: ReadonlyArray<JobResult>): Group => ({
  cell,
  results,
  succeeded: results.filter(succeeded).length,
  cost: distribution(results.map(({ cost }) => cost)),
  unpriced: results.filter(({ unpriced }) => unpriced).length,
  tokens: distribution(results.map(({ usage }) => usage.total)),
  duration: distribution(results.map(({ duration }) => Duration.toMillis(duration)))
})

/** All runs as one group. */
export const all = (results: ReadonlyArray<JobResult>): Group => group({}, inOrder(results))

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const keyOf = (cell: Group["cell"]): string => JSON.stringify(Object.entries(cell).sort(([a], [b]) => compare(a, b)))

const groupBy = (
  results: ReadonlyArray<JobResult>,
  cellOf: (result: JobResult) => Group["cell"]
): ReadonlyArray<Group> => {
  const found = new Map<string, Array<JobResult>>()
  for (const result of inOrder(results)) {
    const key = keyOf(cellOf(result))
    const members = found.get(key)
    if (members === undefined) found.set(key, [result])
    else members.push(result)
  }
  return [...found.values()].map((members) => group(members[0] === undefined ? {} : cellOf(members[0]), members))
}

/** The cells of the matrix in the order of the input; empty without a matrix. */
export const cells = (results: ReadonlyArray<JobResult>): ReadonlyArray<Group> =>
  groupBy(results.filter(({ cell }) => Object.keys(cell).length > 0), ({ cell }) => cell)

/** The name of a repeated job without the number of the repetition. */
export const jobName = ({ name, repeat }: JobResult): string => {
  const number = ` #${repeat}`
  return name.endsWith(number) ? name.slice(0, -number.length) : name
}

/** The index of a job's first repetition; repetitions are adjacent. */
const firstIndex = ({ index, repeat }: JobResult): number => index - (repeat - 1)

/** The repeated jobs. Jobs of the same name are numbered. */
const jobs = (results: ReadonlyArray<JobResult>): ReadonlyArray<Group> => {
  const members = new Map<number, Array<JobResult>>()
  for (const result of inOrder(results)) {
    const first = firstIndex(result)
    const known = members.get(first)
    if (known === undefined) members.set(first, [result])
    else known.push(result)
  }
  const named = [...members.values()].map((results) => ({
    name: results[0] === undefined ? "" : jobName(results[0]),
    results
  }))
  const shared = new Map<string, number>()
  for (const { name } of named) shared.set(name, (shared.get(name) ?? 0) + 1)
  return named.map(({ name, results }, place) =>
    group({ job: (shared.get(name) ?? 0) > 1 ? `${name} (${place + 1})` : name }, results)
  )
}

/** The groups to compare: the cells of the matrix, or else the repeated jobs, or else none. */
export const groups = (results: ReadonlyArray<JobResult>): ReadonlyArray<Group> =>
  results.some(({ cell }) => Object.keys(cell).length > 0)
    ? cells(results)
    : results.some(({ repeat }) => repeat > 1)
    ? jobs(results)
    : []

/** The values of a cell with the names of their axes, in the order of the axes; a repeated job has its name alone. */
export const label = (cell: Group["cell"]): string =>
  Object.entries(cell).map(([axis, value]) => axis === "job" ? value : `${axis} ${value}`).join(" · ")

/** The values of a cell, below a heading that names the axes. */
export const valuesOf = (cell: Group["cell"]): string => Object.values(cell).join(" · ")

/** The names of the axes, in their order. */
export const axes = (cells: ReadonlyArray<Group>): ReadonlyArray<string> => [
  ...new Set(cells.flatMap(({ cell }) => Object.keys(cell)))
]
