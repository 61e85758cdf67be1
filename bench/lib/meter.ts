/** What a measured program knows of itself. Linux only: the CPU time of one thread stands nowhere else. */
import * as fs from "node:fs"

/** Times in milliseconds, memory in MB. */
export interface Measured {
  /** CPU time of the main thread: what the wall time would be on an idle machine. */
  readonly cpu: number
  readonly wall: number
  /** The peak of the resident memory. */
  readonly peak: number
  readonly [figure: string]: number
}

const mainThread = `/proc/self/task/${process.pid}/schedstat`

const cpu = (): number => Number(fs.readFileSync(mainThread, "latin1").split(" ")[0]) / 1e6

/** The peak of the resident memory since the start of the process. */
export const peak = (): number =>
  Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync("/proc/self/status", "latin1"))?.[1]) / 1024

/** CPU seconds of the children that have ended and were waited for, with theirs. */
export const childrenCpu = (): number => {
  const stat = fs.readFileSync("/proc/self/stat", "latin1")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[13]) + Number(fields[14])) / 100
}

/** Call it when the imports are done; what it gives is called when the result is there. */
export const start = (): () => Measured => {
  const cpuBefore = cpu()
  const wallBefore = performance.now()
  return () => ({ cpu: cpu() - cpuBefore, wall: performance.now() - wallBefore, peak: peak() })
}

/** What the program was asked to do. */
export const job = <A>(): A => JSON.parse(process.argv[2]!) as A

/** Hands the figures to the benchmark and ends: what is still open has nothing to do with them. */
export const report = (measured: Measured): void => {
  process.stdout.write(`${JSON.stringify(measured)}\n`, () => process.exit(0))
}
