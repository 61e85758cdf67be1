/** `batch --cluster` as a process, with two runners as processes on PostgreSQL, and a stand-in for OpenCode. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as agents from "../../../cluster/test/support/agent.js"
import * as postgres from "../../../cluster/test/support/postgres.js"
import * as runners from "../../../cluster/test/support/runners.js"

const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url))

const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 100))

describe.runIf(postgres.programs() !== undefined)("batch on a cluster", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "eo-batch-cluster-"))
  const agent = agents.make(directory)
  const secret = "canary-5d20ab91"
  let database: postgres.Postgres
  let fleet: runners.Runners

  /** The URL has a password, which this server does not ask for. */
  const url = () => database.url.replace("test@", `test:${secret}@`)

  const batch = (...args: ReadonlyArray<string>) => {
    const child = spawn(
      process.execPath,
      ["--import", "tsx", program, "batch", path.join(directory, "jobs.jsonl"), "--cluster", ...args],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, DATABASE_URL: url() } }
    )
    let output = ""
    child.stdout.on("data", (data) => output += String(data))
    child.stderr.on("data", (data) => output += String(data))
    return {
      output: () => output,
      interrupt: () => child.kill("SIGINT"),
      ended: new Promise<number | null>((resolve) => child.once("close", resolve))
    }
  }

  const results = (): ReadonlyArray<Record<string, unknown>> =>
    fs.readFileSync(path.join(directory, "jobs.results.jsonl"), "utf8").split("\n").filter((line) => line !== "")
      .map((line) => JSON.parse(line))

  const write = (prompts: ReadonlyArray<string>) => {
    for (const name of fs.readdirSync(directory)) {
      if (name.startsWith("jobs.")) fs.rmSync(path.join(directory, name), { recursive: true })
    }
    fs.writeFileSync(
      path.join(directory, "jobs.jsonl"),
      prompts.map((prompt) => `${JSON.stringify({ prompt, name: prompt })}\n`).join("")
    )
  }

  beforeAll(async () => {
    database = await postgres.start(directory)
    fleet = runners.make({ directory, url: database.url, binary: agent.binary })
    await Promise.all([fleet.start(), fleet.start()])
  }, 120_000)

  afterAll(async () => {
    await fleet?.stop()
    await database?.stop()
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  })

  it("runs its jobs on the runners, leaves them on Ctrl-C, and gets their results when it is resumed", async () => {
    const prompts = ["a sleep=0.1", "b sleep=0.1", "c sleep=0.1", "long sleep=8"]
    write(prompts)
    const first = batch()
    while (
      agent.starts("long sleep=8").length === 0 || results().length < 3 || !first.output().includes("starts on")
    ) {
      await Promise.race([pause(), first.ended.then(() => Promise.reject(new Error(first.output())))])
    }
    first.interrupt()
    assert.strictEqual(await first.ended, 130, first.output())
    assert.match(first.output(), /long sleep=8 +starts on 127\.0\.0\.1:\d+/)
    assert.match(first.output(), /1 job continues in the cluster: --resume waits/)
    assert.match(first.output(), /get the rest +effect-opencode batch .* --cluster --resume/)
    assert.isEmpty(agent.log().filter(({ prompt, what }) => what === "end" && prompt.startsWith("long")))

    const report = path.join(directory, "report.html")
    const second = batch("--resume", "--report", report)
    assert.strictEqual(await second.ended, 0, second.output())
    assert.match(second.output(), /4 runs · 4 succeeded/)
    assert.deepStrictEqual(
      results().map(({ answer, attempts, outcome }) => [answer, attempts, outcome]),
      prompts.map(() => ["done", 1, "success"])
    )
    for (const { runner } of results()) assert.match(String(runner), /^127\.0\.0\.1:\d+$/)
    for (const prompt of prompts) assert.strictEqual(agent.starts(prompt).length, 1)
    // Waiting of the resumed batch is not the time of the job.
    assert.isAbove(Number(results().at(-1)?.["duration"]), 7_900)
    const written = [first.output(), second.output(), fs.readFileSync(report, "utf8"), JSON.stringify(results())]
    for (const text of written) assert.notInclude(text, secret)
  }, 120_000)

  it("cancels what it has left in the cluster", async () => {
    write(["endless sleep=600"])
    const first = batch()
    while (agent.starts("endless sleep=600").length === 0) await pause()
    first.interrupt()
    assert.strictEqual(await first.ended, 130, first.output())
    const second = batch("--resume", "--cancel")
    assert.strictEqual(await second.ended, 1, second.output())
    assert.deepStrictEqual(results().map(({ outcome }) => outcome), ["JobCancelledError"])
    const [started] = agent.starts("endless sleep=600")
    for (let left = 100; left > 0 && fs.existsSync(`/proc/${started!.pid}`); left--) await pause()
    assert.isFalse(fs.existsSync(`/proc/${started!.pid}`))
  }, 120_000)
})
