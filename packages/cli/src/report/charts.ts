/**
 * Charts as inline SVG. Horizontal positions are percentages, so that a chart fills a page of any width while its texts
 * keep their size. Colours are classes, because the style sheet decides between light and dark.
 */
import * as format from "../display/format.js"
import { plural } from "../display/plural.js"
import type { JobResult } from "../jobs/JobResult.js"
import type { Html } from "./html.js"
import { html } from "./html.js"
import * as outcomes from "./outcomes.js"
import type { Scale } from "./scale.js"
import type { Group } from "./statistics.js"
import { distribution } from "./statistics.js"

/** A row of a chart. */
export interface Series {
  readonly label: string
  readonly results: Group["results"]
}

const percent = (share: number): string => `${(share * 100).toFixed(3).replace(/\.?0+$/, "")}%`

const pixels = (value: number): string => value.toFixed(2).replace(/\.?0+$/, "")

const labelLength = 44

/** Cuts long labels in the middle, because cells differ more often at their ends. */
const shorten = (label: string): string => {
  const characters = [...label]
  return characters.length <= labelLength
    ? label
    : `${characters.slice(0, labelLength / 2 - 1).join("")}…${characters.slice(-labelLength / 2).join("")}`
}

const inFamily = (family: outcomes.Family) => (result: JobResult): boolean => outcomes.family(result.outcome) === family

const svg = (
  options: { readonly id: string; readonly title: string; readonly description: string; readonly height: number },
  content: ReadonlyArray<Html>
): Html =>
  html`<svg class="chart" role="img" width="100%" height="${
    pixels(options.height)
  }" aria-labelledby="${options.id}-t" aria-describedby="${options.id}-d"><title id="${options.id}-t">${options.title}</title><desc id="${options.id}-d">${options.description}</desc>${content}</svg>`

const labelLine = (series: Series, value: string, y: number): Html =>
  html`<text class="label" x="0" y="${pixels(y)}">${
    shorten(series.label)
  }<title>${series.label}</title></text><text class="value" x="100%" y="${pixels(y)}" text-anchor="end">${value}</text>`

const rowGap = 18
const labelHeight = 20

/** Compared rows have the same height in every chart, so that they line up. */
const plotHeight = 26

const barHeight = 14

/** For each row, the share of each kind of outcome. */
export const shares = (id: string, title: string, series: ReadonlyArray<Series>): Html => {
  const height = series.length === 1 ? barHeight : plotHeight
  const rowHeight = labelHeight + height + rowGap
  const bar = (row: Series, y: number): ReadonlyArray<Html> => {
    let from = 0
    return outcomes.families.flatMap((family) => {
      const count = row.results.filter(inFamily(family)).length
      if (count === 0) return []
      const share = count / row.results.length
      const x = from
      from += share
      return [
        html`<rect class="${family} share" x="${percent(x)}" y="${pixels(y)}" width="${
          percent(share)
        }" height="${barHeight}"><title>${outcomes.familyLabels[family]}: ${format.count(count)} of ${
          plural(row.results.length, "run")
        }</title></rect>`
      ]
    })
  }
  const succeeded = (row: Series): string =>
    `${format.count(row.results.filter(inFamily("success")).length)} of ${format.count(row.results.length)}`
  return svg(
    {
      id,
      title,
      description: series.map((row) => `${row.label}: ${succeeded(row)} succeeded`).join("; "),
      height: series.length * rowHeight - rowGap
    },
    series.flatMap((row, index) => {
      const y = index * rowHeight
      return [labelLine(row, succeeded(row), y + 13), ...bar(row, y + labelHeight + height - barHeight)]
    })
  )
}

const bins = 40

/** The stacked blocks of one bin, by kind of outcome. */
const stack = (
  members: ReadonlyArray<JobResult>,
  place: { readonly bin: number; readonly bottom: number; readonly unit: number; readonly range: string }
): ReadonlyArray<Html> => {
  let below = 0
  // a gap between blocks would hide small ones
  const gap = place.unit < 3 ? 0 : 1
  return outcomes.families.flatMap((family) => {
    const count = members.filter(inFamily(family)).length
    if (count === 0) return []
    const height = count * place.unit
    below += height
    return [
      html`<rect class="${family}" x="${percent((place.bin + 0.06) / bins)}" y="${
        pixels(place.bottom - below)
      }" width="${percent(0.88 / bins)}" height="${pixels(height - gap)}"><title>${plural(count, "run")}, ${
        outcomes.familyLabels[family]
      }: ${place.range}</title></rect>`
    ]
  })
}

/** A tick's label stays within the chart. */
const anchor = (index: number, count: number): string => index === 0 ? "start" : index === count - 1 ? "end" : "middle"

/** For each row, the distribution of a figure over its runs: a block for each run, and a line at the median. */
export const spread = (options: {
  readonly id: string
  readonly title: string
  readonly series: ReadonlyArray<Series>
  readonly valueOf: (result: JobResult) => number
  readonly format: (value: number) => string
  readonly formatTick: (value: number) => string
  readonly scale: (max: number) => Scale
}): Html => {
  const { series, valueOf } = options
  const values = series.map((row) => distribution(row.results.map(valueOf)))
  const { max, ticks } = options.scale(Math.max(...values.map((value) => value.max)))
  const binOf = (result: JobResult): number =>
    Math.min(bins - 1, Math.max(0, Math.floor((valueOf(result) / max) * bins)))
  const binned = series.map((row) => {
    const found = new Map<number, Array<JobResult>>()
    for (const result of row.results) {
      const bin = binOf(result)
      found.set(bin, [...found.get(bin) ?? [], result])
    }
    return found
  })
  const tallest = Math.max(1, ...binned.flatMap((row) => [...row.values()].map((members) => members.length)))
  const room = series.length === 1 ? 4 * plotHeight : plotHeight
  const unit = Math.min(8, room / tallest)
  const height = Math.max(plotHeight, unit * tallest)
  const rowHeight = labelHeight + height + rowGap
  const bottom = series.length * rowHeight - rowGap
  const range = (bin: number): string =>
    `${options.format((bin / bins) * max)} to ${options.format(((bin + 1) / bins) * max)}`
  const summary = (index: number): string => options.format(values[index]?.median ?? 0)
  return svg({
    id: options.id,
    title: options.title,
    description: series.map((row, index) => {
      const { max, min } = values[index] ?? { min: 0, max: 0 }
      return `${row.label}: ${options.format(min)} to ${options.format(max)}, median ${summary(index)}`
    }).join("; "),
    height: bottom + 24
  }, [
    ...ticks.map((tick, index) =>
      html`<line class="grid" x1="${percent(tick / max)}" x2="${percent(tick / max)}" y1="0" y2="${
        pixels(bottom)
      }"/><text class="tick" x="${percent(tick / max)}" y="${pixels(bottom + 16)}" text-anchor="${
        anchor(index, ticks.length)
      }">${options.formatTick(tick)}</text>`
    ),
    ...series.flatMap((row, index) => {
      const base = index * rowHeight + labelHeight + height
      const median = percent((values[index]?.median ?? 0) / max)
      return [
        html`<rect class="backdrop" x="0" y="${pixels(index * rowHeight)}" width="100%" height="18"/>`,
        labelLine(row, summary(index), index * rowHeight + 13),
        html`<line class="base" x1="0" x2="100%" y1="${pixels(base)}" y2="${pixels(base)}"/>`,
        ...[...binned[index] ?? []].sort(([a], [b]) => a - b).flatMap(([bin, members]) =>
          stack(members, { bin, bottom: base, unit, range: range(bin) })
        ),
        html`<line class="median" x1="${median}" x2="${median}" y1="${pixels(base - height)}" y2="${
          pixels(base + 3)
        }"><title>median ${summary(index)}</title></line>`
      ]
    })
  ])
}
