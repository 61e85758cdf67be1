import * as NodeContext from "@effect/platform-node/NodeContext"
import { describe, expect, it } from "@effect/vitest"
import * as AgentJob from "effect-opencode-cluster/AgentJob"
import * as AgentRun from "effect-opencode-cluster/AgentRun"
import * as Cluster from "effect-opencode-cluster/Cluster"
import * as RunLedger from "effect-opencode-cluster/RunLedger"
import { OpenCodeTest } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as LiveDisplay from "../src/display/LiveDisplay.js"
import * as ClusterBatch from "../src/fleet/ClusterBatch.js"
import * as clusterClient from "../src/fleet/clusterClient.js"
import * as ResultsFile from "../src/fleet/ResultsFile.js"
import * as clusterJob from "../src/jobs/clusterJob.js"
import * as Job from "../src/jobs/Job.js"
import * as JobFile from "../src/jobs/JobFile.js"
import { runCli } from "./support/cli.js"

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-cluster-batch-")))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

const plan = (prompts: ReadonlyArray<string>, defaults: Job.Input["defaults"] = {}) =>
  Job.plan({
    file: JobFile.parse({
      name: "jobs.jsonl",
      text: prompts.map((prompt) => JSON.stringify({ prompt })).join("\n"),
      format: "jsonl"
    }),
    defaults
  })

const { Reply } = OpenCodeTest

const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.asVoid(Effect.repeat(Effect.delay(condition, "20 millis"), { until: (isSo) => isSo }))

/** When the cluster has so many running jobs. */
const running = (count: number): Effect.Effect<void, never, RunLedger.RunLedger> =>
  Effect.flatMap(
    RunLedger.RunLedger,
    (ledger) => until(Effect.map(Effect.orDie(ledger.list({ state: "running" })), (jobs) => jobs.length === count))
  )

const alone: clusterJob.Shared = { cwd: undefined, workspace: undefined, secrets: undefined, afterCrash: undefined }

/** One invocation of the command, in a directory, with the cluster of the test. */
const batch = (
  root: string,
  jobs: ReadonlyArray<Job.Job>,
  options: Partial<ClusterBatch.Options> & { readonly resume?: boolean } = {}
) =>
  Effect.scoped(Effect.gen(function*() {
    const resume = options.resume ?? false
    const results = yield* ResultsFile.open(path.join(root, "jobs.results.jsonl"), {
      resume,
      jobs: new Set(jobs.map(({ id }) => id))
    })
    const client = { runs: yield* AgentRun.AgentRun, ledger: yield* RunLedger.RunLedger }
    const name = yield* ClusterBatch.identity(path.join(root, "jobs.cluster.json"), { resume })
    return yield* ClusterBatch.run({
      jobs,
      results,
      client,
      batch: name,
      shared: alone,
      concurrency: "unbounded",
      ...options
    })
  }))

const lines = (root: string): ReadonlyArray<{ readonly [field: string]: unknown }> =>
  fs.readFileSync(path.join(root, "jobs.results.jsonl"), "utf8").trim().split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line))

const test = <E>(
  name: string,
  answers: Parameters<typeof OpenCodeTest.layer>[0],
  body: (root: string) => Effect.Effect<
    void,
    E,
    AgentRun.AgentRun | RunLedger.RunLedger | OpenCodeTest.OpenCodeTest | LiveDisplay.Display | NodeContext.NodeContext
  >
) =>
  it.scopedLive(name, () =>
    Effect.flatMap(directory, body).pipe(
      Effect.provide(
        Cluster.layerTest({ agents: 8 }).pipe(
          Layer.provideMerge(OpenCodeTest.layer(answers)),
          Layer.merge(LiveDisplay.silent),
          Layer.provideMerge(NodeContext.layer)
        )
      )
    ), 30_000)

describe("a batch on a cluster", () => {
  test(
    "writes the results that the cluster has, with the runner",
    { one: "1", two: "2" },
    (root) =>
      Effect.gen(function*() {
        const jobs = yield* plan(["one", "two"])
        const { results, submitted, undone } = yield* batch(root, jobs)
        expect(results.map(({ answer, attempts, outcome, runner }) => [answer, attempts, outcome, runner])).toEqual([
          ["1", 1, "success", "test"],
          ["2", 1, "success", "test"]
        ])
        expect([submitted, undone.length]).toEqual([0, 0])
        expect(lines(root).map(({ id }) => id).sort()).toEqual(jobs.map(({ id }) => id).sort())
        expect(lines(root).every((line) => !("transcript" in line))).toBe(true)
        const display = yield* LiveDisplay.Display
        expect((yield* display.fleet).done).toBe(2)
      })
  )

  test("leaves its jobs running when it is detached, and gets their results when it is resumed", {
    slow: Reply.text("at last", { delay: "5 seconds" }),
    quick: "now"
  }, (root) =>
    Effect.gen(function*() {
      const jobs = yield* plan(["slow", "quick"])
      const left = yield* batch(root, jobs, {
        detach: until(Effect.sync(() => lines(root).length === 1))
      })
      expect(left.results.map(({ answer }) => answer)).toEqual(["now"])
      expect([left.submitted, left.stopped]).toEqual([1, "asked"])
      expect(ClusterBatch.farewell(left)).toMatch(/^1 job continues in the cluster: --resume/)
      const whole = yield* batch(root, jobs, { resume: true })
      expect(whole.results.map(({ answer }) => answer)).toEqual(["at last", "now"])
      expect((yield* (yield* RunLedger.RunLedger).list()).length).toBe(2)
      expect(lines(root).length).toBe(2)
    }))

  test("cancels the jobs without a result, and runs them again with another try", {
    slow: Reply.sequence([Reply.never, Reply.text("done")])
  }, (root) =>
    Effect.gen(function*() {
      const jobs = yield* plan(["slow", "never submitted"])
      const first = jobs.slice(0, 1)
      const ledger = yield* RunLedger.RunLedger
      const isRunning = Effect.provideService(running(1), RunLedger.RunLedger, ledger)
      yield* batch(root, first, { detach: isRunning })
      const cancelled = yield* batch(root, jobs, { resume: true, cancel: true })
      expect(cancelled.results.map(({ kind, outcome }) => [outcome, kind])).toEqual([
        ["JobCancelledError", "job cancelled"]
      ])
      expect([cancelled.undone.length, cancelled.submitted, cancelled.stopped]).toEqual([1, 0, "cancelled"])
      const again = yield* batch(root, first, { resume: true, retryFailed: true })
      expect(again.results.map(({ answer }) => answer)).toEqual(["done"])
    }))

  test("waits for a retry that was left, and cancels it, although its first try has a result", {
    job: Reply.sequence([
      Reply.fail(OpenCodeTest.Failure.timeout()),
      Reply.never,
      Reply.text("done")
    ])
  }, (root) =>
    Effect.gen(function*() {
      const jobs = yield* plan(["job"])
      const ledger = yield* RunLedger.RunLedger
      const isRunning = Effect.provideService(running(1), RunLedger.RunLedger, ledger)
      expect((yield* batch(root, jobs)).results.map(({ outcome }) => outcome)).toEqual(["OpenCodeTimeoutError"])
      const left = yield* batch(root, jobs, { resume: true, retryFailed: true, detach: isRunning })
      expect([left.submitted, left.stopped]).toEqual([1, "asked"])
      const waiting = yield* batch(root, jobs, { resume: true, detach: isRunning })
      expect([waiting.submitted, waiting.undone.length]).toEqual([1, 1])
      const cancelled = yield* batch(root, jobs, { resume: true, cancel: true })
      expect(cancelled.results.map(({ outcome }) => outcome)).toEqual(["JobCancelledError"])
      expect((yield* batch(root, jobs, { resume: true })).undone).toEqual([])
      expect((yield* ledger.list()).length).toBe(2)
    }))

  test("submits no further job after a failure, one at a time", {
    good: "1",
    bad: OpenCodeTest.Reply.fail(OpenCodeTest.Failure.timeout()),
    last: "3"
  }, (root) =>
    Effect.gen(function*() {
      const jobs = yield* plan(["good", "bad", "last"])
      const ended = yield* batch(root, jobs, { concurrency: 1, failFast: true })
      expect(ended.results.map(({ outcome }) => outcome === "success")).toEqual([true, false])
      expect([ended.stopped, ended.undone.map(({ prompt }) => prompt)]).toEqual(["failure", ["last"]])
      expect((yield* (yield* RunLedger.RunLedger).list()).length).toBe(2)
    }))

  test("refuses other options for a job that was submitted", {
    slow: Reply.never
  }, (root) =>
    Effect.gen(function*() {
      const ledger = yield* RunLedger.RunLedger
      yield* batch(root, yield* plan(["slow"]), {
        detach: Effect.provideService(running(1), RunLedger.RunLedger, ledger)
      })
      const refused = yield* Effect.flip(
        batch(root, yield* plan(["slow"], { timeout: "1 minute" }), { resume: true })
      )
      expect(refused.message).toBe("slow was submitted with another options.")
      expect(lines(root)).toEqual([])
    }))

  test(
    "does not submit the jobs of a batch a second time unless it is resumed",
    { one: "1" },
    (root) =>
      Effect.gen(function*() {
        yield* ClusterBatch.identity(path.join(root, "jobs.cluster.json"), { resume: false })
        const refused = yield* Effect.flip(batch(root, yield* plan(["one"])))
        expect(refused.message).toMatch(/^The jobs were submitted before/)
      })
  )
})

describe("a job for a cluster", () => {
  const problems = (defaults: Job.Input["defaults"], shared: Partial<clusterJob.Shared> = {}) =>
    Effect.map(
      plan(["a"], defaults),
      (jobs) => clusterJob.problemsOf(jobs, { ...alone, ...shared }, AgentJob).map(({ reason }) => reason)
    )

  it.effect("is refused if a part of it cannot travel", () =>
    Effect.gen(function*() {
      expect(yield* problems({ model: "a/b", timeout: "1 minute" })).toEqual([])
      expect(yield* problems({}, { cwd: "/srv/work" })).toEqual([])
      const found = [
        ...yield* problems({ extraEnv: { TOKEN: Redacted.make("6a1c0e44") } }),
        ...yield* problems({ password: Redacted.make("6a1c0e44") }),
        ...yield* problems({ keepRaw: true }),
        ...yield* problems({}, { cwd: "work" }),
        ...yield* problems({}, { cwd: "/srv", workspace: { url: "git@example.com:a.git" } }),
        ...yield* problems({}, { workspace: { url: "https://me:6a1c0e44@example.com/a.git" } })
      ]
      expect(found.length).toBe(6)
      expect(found[0]).toMatch(/`extraEnv`: a secret does not leave this machine/)
      expect(found[1]).toMatch(/`password`: a secret/)
      expect(found[2]).toMatch(/`keepRaw`: not with --cluster/)
      expect(found[3]).toMatch(/`cwd`: .* must be absolute/)
      expect(found[4]).toMatch(/`cwd`: not with --workspace/)
      expect(found[5]).toMatch(/`workspace`: credentials/)
      expect(found.join("")).not.toContain("6a1c0e44")
    }))
})

describe("batch --cluster", () => {
  const asked = (args: ReadonlyArray<string>, env: { readonly [name: string]: string } = {}) =>
    Effect.gen(function*() {
      const root = yield* directory
      fs.writeFileSync(path.join(root, "jobs.jsonl"), "{\"prompt\":\"one\"}\n")
      const ended = yield* runCli(["batch", path.join(root, "jobs.jsonl"), ...args], { env })
      expect(fs.readdirSync(root)).toEqual(["jobs.jsonl"])
      return ended
    })

  it.scopedLive("refuses what cannot be done before anything is submitted, and repeats no password", () =>
    Effect.gen(function*() {
      const url = "postgres://me:canary-91f0@db.example.com/agents"
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp, { readonly [name: string]: string }?]> = [
        [["--cluster"], /the variable DATABASE_URL/],
        [["--cluster", url], /A URL of a database is not an argument/],
        [["--cluster"], /DATABASE_URL is not a URL of PostgreSQL/, { DATABASE_URL: "mysql://me:canary-91f0@a/b" }],
        [["--cluster", "--server"], /--server: not with --cluster/],
        [["--cluster", "--worktree"], /--worktree: not with --cluster/],
        [["--cluster", "--binary", "/bin/true"], /--binary: not with --cluster/],
        [["--cluster", "--total-cost", "1"], /runners share a budget/],
        [["--cluster", "--fail-fast"], /needs --jobs/],
        [["--cluster", "--cancel"], /--cancel needs --resume/],
        [["--cluster", "--base", "main"], /needs --workspace/],
        [["--workspace", "git@a:b.git"], /need --cluster/],
        [["--cluster", "--cwd", "here"], /must be absolute/]
      ]
      for (const [args, says, env] of cases) {
        const ended = yield* asked(args, env)
        expect([args, ended.code]).toEqual([args, 2])
        expect(ended.stderr).toMatch(says)
        expect(ended.stderr + ended.stdout).not.toContain("canary")
      }
    }))

  it.scopedLive("fails without the password if the database does not answer", () =>
    Effect.gen(function*() {
      const ended = yield* asked(["--cluster"], { DATABASE_URL: "postgres://me:canary-91f0@127.0.0.1:1/agents" })
      expect(ended.code).toBe(1)
      expect(ended.stderr).toMatch(/The cluster cannot be used/)
      expect(ended.stderr).not.toContain("canary")
    }), 60_000)

  it("knows the passwords of a URL, wherever they are", () => {
    const secrets = (url: string) => clusterClient.secretsOf(url).filter((text) => text !== url)
    expect(secrets("postgres://me@host/agents")).toEqual([])
    expect(secrets("postgres://me:a%20b@host/agents")).toEqual(["a%20b", "a b"])
    expect(secrets("postgres://me:100%zz@host/agents")).toContain("100%zz")
    expect(secrets("postgres://me@host/agents?password=canary")).toContain("canary")
  })

  it.effect("says which packages to install", () =>
    Effect.gen(function*() {
      const missing = Object.assign(new Error("no"), { code: "ERR_MODULE_NOT_FOUND" })
      const { hint, message } = yield* Effect.flip(clusterClient.modules(() => Promise.reject(missing)))
      expect(message).toBe("--cluster needs the packages effect-opencode-cluster and @effect/sql-pg.")
      expect(hint).toBe(
        "npm install effect-opencode-cluster @effect/sql-pg@0.53.0, where effect-opencode-cli is installed"
      )
    }))
})
