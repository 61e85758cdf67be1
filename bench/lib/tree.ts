/** Reads this process and its descendants on Linux. */
import * as fs from "node:fs"

interface Process {
  readonly pid: number
  readonly parent: number
  /** CPU time of the process, and of its children that have ended, in milliseconds. */
  readonly cpu: number
}

/** The kernel's unit is a hundredth of a second. */
const tick = 10

const read = (file: string): string => {
  try {
    return fs.readFileSync(file, "latin1")
  } catch {
    return ""
  }
}

const processes = (): ReadonlyArray<Process> =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    const stat = read(`/proc/${name}/stat`)
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return fields.length < 15 ? [] : [{
      pid: Number(name),
      parent: Number(fields[1]),
      cpu: tick * [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0)
    }]
  })

const descendants = (all: ReadonlyArray<Process>, of: number): ReadonlyArray<Process> =>
  all.filter(({ parent }) => parent === of).flatMap((child) => [child, ...descendants(all, child.pid)])

/** CPU time of this process and its descendants, ended ones included, in milliseconds. */
export const cpu = (): number => {
  const all = processes()
  const self = all.filter(({ pid }) => pid === process.pid)
  return [...self, ...descendants(all, process.pid)].reduce((sum, { cpu }) => sum + cpu, 0)
}

/** CPU time of this process alone, in milliseconds. */
export const ownCpu = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1000
}

const MB = (pid: number, field: "VmHWM" | "VmRSS"): number =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024

/** Total memory of all descendants, in MB: now, or the peak since `forget`. */
export const resident = (what: "peak" | "now"): number =>
  descendants(processes(), process.pid).reduce((sum, { pid }) => sum + MB(pid, what === "now" ? "VmRSS" : "VmHWM"), 0)

/** Resets the peaks. */
export const forget = (): void => {
  for (const { pid } of descendants(processes(), process.pid)) {
    try {
      fs.writeFileSync(`/proc/${pid}/clear_refs`, "5")
    } catch {
      // The process has just ended.
    }
  }
}
