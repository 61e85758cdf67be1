/** Recordings of the contract's scenarios as files: stdout and stderr of each process, and everything else as meta. */
import { Contract } from "effect-opencode"
import type { Version } from "effect-opencode"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const fileName = (words: string): string => words.toLowerCase().replace(/[^a-z0-9]+/g, "-")

const outputs = (scenario: string, process: string) => ({
  stdout: `${fileName(scenario)}.${fileName(process)}.stdout.jsonl`,
  stderr: `${fileName(scenario)}.${fileName(process)}.stderr.txt`
})

const root = fileURLToPath(new URL("../fixtures/contract/", import.meta.url))

/** The directory of a version's recordings. */
export const directoryOf = (version: string): string => path.join(root, version)

/** The versions that were recorded. */
export const versions: ReadonlyArray<string> = fs.readdirSync(root)

/** All recordings of a version, by scenario. */
export const all = (version: string): { readonly [scenario: string]: Contract.Recording } =>
  Object.fromEntries(
    fs.readdirSync(directoryOf(version)).filter((file) => file.endsWith(".meta.json")).flatMap((file) => {
      const { scenario } = JSON.parse(fs.readFileSync(path.join(directoryOf(version), file), "utf8"))
      const recording = read(directoryOf(version), scenario)
      return recording === undefined ? [] : [[scenario, recording]]
    })
  )

/** Writes a recording over the last one of its scenario. */
export const write = (directory: string, recording: Contract.Recording): void => {
  fs.mkdirSync(directory, { recursive: true })
  for (const file of fs.readdirSync(directory)) {
    if (file.startsWith(`${fileName(recording.scenario)}.`)) fs.rmSync(path.join(directory, file))
  }
  const processes = Object.entries(recording.processes).map(([name, { stderr, stdout, ...rest }]) => {
    const files = outputs(recording.scenario, name)
    fs.writeFileSync(path.join(directory, files.stdout), stdout)
    fs.writeFileSync(path.join(directory, files.stderr), stderr)
    return [name, rest] as const
  })
  fs.writeFileSync(
    path.join(directory, `${fileName(recording.scenario)}.meta.json`),
    `${JSON.stringify({ ...recording, processes: Object.fromEntries(processes) }, undefined, 1)}\n`
  )
}

/** Reads the recording of a scenario; `undefined` without one. */
export const read = (directory: string, scenario: string): Contract.Recording | undefined => {
  const file = path.join(directory, `${fileName(scenario)}.meta.json`)
  if (!fs.existsSync(file)) return undefined
  const meta = JSON.parse(fs.readFileSync(file, "utf8"))
  return {
    ...meta,
    processes: Object.fromEntries(
      Object.entries<Omit<Contract.ProcessRecord, "stdout" | "stderr">>(meta.processes).map(([name, rest]) => {
        const files = outputs(scenario, name)
        return [name, {
          ...rest,
          stdout: fs.readFileSync(path.join(directory, files.stdout), "utf8"),
          stderr: fs.readFileSync(path.join(directory, files.stderr), "utf8")
        }]
      })
    )
  }
}

/** The types of the lines of a process, and how it ended: its meaning without its words. */
const outline = (process: Contract.ProcessRecord | undefined): string => {
  if (process === undefined) return "not started"
  const types = process.stdout.split("\n").filter((line) => line !== "").map((line) => {
    try {
      const event = JSON.parse(line)
      const part = event.part ?? {}
      const detail = [part.tool, part.state?.status, part.reason, event.error?.name].filter((one) => one !== undefined)
      return detail.length === 0 ? String(event.type) : `${event.type}(${detail.join(" ")})`
    } catch {
      return "text"
    }
  })
  const runs = types.filter((type, index) => type !== "text" || types[index - 1] !== "text")
  const end = process.stopped === true ? "had to be ended" : process.signal ?? `exit ${process.exitCode}`
  return `${runs.join(" ")} · ${end}`
}

/** What two recordings of a scenario say differently. */
export const differences = (
  last: Contract.Recording,
  fresh: Contract.Recording,
  facts: ReadonlyArray<Contract.Fact>,
  version: Version.Version
): ReadonlyArray<string> => {
  const names = new Set([...Object.keys(last.processes), ...Object.keys(fresh.processes)])
  const outlines = [...names].flatMap((name) => {
    const [before, after] = [outline(last.processes[name]), outline(fresh.processes[name])]
    return before === after ? [] : [`${fresh.scenario}, ${name}\n  before: ${before}\n  now:    ${after}`]
  })
  const values = facts.filter(({ scenario }) => scenario === fresh.scenario).flatMap((fact) => {
    const [before, after] = [last, fresh].map((one) => Contract.valueText(fact.observe(one, version)))
    return before === after ? [] : [`${fact.id}\n  before: ${before}\n  now:    ${after}`]
  })
  return [...outlines, ...values]
}
