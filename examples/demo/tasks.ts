/**
 * The agents' tasks: ten on the sample workspace, and one over their results.
 */

import type { Trouble } from "./trouble.js"

/** One agent's work: a prompt, and the file that must be different afterwards. */
export interface Task {
  readonly name: string
  readonly prompt: string
  readonly file: string
  /** What the demo lets go wrong. */
  readonly trouble: Trouble | undefined
}

/** An agent's statement about its file. */
export interface Report {
  readonly name: string
  readonly text: string
}

const functions = [
  "chunk",
  "clamp",
  "formatBytes",
  "groupBy",
  "median",
  "pluralize",
  "range",
  "slugify",
  "truncate",
  "unique"
]

const documentTask = (name: string, trouble: Trouble | undefined): Task => ({
  name,
  trouble,
  file: `src/${name}.js`,
  prompt: [
    `Document the function ${name}: read src/${name}.js, then edit it so that a one-line /** … */ comment`,
    `above the export says what the function does. Change nothing else.`,
    `Answer with that one sentence and nothing more.`
  ].join("\n")
})

/** The map: one agent for each function. */
export const documentTasks = (made: { readonly [name: string]: Trouble }): ReadonlyArray<Task> =>
  functions.map((name) => documentTask(name, made[name]))

/** The reduce: one agent over the findings of the others. */
export const overviewTask = (reports: ReadonlyArray<Report>): Task => ({
  name: "overview",
  file: "OVERVIEW.md",
  trouble: undefined,
  prompt: [
    `Write OVERVIEW.md: a title, then one list item for each of these functions, in this order.`,
    `Answer with one sentence about the library as a whole.`,
    ``,
    ...reports.map(({ name, text }) => `- ${name}: ${text.trim().replace(/\s+/g, " ")}`)
  ].join("\n")
})
