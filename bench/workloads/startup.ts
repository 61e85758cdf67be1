/** The start of the real binary: what can be left out, and how many starts the machine should have at once. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Measured } from "../lib/meter.js"
import * as provider from "../lib/provider.js"
import * as report from "../lib/report.js"
import type { Section } from "../lib/report.js"
import { interleaved } from "../lib/run.js"
import type { Bench } from "../lib/run.js"
import { start, warmUp } from "./real.js"

type Rounds = ReadonlyArray<Measured>

const difference = (rounds: Rounds, floor: Rounds): string => {
  const seconds = report.medianOf(rounds.map((round, index) => round["children"]! - floor[index]!["children"]!))
  return `${seconds < 0 ? "−" : "+"}${Math.abs(seconds).toFixed(2)}`
}

const off = (...names: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  Object.fromEntries(names.map((name) => [`OPENCODE_${name}`, "1"]))

export const startup = (bench: Bench): Promise<Section> =>
  provider.providing(async (config) => {
    await warmUp(bench, config)
    const empty = path.join(bench.scratch, "models.json")
    fs.writeFileSync(empty, "{}")
    const fetch = off("DISABLE_MODELS_FETCH")
    const files = off("DISABLE_EXTERNAL_SKILLS", "DISABLE_CLAUDE_CODE", "DISABLE_LSP_DOWNLOAD", "DISABLE_PRUNE")
    const plugins = off("DISABLE_DEFAULT_PLUGINS")
    const content = { snapshot: false, lsp: false, formatter: false, share: "disabled", autoupdate: false }
    const raw = (more: Parameters<typeof start>[4] = {}) => () =>
      start(bench, config, "real-raw", 1, { titled: false, ...more })
    const ours = (startupProfile: "full" | "fast") => () =>
      start(bench, config, "real-ours", 1, { titled: false, client: { defaults: { startupProfile } } })
    const variants = {
      "nothing": raw(),
      "a title by the model": raw({ titled: true }),
      "the fetch of the model list": raw({ env: fetch }),
      "the model list": raw({ env: { ...fetch, OPENCODE_MODELS_PATH: empty } }),
      "plugins (`--pure` and OpenCode's own)": raw({ args: ["--pure"], env: plugins }),
      "foreign skills and instructions, downloads, pruning": raw({ env: files }),
      "snapshots, language servers, formatters, sharing, updates": raw({ content }),
      "making a data directory (a prepared one)": raw({ data: "shared" }),
      "all of it but the model list": raw({
        titled: true,
        args: ["--pure"],
        env: { ...fetch, ...files, ...plugins },
        content,
        data: "shared"
      }),
      "`run`, `startupProfile: \"full\"`": ours("full"),
      "`run`, `startupProfile: \"fast\"`": ours("fast")
    }
    const rounds = await interleaved(bench, variants)
    const watched = await start(bench, config, "real-raw", 1, { watch: true })
    const narrow = { ...fetch, OPENCODE_MODELS_PATH: empty }
    const watchedNarrow = await start(bench, config, "real-raw", 1, { watch: true, env: narrow })
    const full = rounds["`run`, `startupProfile: \"full\"`"]
    const fast = rounds["`run`, `startupProfile: \"fast\"`"]
    return {
      title: "The start of the real binary with parts left out",
      text: report.table(
        ["left out", "CPU, s", "difference, s", "least and most, s", "wall, s"],
        Object.entries(rounds).map(([title, own]) => {
          const all = own.map((round) => round["children"]!)
          return [
            title,
            report.median(own, "children"),
            difference(own, rounds["nothing"]),
            `${report.number(Math.min(...all))} to ${report.number(Math.max(...all))}`,
            report.median(own, "wall") / 1000
          ]
        })
      ) +
        `\n\nA process takes ${report.number(watched["rss"]!)} MB of memory at its peak with the whole model list, ${
          report.number(watchedNarrow["rss"]!)
        } MB without it.`,
      checks: [{
        what: "CPU of a run with the fast profile, relative to the full profile",
        most: 0.8,
        measured: report.ratio(fast, full, "children"),
        unit: "×"
      }]
    }
  })

const runs = 8

export const together = (bench: Bench): Promise<Section> =>
  provider.providing(async (config) => {
    await warmUp(bench, config)
    const cores = os.availableParallelism()
    const ours = (client: object) => () => start(bench, config, "real-ours", runs, { client, watch: true })
    const unspaced = { concurrency: "unbounded" }
    const rounds = await interleaved(bench, {
      "one run at a time": ours({ concurrency: 1, startup: unspaced }),
      [`${cores} runs at a time`]: ours({ concurrency: cores, startup: unspaced }),
      "all runs, a start every 300 ms": ours({ startup: { concurrency: 1, window: "300 millis" } }),
      [`all runs, ${cores} starting at a time, each for at most 4 s`]: ours({
        startup: { concurrency: cores, window: "4 seconds" }
      })
    }, Math.min(bench.rounds, 3))
    const floor = Object.values(rounds)[0]!
    return {
      title: `The real binary, ${runs} isolated runs, several at a time, ${cores} cores`,
      text: report.table(
        [
          "",
          "CPU per run, s",
          "× one at a time",
          "a run's end, on average, s",
          "wall of all, s",
          "memory together, MB"
        ],
        Object.entries(rounds).map(([name, own]) => [
          name,
          report.median(own, "children"),
          report.ratio(own, floor, "children"),
          report.median(own, "mean") / 1000,
          report.median(own, "wall") / 1000,
          report.median(own, "together")
        ])
      ),
      checks: [],
      rounds: floor.length
    }
  })
