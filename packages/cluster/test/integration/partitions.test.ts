/** Networks that are cut, and runners that die at each step of a job, with real processes on PostgreSQL. */
import * as EntityId from "@effect/cluster/EntityId"
import * as Sharding from "@effect/cluster/Sharding"
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { AgentJob } from "effect-opencode-cluster/AgentJob"
import * as AgentRun from "effect-opencode-cluster/AgentRun"
import * as Cluster from "effect-opencode-cluster/Cluster"
import * as RunLedger from "effect-opencode-cluster/RunLedger"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as agents from "../support/agent.js"
import * as postgres from "../support/postgres.js"
import * as proxies from "../support/proxy.js"
import * as processes from "../support/runners.js"

/** These start up to seven runners, which takes minutes on a machine that is busy. */
const patience = 480_000

const until = <A, E, R>(condition: () => Effect.Effect<A | undefined | false, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(condition(), (value) =>
    value === undefined || value === false
      ? Effect.delay(until(condition), "100 millis")
      : Effect.succeed(value))

describe.runIf(postgres.programs() !== undefined)("runners whose network or life is cut", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "eo-partitions-"))
  const agent = agents.make(directory, { watch: true })
  const opened: Array<proxies.Proxy> = []
  let database: postgres.Postgres
  let runners: processes.Runners
  let survivor: processes.Runner

  beforeAll(async () => {
    database = await postgres.start(directory)
    runners = processes.make({ directory, url: database.url, binary: agent.binary })
    survivor = await runners.start()
  })

  afterAll(async () => {
    await runners?.stop()
    for (const proxy of opened) proxy.close()
    await database?.stop()
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  })

  const client = Layer.suspend(() => {
    const sql = PgClient.layer({ url: Redacted.make(database.url) })
    return Layer.provideMerge(Cluster.layerClient(), sql)
  })

  /** A runner that reaches the database by a way of its own. */
  const cuttable = (env: Record<string, string> = {}) =>
    Effect.promise(async () => {
      const proxy = await proxies.start(database.port)
      opened.push(proxy)
      const url = database.url.replace(String(database.port), String(proxy.port))
      return { proxy, runner: await runners.start({ url, env }) }
    })

  /** The owner of each shard, once the runners have shared them. */
  const owners = (names: ReadonlyArray<string>) =>
    until(() =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const rows = yield* sql<{ shard_id: string; address: string }>`SELECT shard_id, address FROM cluster_locks`
        const all = new Set(rows.map(({ address }) => address))
        return rows.length === 300 && all.size === names.length && names.every((name) => all.has(name)) &&
          new Map(rows.map(({ address, shard_id }) => [shard_id, address]))
      })
    )

  /** An id whose job is the runner's. */
  const idOn = (shards: ReadonlyMap<string, string>, runner: processes.Runner, prefix: string) =>
    Effect.map(Sharding.Sharding, ({ getShardId }) => {
      for (let index = 0;; index++) {
        const id = `${prefix}-${index}`
        if (shards.get(String(getShardId(EntityId.make(id), "default"))) === runner.name) return id
      }
    })

  const overlaps = () => agent.log().filter(({ what }) => what === "overlap")

  it.live("a message that was read, and that nobody works on, is sent again by the watchdog", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      // As a runner leaves it that takes a message and forgets it: nobody reads it for ten minutes.
      yield* sql.unsafe(`
        CREATE FUNCTION claim() RETURNS trigger AS $$ BEGIN NEW.last_read := NOW(); RETURN NEW; END $$ LANGUAGE plpgsql;
        CREATE TRIGGER claim BEFORE INSERT ON cluster_messages FOR EACH ROW
        WHEN (NEW.entity_id = 'skipped' AND NEW.payload NOT LIKE '%watchdog%') EXECUTE FUNCTION claim()`)
      yield* AgentRun.submit({ id: "skipped", prompt: "skipped" })
      assert.strictEqual((yield* AgentRun.poll("skipped"))._tag, "Accepted")
    }).pipe(Effect.provide(client)))

  it.live(
    "a network that is dark, half open or slow: agents end before others begin, also if PostgreSQL restarts",
    () =>
      Effect.gen(function*() {
        const modes = ["dark", "half-open", "slow"] as const
        const cut = yield* Effect.all(modes.map(() => cuttable()), { concurrency: "unbounded" })
        const shards = yield* owners([survivor.name, ...cut.map(({ runner }) => runner.name)])
        const jobs = yield* Effect.forEach(
          cut,
          ({ runner }, index) =>
            Effect.map(idOn(shards, runner, modes[index]!), (id): AgentJob => ({
              id,
              prompt: `${id} gate=partition`,
              afterCrash: "restart"
            }))
        )
        yield* Effect.forEach(jobs, AgentRun.submit)
        yield* Effect.forEach(jobs, ({ prompt }) => until(() => Effect.sync(() => agent.starts(prompt)[0])))
        cut.forEach(({ proxy }, index) => proxy.setMode(modes[index]!))
        yield* Effect.promise(() => database.restart())
        yield* Effect.forEach(jobs, ({ prompt }) => until(() => Effect.sync(() => agent.starts(prompt)[1])))
        agent.open("partition")
        const results = yield* Effect.forEach(jobs, ({ id }) => AgentRun.result(id))
        assert.deepStrictEqual(results.map(({ runner }) => runner), jobs.map(() => survivor.name))
        assert.deepStrictEqual(overlaps(), [])
        // What was cut off knows nothing of a verdict, and is well when the network is back.
        cut.forEach(({ proxy }) => proxy.setMode("open"))
        assert.deepStrictEqual(cut.filter(({ runner }) => !runner.isAlive()), [])
        yield* owners([survivor.name, ...cut.map(({ runner }) => runner.name)])
        yield* Effect.promise(() => Promise.all(cut.map(({ runner }) => runner.leave())))
      }).pipe(Effect.provide(client)),
    patience
  )

  it.live(
    "a runner that is killed at each step of a job: one outcome, and agents only where it says so",
    () =>
      Effect.gen(function*() {
        const origin = path.join(directory, "origin.git")
        const git = (...args: ReadonlyArray<string>) =>
          execFileSync("git", ["-C", origin, ...args], { encoding: "utf8" })
        fs.mkdirSync(origin)
        git("init", "--quiet", "--bare", "--initial-branch=main")
        const tree = git("hash-object", "-t", "tree", "-w", "/dev/null").trim()
        const commit = git("-c", "user.name=T", "-c", "user.email=t@localhost", "commit-tree", tree, "-m", "one").trim()
        git("update-ref", "refs/heads/main", commit)

        const steps = [
          { name: "before-begin", trap: /INSERT INTO opencode_attempts/, starts: 1, attempt: 1 },
          { name: "begin-spawn", trap: undefined, starts: 1, attempt: 2 },
          { name: "spawn-prompt", trap: /SET prompted = 1/, starts: 1, attempt: 2 },
          { name: "end-verdict", trap: /SET state = 'settled'/, starts: 1, attempt: undefined },
          { name: "verdict-reply", trap: /INSERT INTO "?cluster_replies/, starts: 1, attempt: 1 },
          { name: "claim-verdict", trap: /SET state = 'settled'/, starts: 1, attempt: 1 }
        ]
        const cut = yield* Effect.forEach(
          steps,
          ({ trap }) => cuttable(trap === undefined ? { AGENT_KILLS_AT_VERSION: "1" } : {}),
          { concurrency: 3 }
        )
        const shards = yield* owners([survivor.name, ...cut.map(({ runner }) => runner.name)])
        const jobs = yield* Effect.forEach(
          steps,
          ({ name }, index) =>
            Effect.map(idOn(shards, cut[index]!.runner, name), (id): AgentJob => ({
              id,
              ...(name === "claim-verdict"
                ? { prompt: `${id} touch-file`, workspace: { url: origin } }
                : { prompt: id })
            }))
        )
        const sprung = steps.map(async ({ trap }, index) => {
          const { proxy, runner } = cut[index]!
          if (trap !== undefined) {
            await proxy.darkAt(trap)
            await runner.kill()
          } else while (runner.isAlive()) await new Promise((resolve) => setTimeout(resolve, 50))
        })
        yield* Effect.forEach(jobs, AgentRun.submit)
        yield* Effect.promise(() => Promise.all(sprung))
        const outcomes = yield* Effect.forEach(jobs, ({ id }) => Effect.either(AgentRun.result(id)), {
          concurrency: "unbounded"
        })
        // The one whose verdict is stored has its outcome at once. Its message is answered by the survivor, which
        // needs the row that the killed runner has locked.
        yield* owners([survivor.name])
        const sql = yield* PgClient.PgClient
        yield* until(() =>
          Effect.map(
            sql`SELECT 1 FROM cluster_messages WHERE entity_id IN ${
              sql.in(jobs.map(({ id }) => id))
            } AND NOT processed`,
            (rows) => rows.length === 0
          )
        )
        assert.deepStrictEqual(
          outcomes.map((outcome, index) => [
            steps[index]!.name,
            Either.match(outcome, { onLeft: ({ _tag }) => _tag, onRight: ({ attempt }) => attempt }),
            agent.starts(jobs[index]!.prompt).length
          ]),
          steps.map(({ attempt, name, starts }) => [name, attempt ?? "JobLostError", starts])
        )
        assert.deepStrictEqual(overlaps(), [])
        const branch = Either.getOrThrow(outcomes.at(-1)!).branch
        assert.strictEqual(branch, `opencode/${jobs.at(-1)!.id}/1`)
        assert.strictEqual(git("show", `${branch}:changed.txt`), "changed\n")
        assert.strictEqual(git("for-each-ref", "refs/opencode"), "")
        const ledger = yield* RunLedger.RunLedger
        assert.strictEqual((yield* ledger.counts).running, 0)
        // Of the first test.
        assert.strictEqual((yield* AgentRun.result("skipped")).answer, "done")
      }).pipe(Effect.provide(client)),
    patience
  )
})
