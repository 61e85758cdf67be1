import { afterAll, describe, expect } from "@effect/vitest"
import type { RunEvent } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import { fileURLToPath } from "node:url"
import { left, nothing, real } from "../integration/support.js"
import * as opencode2 from "../support/opencode2.js"
import { type Case, casesOf, ending, one, standIns, type Subject, two } from "./cases.js"

const report = fileURLToPath(new URL("../../../../docs/outcomes.md", import.meta.url))

/** The outcomes of earlier runs, so that a part of the matrix can be run alone. */
const records = fileURLToPath(new URL("outcomes.json", import.meta.url))

interface Row {
  readonly outcome: string
  readonly detail: string
  readonly events: string
  readonly seconds: string
  readonly since: string
  readonly survivors: number
  readonly directories: number
}

interface Column {
  readonly name: string
  readonly subject: Subject | undefined
  readonly cases: ReadonlyArray<Case>
}

const columns: ReadonlyArray<Column> = [
  ...[one, two].map((subject) => ({ name: subject.version, subject, cases: casesOf(subject) })),
  { name: "", subject: undefined, cases: standIns }
]

const keyOf = ({ name }: Column, { fault, group }: Case): string => `${name} ${group}: ${fault}`.trim()

const rows = new Map<string, Row>(
  fs.existsSync(records) ? Object.entries(JSON.parse(fs.readFileSync(records, "utf8")) as Record<string, Row>) : []
)

/** `StepStart, ToolUse ×3, StepFinish` */
const listed = (events: ReadonlyArray<RunEvent.RunEvent>): string => {
  const counts: Array<{ readonly tag: string; count: number }> = []
  for (const { _tag } of events) {
    const last = counts.at(-1)
    if (last?.tag === _tag) last.count++
    else counts.push({ tag: _tag, count: 1 })
  }
  return counts.map(({ count, tag }) => count === 1 ? tag : `${tag} ×${count}`).join(", ")
}

const ours = new Set(["PermissionRejected", "ProviderRetry", "Diagnostic"])

/** Writes the known outcomes after every test, because a part can be cut off; returns the number of missing ones. */
const record = (): number => {
  const keys = columns.flatMap((column) => column.cases.map((fault) => keyOf(column, fault)))
  const kept = keys.flatMap((key) => rows.has(key) ? [[key, rows.get(key)!] as const] : [])
  fs.writeFileSync(records, `${JSON.stringify(Object.fromEntries(kept), null, 2)}\n`)
  return keys.length - kept.length
}

const clientOf = (fault: Case, subject: Subject | undefined): Case["client"] => (box) => {
  const given = typeof fault.client === "function" ? fault.client(box) : fault.client
  return subject?.binary === undefined ? given ?? {} : { binary: subject.binary, version: subject.version, ...given }
}

const check = (column: Column, fault: Case): void =>
  real(`${fault.group}: ${fault.fault}`, (box) =>
    Effect.gen(function*() {
      fault.prepare?.(box)
      const begin = performance.now()
      const seen = yield* (fault.run?.(box) ?? ending(fault.options))
      const end = performance.now()
      const remains = left(box)
      expect(`${seen.outcome}: ${seen.detail}`, `${listed(seen.events)} ${seen.partial?.stderr}`).toBe(
        `${fault.outcome}: ${fault.detail}`
      )
      expect(remains).toEqual(nothing)
      if (fault.text !== undefined) expect(seen.text?.slice(0, 1000)).toMatch(fault.text)
      if (fault.length !== undefined) expect(seen.text?.length).toBe(fault.length)
      const { partial } = seen
      if (partial !== undefined) {
        const printed = (partial.events ?? []).filter(({ _tag }) => !ours.has(_tag))
        expect(partial).toMatchObject({ eventCount: printed.length, survivors: [], cwd: box.work })
        if (seen.outcome !== "OpenCodeSqliteError") expect(partial.attempts).toBe(1)
        expect(partial.stderr.length).toBeLessThanOrEqual(64 * 1024)
        if (printed.length > 0) expect(partial.sessionId).toMatch(/^ses_/)
      }
      rows.set(keyOf(column, fault), {
        outcome: seen.outcome,
        detail: seen.detail,
        events: listed(seen.events),
        seconds: ((end - (seen.from?.at ?? begin)) / 1000).toFixed(1),
        since: seen.from?.what ?? "the call",
        survivors: remains.survivors.length,
        directories: remains.directories.length
      })
      record()
    }), { ...fault, client: clientOf(fault, column.subject) })

describe("the fault matrix", () => {
  for (const column of columns) {
    const isMissing = column.subject === two && opencode2.binary === undefined
    describe.skipIf(isMissing)(
      `${column.name === "" ? "of stand-ins" : `of OpenCode ${column.name}`}${isMissing ? opencode2.why : ""}`,
      () => {
        for (const fault of column.cases) check(column, fault)
      }
    )
  }

  afterAll(() => {
    // An incomplete matrix is not written.
    if (record() === 0) fs.writeFileSync(report, table())
  })
})

/** Checked by `test/integration/containment.test.ts` and `test/namespace.test.ts`. */
const contained = [
  "## In a process namespace",
  "",
  "With `containment: \"namespace\"`. Every agent leaves a process with an empty environment in a session of its own, and",
  "one that is replaced by a new one every few milliseconds, which a search hardly finds. Both ignore SIGTERM.",
  "",
  "| Fault | Outcome | Survivors | Directories |",
  "| --- | --- | ---: | ---: |",
  "| none | success | 0 | 0 |",
  "| an interruption of an agent that ignores SIGTERM | interrupted | 0 | 0 |",
  "| SIGKILL to the process that holds the namespace, `leash: false` | `OpenCodeProcessError` (SIGKILL) | 0 | 0 |",
  "| SIGKILL to the program | | 0 | 0 |",
  "| a machine that forbids namespaces, or has no `unshare` | `OpenCodeConfigError` (`containment`), nothing is started | 0 | 0 |",
  ""
]

/** Measured by `test/integration/leash.test.ts`, whose programs are killed: 10 times each, and 200 times in the soak. */
const programs = [
  "## End of the program",
  "",
  "Counted from the death of the program until no process, no directory and no watchdog is left; a second program runs",
  "beside it and is untouched. Measured by the tests of the leash, on a machine with ten busy processes for each processor.",
  "",
  "| Fault | Processes of its runs | Gone after (s) | Survivors | Directories | Further requests to the provider |",
  "| --- | --- | ---: | ---: | ---: | ---: |",
  ...[
    "SIGKILL at random moments",
    "a closed terminal",
    "SIGKILL to its process group",
    "a hang-up of its session",
    "SIGTERM that nobody handles",
    "`process.exit()`",
    "an uncaught exception",
    "an unhandled rejection",
    "`process.abort()`"
  ].map((fault) =>
    `| ${fault} | agents and tools that ignore SIGTERM, one with an empty environment | 2 to 4 | 0 | 0 | |`
  ),
  "| SIGKILL while a tool works | OpenCode, a tool that ignores SIGTERM, one with an empty environment | 2 to 4 | 0 | 0 | 0 |",
  "| SIGKILL while the provider is asked | OpenCode | 2 to 4 | 0 | 0 | 0 |",
  "| SIGKILL while a tool of a server works | the server, its tools | 2 to 4 | 0 | 0 | 0 |",
  ""
]

const table = (): string => {
  const groups = [...new Set(columns.flatMap(({ cases }) => cases.map(({ group }) => group)))]
  return [
    "# Outcomes",
    "",
    `Written by \`npm run test:faults\`. OpenCode ${one.version} and ${two.version} against a scripted provider on loopback;`,
    "rows without a version use a script instead of the binary, for faults that the real one cannot produce. The figures",
    `are from a shared machine with ${os.cpus().length} cores, at different times; a start of OpenCode (3 to 4 seconds when idle) is included`,
    "if the verdict is counted from the call. Events are those that the error or the result carries; survivors are",
    "processes, directories are those left in the temporary directory, both counted when the run has returned.",
    `The home directory has the plugin package of OpenCode ${one.version}: without it a run can take a second more to end.`,
    "",
    ...groups.flatMap((group) => [
      `## ${group}`,
      "",
      "| Fault | OpenCode | Outcome | Detail | Events seen | Verdict after (s) | Counted from | Survivors | Directories |",
      "| --- | --- | --- | --- | --- | ---: | --- | ---: | ---: |",
      ...faultsOf(group).flatMap((fault) =>
        columns.flatMap((column) =>
          column.cases.filter((other) => other.group === group && other.fault === fault).map((other) => {
            const row = rows.get(keyOf(column, other))!
            const cells = [
              fault,
              column.name,
              row.outcome.startsWith("OpenCode") ? `\`${row.outcome}\`` : row.outcome,
              row.detail,
              row.events === "" ? "none" : row.events,
              row.seconds,
              row.since,
              row.survivors,
              row.directories
            ]
            return `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|").replaceAll("\n", " ↵ ")).join(" | ")} |`
          })
        )
      ),
      ""
    ]),
    ...programs,
    ...contained
  ].join("\n")
}

/** The faults of a group, in the order of the first column that has them. */
const faultsOf = (group: string): ReadonlyArray<string> => [
  ...new Set(columns.flatMap(({ cases }) => cases.filter((fault) => fault.group === group).map(({ fault }) => fault)))
]
