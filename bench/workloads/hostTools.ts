/** Tools of the program in the agent's hands, and the turns of a conversation with it as a model. */
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import type { Measured } from "../lib/meter.js"
import * as report from "../lib/report.js"
import type { Section } from "../lib/report.js"
import { interleaved, measure } from "../lib/run.js"
import type { Bench } from "../lib/run.js"

const binary = createRequire(import.meta.url).resolve("opencode-ai/bin/opencode.exe")

const calls = 10

let measurements = 0

const program = async (bench: Bench, variant: "without" | "with" | "calls" | "server"): Promise<Measured> => {
  const work = path.join(bench.scratch, `host-tools-${measurements++}`)
  const home = path.join(bench.scratch, "home")
  for (const directory of [work, home]) fs.mkdirSync(directory, { recursive: true })
  const measured = await measure(bench, "host-tools", { binary, work, variant, calls }, { HOME: home })
  fs.rmSync(work, { recursive: true, force: true, maxRetries: 5 })
  return measured
}

export const hostTools = async (bench: Bench): Promise<Section> => {
  // The first start in a home directory does more than the others.
  await program(bench, "without")
  const rounds = await interleaved(bench, {
    without: () => program(bench, "without"),
    with: () => program(bench, "with"),
    calls: () => program(bench, "calls"),
    server: () => program(bench, "server")
  })
  const figure = (name: keyof typeof rounds, figure: string) => report.median(rounds[name], figure)
  const cost = (figure: string) => report.ratio(rounds.with, rounds.without, figure)
  return {
    title: "Tools of the program",
    text: [
      report.table(
        ["a call of a tool, ms", "in OpenCode", "of it in the program", "a ticket, in the program"],
        [
          ["a process", figure("calls", "event"), figure("calls", "call"), "none"],
          [
            "a warm server, four runs at once",
            figure("server", "event"),
            figure("server", "call"),
            figure("server", "ticket")
          ]
        ]
      ),
      report.table(
        ["a run without calls", "CPU of its processes, s", "wall, s", "main CPU of the program, ms"],
        [
          ["without tools", figure("without", "children"), figure("without", "wall") / 1000, figure("without", "cpu")],
          ["with a tool", figure("with", "children"), figure("with", "wall") / 1000, figure("with", "cpu")]
        ]
      ),
      `The second turn of a \`Chat\` on a warm server takes ${report.number(figure("server", "turn"))} ms. ` +
      `A call in OpenCode is from the start to the end that its event names, in the program from the arrival of a ` +
      `request to the end of its answer; each is the median of ${calls} calls of a run.`
    ].join("\n\n"),
    checks: [
      { what: "a call over a process", most: 25, measured: figure("calls", "event"), unit: "ms" },
      { what: "a call on a warm server, four at once", most: 50, measured: figure("server", "event"), unit: "ms" },
      { what: "a run with a tool, CPU against one without", most: 1.1, measured: cost("children"), unit: "×" },
      { what: "a run with a tool, wall against one without", most: 1.1, measured: cost("wall"), unit: "×" },
      { what: "second turn of a Chat on a warm server", most: 400, measured: figure("server", "turn"), unit: "ms" }
    ]
  }
}
