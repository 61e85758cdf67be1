/** The jobs of the programs that start the real binary, and their cost. */
import * as fs from "node:fs"
import * as path from "node:path"
import { childrenCpu } from "./meter.js"
import type { Measured } from "./meter.js"
import type { Config } from "./provider.js"

export interface Job {
  readonly binary: string
  readonly major: 1 | 2
  readonly config: Config & { readonly [key: string]: unknown }
  readonly prompts: ReadonlyArray<string>
  /** The answer to each prompt. */
  readonly answer: string
  /** The directory in which OpenCode works. */
  readonly work: string
  /** A data directory for each process, or OpenCode's own for all. */
  readonly data: "own" | "shared"
  /** Whether the sessions get a title; otherwise OpenCode asks the model for one. */
  readonly titled: boolean
  /** Further arguments. */
  readonly args: ReadonlyArray<string>
  /** Further variables for the child. */
  readonly env: Readonly<Record<string, string>>
}

/** The peak memory of a process: all of its resident memory, and its proportional share of shared pages. */
export const watchMemory = (pid: number): () => { readonly rss: number; readonly pss: number } => {
  let rss = 0
  let pss = 0
  const look = () => {
    try {
      const text = fs.readFileSync(`/proc/${pid}/smaps_rollup`, "latin1")
      rss = Math.max(rss, Number(/Rss:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024)
      pss = Math.max(pss, Number(/Pss:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024)
    } catch {
      // The process has just ended.
    }
  }
  const timer = setInterval(look, 100)
  return () => {
    clearInterval(timer)
    return { rss, pss }
  }
}

/** Adds the cost of its children to the figures of a program. */
export const withChildren = (measured: Measured, texts: ReadonlyArray<string | undefined>, job: Job): Measured => {
  const wrong = texts.filter((text) => text?.trim() !== job.answer.trim()).length
  return { ...measured, children: childrenCpu(), wrong }
}

/** The data directory of a process, if it has its own. */
export const dataOf = (job: Job, name: string): Readonly<Record<string, string>> =>
  job.data === "shared" ? {} : { XDG_DATA_HOME: path.join(job.work, `data-${name}`) }
