/**
 * Shows a batch in a terminal, as pure functions from data to lines. No line is wider than the terminal, and control
 * characters in a model's text never reach it.
 */
import * as RunEvent from "effect-opencode/RunEvent"
import * as Duration from "effect/Duration"
import * as HashMap from "effect/HashMap"
import * as SortedMap from "effect/SortedMap"
import * as Fleet from "../fleet/Fleet.js"
import type { JobResult } from "../jobs/JobResult.js"
import * as statistics from "../report/statistics.js"
import * as format from "./format.js"
import * as ink from "./ink.js"
import { lost } from "./lost.js"
import { plural } from "./plural.js"
import type { Style } from "./Style.js"
import * as terminalText from "./terminalText.js"

/** The terminal to fit into. */
export interface Screen {
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly columns: number
  readonly rows: number
  readonly style: Style
}

interface Row {
  readonly mark: ink.Piece
  readonly name: string
  readonly state: ink.Piece
  readonly runner?: string | undefined
  readonly steps: string
  readonly tokens: string
  readonly cost: string
  readonly time: string
  /** Anything else; it gets the rest of the line. */
  readonly note: ink.Piece
}

type Figure = "steps" | "tokens" | "cost" | "time"

const figureWidths: { readonly [F in Figure]: number } = { steps: 5, tokens: 6, cost: 8, time: 7 }

const stateWidth = 8

const runnerWidth = 20

/** Which columns fit, and how wide they are. Widths depend on the terminal alone, so the table does not jump. */
interface Layout {
  readonly name: number
  /** 0 if only the mark fits. */
  readonly state: number
  /** 0 without a cluster, or if it does not fit. */
  readonly runner: number
  readonly figures: ReadonlyArray<Figure>
  readonly note: number
}

const layoutOf = (columns: number, state: number, runner: number): Layout => {
  const name = Math.max(8, Math.min(32, Math.floor(columns / 5)))
  const noteMinimum = Math.min(24, Math.floor(columns * 0.28))
  const noteOf = (state: number, figures: ReadonlyArray<Figure>, runner: number): number =>
    columns - (2 + name) - (state === 0 ? 0 : 2 + state) - (runner === 0 ? 0 : 2 + runner) -
    figures.reduce((sum, figure) => sum + 2 + figureWidths[figure], 0) - 2
  // the least important column is dropped first
  const candidates: ReadonlyArray<readonly [state: number, figures: ReadonlyArray<Figure>, runner: number]> = [
    [state, ["steps", "tokens", "cost", "time"], runner],
    [0, ["steps", "tokens", "cost", "time"], runner],
    [0, ["tokens", "cost", "time"], runner],
    [0, ["cost", "time"], runner],
    [0, ["time"], runner],
    [0, ["time"], 0]
  ]
  for (const [state, figures, runner] of candidates) {
    const note = noteOf(state, figures, runner)
    if (note >= noteMinimum) return { name, state, figures, runner, note }
  }
  return { name, state: 0, figures: [], runner: 0, note: Math.max(0, noteOf(0, [], 0)) }
}

/** The column of the runners: only a batch on a cluster has them. */
const runnersOf = (all: ReadonlyArray<{ readonly runner?: string | undefined }>): number =>
  all.some(({ runner }) => runner !== undefined) ? runnerWidth : 0

const fit = (text: string, columns: number): string => terminalText.padEnd(terminalText.clip(text, columns), columns)

const line = (layout: Layout, row: Row): ReadonlyArray<ink.Piece> => [
  row.mark,
  ink.plain(` ${fit(terminalText.oneLine(row.name), layout.name)}`),
  ...(layout.state === 0 ? [] : [ink.piece(row.state.ink, `  ${fit(row.state.text, layout.state)}`)]),
  ...(layout.runner === 0
    ? []
    : [ink.plain(`  ${fit(terminalText.oneLine(row.runner ?? ""), layout.runner)}`)]),
  ...layout.figures.map((figure) => ink.plain(`  ${terminalText.padStart(row[figure], figureWidths[figure])}`)),
  ink.piece(row.note.ink, `  ${terminalText.clip(terminalText.oneLine(row.note.text), layout.note)}`)
]

const heading = (layout: Layout, titles: { readonly state: string; readonly note: string }): ReadonlyArray<ink.Piece> =>
  line(layout, {
    mark: ink.plain(" "),
    name: "job",
    state: ink.plain(titles.state),
    runner: "runner",
    steps: "steps",
    tokens: "tokens",
    cost: "cost",
    time: "time",
    note: ink.plain(titles.note)
  }).map(({ text }) => ink.piece("dim", text))

const marks: { readonly [S in Fleet.State]: ink.Piece } = {
  waiting: ink.piece("dim", "·"),
  starting: ink.piece("yellow", "▹"),
  running: ink.piece("cyan", "▸"),
  ending: ink.piece("cyan", "▪"),
  done: ink.piece("green", "✓"),
  failed: ink.piece("red", "✗"),
  skipped: ink.piece("dim", "–")
}

const noteOf = (job: Fleet.Job, layout: Layout): ink.Piece =>
  job.state === "starting"
    ? ink.piece("dim", layout.state === 0 ? "starting" : "")
    : job.state === "ending" && layout.state === 0
    ? ink.piece("dim", `ending: ${job.activity}`)
    : ink.plain(job.activity)

const spent = ({ cost, steps, unpriced, usage }: Pick<JobResult, "cost" | "steps" | "unpriced" | "usage">) => ({
  steps: format.count(steps),
  tokens: format.compact(usage.total),
  cost: format.cost({ cost, unpriced })
})

const unspent = { steps: "", tokens: "", cost: "" }

const activeLine = (layout: Layout, job: Fleet.Job, now: number): ReadonlyArray<ink.Piece> =>
  line(layout, {
    mark: marks[job.state],
    name: job.name,
    state: ink.piece(marks[job.state].ink, job.state),
    runner: job.runner,
    // blank is clearer than a row of zeros while nothing has been spent
    ...(job.state === "starting" ? unspent : spent(job)),
    time: format.clock(Fleet.elapsed(job, now)),
    note: noteOf(job, layout)
  })

const resultLine = (layout: Layout, result: JobResult): ReadonlyArray<ink.Piece> => {
  const mark = marks[statistics.succeeded(result) ? "done" : "failed"]
  return line(layout, {
    mark,
    name: result.name,
    state: ink.piece(mark.ink, statistics.succeeded(result) ? "done" : "failed"),
    runner: result.runner,
    ...spent(result),
    time: format.clock(Duration.toMillis(result.duration)),
    note: statistics.succeeded(result)
      ? ink.piece("dim", [...lost(result).map((text) => `(${text})`), result.answer].join(" "))
      : ink.piece("red", [result.kind, result.reason].filter((part) => part !== "").join(": "))
  })
}

/** Pieces separated by dots, over as many lines as they need. */
const flow = (parts: ReadonlyArray<ink.Piece>, columns: number): ReadonlyArray<ReadonlyArray<ink.Piece>> => {
  const separator = " · "
  const lines: Array<Array<ink.Piece>> = []
  let used = 0
  for (const part of parts) {
    const width = terminalText.width(part.text)
    const last = lines[lines.length - 1]
    if (last === undefined || used + separator.length + width > columns) {
      lines.push([part])
      used = width
    } else {
      last.push(ink.piece("dim", separator), part)
      used += separator.length + width
    }
  }
  return lines
}

const when = <A>(condition: boolean, value: () => A): ReadonlyArray<A> => condition ? [value()] : []

const totalsOf = (fleet: Fleet.Fleet, now: number): ReadonlyArray<ink.Piece> => {
  const { cost, unpriced, usage } = Fleet.totals(fleet)
  const active = SortedMap.size(fleet.active)
  const waiting = SortedMap.size(fleet.waiting)
  const starting = Fleet.active(fleet).filter(({ state }) => state === "starting").length
  return [
    ink.piece("bold", `${format.count(ended(fleet))} of ${format.count(Fleet.size(fleet))} ended`),
    ...when(fleet.failed > 0, () => ink.piece("red", `${format.count(fleet.failed)} failed`)),
    ...when(active > 0, () => ink.piece("cyan", `${format.count(active)} active`)),
    ...when(starting > 0, () => ink.piece("yellow", `${format.count(starting)} at the gate`)),
    ...when(waiting > 0, () => ink.plain(`${format.count(waiting)} waiting`)),
    ...when(fleet.skipped > 0, () => ink.plain(`${format.count(fleet.skipped)} done before`)),
    ink.plain(`${format.compact(usage.total)} tokens`),
    ink.plain(format.cost({ cost, unpriced })),
    ink.plain(format.clock(fleet.startedAt === undefined ? 0 : now - fleet.startedAt))
  ]
}

const ended = (fleet: Fleet.Fleet): number => fleet.done + fleet.failed + fleet.skipped

/** The progress bar of the batch: succeeded, failed, running, waiting. */
const bar = (fleet: Fleet.Fleet, columns: number): ReadonlyArray<ink.Piece> => {
  const size = Fleet.size(fleet)
  // from cumulative counts, so that the segments always add up to the columns
  const upTo = (count: number): number => size === 0 ? 0 : Math.round((count / size) * columns)
  const good = fleet.done + fleet.skipped
  const segments = [
    { ink: "green", glyph: "━", to: upTo(good) },
    { ink: "red", glyph: "━", to: upTo(good + fleet.failed) },
    { ink: "cyan", glyph: "╍", to: upTo(good + fleet.failed + SortedMap.size(fleet.active)) },
    { ink: "dim", glyph: "─", to: columns }
  ] as const
  return segments.map(({ glyph, ink, to }, index) => ({
    ink,
    text: glyph.repeat(Math.max(0, to - (segments[index - 1]?.to ?? 0)))
  }))
}

/** The names of the next jobs: as many as fit, then how many more there are. */
const waitingLine = (fleet: Fleet.Fleet, columns: number): ReadonlyArray<ink.Piece> => {
  const waiting = SortedMap.size(fleet.waiting)
  const title = "next  "
  const rest = (shown: number): string => waiting > shown ? ` and ${format.count(waiting - shown)} more` : ""
  const names: Array<string> = []
  for (const { name } of Fleet.next(fleet, Math.max(1, Math.floor(columns / 3)))) {
    const longer = [...names, terminalText.oneLine(name)]
    const width = title.length + terminalText.width(longer.join(", ")) + rest(longer.length).length
    if (names.length > 0 && width > columns) break
    names.push(terminalText.oneLine(name))
  }
  const tail = rest(names.length)
  return [
    ink.piece("dim", title),
    ink.plain(terminalText.clip(names.join(", "), columns - title.length - tail.length)),
    ink.piece("dim", tail)
  ]
}

const stoppingLine = ink.piece("yellow", "Stopping: no further job starts. Ctrl-C again ends the running ones.")

/**
 * The table that is redrawn while the batch works: a line for each running job, what waits, and the totals. At most
 * `rows` lines, none wider than `columns`; the least important lines are dropped first.
 */
export const live = (fleet: Fleet.Fleet, screen: Screen): ReadonlyArray<string> => {
  const { columns, now, rows, style } = screen
  if (HashMap.isEmpty(fleet.jobs) || rows < 1 || columns < 1) return []
  const jobs = Fleet.active(fleet)
  const layout = layoutOf(columns, stateWidth, runnersOf(jobs))
  const isWaiting = SortedMap.size(fleet.waiting) > 0

  const totals = flow(totalsOf(fleet, now), columns).slice(0, rows >= 6 ? 3 : 1)
  const stopping = when(fleet.stopping && rows >= 2, () => [stoppingLine])
  const next = when(isWaiting && !fleet.stopping && rows >= 5, () => waitingLine(fleet, columns))
  const progress = when(rows >= 8, () => bar(fleet, columns))
  const gap = when(rows >= 12 && jobs.length > 0, () => [])
  const titles = when(rows >= 8 && jobs.length > 0, () => heading(layout, { state: "state", note: "now" }))

  const footer = [...gap, ...progress, ...totals, ...next, ...stopping]
  const room = rows - footer.length - titles.length
  const shown = jobs.length <= room ? jobs.length : Math.max(0, room - 1)
  const more = when(shown < jobs.length && room >= 1, () => [
    ink.piece("dim", `  and ${format.count(jobs.length - shown)} more active`)
  ])
  return [...titles, ...jobs.slice(0, shown).map((job) => activeLine(layout, job, now)), ...more, ...footer]
    .slice(0, rows)
    .map((pieces) => ink.paint(ink.clip(pieces, columns), style))
}

/** The line of an ended job, in the columns of the table. */
export const ending = (result: JobResult, screen: Pick<Screen, "columns" | "style">): string =>
  ink.paint(
    ink.clip(resultLine(layoutOf(screen.columns, stateWidth, runnersOf([result])), result), screen.columns),
    screen.style
  )

const cellTitles = ["success", "mean cost", "mean tokens", "mean time"] as const

const cellFigures = (
  { cost, duration, results, succeeded, tokens, unpriced }: statistics.Group
): ReadonlyArray<string> => [
  `${format.count(succeeded)}/${format.count(results.length)}`,
  format.cost({ cost: cost.mean, unpriced: unpriced > 0 }),
  format.compact(tokens.mean),
  format.clock(duration.mean)
]

/** A line for each cell of the matrix; figures are dropped from the right until the names fit. */
const cellLines = (results: ReadonlyArray<JobResult>, columns: number): ReadonlyArray<ReadonlyArray<ink.Piece>> => {
  const cells = statistics.cells(results)
  if (cells.length < 2) return []
  const rows = cells.map((cell) => [terminalText.oneLine(statistics.valuesOf(cell.cell)), ...cellFigures(cell)])
  const table = [[terminalText.oneLine(statistics.axes(cells).join(" · ")), ...cellTitles], ...rows]
  const widths = cellTitles.map((_, figure) => 2 + Math.max(...table.map((row) => row[figure + 1]?.length ?? 0)))
  const longest = Math.max(...table.map(([label]) => terminalText.width(label ?? "")))
  const room = (kept: number) => columns - 2 - widths.slice(0, kept).reduce((sum, width) => sum + width, 0)
  const kept = [4, 3, 2, 1].find((kept) => room(kept) >= Math.min(longest, 24)) ?? 1
  const width = Math.max(0, Math.min(longest, room(kept)))
  const lines = table.map(([label = "", ...figures]) =>
    `  ${fit(label, width)}${
      figures.slice(0, kept).map((value, figure) => value.padStart(widths[figure] ?? 0)).join("")
    }`
  )
  return [[], ...lines.map((line, index) => [ink.piece(index === 0 ? "dim" : "plain", line)])]
}

/**
 * The table at the end: a line for each run, one for each cell of the matrix, and the sums. For a batch of more than
 * `limit` runs (default: 100) it lists only failed runs, at most `limit` of them.
 */
export const final = (
  results: ReadonlyArray<JobResult>,
  screen: Pick<Screen, "columns" | "style"> & { readonly limit?: number | undefined }
): ReadonlyArray<string> => {
  const { columns, limit = 100, style } = screen
  const layout = layoutOf(columns, stateWidth, runnersOf(results))
  const { cost, duration, succeeded, tokens, unpriced } = statistics.all(results)
  const failed = results.length - succeeded
  const listed = statistics.inOrder(
    results.length <= limit ? results : results.filter((result) => !statistics.succeeded(result)).slice(0, limit)
  )
  const unlisted = results.length - listed.length
  const lostLines = results.reduce((sum, result) => sum + (result.lostLines ?? 0), 0)
  const sums = [
    ink.piece("bold", plural(results.length, "run")),
    ...when(succeeded > 0, () => ink.piece("green", `${format.count(succeeded)} succeeded`)),
    ...when(failed > 0, () => ink.piece("red", `${format.count(failed)} failed`)),
    ink.plain(`${format.compact(tokens.sum)} tokens`),
    ink.plain(format.cost({ cost: cost.sum, unpriced: unpriced > 0 })),
    ...when(unpriced > 0, () => ink.piece("yellow", `cost of ${plural(unpriced, "run")} unknown`)),
    ink.plain(`${format.duration(duration.sum)} of work`),
    ...lost({ lostLines }).map((text) => ink.piece("yellow", text))
  ]
  return [
    ...when(listed.length > 0, () => heading(layout, { state: "outcome", note: "answer or failure" })),
    ...listed.map((result) => resultLine(layout, result)),
    ...when(unlisted > 0, () => [ink.piece("dim", `  and ${format.count(unlisted)} more`)]),
    ...cellLines(results, columns),
    [],
    ...flow(sums, columns)
  ].map((pieces) => ink.paint(ink.clip(pieces, columns), style))
}

/** Longer texts are cut in a log line. */
const plainLength = 300

/**
 * The log line of an event; `undefined` for events that need none. `fleet` is the state of the batch after the event.
 */
export const plainLine = (fleet: Fleet.Fleet, event: Fleet.FleetEvent): string | undefined => {
  const at = "at" in event && fleet.startedAt !== undefined ? format.clock(event.at - fleet.startedAt) : ""
  const say = (id: string, text: string): string => {
    const job = HashMap.unsafeGet(fleet.jobs, id)
    return terminalText.clip(
      `${at.padStart(7)}  ${fit(terminalText.oneLine(job.name), 20)}  ${terminalText.oneLine(text)}`,
      plainLength
    )
  }
  switch (event._tag) {
    case "Queued":
      return undefined
    case "Started":
      return say(event.id, event.runner === undefined ? "starts" : `starts on ${event.runner}`)
    case "Returned":
      return say(event.id, "was not started")
    case "Skipped":
      return say(event.id, "done before")
    case "Stopping":
      return `${" ".repeat(9)}${stoppingLine.text}`
    case "Observed":
      return event.event._tag === "StepStart" ? undefined : say(event.id, RunEvent.describe(event.event))
    case "Ended":
      return say(event.id, endedText(event.result))
  }
}

const endedText = (result: JobResult): string => {
  const figures = [
    plural(result.steps, "step"),
    `${format.compact(result.usage.total)} tokens`,
    format.costInWords(result),
    ...lost(result),
    format.duration(Duration.toMillis(result.duration))
  ].join(", ")
  return statistics.succeeded(result)
    ? `done: ${figures}`
    : `failed: ${[result.kind, result.reason].filter((part) => part !== "").join(": ")} (${figures})`
}
