/** Runners on PostgreSQL as real processes, with a stand-in for the binary, and a client in this one. */
import * as EntityId from "@effect/cluster/EntityId"
import * as Sharding from "@effect/cluster/Sharding"
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { AgentJob } from "effect-opencode-cluster/AgentJob"
import * as AgentRun from "effect-opencode-cluster/AgentRun"
import * as Cluster from "effect-opencode-cluster/Cluster"
import type { LiveEvent } from "effect-opencode-cluster/LiveEvent"
import * as RunLedger from "effect-opencode-cluster/RunLedger"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as agents from "../support/agent.js"
import * as postgres from "../support/postgres.js"
import * as processes from "../support/runners.js"

const isThere = postgres.programs() !== undefined
if (!isThere) {
  // Nobody should take a green run for a test of the cluster.
  console.error("There is no PostgreSQL (initdb, postgres): RUNNERS ON SEVERAL MACHINES ARE NOT TESTED.")
}

/** Waits for a condition, however slow the machine is. */
const until = <A, E, R>(condition: () => Effect.Effect<A | undefined | false, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(condition(), (value) =>
    value === undefined || value === false
      ? Effect.delay(until(condition), "100 millis")
      : Effect.succeed(value))

const program = fileURLToPath(new URL("../../../../examples/cluster/program.ts", import.meta.url))

const isRunning = (pid: number): boolean => fs.existsSync(`/proc/${pid}`)

describe.runIf(isThere)("runners on PostgreSQL", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "eo-cluster-"))
  const agent = agents.make(directory)
  let database: postgres.Postgres
  let runners: processes.Runners
  let live: Array<processes.Runner> = []

  beforeAll(async () => {
    database = await postgres.start(directory)
    runners = processes.make({ directory, url: database.url, binary: agent.binary })
    // Both find an empty database.
    live = await Promise.all([runners.start(), runners.start()])
  })

  afterAll(async () => {
    await runners?.stop()
    await database?.stop()
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  })

  const client = Layer.suspend(() =>
    Cluster.layerClient().pipe(Layer.provide(PgClient.layer({ url: Redacted.make(database.url) })))
  )

  const example = (args: ReadonlyArray<string>, port: string) => {
    const child = spawn(process.execPath, ["--import", "tsx", program, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        HOST: "127.0.0.1",
        PORT: port,
        HOME: directory,
        DATABASE_URL: database.url,
        OPENCODE_BINARY: agent.binary
      }
    })
    let output = ""
    child.stdout.on("data", (data) => output += String(data))
    child.stderr.on("data", (data) => output += String(data))
    return {
      output: () => output,
      terminate: () => child.kill("SIGTERM"),
      ended: new Promise<number | null>((resolve) => child.once("close", resolve))
    }
  }

  const runnerOf = (id: string) =>
    until(() =>
      Effect.map(
        AgentRun.poll(id),
        (state) => state._tag === "Running" && live.find(({ name }) => name === state.runner)
      )
    )

  const started = (prompt: string) => until(() => Effect.sync(() => agent.starts(prompt)[0]))

  it.live("a job that was stored, and never sent, is sent by the watchdog in the end", () =>
    Effect.gen(function*() {
      const ledger = yield* RunLedger.RunLedger
      yield* ledger.accept({
        id: "forgotten",
        payload: JSON.stringify({ id: "forgotten", prompt: "forgotten" }),
        version: 1
      })
      assert.strictEqual((yield* AgentRun.poll("forgotten"))._tag, "Accepted")
    }).pipe(Effect.provide(client)))

  it.live("a job runs once for all who submit it, and its content is bound to its id", () =>
    Effect.gen(function*() {
      const job: AgentJob = { id: "once", prompt: "once sleep=0.5", secrets: ["DEPLOY_TOKEN"] }
      const results = yield* Effect.all([
        AgentRun.execute(job),
        AgentRun.execute(job),
        AgentRun.result("once").pipe(
          Effect.retry({ while: (error) => error._tag === "JobUnknownError" })
        )
      ], { concurrency: "unbounded" })
      assert.lengthOf(new Set(results.map(({ runId }) => runId)), 1)
      assert.lengthOf(agent.starts(job.prompt), 1)
      const other = yield* Effect.flip(AgentRun.execute({ ...job, prompt: "another one" }))
      assert.strictEqual(other._tag, "JobConflictError")
      const unknown = yield* Effect.flip(AgentRun.execute({ id: "no such secret", prompt: "x", secrets: ["OTHER"] }))
      assert.match(unknown.message, /was not given "OTHER"/)
    }).pipe(Effect.provide(client)))

  it.live("the example program runs on several runners, one of them its own", () =>
    Effect.gen(function*() {
      const own = yield* Effect.acquireRelease(
        Effect.promise(async () => example(["runner"], String(await postgres.freePort()))),
        ({ ended, terminate }) =>
          Effect.promise(() => {
            terminate()
            return ended
          })
      )
      yield* until(() => Effect.sync(() => own.output().includes("Listening on")))
      const nightly = example([], "1")
      assert.strictEqual(yield* Effect.promise(() => nightly.ended), 0)
      assert.match(nightly.output(), /^(127\.0\.0\.1:\d+: done\n){5}$/)
      const starts = agent.log().filter(({ prompt, what }) => what === "start" && prompt.startsWith("Upgrade"))
      assert.lengthOf(starts, 5)
    }).pipe(Effect.scoped))

  it.live("a secret reaches the agent, and no row of the database", () =>
    Effect.gen(function*() {
      const { answer } = yield* AgentRun.execute({ id: "secret", prompt: "show-secret", secrets: ["DEPLOY_TOKEN"] })
      // The agent has said it; what is stored is masked.
      assert.notInclude(answer, "done")
      const refused = yield* Effect.flip(AgentRun.submit({
        id: "plain secret",
        prompt: "x",
        options: { extraEnv: { DEPLOY_TOKEN: "canary-5500aa31" } }
      }))
      assert.strictEqual(refused._tag, "OpenCodeConfigError")
      const dump = database.dump()
      assert.include(dump, "show-secret")
      assert.notInclude(dump, "canary-")
    }).pipe(Effect.provide(client)))

  it.live("a job is cancelled from a program without agents: while it works, while it waits, and not afterwards", () =>
    Effect.gen(function*() {
      const jobs = Array.from({ length: 14 }, (_, index): AgentJob => ({
        id: `cancel/${index}`,
        prompt: `cancelled ${index} sleep=60`
      }))
      yield* Effect.forEach(jobs, AgentRun.submit, { discard: true })
      // Four agents for each of two runners: some wait.
      const working = () => agent.log().filter(({ prompt }) => prompt.startsWith("cancelled"))
      yield* until(() => Effect.sync(() => working().length === 8))
      assert.strictEqual((yield* AgentRun.health).cluster.running, 8)
      yield* Effect.forEach(jobs, ({ id }) => AgentRun.cancel(id, "not needed"), { concurrency: "unbounded" })
      const errors = yield* Effect.forEach(jobs, ({ id }) => Effect.flip(AgentRun.result(id)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual([...new Set(errors.map(({ _tag }) => _tag))], ["JobCancelledError"])
      assert.lengthOf(working(), 8)
      assert.deepStrictEqual(working().filter(({ pid }) => isRunning(pid)), [])
      yield* AgentRun.execute({ id: "cancel/after", prompt: "after" })
      assert.isFalse(yield* AgentRun.cancel("cancel/after", "too late"))
      assert.strictEqual((yield* AgentRun.result("cancel/after")).answer, "done")
    }).pipe(Effect.provide(client)))

  it.live("a runner that a job kills: one outcome each, no second agent under fail, and events that go on", () =>
    Effect.gen(function*() {
      // All on the runner that will be killed: which one that is, is up to the placement.
      const [victim, survivor] = live as [processes.Runner, processes.Runner]
      const mine: Array<AgentJob> = []
      for (let index = 0; mine.length < 3; index++) {
        for (const afterCrash of ["fail", "restart", "resume"] as const) {
          if (mine.some((job) => job.afterCrash === afterCrash)) continue
          const job: AgentJob = {
            id: `kill/${afterCrash}/${index}`,
            prompt: `kill ${afterCrash} ${index} sleep=8`,
            afterCrash
          }
          yield* AgentRun.submit(job)
          if ((yield* runnerOf(job.id)) === victim) mine.push(job)
          else yield* AgentRun.cancel(job.id, "on the other runner")
        }
      }
      const seen: Array<LiveEvent> = []
      const restarting = mine.find(({ afterCrash }) => afterCrash === "restart")!
      const watcher = yield* Effect.fork(
        Stream.runForEach(AgentRun.events(restarting.id), (event) => Effect.sync(() => seen.push(event)))
      )
      const first = yield* Effect.forEach(mine, ({ prompt }) => started(prompt))
      yield* until(() => Effect.sync(() => seen.some(({ _tag }) => _tag === "Progress")))
      // A job that kills its runner, on the shard of one that is there.
      const { getShardId } = yield* Sharding.Sharding
      const shardOf = (id: string) => String(getShardId(EntityId.make(id), "default"))
      let index = 0
      while (shardOf(`poison/${index}`) !== shardOf(restarting.id)) index++
      const poison: AgentJob = {
        id: `poison/${index}`,
        prompt: "kill-runner",
        afterCrash: "restart",
        maxCrashes: 0
      }
      yield* AgentRun.submit(poison)
      yield* until(() => Effect.sync(() => !victim.isAlive()))
      live = [survivor]
      const outcomes = new Map(
        yield* Effect.forEach(
          mine,
          (job) => Effect.map(Effect.either(AgentRun.result(job.id)), (outcome) => [job.afterCrash, outcome] as const),
          {
            concurrency: "unbounded"
          }
        )
      )
      const lost = Either.getOrThrow(Either.flip(outcomes.get("fail")!))
      assert.strictEqual(lost._tag, "JobLostError")
      assert.include(lost.message, victim.name)
      const poisoned = yield* Effect.flip(AgentRun.result(poison.id))
      assert.strictEqual(poisoned._tag, "JobLostError")
      assert.lengthOf(agent.starts("kill-runner"), 1)
      assert.isTrue(survivor.isAlive())
      const restarted = Either.getOrThrow(outcomes.get("restart")!)
      assert.deepStrictEqual([restarted.attempt, restarted.runner], [2, survivor.name])
      const resumed = Either.getOrThrow(outcomes.get("resume")!)
      assert.deepStrictEqual([resumed.attempt, resumed.resumed], [2, true])
      // Resumed agents get another prompt, so each of these is a start of its own.
      assert.deepStrictEqual(
        mine.map(({ afterCrash, prompt }) => [afterCrash, agent.starts(prompt).length]),
        mine.map(({ afterCrash }) => [afterCrash, afterCrash === "restart" ? 2 : 1])
      )
      // The leash has ended them before the survivor began: no two agents of a job at a time.
      assert.deepStrictEqual(first.filter(({ pid }) => isRunning(pid)), [])
      assert.lengthOf(agent.log().filter(({ prompt, what }) => what === "end" && prompt === restarting.prompt), 1)
      yield* Fiber.join(watcher)
      assert.deepStrictEqual(
        seen.flatMap((event) => event._tag === "Progress" ? [] : [event._tag]),
        ["Started", "Gap", "Started", "Ended"]
      )
    }).pipe(Effect.provide(client)))

  it.live("a runner that joins interrupts nobody, and one that leaves finishes its agents and gives the others away", () =>
    Effect.gen(function*() {
      const [leaving] = live as [processes.Runner]
      const jobs = Array.from({ length: 8 }, (_, index): AgentJob => ({
        id: `drain/${index}`,
        // The first ones work until the others have gone to the runner that stays, and the fourth until it is cancelled.
        prompt: `drain ${index} ${index < 3 ? "gate=drain" : index === 3 ? "gate=never" : ""}`
      }))
      for (const job of jobs.slice(0, 4)) {
        yield* AgentRun.submit(job)
        yield* runnerOf(job.id)
      }
      yield* Effect.forEach(jobs.slice(4), AgentRun.submit, { discard: true })
      const joined = yield* Effect.promise(() => runners.start())
      live = [leaving, joined]
      const leave = yield* Effect.fork(Effect.promise(() => leaving.leave()))
      yield* until(() => Effect.map(AgentRun.poll(jobs[7]!.id), ({ _tag }) => _tag === "Settled"))
      yield* AgentRun.cancel(jobs[3]!.id, "cancelled while its runner leaves")
      assert.strictEqual((yield* Effect.flip(AgentRun.result(jobs[3]!.id)))._tag, "JobCancelledError")
      assert.isTrue(leaving.isAlive())
      agent.open("drain")
      jobs.splice(3, 1)
      const results = yield* Effect.forEach(jobs, ({ id }) => AgentRun.result(id), { concurrency: "unbounded" })
      yield* Fiber.join(leave)
      live = [joined]
      assert.deepStrictEqual([...new Set(results.map(({ attempt }) => attempt))], [1])
      assert.deepStrictEqual(results.map(({ runner }) => runner), [
        ...Array<string>(3).fill(leaving.name),
        ...Array<string>(4).fill(joined.name)
      ])
      assert.lengthOf(agent.log().filter(({ prompt, what }) => what === "start" && prompt.startsWith("drain")), 8)
    }).pipe(Effect.provide(client)))

  it.live("the database crashes under a working agent: its job has one outcome, and no two agents at a time", () =>
    Effect.gen(function*() {
      const job: AgentJob = { id: "restart", prompt: "restart sleep=5", afterCrash: "restart" }
      const result = yield* Effect.fork(AgentRun.execute(job))
      yield* started(job.prompt)
      yield* Effect.promise(() => database.restart())
      assert.strictEqual((yield* Fiber.join(result)).answer, "done")
      const ends = agent.log().filter(({ prompt, what }) => what === "end" && prompt === job.prompt)
      assert.lengthOf(ends, 1)
      assert.strictEqual((yield* AgentRun.execute({ id: "after restart", prompt: "after restart" })).answer, "done")
      // Stored by the first test, and sent by nobody: the watchdog has found it meanwhile.
      assert.strictEqual((yield* AgentRun.result("forgotten")).answer, "done")
    }).pipe(Effect.provide(client)))
})
