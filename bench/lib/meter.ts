/** A program's measurements of itself. Linux only, because other systems do not report the CPU time of one thread. */
import * as fs from "node:fs"

/** Times in milliseconds, memory in MB. */
export interface Measured {
  /** CPU time of the main thread, which is the wall time on an idle machine. */
  readonly cpu: number
  readonly wall: number
  /** The peak resident memory. */
  readonly peak: number
  readonly [figure: string]: number
}

const mainThread = `/proc/self/task/${process.pid}/schedstat`

const cpu = (): number => Number(fs.readFileSync(mainThread, "latin1").split(" ")[0]) / 1e6

/** The peak resident memory since the start of the process. */
export const peak = (): number =>
  Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync("/proc/self/status", "latin1"))?.[1]) / 1024

/** CPU seconds of the children, and their children, that have ended and been waited for. */
export const childrenCpu = (): number => {
  const stat = fs.readFileSync("/proc/self/stat", "latin1")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[13]) + Number(fields[14])) / 100
}

/** Call it after the imports, and call the returned function when the result is ready. */
export const start = (): () => Measured => {
  const cpuBefore = cpu()
  const wallBefore = performance.now()
  return () => ({ cpu: cpu() - cpuBefore, wall: performance.now() - wallBefore, peak: peak() })
}

/** The program's job. */
export const job = <A>(): A => JSON.parse(process.argv[2]!) as A

/** Reports the figures to the benchmark and exits, even if handles are still open. */
export const report = (measured: Measured): void => {
  process.stdout.write(`${JSON.stringify(measured)}\n`, () => process.exit(0))
}
