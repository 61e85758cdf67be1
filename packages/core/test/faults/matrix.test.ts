import { afterAll, describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import type { RunEvent } from "effect-opencode"
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
    // The report needs the whole matrix.
    if (rows.size !== cases.length) return
    fs.mkdirSync(path.dirname(report), { recursive: true })
    fs.writeFileSync(report, table())
  })
})

const table = (): string => {
  const groups = [...new Set(cases.map(({ group }) => group))]
  return [
    "# Outcomes",
    "",
    `Written by \`npm run test:faults\`: OpenCode ${version} with a scripted provider on loopback. The group`,
    "*Stand-in* uses a script in place of the binary, for faults that the real binary cannot be made to show.",
    `The figures are from one run on a machine with ${os.cpus().length} cores. If the verdict is counted from the`,
    "call, they include a start of OpenCode (3 to 4 seconds when idle). Events are those in the error or the result.",
    "Survivors are processes, and directories are those left in the temporary directory; both are counted when",
    "the run has returned.",
    "The home directory has OpenCode's plugin package; without it a run can take a second longer to end.",
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
    ])
  ].join("\n")
}
