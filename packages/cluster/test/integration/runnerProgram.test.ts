/** The command `effect-opencode-cluster` as a process, with a stand-in for OpenCode. */
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as AgentRun from "effect-opencode-cluster/AgentRun"
import * as Cluster from "effect-opencode-cluster/Cluster"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as connection from "../../src/internal/bin/database.js"
import * as agents from "../support/agent.js"
import * as postgres from "../support/postgres.js"
import * as proxies from "../support/proxy.js"

const program = fileURLToPath(new URL("../../src/internal/bin/main.ts", import.meta.url))

const start = (args: ReadonlyArray<string>, env: Record<string, string>) => {
  const child = spawn(process.execPath, ["--import", "tsx", program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env }
  })
  let output = ""
  child.stdout.on("data", (data) => output += String(data))
  child.stderr.on("data", (data) => output += String(data))
  return {
    output: () => output,
    signal: (name: NodeJS.Signals) => child.kill(name),
    ended: new Promise<number | null>((resolve) => child.once("close", resolve))
  }
}

/** The timers of this machine's connections to a port: `00` none, `02` keep-alive. */
const timersOf = (port: number): ReadonlyArray<string> =>
  fs.readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/))
    .filter(([, , remote]) => remote === `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`)
    .map((fields) => fields[5]!.slice(0, 2))

const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 100))

describe("the runner as a program", () => {
  it("exits with the code of the fault, and prints no secret", async () => {
    const url = "postgres://test:canary-2b91c0de@127.0.0.1:1/none"
    const cases = [
      { args: ["runner", url], env: {}, code: 2, says: /DATABASE_URL/ },
      { args: ["runner", "--host", "a"], env: { DATABASE_URL: "mysql://canary-2b91c0de" }, code: 2, says: /postgres:/ },
      {
        args: ["runner", "--host", "127.0.0.1", "--secret", "MISSING_ONE"],
        env: { DATABASE_URL: url },
        code: 2,
        says: /MISSING_ONE/
      },
      {
        args: ["runner", "--host", "127.0.0.1", "--health-port", String(await postgres.freePort())],
        env: { DATABASE_URL: url, OPENCODE_BINARY: "/nowhere/opencode" },
        code: 3,
        says: /nowhere/
      }
    ]
    const found = await Promise.all(cases.map(async ({ args, env }) => {
      const one = start(args, env)
      return { code: await one.ended, output: one.output() }
    }))
    assert.deepStrictEqual(found.map(({ code }) => code), cases.map(({ code }) => code), JSON.stringify(found))
    for (const [index, { says }] of cases.entries()) assert.match(found[index]!.output, says)
    for (const { output } of found) assert.notInclude(output, "canary-")
  })
})

describe.runIf(postgres.programs() !== undefined)("a runner on PostgreSQL", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "eo-cluster-bin-"))
  const agent = agents.make(directory)
  let database: postgres.Postgres
  let ours: ReturnType<typeof start> | undefined

  beforeAll(async () => {
    database = await postgres.start(directory)
  })

  afterAll(async () => {
    ours?.signal("SIGKILL")
    await ours?.ended
    await database?.stop()
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  })

  it("gives up a statement that is not answered, by default after a minute", async () => {
    const limitOf = (url: string) => new URL(Redacted.value(connection.urlOf(url))).searchParams.get("query_timeout")
    assert.deepStrictEqual([limitOf(database.url), limitOf(`${database.url}?query_timeout=7`)], ["60000", "7"])
    const proxy = await proxies.start(database.port)
    const url = database.url.replace(String(database.port), String(proxy.port))
    const unanswered = Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      proxy.setMode("half-open")
      return yield* Effect.flip(sql`SELECT 1`)
    }).pipe(Effect.provide(PgClient.layer({ url: connection.urlOf(`${url}?query_timeout=500`) })))
    const error = await Effect.runPromise(unanswered)
    proxy.close()
    assert.match(String(error.cause), /timeout/)
  })

  it("works, says how it is, and finishes its agent after SIGTERM", async () => {
    // Says what it has inherited.
    const environment = path.join(directory, "environment")
    fs.writeFileSync(
      agent.binary,
      fs.readFileSync(agent.binary, "utf8").replace("note start", `env >> '${environment}'\nnote start`)
    )
    const [port, healthPort] = [await postgres.freePort(), await postgres.freePort()]
    const runner = ours = start([
      "runner",
      "--host",
      "127.0.0.1",
      `--port=${port}`,
      `--health-port=${healthPort}`,
      "--name",
      "first",
      "--secret",
      "DEPLOY_TOKEN",
      "--data",
      path.join(directory, "data")
    ], { DATABASE_URL: database.url, DEPLOY_TOKEN: "canary-77aa01fe", OPENCODE_BINARY: agent.binary, HOME: directory })
    const ask = async (what: string): Promise<{ readonly status: number; readonly body: string }> => {
      try {
        const answer = await fetch(`http://127.0.0.1:${healthPort}/${what}`)
        return { status: answer.status, body: await answer.text() }
      } catch {
        return { status: 0, body: "" }
      }
    }
    const until = async (condition: () => Promise<boolean> | boolean) => {
      let isOver = false
      void runner.ended.then(() => {
        isOver = true
      })
      while (!(await condition())) {
        if (isOver) throw new Error(runner.output())
        await pause()
      }
    }
    await until(async () => (await ask("ready")).status === 200)
    assert.include(timersOf(database.port), "02")
    // The database goes and comes back: no reason to kill the runner.
    await database.restart(async () => {
      await until(async () => (await ask("ready")).body.includes("no-database"))
      assert.strictEqual((await ask("live")).status, 200)
    })
    await until(async () => (await ask("ready")).status === 200)
    const client = Cluster.layerClient().pipe(Layer.provide(PgClient.layer({ url: Redacted.make(database.url) })))
    const working = Effect.runPromise(
      AgentRun.execute({ id: "long", prompt: "long sleep=6" }).pipe(Effect.provide(client))
    )
    await until(() => agent.starts("long sleep=6").length === 1)
    const health = await ask("health")
    assert.strictEqual(health.status, 200)
    assert.include(JSON.parse(health.body), { status: "ok" })
    assert.deepInclude(JSON.parse(health.body).runner, { name: "first", running: 1, waiting: 0 })
    runner.signal("SIGTERM")
    await until(async () => (await ask("ready")).status === 503)
    const draining = await ask("health")
    assert.deepStrictEqual([draining.status, JSON.parse(draining.body).status], [503, "draining"])
    assert.strictEqual((await ask("live")).status, 200)
    const result = await working
    assert.deepStrictEqual([result.answer, result.attempt, result.runner], ["done", 1, "first"])
    assert.strictEqual(await runner.ended, 143, runner.output())
    const inherited = fs.readFileSync(environment, "utf8")
    assert.include(inherited, "OPENCODE_BINARY")
    assert.notInclude(inherited, "DATABASE_URL")
    assert.notInclude(inherited, "canary-")
    assert.notInclude(runner.output(), "canary-")
  })
})
