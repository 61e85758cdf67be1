/** docs/versions.md, from the recordings of the contract's scenarios. */
import { Contract, Version } from "effect-opencode"
import * as fixtures from "./contractFixtures.js"

const text = (value: unknown): string => {
  const json = Contract.valueText(value)
  return `\`${json.length > 90 ? `${json.slice(0, 90)}…` : json}\``.replaceAll("|", "\\|")
}

interface Column {
  readonly version: string
  /** By the fact's id; a fact that does not apply is missing. */
  readonly judgements: ReadonlyMap<string, Contract.Judgement>
}

const columnOf = (version: string): Column => {
  const parsed = Version.parse(version)!
  const recorded = fixtures.all(version)
  return {
    version,
    judgements: new Map(
      Contract.facts(parsed).flatMap((fact) => {
        const judgement = Contract.judge(fact, parsed, recorded[fact.scenario] ?? { reason: "not recorded" })
        return judgement === undefined ? [] : [[fact.id, judgement] as const]
      })
    )
  }
}

const cell = ({ judgements }: Column, { id }: Contract.Fact): string => {
  switch (judgements.get(id)?.status) {
    case undefined:
      return "–"
    case "holds":
      return "✔"
    case "known":
      return "~"
    case "differs":
      return "✘"
    case "untried":
      return "?"
  }
}

const number = ({ judgements }: Column, status: Contract.Status): number =>
  [...judgements.values()].filter((judgement) => judgement.status === status).length

const row = (cells: ReadonlyArray<string | number>): string => `| ${cells.join(" | ")} |`

const byOrder = (a: string, b: string): number => Version.order(Version.parse(a)!, Version.parse(b)!)

/** The facts of one major that are not the same in all of its recorded versions, and what that means. */
const section = (columns: ReadonlyArray<Column>): ReadonlyArray<string> => {
  const newest = columns[columns.length - 1]!
  const facts = Contract.facts(Version.parse(newest.version)!)
  const varying = facts.filter((fact) => columns.some((column) => cell(column, fact) !== "✔"))
  const isServer = ({ id }: Contract.Fact) => id.startsWith("server.")
  const [servers, others] = [varying.filter(isServer), varying.filter((fact) => !isServer(fact))]
  const rule = row(["---", ...columns.map(() => "---")])
  const head = (first: string) => [row([first, ...columns.map(({ version }) => version)]), rule]
  const count = (name: string, of: (column: Column) => number) => row([name, ...columns.map(of)])
  const differing = others.flatMap((fact) =>
    columns.flatMap(({ judgements, version }) => {
      const found = judgements.get(fact.id)
      return found === undefined || found.status === "holds" ? [] : [{ fact, version, found }]
    })
  )
  const values = differing.filter(({ fact, found }, index) =>
    differing.findIndex((other) =>
      other.fact === fact && Contract.valueText(other.found.seen) === Contract.valueText(found.seen)
    ) === index
  )
  const major = Version.parse(newest.version)!.major
  return [
    `## OpenCode ${major}`,
    "",
    ...head("facts"),
    count("as in the newest version", (column) => number(column, "holds")),
    count("otherwise, and expected to be", (column) => number(column, "known")),
    count("not as expected", (column) => number(column, "differs")),
    count("could not be tried", (column) => number(column, "untried")),
    count(
      "need an option or a server that this version does not have",
      (column) => facts.length - column.judgements.size
    ),
    "",
    ...(varying.length === 0 ? ["Every fact is as in the newest version.", ""] : [
      ...head("fact"),
      ...others.map((fact) => row([`\`${fact.id}\` ${fact.says}`, ...columns.map((column) => cell(column, fact))])),
      ...(servers.length === 0
        ? []
        : [row([
          `\`server.*\` ${servers.length} facts about \`opencode serve\``,
          ...columns.map((column) => [...new Set(servers.map((fact) => cell(column, fact)))].join(" "))
        ])]),
      "",
      `### What is otherwise in OpenCode ${major}`,
      "",
      row(["fact", "first seen in", "value", "consequence"]),
      row(["---", "---", "---", "---"]),
      ...values.map(({ fact, found, version }) => row([`\`${fact.id}\``, version, text(found.seen), fact.otherwise])),
      ""
    ])
  ]
}

/** The page of all recorded versions. */
export const page = (): string => {
  const columns = [...fixtures.versions].sort(byOrder).map(columnOf)
  const majors = [...new Set(columns.map(({ version }) => Version.parse(version)!.major))]
  return [
    "# Versions of OpenCode",
    "",
    "Written by `pnpm matrix` from recordings of the real binaries; do not edit it. [conformance.md](conformance.md) says",
    "how facts are checked.",
    "",
    "✔ as in the newest version · ~ otherwise, and expected to be · – needs an option or a server that this version does",
    "not have, which is refused with `OpenCodeVersionError` · ✘ not as expected · ? could not be tried",
    "",
    ...majors.flatMap((major) => section(columns.filter(({ version }) => Version.parse(version)!.major === major)))
  ].join("\n")
}
