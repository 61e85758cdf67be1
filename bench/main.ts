/**
 * The benchmark: `npm run bench`, or `npm run bench -- --only small,short --rounds 5`. What is measured takes its place
 * in `bench/results.md`.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { build } from "./lib/build.js"
import * as report from "./lib/report.js"
import type { Section } from "./lib/report.js"
import * as results from "./lib/results.js"
import type { Result } from "./lib/results.js"
import type { Bench } from "./lib/run.js"
import * as cluster from "./workloads/cluster.js"
import * as clusterRunners from "./workloads/clusterRunners.js"
import * as hostTools from "./workloads/hostTools.js"
import * as pipeline from "./workloads/pipeline.js"
import * as real from "./workloads/real.js"
import * as runs from "./workloads/runs.js"
import * as server from "./workloads/server.js"
import * as startup from "./workloads/startup.js"

const here = path.dirname(fileURLToPath(import.meta.url))

const file = (name: string): string => path.join(here, name)

/** A median of fewer rounds is not kept. */
const enough = 3

const workloads: { readonly [name: string]: (bench: Bench) => Promise<Section> } = {
  small: pipeline.manySmall,
  million: pipeline.million,
  growth: pipeline.growth,
  large: pipeline.largeEvents,
  line: pipeline.longLine,
  memory: pipeline.memory,
  slow: pipeline.slowConsumer,
  short: runs.short,
  contained: runs.contained,
  containedEnd: runs.containedEnd,
  waiting: runs.waiting,
  close: runs.close,
  one: real.one,
  two: real.two,
  eight: real.eight,
  startup: startup.startup,
  together: startup.together,
  server: server.server,
  hostTools: hostTools.hostTools,
  clusterJobs: cluster.clusterJobs,
  clusterTakeover: cluster.clusterTakeover,
  clusterRunners: clusterRunners.clusterRunners,
  clusterPlacement: clusterRunners.clusterPlacement
}

const { values } = parseArgs({
  options: { only: { type: "string" }, rounds: { type: "string" } },
  // `npm run bench -- …` hands on the dashes too.
  args: process.argv.slice(2).filter((arg) => arg !== "--")
})

const only = values.only?.split(",") ?? Object.keys(workloads)
const unknown = only.filter((name) => workloads[name] === undefined)
if (unknown.length > 0) {
  console.error(`unknown workload ${unknown.join(", ")}; the workloads are ${Object.keys(workloads).join(", ")}`)
  process.exit(2)
}
if (!fs.existsSync("/proc/self/schedstat")) {
  console.error("the benchmark reads the CPU time of a thread from /proc/self/task/…/schedstat, so it needs Linux")
  process.exit(2)
}

const versionOf = (name: string): string =>
  JSON.parse(fs.readFileSync(path.join(here, "node_modules", name, "package.json"), "utf8")).version

const machine = [
  `${os.cpus().length} × ${os.cpus()[0]?.model ?? "unknown processor"}`,
  `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
  `Linux ${os.release()}`,
  `node ${process.versions.node}`,
  `effect ${versionOf("effect")}`,
  `@effect/platform-node ${versionOf("@effect/platform-node")}`,
  `opencode-ai ${versionOf("opencode-ai")}`,
  `@opencode-ai/sdk ${versionOf("@opencode-ai/sdk")}`
].join(", ")

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "effect-opencode-bench-"))
const remove = () => fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 5 })
process.on("exit", remove)
process.on("SIGINT", () => process.exit(130))
process.on("SIGTERM", () => process.exit(143))
for (const name of ["tmp", "work"]) fs.mkdirSync(path.join(scratch, name))

const bench: Bench = {
  programs: path.join(scratch, "programs"),
  scratch,
  rounds: Number(values.rounds ?? 5),
  say: (text) => console.error(text)
}

await build(path.join(here, "programs"), bench.programs)

const measured: Array<Result> = []
for (const name of only) {
  const from = performance.now()
  const loadBefore = os.loadavg()[0]!
  bench.say(name)
  const section = await workloads[name]!(bench)
  const result: Result = {
    workload: name,
    date: new Date().toISOString().slice(0, 10),
    minutes: Math.ceil((performance.now() - from) / 60_000),
    load: [loadBefore, os.loadavg()[0]!],
    machine,
    ...section,
    rounds: section.rounds ?? bench.rounds
  }
  measured.push(result)
  console.log(`\n${results.section(result)}\n\n${report.checks(result.checks)}\n`)
  bench.say(`${name}: ${Math.round((performance.now() - from) / 1000)} s`)
  if (bench.rounds >= enough) {
    const all = results.merge(Object.keys(workloads), results.read(file("results.json")), [result])
    fs.writeFileSync(file("results.json"), `${JSON.stringify(all, null, 2)}\n`)
    fs.writeFileSync(file("results.md"), results.render(all))
  }
}
console.log(`\n${report.checks(measured.flatMap((result) => result.checks))}`)
