/**
 * The terminal output, as pure functions from data to text.
 */
import { Option } from "effect"
import * as Agent from "./agent.js"
import type { Finding } from "./agents.js"
import type { Left } from "./traces.js"

const escape = "\u001b["

/** Hides the cursor and keeps long lines from wrapping. */
export const enterLive = `${escape}?25l${escape}?7l`

export const leaveLive = `${escape}?7h${escape}?25h`

/** Draws lines over those drawn before. */
export const redraw = (previous: number, lines: ReadonlyArray<string>): string =>
  [
    previous === 0 ? "" : `${escape}${previous}A`,
    ...lines.map((line) => `${escape}2K${line}\n`),
    `${escape}J`
  ].join("")

/** One line, without control characters: a model's text must not control the terminal. */
export const oneLine = (text: string): string => text.replace(/[\s\p{C}]+/gu, " ").trim()

export const clip = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`

export const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`

export const dollars = (cost: number): string => `$${cost.toFixed(4)}`

export const count = (value: number): string => value.toLocaleString("en-US")

interface Column<A> {
  readonly title: string
  readonly align: "left" | "right"
  readonly cell: (row: A) => string
}

const left = <A>(title: string, cell: (row: A) => string): Column<A> => ({ title, align: "left", cell })

const right = <A>(title: string, cell: (row: A) => string): Column<A> => ({ title, align: "right", cell })

/** Columns as wide as their widest cell; the first line holds the titles. */
export const table = <A>(columns: ReadonlyArray<Column<A>>, rows: ReadonlyArray<A>): ReadonlyArray<string> => {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ cell }) => cell(row)))]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)))
  return cells.map((line) =>
    line
      .map((cell, index) =>
        columns[index]?.align === "right" ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0)
      )
      .join("  ")
      .trimEnd()
  )
}

const marks: { readonly [State in Agent.Agent["state"]]: string } = {
  waiting: "·",
  working: "▸",
  done: "✔",
  failed: "✘"
}

const time = (agent: Agent.Agent, now: number): string =>
  agent.state === "waiting" ? "" : seconds(Agent.elapsed(agent, now))

/** The table that is redrawn while the agents work. */
export const live = (agents: ReadonlyArray<Agent.Agent>, now: number): ReadonlyArray<string> =>
  table<Agent.Agent>([
    left("  agent", (agent) => `${marks[agent.state]} ${agent.name}`),
    left("state", (agent) => agent.state),
    right("steps", (agent) => count(agent.steps)),
    right("tokens", (agent) => count(agent.usage.total)),
    right("time", (agent) => time(agent, now)),
    left("now", (agent) => clip(oneLine(agent.activity), 60))
  ], agents)

const outcome = (agent: Agent.Agent): string =>
  Option.match(agent.failure, {
    onNone: () => agent.state === "done" ? "success" : agent.state,
    onSome: ({ _tag }) => _tag
  })

/** The table at the end. */
export const summary = (agents: ReadonlyArray<Agent.Agent>): ReadonlyArray<string> =>
  table<Agent.Agent>([
    left("  run", (agent) => `${marks[agent.state]} ${agent.name}`),
    left("outcome", outcome),
    right("steps", (agent) => count(agent.steps)),
    right("tokens", (agent) => count(agent.usage.total)),
    right("cost", (agent) => dollars(agent.cost)),
    right("time", (agent) => time(agent, 0))
  ], agents)

const edits = (finding: Finding): ReadonlyArray<string> => [
  `  ${finding.file}`,
  ...finding.added.filter((line) => line.trim() !== "").map((line) => `    + ${clip(oneLine(line), 110)}`)
]

/** An error's message up to the ids of its run. */
export const briefly = (message: string): string => oneLine(message).replace(/, (?:session|run) \w+.*$/, ".")

/** What happened to an agent that a plain start of OpenCode would have left to its user. */
const incident = (agent: Agent.Agent): ReadonlyArray<string> => [
  ...Option.match(agent.failure, { onNone: () => [], onSome: ({ message }) => [briefly(message)] }),
  ...(agent.starts > 1 ? [`OpenCode crashed at its start and was started again: ${agent.starts} starts`] : []),
  ...Option.match(agent.background, {
    onNone: () => [],
    onSome: (pid) => [`a command left process ${pid} in the background; the end of the run ended it`]
  })
]

/** What is left on the machine. */
export const remains = ({ directories, made, processes }: Left): string =>
  processes.length === 0 && directories.length === 0
    ? `Nothing is left: no process, and none of ${made} temporary directories.`
    : `Left behind: ${[...processes.map((pid) => `process ${pid}`), ...directories].join(", ")}`

/** Everything printed after the agents have ended. */
export const report = (results: {
  readonly agents: ReadonlyArray<Agent.Agent>
  readonly findings: ReadonlyArray<Finding>
  readonly left: Left
  /** Milliseconds. */
  readonly duration: number
}): ReadonlyArray<string> => {
  const { agents, duration, findings, left } = results
  const tokens = agents.reduce((sum, { usage }) => sum + usage.total, 0)
  const cost = agents.reduce((sum, agent) => sum + agent.cost, 0)
  const incidents = agents.flatMap((agent) =>
    incident(agent).map((text) => `  ${marks[agent.state]} ${agent.name}: ${clip(text, 160)}`)
  )
  return [
    "",
    ...(findings.length === 0 ? [] : ["Changes by the agents:", ...findings.flatMap(edits), ""]),
    ...summary(agents),
    "",
    `${agents.length} runs in ${seconds(duration)}, ${count(tokens)} tokens, ${dollars(cost)}`,
    "",
    ...(incidents.length === 0 ? [] : ["What went wrong:", ...incidents, ""]),
    remains(left)
  ]
}

/** The last line after an interruption. */
export const interrupted = (agents: ReadonlyArray<Agent.Agent>, left: Left, duration: number): string => {
  const working = agents.filter(({ state }) => state === "working").map(({ name }) => name)
  const ended = working.length === 0 ? "no agent was working" : `ended ${working.join(", ")}`
  return `Interrupted after ${seconds(duration)}: ${ended}. ${remains(left)}`
}

/** The first line. */
export const heading = (agents: number, model: Option.Option<string>): string =>
  `${agents} agents document a small library, one more writes the overview. Model: ${
    Option.getOrElse(model, () => "scripted, on loopback (set OPENCODE_MODEL=provider/model for a real one)")
  }${Option.isSome(model) ? "" : ". Four of the agents go wrong."}`

/** One line of the log that replaces the table without a terminal; `at` is the same clock for all agents. */
export const logLine = (name: string, message: string, at: number): string =>
  `${seconds(at).padStart(7)}  ${name.padEnd(11)}  ${clip(oneLine(message), 100)}`.trimEnd()
