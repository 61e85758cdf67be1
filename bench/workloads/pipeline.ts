/** One run with many events: what the pipeline costs per event, against a splitter written by hand. */
import * as fs from "node:fs"
import * as http from "node:http"
import * as path from "node:path"
import * as events from "../lib/events.js"
import type { Measured } from "../lib/meter.js"
import * as report from "../lib/report.js"
import type { Check, Section } from "../lib/report.js"
import { interleaved, measure } from "../lib/run.js"
import type { Bench, Variants } from "../lib/run.js"

interface Expected {
  readonly count: number
  readonly text?: number
}

/** A variant whose result is checked, so that nothing is fast because it does nothing. */
const checked = (expected: Expected, run: () => Promise<Measured>) => async (): Promise<Measured> => {
  const measured = await run()
  for (const [name, value] of Object.entries(expected)) {
    if (measured[name] !== value) throw new Error(`${name} is ${measured[name]}, not ${value}`)
  }
  return measured
}

const variantsOf = (bench: Bench, binary: string, expected: Expected) => {
  const variant = (program: string, job: object) => checked(expected, () => measure(bench, program, { binary, ...job }))
  return {
    raw: variant("raw", { keep: false }),
    rawKeep: variant("raw", { keep: true }),
    naive: variant("naive", { tolerant: false }),
    tolerant: variant("naive", { tolerant: true }),
    fold: variant("ours", { mode: "fold" }),
    forEach: variant("ours", { mode: "forEach" }),
    run: variant("ours", { mode: "run" })
  }
}

const titles: { readonly [name: string]: string } = {
  raw: "raw `child_process`, splitter by hand, `JSON.parse`",
  rawKeep: "the same, events kept",
  naive: "naive Effect pipeline that drops unknown fields and fails on unknown types and broken lines",
  tolerant: "naive Effect pipeline that does the same job: it keeps them all",
  fold: "`stream`, fold by chunks",
  forEach: "`stream`, `runForEach`",
  run: "`run` (events kept)",
  sdk: "`@opencode-ai/sdk`, `event.subscribe` over HTTP"
}

/** Variants that keep the events are compared with the variant by hand that keeps them. */
const floorOf = (name: string): string => name === "run" ? "rawKeep" : "raw"

type Rounds = { readonly [name: string]: ReadonlyArray<Measured> }

const against = (rounds: Rounds, name: string): number => {
  const floor = rounds[floorOf(name)]
  return floor === undefined ? NaN : report.ratio(rounds[name]!, floor, "cpu")
}

const rows = (rounds: Rounds) =>
  report.table(
    ["", "main CPU, ms", "× raw", "whole wall, ms", "peak RSS, MB"],
    Object.keys(rounds).map((name) => {
      const ratio = against(rounds, name)
      const floor = floorOf(name) === "raw" ? "" : " (kept)"
      return [
        titles[name]!,
        report.median(rounds[name]!, "cpu"),
        Number.isNaN(ratio) ? "" : `${report.number(ratio)}${name === "rawKeep" ? "" : floor}`,
        report.median(rounds[name]!, "wall"),
        report.median(rounds[name]!, "peak")
      ]
    })
  )

const check = (what: string, most: number, measured: number): Check => ({ what, most, measured, unit: "×" })

const fake = (bench: Bench, name: string, file: string, times = 1): string =>
  events.executable(
    path.join(bench.scratch, "bin", name),
    times === 1
      ? `exec cat ${events.quoted(file)}`
      : `i=0; while [ $i -lt ${times} ]; do cat ${events.quoted(file)}; i=$((i + 1)); done`
  )

const data = (bench: Bench, name: string, write: (file: string) => void): string => {
  const file = path.join(bench.scratch, name)
  if (!fs.existsSync(file)) write(file)
  return file
}

const small = (bench: Bench, count: number): string =>
  fake(bench, `small-${count}`, data(bench, `small-${count}.jsonl`, (file) => events.smallEvents(file, count)))

const large = (bench: Bench, count: number, length: number): string =>
  fake(
    bench,
    `large-${count}-${length}`,
    data(bench, `large-${count}-${length}.jsonl`, (file) => events.largeTexts(file, count, length))
  )

/** The same events as server-sent events. */
const serving = async <A>(bench: Bench, count: number, use: (url: string) => Promise<A>): Promise<A> => {
  const source = data(bench, `small-${count}.jsonl`, (file) => events.smallEvents(file, count))
  const file = data(
    bench,
    `small-${count}.sse`,
    (file) =>
      fs.writeFileSync(file, fs.readFileSync(source, "utf8").replace(/^(?=.)/gm, "data: ").replaceAll("\n", "\n\n"))
  )
  const server = http.createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    fs.createReadStream(file).pipe(response)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  try {
    return await use(`http://127.0.0.1:${(server.address() as { readonly port: number }).port}`)
  } finally {
    server.close()
  }
}

const pick = <A extends Variants, K extends keyof A>(variants: A, ...names: ReadonlyArray<K>): Pick<A, K> =>
  Object.fromEntries(names.map((name) => [name, variants[name]])) as unknown as Pick<A, K>

export const manySmall = async (bench: Bench): Promise<Section> => {
  const count = 200_000
  const rounds = await serving(bench, count, (url) =>
    interleaved(bench, {
      ...variantsOf(bench, small(bench, count), { count }),
      sdk: checked({ count }, () => measure(bench, "sdk", { url }))
    }))
  const times = (name: "naive" | "tolerant") => report.number(report.ratio(rounds[name], rounds.fold, "cpu"))
  return {
    title: "200,000 small events (500 bytes)",
    text:
      `${rows(rounds)}\n\nThe naive pipeline that does the same job takes ${
        times("tolerant")
      } times the CPU of \`stream\` with a fold. ` +
      "The one that drops the fields it does not know, and ends with the first event or line that it does not know, takes " +
      `${times("naive")} times.`,
    checks: [
      check("200,000 small events, `stream` folded by chunks", 2.2, against(rounds, "fold")),
      check("200,000 small events, `stream` with `runForEach`", 3, against(rounds, "forEach")),
      check("200,000 small events, `run`, against raw with events kept", 1.8, against(rounds, "run")),
      check(
        "`stream` with a fold, against the naive pipeline that does the same job",
        1 / 3,
        report.ratio(rounds.fold, rounds.tolerant, "cpu")
      )
    ]
  }
}

export const million = async (bench: Bench): Promise<Section> => {
  const count = 1_000_000
  const rounds = await interleaved(
    bench,
    pick(variantsOf(bench, small(bench, count), { count }), "raw", "naive", "fold", "forEach")
  )
  fs.rmSync(path.join(bench.scratch, `small-${count}.jsonl`))
  return {
    title: "1,000,000 small events",
    text: rows(rounds),
    checks: [check("1,000,000 small events, `stream` folded by chunks", 2, against(rounds, "fold"))]
  }
}

export const growth = async (bench: Bench): Promise<Section> => {
  const sizes = [100_000, 200_000, 400_000]
  const variants: Variants = Object.fromEntries(sizes.flatMap((count) => {
    const { fold, run } = variantsOf(bench, small(bench, count), { count })
    return [[`fold ${count}`, fold], [`run ${count}`, run]]
  }))
  const rounds = await interleaved(bench, variants)
  const grows = (name: string, from: number, to: number) =>
    report.ratio(rounds[`${name} ${to}`]!, rounds[`${name} ${from}`]!, "cpu")
  return {
    title: "Twice the events",
    text: report.table(
      ["main CPU, ms", ...sizes.map((count) => count.toLocaleString("en")), "200,000 : 100,000", "400,000 : 200,000"],
      ["fold", "run"].map((name) => [
        `\`${name === "fold" ? "stream" : name}\``,
        ...sizes.map((count) => report.median(rounds[`${name} ${count}`]!, "cpu")),
        grows(name, sizes[0]!, sizes[1]!),
        grows(name, sizes[1]!, sizes[2]!)
      ])
    ),
    checks: ["fold", "run"].map((name) =>
      check(`twice the events, \`${name === "fold" ? "stream" : name}\``, 2.2, grows(name, sizes[1]!, sizes[2]!))
    )
  }
}

export const largeEvents = async (bench: Bench): Promise<Section> => {
  const rounds = await interleaved(
    bench,
    pick(
      variantsOf(bench, large(bench, 2000, 64 * 1024), { count: 2002 }),
      "raw",
      "rawKeep",
      "naive",
      "fold",
      "forEach",
      "run"
    )
  )
  return {
    title: "2,000 events of 64 KiB",
    text: rows(rounds),
    checks: [check("2,000 events of 64 KiB, `stream` folded by chunks", 2.2, against(rounds, "fold"))]
  }
}

export const longLine = async (bench: Bench): Promise<Section> => {
  const MiB = 1024 * 1024
  const of = (size: number) => variantsOf(bench, large(bench, 1, size * MiB), { count: 3 })
  const [short, long] = [of(64), of(128)]
  const rounds = await interleaved(bench, {
    raw: short.raw,
    naive: short.naive,
    fold: short.fold,
    raw128: long.raw,
    fold128: long.fold
  })
  const row = (title: string, name: keyof typeof rounds, floor: keyof typeof rounds) => [
    title,
    report.median(rounds[name], "cpu"),
    report.ratio(rounds[name], rounds[floor], "cpu"),
    report.median(rounds[name], "wall"),
    report.median(rounds[name], "peak")
  ]
  return {
    title: "One line of 64 MiB, one of 128 MiB",
    text: report.table(["", "main CPU, ms", "× raw", "whole wall, ms", "peak RSS, MB"], [
      row(`64 MiB: ${titles["raw"]}`, "raw", "raw"),
      row(`64 MiB: ${titles["naive"]}`, "naive", "raw"),
      row(`64 MiB: ${titles["fold"]}`, "fold", "raw"),
      row(`128 MiB: ${titles["raw"]}`, "raw128", "raw128"),
      row(`128 MiB: ${titles["fold"]}`, "fold128", "raw128")
    ]),
    checks: [
      check("one line of 64 MiB", 1.8, report.ratio(rounds.fold, rounds.raw, "cpu")),
      check("one line of 128 MiB against one of 64 MiB", 2.2, report.ratio(rounds.fold128, rounds.fold, "cpu"))
    ]
  }
}

export const memory = async (bench: Bench): Promise<Section> => {
  const count = 200_000
  const times = 20
  const file = data(bench, `small-${count}.jsonl`, (file) => events.smallEvents(file, count))
  const binary = fake(bench, `small-${count}-times-${times}`, file, times)
  const once = variantsOf(bench, small(bench, count), { count })
  const many = variantsOf(bench, binary, { count: count * times })
  const rounds = await interleaved(bench, {
    raw: many.raw,
    fold: many.fold,
    forEach: many.forEach,
    fold1: once.fold,
    forEach1: once.forEach
  })
  const bytes = fs.statSync(file).size
  const peak = (name: keyof typeof rounds) => report.median(rounds[name], "peak")
  return {
    title: `${report.number(bytes * times / 1e9, 1)} GB streamed (4 million events)`,
    text: report.table(
      ["peak RSS, MB", `${report.number(bytes / 1e9, 1)} GB`, `${report.number(bytes * times / 1e9, 1)} GB`],
      [
        [titles["raw"]!, "", peak("raw")],
        [titles["fold"]!, peak("fold1"), peak("fold")],
        [titles["forEach"]!, peak("forEach1"), peak("forEach")]
      ]
    ),
    checks: [
      { what: "2 GB streamed, peak memory of a fold", most: 150, measured: peak("fold"), unit: "MB" },
      { what: "2 GB streamed, peak memory with `runForEach`", most: 240, measured: peak("forEach"), unit: "MB" }
    ]
  }
}

export const slowConsumer = async (bench: Bench): Promise<Section> => {
  const binary = small(bench, 200_000)
  const rounds = await interleaved(bench, { slow: () => measure(bench, "slow", { binary, chunks: 100 }) })
  const ahead = Math.max(...rounds.slow.map((round) => round["ahead"]!))
  return {
    title: "A consumer that takes 20 ms for each chunk",
    text: `At most ${report.number(ahead)} KB written by the child were not yet delivered to the consumer, and ` +
      `the process took ${report.number(report.median(rounds.slow, "peak"))} MB.`,
    checks: [{ what: "slow consumer: how far the child gets ahead", most: 512, measured: ahead, unit: "KB" }]
  }
}
