/** What was measured last of each workload, kept until it is measured again. */
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

/** The results of `order`, newer ones in the place of older ones. */
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
      "Made by `npm run bench`, each section by the run that stands above it. Medians of rounds, in each of which every " +
      "variant of a comparison has its turn in a fresh process; a ratio is the median of the ratios of the rounds. *Main " +
      "CPU* is the CPU time of Node's main thread from the end of the imports to the result: what the wall time would be " +
      "on an idle machine. *Whole wall* begins there too.",
      "## What was aimed at",
      report.checks(results.flatMap((result) => result.checks)),
      ...results.map(section)
    ].join("\n\n")
  }\n`
