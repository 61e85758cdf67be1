/** The last results of each workload, kept until it is measured again. */
import * as fs from "node:fs"
import * as report from "./report.js"
import type { Section } from "./report.js"

export interface Result extends Section {
  readonly workload: string
  readonly date: string
  readonly rounds: number
  readonly minutes: number
  /** The load of the machine before and after. */
  readonly load: readonly [before: number, after: number]
  readonly machine: string
}

export const read = (file: string): ReadonlyArray<Result> =>
  fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : []

/** The results in the given order; newer ones replace older ones. */
export const merge = (
  order: ReadonlyArray<string>,
  older: ReadonlyArray<Result>,
  newer: ReadonlyArray<Result>
): ReadonlyArray<Result> =>
  order.flatMap((workload) => {
    const result = [...newer, ...older].find((result) => result.workload === workload)
    return result === undefined ? [] : [result]
  })

const made = ({ date, load, machine, minutes, rounds }: Result): string =>
  `*${date}, ${rounds} rounds in ${minutes} minutes, load ${load[0].toFixed(1)} before and ${
    load[1].toFixed(1)
  } after; ` +
  `${machine}.*`

export const section = (result: Result): string => [`## ${result.title}`, made(result), result.text].join("\n\n")

export const render = (results: ReadonlyArray<Result>): string =>
  `${
    [
      "# Results",
      "Written by `npm run bench`; the line below each heading describes the run. Figures are medians of rounds. In " +
      "each round every variant of a comparison runs in a fresh process; a ratio is the median of the rounds' ratios. " +
      "*Main CPU* is the CPU time of Node's main thread from the end of the imports to the result, which is the wall " +
      "time on an idle machine. *Whole wall* begins at the same point.",
      "## Targets",
      report.checks(results.flatMap((result) => result.checks)),
      ...results.map(section)
    ].join("\n\n")
  }\n`
