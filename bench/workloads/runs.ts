/** Many runs with few events: the cost of a run besides its events, of its end, and of waiting. */
import * as path from "node:path"
import * as events from "../lib/events.js"
import type { Measured } from "../lib/meter.js"
import * as report from "../lib/report.js"
import type { Check, Section } from "../lib/report.js"
import { interleaved, measure } from "../lib/run.js"
import type { Bench } from "../lib/run.js"

const echo = (lines: ReadonlyArray<object>): string =>
  `cat <<'EOF'\n${lines.map((line) => JSON.stringify(line)).join("\n")}\nEOF`

/** A shell that reads its input, prints three events with builtins, and exits. */
const brief = (bench: Bench): string =>
  events.executable(
    path.join(bench.scratch, "bin", "brief"),
    ["read -r prompt", ...events.turn.map((line) => `printf '%s\\n' ${events.quoted(JSON.stringify(line))}`)].join("\n")
  )

const runs = 1000
const crowds = [8, 32, 128]

const whole = (measured: Measured): Measured => {
  if (measured["whole"] !== runs) throw new Error(`${runs - measured["whole"]!} of ${runs} runs lost output`)
  return measured
}

export const short = async (bench: Bench): Promise<Section> => {
  const binary = brief(bench)
  const parts: Array<{ readonly crowd: number; readonly rounds: Awaited<ReturnType<typeof compare>> }> = []
  const compare = (concurrency: number) =>
    interleaved(bench, {
      raw: async () => whole(await measure(bench, "short-raw", { binary, runs, concurrency })),
      loaded: async () => whole(await measure(bench, "short-loaded", { binary, runs, concurrency })),
      platform: async () => whole(await measure(bench, "short-platform", { binary, runs, concurrency })),
      ours: async () => whole(await measure(bench, "short-ours", { binary, runs, concurrency, crowd: "program" })),
      layer: async () => whole(await measure(bench, "short-ours", { binary, runs, concurrency, crowd: "layer" }))
    })
  for (const crowd of crowds) parts.push({ crowd, rounds: await compare(crowd) })
  const per = (rounds: ReadonlyArray<Measured>, figure: string) => report.median(rounds, figure) / runs
  return {
    title: `${runs.toLocaleString("en")} short runs of three events`,
    text: report.table(
      ["", "at once", "main CPU per run, ms", "wall per run, ms", "× raw, wall", "peak RSS, MB"],
      parts.flatMap(({ crowd, rounds }) =>
        ([
          ["`child_process` by hand, with a temporary directory", "raw"],
          ["the same in a program that has the library in memory", "loaded"],
          ["the platform's executor, with a temporary directory", "platform"],
          ["`run`, isolated, through the gate; the program holds the crowd", "ours"],
          ["the same, the layer's `concurrency` holds the crowd", "layer"]
        ] as const).map(([title, name]) => [
          title,
          String(crowd),
          per(rounds[name], "cpu"),
          per(rounds[name], "wall"),
          report.ratio(rounds[name], rounds.raw, "wall"),
          report.median(rounds[name], "peak")
        ])
      )
    ) + `\n\nNo output was lost in ${parts.length * 2 * bench.rounds * runs} runs of ours.`,
    checks: parts.flatMap(({ crowd, rounds }): ReadonlyArray<Check> => [
      { what: `a short run, ${crowd} at once, main CPU`, most: 3.5, measured: per(rounds.ours, "cpu"), unit: "ms" },
      {
        what: `a short run, ${crowd} at once, wall against raw`,
        most: 4,
        measured: report.ratio(rounds.ours, rounds.raw, "wall"),
        unit: "×"
      }
    ])
  }
}

export const contained = async (bench: Bench): Promise<Section> => {
  const binary = brief(bench)
  const containment = "namespace"
  const many = { binary, crowd: "program", runs }
  const one = { ...many, concurrency: 1, runs: runs / 10 }
  const parts: Array<readonly [name: string, runs: number, rounds: Awaited<ReturnType<typeof compare>>]> = []
  const compare = (job: { readonly concurrency: number; readonly runs: number }) => {
    const run = async (more: object) => {
      const measured = await measure(bench, "short-ours", { ...job, ...more })
      if (measured["whole"] !== job.runs) throw new Error(`${job.runs - measured["whole"]!} runs lost output`)
      return measured
    }
    return interleaved(bench, { plain: () => run({}), contained: () => run({ containment }) })
  }
  for (const job of [one, ...[8, 32].map((concurrency) => ({ ...many, concurrency }))]) {
    parts.push([`${job.runs.toLocaleString("en")} runs, ${job.concurrency} at once`, job.runs, await compare(job)])
  }
  return {
    title: "Runs in process namespaces",
    text: report.table(
      ["ms for each run", "main CPU", "CPU of its processes", "wall", "× plain, wall"],
      parts.flatMap(([name, runs, rounds]) =>
        (["plain", "contained"] as const).map((kind) => [
          kind === "plain" ? name : `the same with \`containment: "namespace"\``,
          ...["cpu", "children", "wall"].map((figure) => report.median(rounds[kind], figure) / runs),
          report.ratio(rounds[kind], rounds.plain, "wall")
        ])
      )
    ),
    checks: []
  }
}

/** With and without a process namespace. */
export const containedEnd = async (bench: Bench): Promise<Section> => {
  const grace = 300
  const child = (name: string, body: string) =>
    events.executable(path.join(bench.scratch, "bin", name), `${echo([events.turn[0]!])}\n${body}`)
  const polite = child("polite", "exec sleep 60")
  const stubborn = child("stubborn", "trap '' TERM\nwhile :; do sleep 60; done")
  const close = (binary: string, times: number, more: object = {}) => () =>
    measure(bench, "close", { binary, grace, times, ...more })
  const containment = "namespace"
  const rounds = await interleaved(bench, {
    polite: close(polite, 10),
    politeIn: close(polite, 10, { containment }),
    stubborn: close(stubborn, 3),
    stubbornIn: close(stubborn, 3, { containment })
  })
  const median = (name: keyof typeof rounds) => report.median(rounds[name], "median")
  return {
    title: "Closing a run in a process namespace",
    text: report.table(["from the interruption to the end, ms", "plain", "in a namespace"], [
      ["a child that exits on SIGTERM", median("polite"), median("politeIn")],
      [
        `a child that ignores SIGTERM, \`forceKillAfter\` ${grace} ms`,
        median("stubborn"),
        median("stubbornIn")
      ]
    ]),
    checks: []
  }
}

export const waiting = async (bench: Bench): Promise<Section> => {
  const binary = events.executable(path.join(bench.scratch, "bin", "patient"), "exec sleep 60")
  const at = (place: "gate" | "concurrency", runs: number) => () =>
    measure(bench, "waiting", { binary, runs, at: place })
  const rounds = await interleaved(bench, {
    none: at("gate", 8),
    gate: at("gate", 1000),
    concurrency: at("concurrency", 1000)
  })
  const resident = (name: keyof typeof rounds) => report.median(rounds[name], "resident")
  const peak = (name: keyof typeof rounds) => report.median(rounds[name], "peak")
  return {
    title: "1,000 runs that wait",
    text: report.table(["RSS, MB", "while they wait", "peak"], [
      ["8 runs, none waits", resident("none"), peak("none")],
      ["1,000 runs, 992 wait at the gate", resident("gate"), peak("gate")],
      ["1,000 runs, 992 wait for `concurrency`", resident("concurrency"), peak("concurrency")]
    ]),
    checks: [
      { what: "1,000 runs that wait at the gate, peak memory", most: 250, measured: peak("gate"), unit: "MB" },
      {
        what: "1,000 runs that wait for `concurrency`, peak memory",
        most: 250,
        measured: peak("concurrency"),
        unit: "MB"
      }
    ]
  }
}

export const close = async (bench: Bench): Promise<Section> => {
  const grace = 300
  const says = echo([events.turn[0]!])
  const child = (name: string, body: string) => events.executable(path.join(bench.scratch, "bin", name), body)
  const polite = child("polite", `${says}\nexec sleep 60`)
  const stubborn = child("stubborn", `trap '' TERM\n${says}\nwhile :; do sleep 60; done`)
  const rounds = await interleaved(bench, {
    polite: () => measure(bench, "close", { binary: polite, grace, times: 10 }),
    stubborn: () => measure(bench, "close", { binary: stubborn, grace, times: 3 })
  })
  const worst = (name: keyof typeof rounds) => Math.max(...rounds[name].map((round) => round["max"]!))
  return {
    title: "Closing a run in progress",
    text: report.table(["from the interruption to the end, ms", "median", "longest"], [
      ["a child that exits on SIGTERM", report.median(rounds.polite, "median"), worst("polite")],
      [
        `a child that ignores SIGTERM, \`forceKillAfter\` ${grace} ms`,
        report.median(rounds.stubborn, "median"),
        worst("stubborn")
      ]
    ]),
    checks: [
      {
        what: "closing a child that exits on SIGTERM",
        most: 50,
        measured: report.median(rounds.polite, "median"),
        unit: "ms"
      },
      {
        what: `closing a child that ignores SIGTERM, beyond the grace of ${grace} ms`,
        most: 250,
        measured: report.median(rounds.stubborn, "median") - grace,
        unit: "ms"
      }
    ]
  }
}
