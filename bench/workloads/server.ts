/** Runs over a warm server, against a process for each and against `fetch` by hand. */
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import type { Batch, Job } from "../lib/batches.js"
import type { Measured } from "../lib/meter.js"
import * as provider from "../lib/provider.js"
import * as report from "../lib/report.js"
import type { Check, Section } from "../lib/report.js"
import { interleaved, measure } from "../lib/run.js"
import type { Bench } from "../lib/run.js"

const resolve = createRequire(import.meta.url).resolve

const binary = resolve("opencode-ai/bin/opencode.exe")

const shortPieces = 20
const longPieces = 1000

const batch = (size: number, more: Partial<Batch> = {}): Batch => {
  const { delay = 0, pieces = shortPieces, place = "warm", times = 1 } = more
  return { name: [size, place, delay, pieces].join(" "), size, times, delay, pieces, place }
}

/** Makes the directory known, and lets both sides compile their hot code. */
const beginning: Batch = { ...batch(8, { times: 5 }), name: "beginning" }

const warm = [
  batch(1, { times: 10 }),
  batch(8, { times: 8 }),
  batch(50),
  batch(200),
  batch(8, { times: 2, pieces: longPieces }),
  batch(1, { times: 3, delay: 1000 }),
  batch(8, { times: 2, delay: 1000 }),
  batch(50, { delay: 1000 }),
  batch(200, { delay: 1000 })
]

const fresh = [
  batch(1, { times: 3, place: "new" }),
  batch(8, { place: "new" }),
  batch(8, { place: "new", delay: 1000 })
]

const many = batch(50, { place: "new" })

const cold = [batch(1, { times: 2 }), batch(8)]

const places = [4, 8, 16, 32, 64, "unbounded"] as const

const sweep = [batch(100), batch(100, { delay: 1000 })]

const hundreds = [1, 2, 3, 4, 5].map((n): Batch => ({ ...batch(10, { times: 10 }), name: `${n}00` }))

let programs = 0

const program = async (
  bench: Bench,
  config: provider.Config,
  name: string,
  batches: ReadonlyArray<Batch>,
  more: object = {}
): Promise<Measured> => {
  const directory = (name: string) => {
    const made = path.join(bench.scratch, name)
    fs.mkdirSync(made, { recursive: true })
    return made
  }
  const job: Job = { binary, config, batches, work: directory(`server-${programs++}`), ...more }
  const measured = await measure(bench, name, job, { HOME: directory("home") })
  fs.rmSync(job.work, { recursive: true, force: true, maxRetries: 5 })
  for (const { name: of } of batches) {
    const wrong = measured[`${of} wrong`]
    // Figures of a variant that does less than it should do not count.
    if (wrong !== 0) throw new Error(`${name}, ${of}: ${wrong} prompts without the right answer`)
  }
  return measured
}

type Rounds = ReadonlyArray<Measured>

const titleOf = ({ delay, pieces, size }: Batch): string =>
  `${size}, ${delay / 1000} s${pieces === shortPieces ? "" : `, ${pieces} pieces`}`

const comparison = (batches: ReadonlyArray<Batch>, ours: Rounds, hand: Rounds): string =>
  report.table(
    [
      "prompts at once, provider",
      "CPU of a run, ms",
      "by hand, ms",
      "× by hand",
      "of it the program's, ms",
      "by hand, ms",
      "wall, s",
      "by hand, s",
      "server at most, MB",
      "by hand, MB"
    ],
    batches.map((batch) => {
      const figure = (rounds: Rounds, name: string) => report.median(rounds, `${batch.name} ${name}`)
      return [
        titleOf(batch),
        figure(ours, "cpu"),
        figure(hand, "cpu"),
        report.ratio(ours, hand, `${batch.name} cpu`),
        figure(ours, "own"),
        figure(hand, "own"),
        figure(ours, "wall") / 1000,
        figure(hand, "wall") / 1000,
        figure(ours, "peak"),
        figure(hand, "peak")
      ]
    })
  )

const check = (what: string, most: number, measured: number, unit: Check["unit"] = "×"): Check => ({
  what,
  most,
  measured,
  unit
})

/** Medians of at most five rounds, because a round takes minutes of processor time. */
const maxRounds = 5

export const server = (bench: Bench): Promise<Section> =>
  provider.providing(async (config) => {
    const ours = (batches: ReadonlyArray<Batch>, concurrency: number | "unbounded" = "unbounded") =>
      program(bench, config, "server-ours", [beginning, ...batches], { concurrency })
    const hand = (batches: ReadonlyArray<Batch>) => program(bench, config, "server-fetch", [beginning, ...batches])

    bench.say("  a process for each run")
    const processes = await program(bench, config, "server-cold", cold)
    bench.say("  the library and fetch by hand, over a server")
    const rounds = await interleaved(bench, {
      ours: () => ours([...warm, ...fresh]),
      hand: () => hand([...warm, ...fresh])
    }, Math.min(bench.rounds, maxRounds))
    bench.say("  50 new directories")
    const directories = await ours([many])
    const swept: Array<Measured> = []
    for (const concurrency of places) {
      bench.say(`  100 prompts, ${concurrency} at once`)
      swept.push(await ours(sweep, concurrency))
    }
    bench.say("  500 prompts")
    const long = await ours(hundreds, 8)

    const coldCpu = (size: number) => processes[`${batch(size).name} cpu`]!
    const oursCpu = (batch: Batch) => report.median(rounds.ours, `${batch.name} cpu`)
    const overhead = (batch: Batch) => report.ratio(rounds.ours, rounds.hand, `${batch.name} cpu`)
    const wrong = Math.max(...rounds.ours.map((figures) => figures[`${batch(200).name} wrong`]!))
    const [first, last] = [hundreds[0]!.name, hundreds.at(-1)!.name]
    const grown = (figure: string) => long[`${last} ${figure}`]! - long[`${first} ${figure}`]!

    const text = [
      "Medians where `fetch` by hand is compared, a single round elsewhere. *CPU of a run* is that of the program, the " +
      "server and everything that it starts, without the provider's.",
      "### In a directory that the server knows",
      comparison(warm, rounds.ours, rounds.hand),
      "### Each in a directory that the server does not know",
      comparison(fresh, rounds.ours, rounds.hand),
      `50 at once: ${report.number(directories[`${many.name} cpu`]!)} ms of CPU for a run, ${
        report.number(directories[`${many.name} wall`]! / 1000)
      } s, and the server took ${report.number(directories[`${many.name} peak`]!)} MB.`,
      "### Against a process for each run",
      report.table(
        [
          "prompts at once",
          "CPU of a run, s",
          "over a server, s",
          "times less",
          "wall, s",
          "over a server, s",
          "memory, MB",
          "over a server, MB"
        ],
        cold.map((batch) => [
          String(batch.size),
          coldCpu(batch.size) / 1000,
          oursCpu(batch) / 1000,
          coldCpu(batch.size) / oursCpu(batch),
          processes[`${batch.name} wall`]! / 1000,
          report.median(rounds.ours, `${batch.name} wall`) / 1000,
          processes[`${batch.name} peak`]!,
          report.median(rounds.ours, `${batch.name} peak`)
        ])
      ),
      "### How many at once",
      "100 prompts; a run's time is that from its start to its end, waiting for its place left out.",
      report.table(
        [
          "`concurrency`",
          ...sweep.flatMap(({ delay }) => [`${delay / 1000} s: all, s`, "a run, s", "CPU, ms", "server, MB"])
        ],
        places.map((concurrency, index) => [
          String(concurrency),
          ...sweep.flatMap(({ name, size }) => {
            const wall = swept[index]![`${name} wall`]! / 1000
            const atOnce = concurrency === "unbounded" ? size : concurrency
            return [wall, wall * atOnce / size, swept[index]![`${name} cpu`]!, swept[index]![`${name} peak`]!]
          })
        ])
      ),
      "### 500 prompts, eight at once",
      report.table(["after", ...hundreds.map(({ name }) => name)], [
        ["heap of the program, MB", ...hundreds.map(({ name }) => long[`${name} heap`]!)],
        ["server, MB", ...hundreds.map(({ name }) => long[`${name} now`]!)],
        ["CPU of a run, ms", ...hundreds.map(({ name }) => long[`${name} cpu`]!)]
      ])
    ].join("\n\n")

    const checks = [
      check("8 runs in one directory, CPU against a process for each", 1 / 20, oursCpu(batch(8)) / coldCpu(8)),
      ...[8, 50, 200].map((size) =>
        check(`${size} runs in one directory, CPU against \`fetch\` by hand`, 1.15, overhead(batch(size)))
      ),
      check("200 runs at once, runs without the right answer", 0, wrong, ""),
      check("400 more runs, heap of the program", 2, grown("heap"), "MB"),
      check("400 more runs, server", 100, grown("now"), "MB")
    ]
    return { title: "Over a server", text, checks, rounds: Math.min(bench.rounds, maxRounds) }
  })
