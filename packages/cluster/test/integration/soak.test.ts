/**
 * Many jobs while runners are killed at random and PostgreSQL crashes in the middle, under each policy. Takes
 * minutes: it runs with EFFECT_OPENCODE_SOAK only. EFFECT_OPENCODE_SOAK_JOBS and EFFECT_OPENCODE_SOAK_KILLS make it smaller.
 */
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { AgentJob } from "effect-opencode-cluster/AgentJob"
import * as AgentRun from "effect-opencode-cluster/AgentRun"
import * as Cluster from "effect-opencode-cluster/Cluster"
import * as RunLedger from "effect-opencode-cluster/RunLedger"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as agents from "../support/agent.js"
import * as postgres from "../support/postgres.js"
import * as processes from "../support/runners.js"

const isWanted = process.env["EFFECT_OPENCODE_SOAK"] === "1"
if (isWanted && postgres.programs() === undefined) {
  throw new Error("The soak of the cluster needs PostgreSQL (initdb, postgres)")
}

const count = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise)

const jobCount = count("EFFECT_OPENCODE_SOAK_JOBS", 1000)
const killCount = count("EFFECT_OPENCODE_SOAK_KILLS", 40)
const size = 3
const agentsEach = 4
/** Seconds between two kills, on average: long enough that runners hold their shards and work. */
const between = 6
/** Seconds of work, so that there are jobs for as long as runners are killed. */
const work = Math.max(1, (killCount * between * size * agentsEach * 0.6) / jobCount).toFixed(1)

const pause = (seconds: number) => new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000))

const isRunning = (pid: number): boolean => {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

const half = (sorted: ReadonlyArray<number>, share: number) => sorted[Math.floor(share * (sorted.length - 1))]

describe.runIf(isWanted)("soak", () => {
  let directory: string
  let temporary: string
  let agent: agents.Agent
  let database: postgres.Postgres
  let runners: processes.Runners

  beforeAll(async () => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "eo-cluster-soak-"))
    temporary = path.join(directory, "tmp")
    agent = agents.make(directory, { watch: true })
    fs.mkdirSync(temporary)
    database = await postgres.start(directory)
    runners = processes.make({ directory, url: database.url, binary: agent.binary })
  })

  afterAll(async () => {
    await runners?.stop()
    await database?.stop()
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  })

  const client = Layer.suspend(() =>
    Cluster.layerClient().pipe(Layer.provide(PgClient.layer({ url: Redacted.make(database.url) })))
  )

  it.live("twenty runners start on an empty database", () =>
    Effect.gen(function*() {
      const all = yield* Effect.promise(() => Promise.all(Array.from({ length: 20 }, () => runners.start())))
      const results = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, index): AgentJob => ({ id: `first/${index}`, prompt: `first ${index}` })),
        AgentRun.execute,
        { concurrency: "unbounded" }
      ).pipe(Effect.provide(client))
      assert.deepStrictEqual([...new Set(results.map(({ answer, attempt }) => `${answer} ${attempt}`))], ["done 1"])
      assert.deepStrictEqual(all.filter((runner) => !runner.isAlive()), [])
      yield* Effect.promise(() => Promise.all(all.map((runner) => runner.leave())))
    }), 600_000)

  it.live.each(["fail", "restart"] as const)(
    `${jobCount} jobs with "%s" have one outcome each while ${killCount} runners are killed and PostgreSQL crashes`,
    (policy) =>
      Effect.gen(function*() {
        const startOne = () => runners.start({ env: { AGENTS: String(agentsEach), TMPDIR: temporary } })
        let live = yield* Effect.promise(() => Promise.all(Array.from({ length: size }, startOne)))
        const jobs = Array.from({ length: jobCount }, (_, index): AgentJob => ({
          id: `soak/${policy}/${index}`,
          prompt: `soak ${policy} ${index} sleep=${work}`,
          afterCrash: policy,
          ...(policy === "restart" ? { maxCrashes: 1000 } : {})
        }))
        const from = Date.now()
        const outcomes = yield* Effect.fork(Effect.forEach(
          jobs,
          (job) =>
            AgentRun.execute(job).pipe(
              Effect.retry({
                while: (error) => error._tag === "LedgerError",
                schedule: Schedule.spaced("1 second")
              }),
              Effect.either
            ),
          { concurrency: "unbounded" }
        ))
        let hits = 0
        yield* Effect.promise(async () => {
          for (let kill = 0; kill < killCount; kill++) {
            await pause(between * (0.5 + Math.random()))
            const victim = live[Math.floor(Math.random() * live.length)]!
            const ended = new Set(agent.log().filter(({ what }) => what === "end").map(({ pid }) => pid))
            const working = agent.log().filter(({ pid, what }) => what === "start" && !ended.has(pid)).filter((
              { pid }
            ) => isRunning(pid))
            await victim.kill()
            if (working.length > 0) hits++
            if (kill === killCount >> 1) await database.restart()
            live = [...live.filter((runner) => runner.isAlive()), await startOne()]
          }
        })
        const settled = yield* Fiber.join(outcomes)
        const seconds = (Date.now() - from) / 1000

        const tags = settled.map(Either.match({ onLeft: ({ _tag }) => _tag as string, onRight: () => "succeeded" }))
        assert.deepStrictEqual(
          [...new Set(tags)].filter((tag) => tag !== "succeeded" && tag !== "JobLostError"),
          [],
          "only a lost job fails"
        )
        const ledger = yield* RunLedger.RunLedger
        const rows = yield* Effect.forEach(jobs, ({ id }) => ledger.job(id))
        assert.strictEqual(rows.filter((row) => row._tag === "Some" && row.value.state === "settled").length, jobCount)
        // The outcome that the caller got is the one that is stored, and asking again changes nothing.
        const again = yield* Effect.forEach(
          jobs.slice(0, 50),
          ({ id }) => Effect.map(Effect.either(AgentRun.result(id)), Either.isRight)
        )
        assert.deepStrictEqual(again, settled.slice(0, 50).map(Either.isRight))

        const log = agent.log().filter(({ prompt }) => prompt.startsWith(`soak ${policy} `))
        const startsOf = new Map<string, Array<agents.Entry>>()
        for (const entry of log) {
          if (entry.what !== "start") continue
          startsOf.set(entry.prompt, [...startsOf.get(entry.prompt) ?? [], entry])
        }
        const twice = jobs.filter(({ prompt }) => policy === "fail" && (startsOf.get(prompt)?.length ?? 0) > 1)
        assert.deepStrictEqual(twice.map(({ id }) => id), [], "no second agent under fail")
        assert.deepStrictEqual(log.filter(({ what }) => what === "overlap"), [], "no two agents of a job at a time")
        const lostUnderRestart = jobs.filter((_, index) => policy === "restart" && tags[index] !== "succeeded")
        assert.deepStrictEqual(lostUnderRestart, [], "restart is never lost below its maxCrashes")

        yield* Effect.promise(() => Promise.all(live.map((runner) => runner.leave())))
        assert.deepStrictEqual(log.filter(({ pid, what }) => what === "start" && isRunning(pid)), [], "no agent alive")
        // What tsx keeps there, which runs the runners, is not theirs.
        const left = fs.readdirSync(temporary).filter((name) => !name.startsWith("tsx-"))

        const waits = [...startsOf.values()].flatMap((starts) =>
          starts.slice(1).map((start, index) => (start.at - starts[index]!.at) / 1000)
        ).sort((a, b) => a - b)
        console.log(JSON.stringify({
          policy,
          jobs: jobCount,
          kills: killCount,
          hits,
          seconds: Math.round(seconds),
          succeeded: tags.filter((tag) => tag === "succeeded").length,
          lost: tags.filter((tag) => tag === "JobLostError").length,
          secondStarts: waits.length,
          secondsBetweenStarts: { p50: half(waits, 0.5), p95: half(waits, 0.95) },
          starts: log.filter(({ what }) => what === "start").length,
          work: Number(work),
          left: left.length
        }))
        assert.deepStrictEqual(left, [], "no directory left")
      }).pipe(Effect.provide(client)),
    3_600_000
  )
})
