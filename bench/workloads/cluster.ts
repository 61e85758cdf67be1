/** A cluster of runners: the cost of a job besides its agent, and how long a runner that died is missed. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { AgentRun, Cluster } from "effect-opencode-cluster"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as agents from "../../packages/cluster/test/support/agent.js"
import * as postgres from "../../packages/cluster/test/support/postgres.js"
import * as processes from "../../packages/cluster/test/support/runners.js"
import type { Job } from "../cluster/jobs.js"
import type { Measured } from "../lib/meter.js"
import * as report from "../lib/report.js"
import type { Section } from "../lib/report.js"
import { environment, interleaved } from "../lib/run.js"
import type { Bench } from "../lib/run.js"

const program = fileURLToPath(new URL("../cluster/jobs.ts", import.meta.url))

const jobs = 500
const single = 20

const measure = async (bench: Bench, job: Omit<Job, "jobs" | "single" | "name">): Promise<Measured> => {
  const all: Job = { ...job, jobs, single, name: `${job.storage}-${performance.now()}` }
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", program, JSON.stringify(all)], {
    env: environment(bench),
    timeout: 20 * 60_000
  })
  return JSON.parse(stdout) as Measured
}

/** Runs with a PostgreSQL of its own. */
const withPostgres = async <A>(
  bench: Bench,
  name: string,
  use: (database: postgres.Postgres, directory: string) => Promise<A>
): Promise<A> => {
  const directory = path.join(bench.scratch, name)
  // PostgreSQL is another user, who has to get there.
  fs.chmodSync(bench.scratch, 0o755)
  fs.mkdirSync(directory)
  const database = await postgres.start(directory)
  try {
    return await use(database, directory)
  } finally {
    await database.stop()
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** A job in a cluster, with an agent that costs nothing. */
export const clusterJobs = (bench: Bench): Promise<Section> =>
  withPostgres(bench, "cluster-jobs", async (database, directory) => {
    const port = await postgres.freePort()
    const rounds = await interleaved(bench, {
      none: () => measure(bench, { storage: "none", at: "", port }),
      memory: () => measure(bench, { storage: "memory", at: "", port }),
      sqlite: () => measure(bench, { storage: "sqlite", at: path.join(directory, `${performance.now()}.db`), port }),
      postgres: () => measure(bench, { storage: "postgres", at: database.url, port })
    })
    const per = (name: keyof typeof rounds) => report.median(rounds[name], "cpu") / jobs
    const over = (name: keyof typeof rounds) => per(name) - per("none")
    const row = (title: string, name: Exclude<keyof typeof rounds, "none">) => [
      title,
      jobs / (report.median(rounds[name], "wall") / 1000),
      over(name),
      report.median(rounds[name], "firstEvent"),
      report.median(rounds[name], "peak")
    ]
    return {
      title: `${jobs} jobs of a cluster, submitted at once`,
      text: `${
        report.table(
          ["", "jobs per second", "main CPU per job over the run, ms", "submit → first event, ms", "peak RSS, MB"],
          [
            row("in memory", "memory"),
            row("SQLite, one process", "sqlite"),
            row("PostgreSQL, a runner and its callers in one process", "postgres")
          ]
        )
      }\n\nThe agents are stand-ins in the same process, 32 at a time, and all ${jobs} callers wait at once. The first event ` +
        `is that of ${single} jobs on the idle cluster, one after the other.`,
      checks: [
        { what: "CPU of a job over the run, PostgreSQL", most: 20, measured: over("postgres"), unit: "ms" },
        {
          what: "submit → first event on an idle cluster, PostgreSQL",
          most: 300,
          measured: report.median(rounds.postgres, "firstEvent"),
          unit: "ms"
        }
      ]
    }
  })

const until = (condition: () => boolean) =>
  Effect.delay(Effect.sync(condition), "50 millis").pipe(Effect.repeat({ until: (isMet) => isMet }))

/** From the death of a runner to the next agents of its jobs. */
export const clusterTakeover = (bench: Bench): Promise<Section> =>
  withPostgres(bench, "cluster-takeover", async (database, directory) => {
    const agent = agents.make(directory)
    const runners = processes.make({ directory, url: database.url, binary: agent.binary })
    const times: Array<number> = []
    const client = Cluster.layerClient().pipe(Layer.provide(PgClient.layer({ url: Redacted.make(database.url) })))
    const jobsEach = 12

    /** Kills a runner that has jobs, and waits for its jobs to start elsewhere. */
    const kill = (round: number, live: ReadonlyArray<processes.Runner>) =>
      Effect.gen(function*() {
        const all = Array.from({ length: jobsEach }, (_, index) => `takeover ${round} ${index} sleep=600`)
        const submitted = all.map((prompt) => ({ id: prompt, prompt, afterCrash: "restart" as const }))
        yield* Effect.forEach(submitted, AgentRun.submit, { discard: true })
        yield* until(() => all.every((prompt) => agent.starts(prompt).length === 1))
        const states = yield* Effect.forEach(submitted, ({ id }) => AgentRun.poll(id))
        const runnerOf = (index: number) => {
          const state = states[index]
          return state?._tag === "Running" ? state.runner : undefined
        }
        const victim = live.find(({ name }) => all.some((_, index) => runnerOf(index) === name))!
        const its = all.filter((_, index) => runnerOf(index) === victim.name)
        const from = Date.now()
        yield* Effect.promise(() => victim.kill())
        yield* until(() => its.every((prompt) => agent.starts(prompt).length === 2))
        times.push(...its.map((prompt) => agent.starts(prompt)[1]!.at - from))
        yield* Effect.forEach(submitted, ({ id }) => AgentRun.cancel(id, "measured"), { discard: true })
        yield* Effect.forEach(submitted, ({ id }) => Effect.exit(AgentRun.result(id)), { concurrency: "unbounded" })
        return victim
        // A job that is lost is a failure, and not a measurement without end.
      }).pipe(Effect.timeout("3 minutes"), Effect.provide(client))

    try {
      const start = () => runners.start({ env: { AGENTS: String(jobsEach * 2) } })
      let live: ReadonlyArray<processes.Runner> = await Promise.all([start(), start()])
      for (let round = 0; round < bench.rounds; round++) {
        const victim = await Effect.runPromise(kill(round, live))
        bench.say(`  round ${round + 1} of ${bench.rounds}: ${times.at(-1)} ms`)
        live = [...live.filter((runner) => runner !== victim), await start()]
      }
    } finally {
      await runners.stop()
    }
    const sorted = [...times].sort((a, b) => a - b)
    const p95 = sorted[Math.ceil(0.95 * sorted.length) - 1]!
    return {
      title: "A runner is killed",
      text: report.table(
        ["kills", "jobs", "death → next agent, p50, s", "p95, s"],
        [[String(bench.rounds), String(times.length), report.medianOf(times) / 1000, p95 / 1000]]
      ),
      checks: [{ what: "death of a runner → next agent, p95", most: 15_000, measured: p95, unit: "ms" }]
    }
  })
