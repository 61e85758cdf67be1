/** The real binary: the cost of a run, and the library's share. */
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { Measured } from "../lib/meter.js"
import * as provider from "../lib/provider.js"
import type { Job } from "../lib/real.js"
import * as report from "../lib/report.js"
import type { Section } from "../lib/report.js"
import { interleaved, measure } from "../lib/run.js"
import type { Bench } from "../lib/run.js"

const require = createRequire(import.meta.url)

const binary = require.resolve("opencode-ai/bin/opencode.exe")

/** A build of OpenCode 2.0.14 for tests, unless there is an official one. */
const binary2 = process.env["OPENCODE2_BINARY"] ??
  fileURLToPath(new URL("../../test-binaries/opencode2", import.meta.url))

/** The SDK looks for a program of this name. */
const named = (bench: Bench): string => {
  const link = path.join(bench.scratch, "bin", "opencode")
  fs.mkdirSync(path.dirname(link), { recursive: true })
  if (!fs.existsSync(link)) fs.symlinkSync(binary, link)
  return link
}

const asks: provider.Asked = { delay: 0, pieces: 20 }

let measurements = 0

export interface More {
  readonly major?: Job["major"]
  readonly data?: Job["data"]
  readonly env?: Job["env"]
  readonly args?: Job["args"]
  readonly titled?: boolean
  /** Merged over the configuration of the provider. */
  readonly content?: { readonly [key: string]: unknown }
  readonly client?: object
  readonly watch?: boolean
}

/** Starts the binary for the given number of prompts at once; each must get its answer. */
export const start = async (
  bench: Bench,
  config: provider.Config,
  program: "real-raw" | "real-ours" | "real-sdk",
  runs: number,
  { args = [], client = {}, content = {}, data = "own", env = {}, major = 1, titled = true, watch = false }: More = {}
): Promise<Measured> => {
  const work = path.join(bench.scratch, `real-${measurements++}`)
  const home = path.join(bench.scratch, "home")
  for (const directory of [work, home]) fs.mkdirSync(directory, { recursive: true })
  const job: Job & { readonly client: object; readonly watch: boolean } = {
    binary: major === 2 ? binary2 : named(bench),
    major,
    config: { ...config, ...content },
    prompts: Array.from({ length: runs }, (_, index) => provider.promptOf(index, asks)),
    answer: provider.answerOf(asks),
    work,
    data,
    titled,
    args,
    env,
    client,
    watch
  }
  const measured = await measure(bench, program, job, { HOME: home })
  fs.rmSync(work, { recursive: true, force: true, maxRetries: 5 })
  if (measured["wrong"] !== 0) throw new Error(`${program}: ${measured["wrong"]} of ${runs} without the right answer`)
  return { ...measured, children: measured["children"]! / runs }
}

const row = (title: string, rounds: ReadonlyArray<Measured>, floor: ReadonlyArray<Measured>, runs: number) => [
  title,
  report.median(rounds, "children"),
  report.ratio(rounds, floor, "children"),
  report.median(rounds, "wall") / 1000,
  report.ratio(rounds, floor, "wall"),
  report.median(rounds, "cpu") / runs
]

const head = ["", "CPU per run, s", "× by hand", "wall of all, s", "× by hand", "main CPU of the program per run, ms"]

/** The first start in a home directory does more than the others. */
export const warmUp = async (bench: Bench, config: provider.Config): Promise<void> => {
  await start(bench, config, "real-raw", 1, { data: "shared" })
}

export const one = (bench: Bench): Promise<Section> =>
  provider.providing(async (config) => {
    await warmUp(bench, config)
    const rounds = await interleaved(bench, {
      raw: () => start(bench, config, "real-raw", 1),
      ours: () => start(bench, config, "real-ours", 1),
      rawShared: () => start(bench, config, "real-raw", 1, { data: "shared" }),
      oursShared: () => start(bench, config, "real-ours", 1, { data: "shared" }),
      sdk: () => start(bench, config, "real-sdk", 1, { data: "shared" })
    })
    const watched = await start(bench, config, "real-raw", 1, { watch: true })
    return {
      title: "The real binary, one run",
      text: report.table(head, [
        row("by hand, a data directory of its own", rounds.raw, rounds.raw, 1),
        row("`run`, isolated", rounds.ours, rounds.raw, 1),
        row("by hand, OpenCode's data directory", rounds.rawShared, rounds.rawShared, 1),
        row("`run`, `isolation: \"none\"`", rounds.oursShared, rounds.rawShared, 1),
        row("`@opencode-ai/sdk`: a server for one prompt", rounds.sdk, rounds.rawShared, 1)
      ]) +
        `\n\nA process takes ${report.number(watched["rss"]!)} MB of memory at its peak, ${
          report.number(watched["pss"]!)
        } MB without what it shares with others.`,
      checks: []
    }
  })

export const eight = (bench: Bench): Promise<Section> =>
  provider.providing(async (config) => {
    await warmUp(bench, config)
    const runs = 8
    const rounds = await interleaved(bench, {
      raw: () => start(bench, config, "real-raw", runs),
      ours: () => start(bench, config, "real-ours", runs),
      oursShared: () => start(bench, config, "real-ours", runs, { data: "shared" }),
      rawShared: () => start(bench, config, "real-raw", runs, { data: "shared" })
    })
    const watched = await start(bench, config, "real-raw", runs, { watch: true })
    return {
      title: "The real binary, eight runs at once",
      text: report.table(head, [
        row("by hand, each a data directory of its own", rounds.raw, rounds.raw, runs),
        row("`run`, isolated", rounds.ours, rounds.raw, runs),
        row("by hand, OpenCode's existing data directory", rounds.rawShared, rounds.rawShared, runs),
        row("`run`, `isolation: \"none\"`", rounds.oursShared, rounds.rawShared, runs)
      ]) +
        `\n\nThe largest of them takes ${report.number(watched["rss"]!)} MB of memory at its peak, ${
          report.number(watched["pss"]!)
        } MB if what it shares with others is shared out.`,
      checks: []
    }
  })

export const two = (bench: Bench): Promise<Section> =>
  provider.providing(async (config) => {
    const major = 2
    await start(bench, config, "real-raw", 1, { major })
    const rounds = await interleaved(bench, {
      raw: () => start(bench, config, "real-raw", 1, { major }),
      ours: () => start(bench, config, "real-ours", 1, { major })
    })
    return {
      title: "OpenCode 2, one run",
      text: report.table(head, [
        row("by hand, `run --standalone`, a data directory of its own", rounds.raw, rounds.raw, 1),
        row("`run`, a private server", rounds.ours, rounds.raw, 1)
      ]),
      checks: []
    }
  })
