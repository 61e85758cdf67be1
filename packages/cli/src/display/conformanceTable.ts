/** The findings of `effect-opencode conformance` as a table for people, and as JSON for an issue. */
import * as Contract from "effect-opencode/Contract"
import wrapAnsi from "wrap-ansi"
import { duration } from "./format.js"
import { plural } from "./plural.js"
import type { Style } from "./Style.js"
import { oneLine, padEnd } from "./terminalText.js"

/** What was checked, and on which machine. Contains no path and no secret. */
export interface Report {
  /** The version of this library. */
  readonly library: string
  /** The version of OpenCode. */
  readonly opencode: string
  readonly platform: string
  readonly node: string
  /** In milliseconds. */
  readonly duration: number
  readonly judgements: ReadonlyArray<Contract.Judgement>
}

/** True if a fact that matters is not as expected. */
export const hasFailed = ({ judgements }: Report): boolean =>
  judgements.some(({ fact, status }) => status === "differs" && fact.weight === "matters")

const count = ({ judgements }: Report, status: Contract.Status): number =>
  judgements.filter((judgement) => judgement.status === status).length

/** The report as one JSON value. */
export const json = (report: Report): unknown => {
  const { judgements, ...machine } = report
  return {
    ok: !hasFailed(report),
    ...machine,
    holds: count(report, "holds"),
    known: count(report, "known"),
    differs: count(report, "differs"),
    untried: count(report, "untried"),
    facts: judgements.map(({ expected, fact, reason, seen, status }) => ({
      id: fact.id,
      status,
      weight: fact.weight,
      says: fact.says,
      expected,
      ...(seen === undefined ? {} : { seen }),
      ...(status === "differs" ? { otherwise: fact.otherwise } : {}),
      ...(reason === undefined ? {} : { reason })
    }))
  }
}

const mark = ({ fact, status }: Contract.Judgement, style: Style): string => {
  switch (status) {
    case "holds":
      return style.green("✔")
    case "known":
      return style.cyan("~")
    case "untried":
      return style.yellow("?")
    case "differs":
      return fact.weight === "matters" ? style.red("✘") : style.yellow("!")
  }
}

/** The longest values are cut: the whole of them is in the JSON. */
const shown = 300

const value = (value: unknown): string => {
  const text = oneLine(Contract.valueText(value))
  return text.length > shown ? `${text.slice(0, shown)}…` : text
}

const row = (
  judgement: Contract.Judgement,
  options: { readonly style: Style; readonly columns: number; readonly width: number }
): ReadonlyArray<string> => {
  const { columns, style, width } = options
  const indent = " ".repeat(width + 4)
  const wrapped = (label: string, text: string): ReadonlyArray<string> =>
    wrapAnsi(oneLine(text), columns - indent.length - label.length, { hard: true }).split("\n")
      .map((line, index) => indent + (index === 0 ? style.dim(label) : " ".repeat(label.length)) + line)
  const { expected, fact, reason, seen, status } = judgement
  const says = wrapAnsi(fact.says, columns - indent.length).split("\n")
  const head = says.map((line, index) =>
    index === 0 ? `${mark(judgement, style)} ${style.bold(padEnd(fact.id, width + 2))}${line}` : indent + line
  )
  switch (status) {
    case "holds":
      return head
    case "known":
      return [...head, ...wrapped("in this version: ", value(seen))]
    case "untried":
      return [...head, ...wrapped("could not be tried: ", reason ?? "")]
    case "differs":
      return [
        ...head,
        ...wrapped("expected: ", value(expected)),
        ...wrapped("seen:     ", value(seen)),
        ...wrapped("→ ", fact.otherwise)
      ]
  }
}

/** The words after the number of facts that hold. */
const others = (report: Report): ReadonlyArray<string> => {
  const important = report.judgements.filter(({ fact, status }) => status === "differs" && fact.weight === "matters")
  const parts: ReadonlyArray<readonly [number, string]> = [
    [count(report, "known"), "otherwise, as known of this version"],
    [important.length, "not as expected"],
    [count(report, "differs") - important.length, "not as expected, but without harm"],
    [count(report, "untried"), "not tried"]
  ]
  return parts.flatMap(([number, words]) => number === 0 ? [] : [`${number} ${words}`])
}

/** The last line. */
export const conclusion = (report: Report, style: Style): string => {
  const words = [`${plural(count(report, "holds"), "fact")} as expected`, ...others(report)].join(", ")
  return hasFailed(report)
    ? style.red(words)
    : count(report, "differs") + count(report, "untried") > 0
    ? style.yellow(words)
    : style.green(words)
}

/** The table: one row for each fact, in the order of the contract. */
export const table = (
  report: Report,
  options: { readonly style: Style; readonly columns: number }
): ReadonlyArray<string> => {
  const width = Math.max(0, ...report.judgements.map(({ fact }) => fact.id.length))
  const { library, node, opencode, platform } = report
  return [
    `OpenCode ${opencode}, effect-opencode ${library}, ${platform}, Node ${node}, ${duration(report.duration)}`,
    "",
    ...report.judgements.flatMap((judgement) => row(judgement, { ...options, width })),
    "",
    conclusion(report, options.style)
  ]
}
