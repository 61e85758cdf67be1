/** What the programs that start the real binary are asked to do, and what it costs. */
import * as fs from "node:fs"
import * as path from "node:path"
import { childrenCpu } from "./meter.js"
import type { Measured } from "./meter.js"
import type { Config } from "./provider.js"

export interface Job {
  readonly binary: string
  readonly config: Config & { readonly [key: string]: unknown }
  readonly prompts: ReadonlyArray<string>
  /** What each of them is answered with. */
  readonly answer: string
  /** The directory in which OpenCode works. */
  readonly work: string
  /** Each process its own data directory, or all of them OpenCode's. */
  readonly data: "own" | "shared"
  /** Whether the sessions are given a title; OpenCode asks the model for one otherwise. */
  readonly titled: boolean
  /** Further arguments. */
  readonly args: ReadonlyArray<string>
  /** Further variables for the child. */
  readonly env: Readonly<Record<string, string>>
}

/** The memory of a process at its highest: all that is resident, and its share of what others have resident too. */
export const watchMemory = (pid: number): () => { readonly rss: number; readonly pss: number } => {
  let rss = 0
  let pss = 0
  const look = () => {
    try {
      const text = fs.readFileSync(`/proc/${pid}/smaps_rollup`, "latin1")
      rss = Math.max(rss, Number(/Rss:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024)
      pss = Math.max(pss, Number(/Pss:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024)
    } catch {
      // It has just ended.
    }
  }
  const timer = setInterval(look, 100)
  return () => {
    clearInterval(timer)
    return { rss, pss }
  }
}

/** Adds to the figures of a program what its children have taken. */
export const withChildren = (measured: Measured, texts: ReadonlyArray<string | undefined>, job: Job): Measured => {
  const wrong = texts.filter((text) => text?.trim() !== job.answer.trim()).length
  return { ...measured, children: childrenCpu(), wrong }
}

/** A data directory of a process, where it has its own. */
export const dataOf = (job: Job, name: string): Readonly<Record<string, string>> =>
  job.data === "shared" ? {} : { XDG_DATA_HOME: path.join(job.work, `data-${name}`) }
