/** Runners and callers as programs of their own on PostgreSQL, and how evenly jobs are placed. */
import { RunnerAddress, Sharding } from "@effect/cluster"
import { Effect, HashRing, Layer } from "effect"
import { Cluster } from "effect-opencode-cluster"
import { OpenCodeTest } from "effect-opencode-testing"
import { execFile, execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as agents from "../../packages/cluster/test/support/agent.js"
import * as postgres from "../../packages/cluster/test/support/postgres.js"
import * as processes from "../../packages/cluster/test/support/runners.js"
import type { Callers } from "../cluster/callers.js"
import type { Measured } from "../lib/meter.js"
import * as report from "../lib/report.js"
import type { Section } from "../lib/report.js"
import { environment } from "../lib/run.js"
import type { Bench } from "../lib/run.js"

const program = fileURLToPath(new URL("../cluster/callers.ts", import.meta.url))

const call = async (bench: Bench, callers: Callers): Promise<Measured> => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", "tsx", program, JSON.stringify(callers)],
    {
      env: environment(bench),
      timeout: 10 * 60_000
    }
  )
  return JSON.parse(stdout) as Measured
}

/** MB, of a process that works. */
const memory = (pid: number, what: "VmRSS" | "VmHWM"): number =>
  Number(new RegExp(`${what}:\\s+(\\d+)`).exec(fs.readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) / 1024

const jobs = 40
const waiting = 1000

/** 1 and 2 runners that start a script for each job, and 1,000 callers that wait. */
export const clusterRunners = async (bench: Bench): Promise<Section> => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "eo-bench-runners-"))
  const database = await postgres.start(directory)
  const agent = agents.make(directory)
  const fleet = processes.make({ directory, url: database.url, binary: agent.binary })
  const psql = path.join(postgres.programs()!, "psql")
  const query = (sql: string): number =>
    Number(execFileSync(psql, ["-h", "127.0.0.1", "-p", String(database.port), "-U", "test", "-Atc", sql, "postgres"]))
  const transactions = () =>
    query("select xact_commit + xact_rollback from pg_stat_database where datname = 'postgres'")
  const pause = (time: number) => new Promise((resolve) => setTimeout(resolve, time))
  try {
    const rows: Array<ReadonlyArray<string | number>> = []
    const start = () => fleet.start({ env: { AGENTS: "8" } })
    const live = [await start()]
    await pause(5000)
    const idle = memory(live[0]!.pid, "VmRSS")
    const before = transactions()
    await pause(20_000)
    // PostgreSQL counts late, and our two questions are in it.
    const queries = (transactions() - before - 2) / 20
    await call(bench, { url: database.url, name: "warm", prompt: "", jobs: 1, leave: false })
    for (const count of [1, 2]) {
      if (live.length < count) {
        live.push(await start())
        await pause(8000)
      }
      for (let round = 0; round < bench.rounds; round++) {
        const done = await call(bench, {
          url: database.url,
          name: `rate-${count}-${round}`,
          prompt: "",
          jobs,
          leave: false
        })
        rows.push([
          String(count),
          jobs / (done.wall / 1000),
          Math.max(...live.map(({ pid }) => memory(pid, "VmHWM"))),
          done.peak
        ])
        bench.say(`  ${count} runner(s), round ${round + 1} of ${bench.rounds}: ${report.number(done.wall / 1000)} s`)
      }
    }
    const stored = query("select count(*) from opencode_jobs")
    const tables = "opencode_jobs opencode_attempts cluster_messages cluster_replies".split(" ")
    const rowsEach = tables.reduce((sum, table) => sum + query(`select count(*) from ${table}`), 0) / stored
    const bytes = tables.reduce((sum, table) => sum + query(`select pg_total_relation_size('${table}')`), 0) / stored
    const left = await call(bench, { url: database.url, name: "left", prompt: "sleep=600", jobs: waiting, leave: true })
    return {
      title: "Runners and callers as programs of their own",
      text: `${
        report.table(["runners", "jobs per second", "peak RSS of a runner, MB", "peak RSS of the callers, MB"], rows)
      }\n\nEach of ${jobs} jobs, submitted at once, starts a shell script; a runner has 8 slots. An idle runner has ${
        report.number(idle)
      } MB and makes ${report.number(queries)} transactions a second. A job is ${report.number(rowsEach)} rows and ${
        report.number(bytes / 1000)
      } kB with indexes. A program with ${waiting} waiting callers has ${report.number(left["waiting"]!)} MB (peak ${
        report.number(left.peak)
      } MB).`,
      checks: []
    }
  } finally {
    await fleet.stop()
    await database.stop()
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

const draws = 200

/** The busiest runner's jobs against its fair share. */
export const clusterPlacement = async (): Promise<Section> => {
  const { getShardId } = await Effect.runPromise(
    Sharding.Sharding.pipe(Effect.provide(Cluster.layerTest().pipe(Layer.provide(OpenCodeTest.layer({})))))
  )
  const rows = ([[2, 20], [4, 40], [10, 50], [10, 200], [10, 1000]] as const).map(([runners, jobs]) => {
    const shares = Array.from({ length: draws }, (_, draw) => {
      const ring = HashRing.make<RunnerAddress.RunnerAddress>()
      for (let index = 0; index < runners; index++) {
        HashRing.add(ring, RunnerAddress.make(`10.0.${draw}.${index}`, 34431))
      }
      const owners = HashRing.getShards(ring, 300)!
      const counts = new Map<string, number>()
      for (let index = 0; index < jobs; index++) {
        const { host } = owners[getShardId(`batch-${draw}/${index}` as never, "default").id - 1]!
        counts.set(host, (counts.get(host) ?? 0) + 1)
      }
      return Math.max(...counts.values()) / (jobs / runners)
    }).sort((a, b) => a - b)
    return [`${runners} × ${jobs}`, shares.reduce((sum, share) => sum + share, 0) / draws, shares.at(-1)!]
  })
  return {
    title: "Placement of jobs by hash",
    text: report.table(["runners × jobs", "busiest runner over its share, mean", `worst of ${draws}`], rows),
    checks: []
  }
}
