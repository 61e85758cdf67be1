/** Batches of prompts, measured the same way for every implementation. */
import * as fs from "node:fs"
import * as path from "node:path"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import type { Measured } from "./meter.js"
import * as provider from "./provider.js"
import type { Asked, Config } from "./provider.js"
import * as tree from "./tree.js"

export interface Batch extends Asked {
  readonly name: string
  /** Concurrent prompts. */
  readonly size: number
  /** One after the other. */
  readonly times: number
  /** All in one directory that the server knows, or each in a new directory. */
  readonly place: "warm" | "new"
}

export interface Job {
  readonly binary: string
  readonly config: Config
  /** The CPU time of this program alone. */
  readonly work: string
  readonly batches: ReadonlyArray<Batch>
}

export interface Prompt {
  readonly text: string
  readonly directory: string
}

/** The checked part of an answer, so that nothing is fast because it does nothing. */
export interface Answer {
  readonly text: string
  readonly tokens: number
}

export interface Options {
  /** Samples the memory of the children repeatedly, for children that end before the batch. Default: false. */
  readonly watching?: boolean
}

/** The answers of all prompts, which are sent at once; `undefined` for a missing answer. */
export type RunAll = (prompts: ReadonlyArray<Prompt>) => Promise<ReadonlyArray<Answer | undefined>>

const directoryIn = (parent: string, name: string): string => {
  const directory = path.join(parent, name)
  fs.mkdirSync(directory, { recursive: true })
  return directory
}

v8.setFlagsFromString("--expose-gc")
const collectGarbage = vm.runInNewContext("gc") as () => void

const heap = (): number => {
  collectGarbage()
  return process.memoryUsage().heapUsed / 1024 / 1024
}

/** Work that a server does after its answer counts as part of the answer. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 500))

/**
 * The figures of each batch by its name: CPU time of a run (`cpu`) and this process's part of it (`own`), wall time of
 * the batch, prompts without the right answer (`wrong`), the peak and final memory of the children (`peak`, `now`), and
 * the final heap of this process (`heap`).
 */
export const measure = async (job: Job, runAll: RunAll, options: Options = {}): Promise<Measured> => {
  const warm = directoryIn(job.work, "warm")
  let count = 0
  const asks = (batch: Batch): ReadonlyArray<Prompt> =>
    Array.from({ length: batch.size }, () => ({
      text: provider.promptOf(count++, batch),
      directory: batch.place === "warm" ? warm : directoryIn(job.work, `new-${count}`)
    }))
  const figures: Record<string, number> = {}
  const whole = { cpu: tree.cpu(), wall: performance.now() }
  for (const batch of job.batches) {
    const right = provider.answerOf(batch).trim()
    tree.forget()
    const before = { cpu: tree.cpu(), own: tree.ownCpu() }
    let wall = 0
    let wrong = 0
    let most = 0
    const look = () => {
      most = Math.max(most, tree.resident("now"))
    }
    const watch = options.watching === true ? setInterval(look, 250) : undefined
    for (let i = 0; i < batch.times; i++) {
      const prompts = asks(batch)
      const from = performance.now()
      const answers = await runAll(prompts)
      wall += performance.now() - from
      wrong += answers.filter((answer) => answer?.text.trim() !== right || answer.tokens !== 120).length
    }
    clearInterval(watch)
    await settle()
    const runs = batch.size * batch.times
    Object.assign(figures, {
      [`${batch.name} cpu`]: (tree.cpu() - before.cpu) / runs,
      [`${batch.name} own`]: (tree.ownCpu() - before.own) / runs,
      [`${batch.name} wall`]: wall / batch.times,
      [`${batch.name} wrong`]: wrong,
      [`${batch.name} peak`]: options.watching === true ? most : tree.resident("peak"),
      [`${batch.name} now`]: tree.resident("now"),
      [`${batch.name} heap`]: heap()
    })
  }
  return {
    cpu: tree.cpu() - whole.cpu,
    wall: performance.now() - whole.wall,
    peak: 0,
    ...figures
  }
}
