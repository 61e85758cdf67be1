/**
 * The parts of a report, and the complete page.
 */
import * as Duration from "effect/Duration"
import { firstLine } from "../display/firstLine.js"
import * as format from "../display/format.js"
import { lost } from "../display/lost.js"
import { plural } from "../display/plural.js"
import type { JobResult } from "../jobs/JobResult.js"
import * as Matrix from "../jobs/Matrix.js"
import * as charts from "./charts.js"
import type { Cut, Excerpt, Limits } from "./excerpt.js"
import * as excerpt from "./excerpt.js"
import type { Html } from "./html.js"
import { html, trusted } from "./html.js"
import * as outcomes from "./outcomes.js"
import * as scale from "./scale.js"
import * as script from "./script.js"
import type { Group } from "./statistics.js"
import * as statistics from "./statistics.js"
import * as style from "./style.js"
import * as transcript from "./transcript.js"

/** A diff, cut to what fits on a page. */
export type Changes =
  | { readonly _tag: "Diff"; readonly text: Cut }
  | { readonly _tag: "Missing"; readonly reason: string }

export interface Run {
  readonly result: JobResult
  readonly transcript: Excerpt | undefined
  /** Why the transcript is missing. */
  readonly missing: string | undefined
  /** The diff of the run's worktree, or why it is missing; `undefined` if nothing has changed. */
  readonly changes?: Changes | undefined
}

export interface Page {
  readonly title: string
  /** The source of the results, and when the page was made. */
  readonly about: ReadonlyArray<string>
  /** In the order of the input. */
  readonly runs: ReadonlyArray<Run>
  readonly limits: Limits
}

const outcome = ({ kind, outcome }: statistics.Outcome): Html => {
  const family = outcomes.family(outcome)
  return html`<span class="outcome ${family}" title="${outcome}"><span class="mark" aria-hidden="true">${
    outcomes.marks[family]
  }</span><span class="word">${kind}</span></span>`
}

const percent = (part: number, whole: number): string => whole === 0 ? "–" : `${Math.round((part / whole) * 100)}%`

const figure = (title: string, value: string, more: string): Html =>
  html`<div><dt>${title}</dt><dd class="figure">${value}</dd><dd class="more">${more}</dd></div>`

const summary = (results: ReadonlyArray<JobResult>, groups: ReadonlyArray<Group>): Html => {
  const all = statistics.all(results)
  const matrix = results.some(({ cell }) => Object.keys(cell).length > 0)
  const median = (value: string): string => results.length < 2 ? "" : `median ${value} a run`
  return html`<section aria-labelledby="summary"><h2 id="summary" class="sr-only">Summary</h2><dl class="figures">${[
    figure(
      "Runs",
      format.count(results.length),
      groups.length === 0 ? "" : matrix ? `in ${plural(groups.length, "cell")}` : `of ${plural(groups.length, "job")}`
    ),
    figure(
      "Success",
      percent(all.succeeded, results.length),
      `${format.count(all.succeeded)} of ${format.count(results.length)}`
    ),
    figure(
      "Cost",
      format.cost({ cost: all.cost.sum, unpriced: all.unpriced > 0 }),
      all.unpriced > 0 ? `unknown of ${plural(all.unpriced, "run")}` : median(format.dollars(all.cost.median))
    ),
    figure("Tokens", format.compact(all.tokens.sum), median(format.compact(all.tokens.median))),
    figure("Time at work", format.duration(all.duration.sum), median(format.duration(all.duration.median)))
  ]}</dl><ul class="outcomes" aria-label="Outcomes">${
    statistics.outcomes(results).map((counted) => html`<li>${outcome(counted)} ${format.count(counted.count)}</li>`)
  }</ul></section>`
}

/** `minor` columns are hidden on narrow pages. */
type Rank = "" | " minor"

const number = (value: number, text: string, rank: Rank = ""): Html =>
  html`<td class="number${rank}" data-value="${value}">${text}</td>`

const heading = (column: number, title: string, kind: "number" | "text", rank: Rank = ""): Html =>
  html`<th scope="col" data-column="${column}" class="${kind}${rank}">${title}</th>`

const pair = ({ mean, median }: statistics.Distribution, show: (value: number) => string): ReadonlyArray<Html> => [
  number(mean, show(mean)),
  number(median, show(median))
]

const cells = (groups: ReadonlyArray<Group>): Html | undefined => {
  const [axes, matrix] = [statistics.axes(groups), groups.some(({ cell }) => !("job" in cell))]
  if (groups.length === 0) return undefined
  const titles = ["runs", "success", "mean", "median", "mean", "median", "mean", "median"]
  return html`<section aria-labelledby="cells"><h2 id="cells">${
    matrix ? "By cell" : "By job"
  }</h2><div class="scroll" tabindex="0" role="region" aria-labelledby="cells"><table class="cells"><thead><tr><td colspan="${
    axes.length + 2
  }"></td>${
    ["cost", "tokens", "time"].map((title) =>
      html`<th class="group" colspan="2" scope="colgroup"><span>${title}</span></th>`
    )
  }</tr><tr>${axes.map((axis, index) => heading(index, axis, "text"))}${
    titles.map((title, index) => heading(axes.length + index, title, "number"))
  }</tr></thead><tbody>${
    groups.map((group) =>
      html`<tr>${axes.map((axis) => html`<th scope="row">${group.cell[axis] ?? ""}</th>`)}${
        number(group.results.length, format.count(group.results.length))
      }${number(group.succeeded / group.results.length, percent(group.succeeded, group.results.length))}${
        pair(group.cost, (cost) => format.cost({ cost, unpriced: group.unpriced > 0 }))
      }${pair(group.tokens, format.compact)}${pair(group.duration, format.duration)}</tr>`
    )
  }</tbody></table></div></section>`
}

/** With more rows than this, a chart shows one row for all runs. */
const rowsOfChart = 24

const seriesOf = (results: ReadonlyArray<JobResult>, groups: ReadonlyArray<Group>): ReadonlyArray<charts.Series> =>
  groups.length < 2 || groups.length > rowsOfChart
    ? [{ label: results.length === 1 ? "1 run" : `all ${format.count(results.length)} runs`, results }]
    : groups.map((group) => ({ label: statistics.valuesOf(group.cell), results: group.results }))

/** `$0.05`, not `$0.0500`. */
const dollarTick = (value: number): string => {
  const text = format.dollars(value)
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text
}

const timeTick = (value: number): string =>
  value === 0 ? "0" : format.duration(value).replace(/\.0 s$/, " s").replace(/ 00 (?:s|min)$/, "")

const legend = (results: ReadonlyArray<JobResult>): Html =>
  html`<ul class="legend" aria-hidden="true">${
    outcomes.families
      .filter((family) => results.some((result) => outcomes.family(result.outcome) === family))
      .map((family) =>
        html`<li><svg viewBox="0 0 10 10"><rect class="${family}" width="10" height="10" rx="2"/></svg>${
          outcomes.familyLabels[family]
        }</li>`
      )
  }</ul>`

const figures = (results: ReadonlyArray<JobResult>, groups: ReadonlyArray<Group>): Html | undefined => {
  if (results.length === 0) return undefined
  const series = seriesOf(results, groups)
  const unpriced = statistics.all(results).unpriced
  const free = results.every(({ cost }) => cost === 0)
  const axes = series.length < 2 ? [] : statistics.axes(groups)
  const by = axes.length === 0 ? "" : `, by ${axes.join(" · ")}`
  const priced = series.map(({ label, results }) => ({ label, results: results.filter(({ unpriced }) => !unpriced) }))
  return html`<section aria-labelledby="charts"><h2 id="charts">Outcome, cost and time</h2>${
    legend(results)
  }<div class="charts"><div><h3>Outcome</h3><p>shares of the runs${by}</p>${
    charts.shares("chart-outcome", "Outcome", series)
  }</div><div><h3>Cost of a run</h3><p>each a block; median as line and figure</p>${
    unpriced > 0 &&
    html`<p class="empty">The cost of ${plural(unpriced, "run")} is unknown: OpenCode has no price.</p>`
  }${
    free
      ? unpriced === 0 && html`<p class="empty">No run cost anything, at the prices known to OpenCode.</p>`
      : priced.some(({ results }) => results.length > 0) && charts.spread({
        id: "chart-cost",
        title: "Cost of a run in US dollars",
        series: priced.filter(({ results }) => results.length > 0),
        valueOf: ({ cost }) => cost,
        format: format.dollars,
        formatTick: dollarTick,
        scale: scale.amount
      })
  }</div><div><h3>Time of a run</h3><p>each a block; median as line and figure</p>${
    charts.spread({
      id: "chart-time",
      title: "Time of a run",
      series,
      valueOf: ({ duration }) => Duration.toMillis(duration),
      format: format.duration,
      formatTick: timeTick,
      scale: scale.time
    })
  }</div></div></section>`
}

const timestamp = (milliseconds: number): string => {
  const date = new Date(milliseconds)
  return Number.isNaN(date.getTime()) ? "unknown" : `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`
}

const fact = (title: string, value: Html | string | number | undefined): Html | undefined =>
  value === undefined || value === "" ? undefined : html`<dt>${title}</dt><dd>${value}</dd>`

const facts = ({ result }: Run): Html => {
  const { usage, worktree } = result
  return html`<dl class="facts">${
    [
      fact(
        "Outcome",
        html`${outcome(result)}${result.finishReason !== undefined && `, ${result.finishReason}`}`
      ),
      fact("Job", result.id),
      fact("Model", result.model),
      fact("Agent", result.agent),
      fact("Directory", result.cwd),
      fact("Runner", result.runner),
      fact("Branch", result.branch),
      fact("Started", timestamp(result.startedAt)),
      fact("Attempts", result.attempts > 1 ? result.attempts : undefined),
      fact(
        "Steps",
        result.toolCalls === undefined
          ? format.count(result.steps)
          : `${format.count(result.steps)}, with ${plural(result.toolCalls, "tool call")}`
      ),
      fact(
        "Tokens",
        `${format.count(usage.input)} input, ${format.count(usage.output)} output, ${
          format.count(usage.reasoning)
        } reasoning, ${format.count(usage.cacheRead)} read from and ${
          format.count(usage.cacheWrite)
        } written to the cache`
      ),
      fact("Lost events", result.lostLines),
      fact(
        "Cost",
        result.unpriced === true
          ? `${format.costInWords(result)}: OpenCode has no price for some tokens of the run`
          : undefined
      ),
      fact("Session", result.sessionId),
      fact("Run", result.runId),
      fact("Matrix", Object.keys(result.cell).length === 0 ? undefined : statistics.label(result.cell)),
      fact("Transcript", result.transcript),
      worktree === undefined ? undefined : [
        fact("Branch", `${worktree.branch}, ${plural(worktree.commits, "commit")} on ${worktree.base}`),
        fact("Worktree", `${worktree.path}, ${worktree.kept ? "kept" : "removed"}: ${worktree.reason}`),
        fact("Warning", worktree.warning)
      ]
    ].flat().filter((entry) => entry !== undefined)
  }</dl>`
}

const shown = (title: string, text: string, length: number): Html | undefined =>
  text.trim() === ""
    ? undefined
    : html`<h4>${title}</h4><div class="prose">${transcript.prose(excerpt.cut(text.trim(), length))}</div>`

/** A line of a diff, by what it is. */
const diffClass = (line: string): string =>
  /^(?:diff |index |--- |\+\+\+ |new file|deleted file|similarity|rename|old mode|new mode|Untracked|Binary)/.test(line)
    ? "file"
    : line.startsWith("@@")
    ? "hunk"
    : line.startsWith("+")
    ? "added"
    : line.startsWith("-")
    ? "removed"
    : ""

const diffLines = (text: string): ReadonlyArray<Html> =>
  text.replace(/\n$/, "").split("\n").map((line) => {
    const kind = diffClass(line)
    return kind === "" ? html`${line}\n` : html`<span class="${kind}">${line}</span>\n`
  })

const changesOf = (changes: Changes | undefined): Html | undefined =>
  changes === undefined
    ? undefined
    : changes._tag === "Missing"
    ? html`<h4>Changes</h4><p class="empty">No diff: ${changes.reason}</p>`
    : html`<h4>Changes</h4><pre class="scrolls diff">
${diffLines(changes.text.head)}${
      changes.text.omitted > 0 &&
      html`<span class="cut">${plural(changes.text.omitted, "character")} left out</span>\n${
        diffLines(changes.text.tail)
      }`
    }</pre>`

const said = (title: string, text: string, length: number, kind = ""): Html | undefined =>
  text.trim() === ""
    ? undefined
    : html`<h4>${title}</h4><div class="said ${kind}">${transcript.cut(excerpt.cut(text.trim(), length))}</div>`

/** The headline of a run: why it failed, or its answer. */
const headline = (result: JobResult): string => {
  const text = statistics.succeeded(result)
    ? result.answer
    : [result.kind, result.reason].filter((part) => part !== "").join(": ")
  const line = excerpt.cut(firstLine(text), lineLength).head.trim()
  return line === "" ? "Details" : line
}

/** The part of the failure message that the headline does not show. */
const unsaid = (result: JobResult): string =>
  statistics.succeeded(result) || headline(result).endsWith(result.message?.trim() ?? "") ? "" : result.message ?? ""

const body = (run: Run, limits: Limits): Html => {
  const { result } = run
  return html`<div class="body">${facts(run)}${said("Failure", unsaid(result), limits.text, "problem")}${
    said("Prompt", result.prompt, limits.text)
  }${changesOf(run.changes)}${
    result.value !== undefined &&
    html`<h4>Value</h4>${transcript.block(excerpt.cut(JSON.stringify(result.value, undefined, 2), limits.text))}`
  }${
    run.transcript === undefined
      ? html`${shown("Answer", result.answer, limits.text)}<p class="empty">${run.missing ?? "No transcript."}</p>`
      : html`<h4>Transcript</h4>${transcript.events(run.transcript)}`
  }</div>`
}

/** The job's name without the cell, which has columns of its own. */
const nameOf = (result: JobResult): string => {
  const cell = Matrix.label(result.cell)
  return cell === "" ? result.name : result.name.replace(` [${cell}]`, "")
}

const lineLength = 240

const row = (run: Run, position: number, axes: ReadonlyArray<string>, limits: Limits): Html => {
  const { result } = run
  const family = outcomes.family(result.outcome)
  const values = axes.map((axis) => result.cell[axis] ?? "")
  return html`<tbody data-outcome="${result.kind}"${
    values.map((value, index) => html` data-axis${index}="${value}"`)
  }><tr><td class="outcome-cell">${outcome(result)}</td><td class="name">${nameOf(result)}${
    axes.length > 0 && html`<span class="cell">${statistics.label(result.cell)}</span>`
  }</td>${values.map((value) => html`<td class="axis minor">${value}</td>`)}${
    number(result.steps, format.count(result.steps), " minor")
  }${number(result.toolCalls ?? 0, result.toolCalls === undefined ? "" : format.count(result.toolCalls), " minor")}${
    number(result.usage.total, format.compact(result.usage.total), " minor")
  }${number(result.cost, format.cost(result))}${
    number(Duration.toMillis(result.duration), format.duration(Duration.toMillis(result.duration)))
  }</tr><tr><td class="more" colspan="${
    7 + axes.length
  }"><details class="run" id="run-${position}"><summary><span class="sr-only">${
    nameOf(result)
  }: </span><span class="line ${family}">${
    [...lost(result).map((text) => `(${text})`), headline(result)].join(" ")
  }</span></summary>${body(run, limits)}</details></td></tr></tbody>
`
}

const select = (title: string, key: string, values: ReadonlyArray<string>): Html =>
  html`<label>${title}<select data-key="${key}"><option value="">all</option>${
    values.map((value) => html`<option value="=${value}">${value}</option>`)
  }</select></label>`

const controls = (results: ReadonlyArray<JobResult>, axes: ReadonlyArray<string>): Html =>
  html`<div class="controls" id="controls" hidden=""><label class="search">search<input type="search" autocomplete="off"/></label>${
    select("outcome", "outcome", statistics.outcomes(results).map(({ kind }) => kind))
  }${
    axes.map((axis, index) => select(axis, `axis${index}`, [...new Set(results.map(({ cell }) => cell[axis] ?? ""))]))
  }<button type="button">Open all</button><output></output></div>`

const list = ({ limits, runs }: Page): Html => {
  if (runs.length === 0) return html`<section><p class="empty">No job has ended.</p></section>`
  const results = runs.map(({ result }) => result)
  const axes = statistics.axes(statistics.cells(results))
  const columns = [
    ["outcome", "text", ""],
    ["job", "text", ""],
    ...axes.map((axis) => [axis, "text", " minor"] as const),
    ["steps", "number", " minor"],
    ["tools", "number", " minor"],
    ["tokens", "number", " minor"],
    ["cost", "number", ""],
    ["time", "number", ""]
  ] as const
  return html`<section aria-labelledby="runs-title"><h2 id="runs-title">Runs</h2>${
    controls(results, axes)
  }<div class="scroll" tabindex="0" role="region" aria-labelledby="runs-title"><table class="runs" id="runs"><thead><tr>${
    columns.map(([title, kind, rank], index) => heading(index, title, kind, rank))
  }</tr></thead>
${runs.map((run, index) => row(run, index + 1, axes, limits))}</table></div></section>`
}

/** Nothing is loaded from elsewhere, and only our own styles and script are allowed. */
const policy =
  `default-src 'none'; style-src '${style.hash}'; script-src '${script.hash}'; base-uri 'none'; form-action 'none'`

/** Renders the whole page. */
export const render = (page: Page): string => {
  const results = page.runs.map(({ result }) => result)
  const groups = statistics.groups(results)
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="${policy}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="referrer" content="no-referrer"/>
<title>${page.title} – effect-opencode</title>
<style>${trusted(style.css)}</style>
</head>
<body>
<header><h1>${page.title}</h1><p class="about">${
    page.about.map((part, index) => html`${index > 0 && " · "}<bdi>${part}</bdi>`)
  }</p></header>
<main>
${summary(results, groups)}
${cells(groups)}
${figures(results, groups)}
${list(page)}
</main>
<footer><p>Costs are as reported by OpenCode, at the prices it knows. If a transcript is cut here, its file has the rest.</p></footer>
<script>${trusted(script.js)}</script>
</body>
</html>
`.text
}
