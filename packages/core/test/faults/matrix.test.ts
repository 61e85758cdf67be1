import { afterAll, describe, expect } from "@effect/vitest"
import type { RunEvent } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { left, nothing, real, version } from "../integration/support.js"
import { type Case, cases, ending } from "./cases.js"

const report = fileURLToPath(new URL("../../../../docs/outcomes.md", import.meta.url))

interface Row {
  readonly outcome: string
  readonly detail: string
  readonly events: string
  readonly seconds: string
  readonly since: string
  readonly survivors: number
  readonly directories: number
}

const rows = new Map<Case, Row>()

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

describe("the fault matrix", () => {
  for (const fault of cases) {
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
        rows.set(fault, {
          outcome: seen.outcome,
          detail: seen.detail,
          events: listed(seen.events),
          seconds: ((end - (seen.from?.at ?? begin)) / 1000).toFixed(1),
          since: seen.from?.what ?? "the call",
          survivors: remains.survivors.length,
          directories: remains.directories.length
        })
      }), fault)
  }

  afterAll(() => {
    // An incomplete matrix is not written.
    if (rows.size !== cases.length) return
    fs.mkdirSync(path.dirname(report), { recursive: true })
    fs.writeFileSync(report, table())
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
  const groups = [...new Set(cases.map(({ group }) => group))]
  return [
    "# Outcomes",
    "",
    `Written by \`npm run test:faults\`. OpenCode ${version} against a scripted provider on loopback; the group`,
    "*Stand-in* uses a script instead of the binary, for faults that the real one cannot produce. The figures are",
    `from one run on a machine with ${os.cpus().length} cores, a start of OpenCode (3 to 4 seconds when idle) included`,
    "if the verdict is counted from the call. Events are those that the error or the result carries; survivors are",
    "processes, directories are those left in the temporary directory, both counted when the run has returned.",
    "The home directory has OpenCode's plugin package: without it a run can take a second more to end.",
    "",
    ...groups.flatMap((group) => [
      `## ${group}`,
      "",
      "| Fault | Outcome | Detail | Events seen | Verdict after (s) | Counted from | Survivors | Directories |",
      "| --- | --- | --- | --- | ---: | --- | ---: | ---: |",
      ...cases.filter((fault) => fault.group === group).map((fault) => {
        const row = rows.get(fault)!
        const cells = [
          fault.fault,
          row.outcome.startsWith("OpenCode") ? `\`${row.outcome}\`` : row.outcome,
          row.detail,
          row.events === "" ? "none" : row.events,
          row.seconds,
          row.since,
          row.survivors,
          row.directories
        ]
        return `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|").replaceAll("\n", " ↵ ")).join(" | ")} |`
      }),
      ""
    ]),
    ...programs,
    ...contained
  ].join("\n")
}
