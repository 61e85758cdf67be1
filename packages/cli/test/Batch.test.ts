import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { FleetBudget, Leftovers } from "effect-opencode"
import { Events, MockCommandExecutor, OpenCodeTest } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Ref from "effect/Ref"
import * as TestClock from "effect/TestClock"
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as LiveDisplay from "../src/display/LiveDisplay.js"
import * as Batch from "../src/fleet/Batch.js"
import type { FleetEvent } from "../src/fleet/Fleet.js"
import { ResultsFileError } from "../src/fleet/ResultsFile.js"
import type { Job } from "../src/jobs/Job.js"
import type { JobResult } from "../src/jobs/JobResult.js"
import { result } from "./support/results.js"

const { Failure, Reply } = OpenCodeTest

const job = (id: string, given: Partial<Job> = {}): Job => ({
  id,
  index: 0,
  name: `job ${id}`,
  prompt: id,
  cwd: undefined,
  options: {},
  cell: {},
  repeat: 1,
  places: { row: { source: "jobs.jsonl" }, fields: new Map() },
  ...given
})

const jobs = (...ids: ReadonlyArray<string>): ReadonlyArray<Job> => ids.map((id, index) => job(id, { index }))

const idsOf = (results: ReadonlyArray<{ readonly id: string }>) => results.map(({ id }) => id)

/** A batch that keeps its results and its display in memory. */
const batch = (given: Partial<Batch.Options> & { readonly jobs: ReadonlyArray<Job> }) =>
  Effect.gen(function*() {
    const written = yield* Ref.make<ReadonlyArray<JobResult>>([])
    const events = yield* Ref.make<ReadonlyArray<FleetEvent>>([])
    const log = yield* Ref.make<ReadonlyArray<string>>([])
    const stop = yield* Deferred.make<void>()
    const silent = yield* Effect.provide(LiveDisplay.Display, LiveDisplay.silent)
    const run = Batch.run({
      results: { before: [], append: (result) => Ref.update(written, (all) => [...all, result]) },
      directory: "/results",
      transcripts: "/results/transcripts",
      cwd: "/there",
      concurrency: 2,
      stop: Deferred.await(stop),
      ...given
    }).pipe(
      Effect.provideService(LiveDisplay.Display, {
        ...silent,
        emit: (event) => Ref.update(events, (all) => [...all, event]),
        log: (line) => Ref.update(log, (all) => [...all, line])
      })
    )
    return {
      run,
      stop: Deferred.succeed(stop, undefined),
      written: Ref.get(written),
      log: Ref.get(log),
      events: Ref.get(events),
      /** The tags and ids of the events, without run events. */
      course: Effect.map(Ref.get(events), (all) =>
        all.flatMap((event) =>
          event._tag === "Observed" ? [] : [`${event._tag}${"id" in event ? ` ${event.id}` : ""}`]
        ))
    }
  })

type Respond = Parameters<typeof OpenCodeTest.layer>[0]

/** Nothing is read or written, so that only the test clock decides what happens when. */
const opencode = (respond: Respond, options?: OpenCodeTest.Options) =>
  Layer.mergeAll(
    OpenCodeTest.layer(respond, options),
    FileSystem.layerNoop({}),
    Path.layer,
    MockCommandExecutor.layer([])
  )

/** For real files and real processes around the scripted runs. */
const onDisk = (respond: Respond) => Layer.merge(OpenCodeTest.layer(respond), NodeContext.layer)

const slow = (seconds: number) => Reply.text("done", { delay: `${seconds} seconds` })

const running = Effect.flatMap(OpenCodeTest.OpenCodeTest, (test) => test.running)

const prompts = Effect.map(
  Effect.flatMap(OpenCodeTest.OpenCodeTest, (test) => test.calls),
  (calls) => calls.map(({ prompt }) => prompt)
)

const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** Lets everything happen that does not wait for the clock. */
const settle = Effect.repeatN(turn, 50)

/** Waits for a state that the batch reaches by itself. */
const until = <R>(what: string, reached: Effect.Effect<boolean, never, R>): Effect.Effect<void, never, R> => {
  const again = (turns: number): Effect.Effect<void, never, R> =>
    Effect.flatMap(reached, (isReached) =>
      isReached
        ? Effect.void
        : turns === 0
        ? Effect.dieMessage(`never reached: ${what}`)
        : Effect.andThen(turn, again(turns - 1)))
  return again(100_000)
}

/** Waits until this many runs sleep until a time. */
const untilAsleep = (at: number, count = 1) =>
  until(
    `${count} sleeping until ${at}`,
    Effect.map(TestClock.sleeps(), (sleeps) => [...sleeps].filter((time) => time === at).length >= count)
  )

const untilCourse = (course: Effect.Effect<ReadonlyArray<string>>, event: string) =>
  until(event, Effect.map(course, (all) => all.includes(event)))

const adjust = (duration: Parameters<typeof TestClock.adjust>[0]) => Effect.andThen(TestClock.adjust(duration), settle)

describe("Batch", () => {
  it.effect("runs every job and reports each outcome", () =>
    Effect.gen(function*() {
      const { course, run, written } = yield* batch({
        jobs: [
          job("a", { options: { model: "x/y", agent: "plan" }, cell: { model: "x/y" }, cwd: "sub", repeat: 2 }),
          job("b", { index: 1 })
        ],
        concurrency: 1
      })
      const outcome = yield* run
      expect(outcome).toEqual({ results: yield* written, undone: [], stopped: undefined })
      expect(outcome.results[0]).toMatchObject({
        id: "a",
        index: 0,
        name: "job a",
        prompt: "a",
        cwd: "/there/sub",
        model: "x/y",
        agent: "plan",
        cell: { model: "x/y" },
        repeat: 2,
        outcome: "success",
        finishReason: "stop",
        answer: "A",
        steps: 2,
        toolCalls: 1,
        attempts: 1,
        cost: 0.25
      })
      expect(outcome.results[0]!.runId).toMatch(/^[0-9a-z]{15}$/)
      expect(outcome.results[1]).toMatchObject({ id: "b", outcome: "OpenCodeSessionError", answer: "so far", steps: 1 })
      expect(outcome.results[1]!.message).toContain("HTTP 401")
      expect(yield* course).toEqual(["Queued a", "Queued b", "Started a", "Ended a", "Started b", "Ended b"])
    }).pipe(Effect.provide(opencode({
      a: Reply.text("A", { cost: 0.25, before: [Events.turn(Events.tool({ tool: "read" })).slice(0, -1)] }),
      b: Reply.events([Events.stepStart(), Events.text("so far"), Events.error({ message: "no", statusCode: 401 })])
    }))))

  it.effect("shows the events of runs as they arrive", () =>
    Effect.gen(function*() {
      const { events, run } = yield* batch({ jobs: jobs("a") })
      const fiber = yield* Effect.fork(run)
      yield* untilAsleep(3000)
      yield* adjust("3 seconds")
      const seen = yield* events
      expect(seen.map((event) => event._tag)).toEqual(["Queued", "Started", "Observed"])
      expect(seen[2]).toMatchObject({ id: "a", at: 3000, event: { _tag: "StepStart" } })
      yield* untilAsleep(5000)
      yield* adjust("2 seconds")
      yield* Fiber.join(fiber)
      expect((yield* events).at(-1)).toMatchObject({
        _tag: "Ended",
        at: 5000,
        result: { startedAt: 0, duration: Duration.seconds(5) }
      })
    }).pipe(Effect.provide(opencode({
      a: Reply.events([
        MockCommandExecutor.sleep("3 seconds"),
        Events.stepStart(),
        MockCommandExecutor.sleep("2 seconds"),
        Events.text("x"),
        Events.finish()
      ])
    }))))

  it.effect("runs no more jobs at a time than allowed", () =>
    Effect.gen(function*() {
      const { run } = yield* batch({ jobs: jobs("1", "2", "3", "4", "5", "6", "7"), concurrency: 3 })
      const fiber = yield* Effect.fork(run)
      for (const [second, count] of [3, 3, 1].entries()) {
        yield* untilAsleep((second + 1) * 1000, count)
        yield* settle
        expect([second, yield* running]).toEqual([second, count])
        yield* TestClock.adjust("1 second")
      }
      expect((yield* Fiber.join(fiber)).results.length).toBe(7)
    }).pipe(Effect.provide(opencode(() => slow(1)))))

  it.effect("continues after a failed job or a defect", () =>
    Effect.gen(function*() {
      const { run } = yield* batch({ jobs: jobs("fails", "unknown prompt", "works"), concurrency: 1 })
      const { results } = yield* run
      expect(results.map(({ outcome }) => outcome)).toEqual(["OpenCodeProcessError", "Defect", "success"])
      expect(results[1]!.message).toContain("has no answer to the prompt")
    }).pipe(Effect.provide(opencode({ fails: Reply.fail(Failure.process({ exitCode: 7 })), works: "fine" }))))

  it.effect("with failFast starts no job after the first failure", () =>
    Effect.gen(function*() {
      const { course, run } = yield* batch({ jobs: jobs("slow", "fails", "never"), failFast: true })
      const fiber = yield* Effect.fork(run)
      yield* untilAsleep(10_000)
      yield* untilCourse(course, "Ended fails")
      yield* adjust("10 seconds")
      const outcome = yield* Fiber.join(fiber)
      expect(outcome.stopped).toBe("failure")
      expect(outcome.results.map(({ id, outcome }) => [id, outcome])).toEqual([
        ["slow", "success"],
        ["fails", "OpenCodeTimeoutError"]
      ])
      expect(idsOf(outcome.undone)).toEqual(["never"])
      expect(yield* course).toEqual([
        "Queued slow",
        "Queued fails",
        "Queued never",
        "Started slow",
        "Started fails",
        "Ended fails",
        "Stopping",
        "Ended slow"
      ])
    }).pipe(Effect.provide(opencode({ slow: slow(10), fails: Reply.fail(Failure.timeout()) }))))

  describe("that is asked to stop", () => {
    it.effect("lets running jobs end and starts no other", () =>
      Effect.gen(function*() {
        const { course, run, stop } = yield* batch({ jobs: jobs("1", "2", "3", "4") })
        const fiber = yield* Effect.fork(run)
        yield* untilAsleep(10_000, 2)
        yield* adjust("5 seconds")
        yield* stop
        yield* untilCourse(course, "Stopping")
        yield* adjust("4 seconds")
        expect(yield* running).toBe(2)
        yield* adjust("1 second")
        const outcome = yield* Fiber.join(fiber)
        expect([idsOf(outcome.results), idsOf(outcome.undone), outcome.stopped]).toEqual([
          ["1", "2"],
          ["3", "4"],
          "asked"
        ])
        expect(outcome.results.every(({ outcome }) => outcome === "success")).toBe(true)
        expect(yield* prompts).toEqual(["1", "2"])
        expect((yield* course)[6]).toBe("Stopping")
        expect((yield* course).slice(7).sort()).toEqual(["Ended 1", "Ended 2"])
      }).pipe(Effect.provide(opencode(() => slow(10)))))

    it.effect("does not wait for a run that has not started", () =>
      Effect.gen(function*() {
        // One of "1" and "2" waits at the gate as long as the other has not said anything
        const { course, run, stop, written } = yield* batch({ jobs: jobs("1", "2", "3") })
        const fiber = yield* Effect.fork(run)
        yield* untilAsleep(20_000)
        yield* untilCourse(course, "Started 2")
        yield* adjust("5 seconds")
        yield* stop
        yield* untilCourse(course, "Stopping")
        yield* adjust("15 seconds")
        const outcome = yield* Fiber.join(fiber)
        const [begun] = idsOf(outcome.results)
        const waiting = begun === "1" ? "2" : "1"
        expect([idsOf(outcome.results), idsOf(outcome.undone)]).toEqual([[begun], [waiting, "3"]])
        expect(idsOf(yield* written)).toEqual([begun])
        expect((yield* course).slice(3)).toEqual([
          "Started 1",
          "Started 2",
          "Stopping",
          `Returned ${waiting}`,
          `Ended ${begun}`
        ])
      }).pipe(
        Effect.provide(opencode(() => slow(20), { startup: { concurrency: 1, window: "1 hour" } }))
      ))

    it.effect("and is then interrupted ends every run and records none of them", () =>
      Effect.gen(function*() {
        const { course, run, stop, written } = yield* batch({ jobs: jobs("quick", "2", "3") })
        const fiber = yield* Effect.fork(run)
        yield* untilAsleep(1000)
        yield* untilAsleep(100_000)
        yield* adjust("1 second")
        yield* untilAsleep(101_000)
        yield* stop
        yield* untilCourse(course, "Stopping")
        yield* adjust("1 second")
        yield* Fiber.interrupt(fiber)
        expect(yield* running).toBe(0)
        expect(idsOf(yield* written)).toEqual(["quick"])
        const calls = yield* Effect.flatMap(OpenCodeTest.OpenCodeTest, (test) => test.calls)
        expect(calls.map(({ outcome }) => outcome._tag)).toEqual(["Done", "Interrupted", "Interrupted"])
      }).pipe(Effect.provide(opencode((call) => slow(call.prompt === "quick" ? 1 : 100)))))
  })

  describe("with earlier results", () => {
    const before = [result({ id: "1" }), result({ id: "2", outcome: "OpenCodeTimeoutError" })]

    it.effect("does not run jobs again that have a result", () =>
      Effect.gen(function*() {
        const written = yield* Ref.make<ReadonlyArray<string>>([])
        const { course, run } = yield* batch({
          jobs: jobs("1", "2", "3"),
          results: { before, append: ({ id }) => Ref.update(written, (all) => [...all, id]) }
        })
        const outcome = yield* run
        expect(yield* prompts).toEqual(["3"])
        expect(yield* Ref.get(written)).toEqual(["3"])
        expect(outcome.results.map(({ id, outcome }) => [id, outcome])).toEqual([
          ["1", "success"],
          ["2", "OpenCodeTimeoutError"],
          ["3", "success"]
        ])
        expect((yield* course).slice(3)).toEqual(["Skipped 1", "Skipped 2", "Started 3", "Ended 3"])
      }).pipe(Effect.provide(opencode(() => "fine"))))

    it.effect("places every result at the current position of its job", () =>
      Effect.gen(function*() {
        const { run } = yield* batch({
          jobs: jobs("0", "1", "2"),
          results: { before: [result({ id: "1", index: 0 }), result({ id: "2", index: 1 })], append: () => Effect.void }
        })
        expect((yield* run).results.map(({ id, index }) => [id, index])).toEqual([["0", 0], ["1", 1], ["2", 2]])
      }).pipe(Effect.provide(opencode(() => "fine"))))

    it.effect("runs failed jobs again with retryFailed", () =>
      Effect.gen(function*() {
        const again = [...before, result({ id: "3", outcome: "OpenCodeSessionError" }), result({ id: "3" })]
        const { run } = yield* batch({
          jobs: jobs("1", "2", "3"),
          retryFailed: true,
          results: { before: again, append: () => Effect.void }
        })
        const outcome = yield* run
        expect(yield* prompts).toEqual(["2"])
        expect(outcome.results.every(({ outcome }) => outcome === "success")).toBe(true)
      }).pipe(Effect.provide(opencode(() => "fine"))))

    it.effect("does not query OpenCode when no job is left", () =>
      Effect.gen(function*() {
        const { run } = yield* batch({ jobs: jobs("1"), results: { before, append: () => Effect.void } })
        expect((yield* run).undone).toEqual([])
        expect(yield* prompts).toEqual([])
      }).pipe(Effect.provide(opencode(() => "fine"))))
  })

  describe("with a budget for all jobs", () => {
    it.effect("starts no job when the budget is used up, and leaves the rest for later", () =>
      Effect.gen(function*() {
        const { course, run } = yield* batch({ jobs: jobs("1", "2", "3", "4"), concurrency: 1, budget: { cost: 0.4 } })
        const outcome = yield* run
        expect([idsOf(outcome.results), idsOf(outcome.undone), outcome.stopped]).toEqual([
          ["1", "2"],
          ["3", "4"],
          "budget"
        ])
        expect((yield* course).slice(-3)).toEqual(["Started 3", "Stopping", "Returned 3"])
        expect(outcome.results.every(({ outcome }) => outcome === "success")).toBe(true)
      }).pipe(Effect.provide(opencode(() => Reply.text("x", { cost: 0.25 })))))

    it.effect("counts the cost of earlier results", () =>
      Effect.gen(function*() {
        const { run } = yield* batch({
          jobs: jobs("1", "2", "3"),
          concurrency: 1,
          budget: { cost: 1 },
          results: { before: [result({ id: "1", cost: 0.9 })], append: () => Effect.void }
        })
        const outcome = yield* run
        expect([idsOf(outcome.results), idsOf(outcome.undone)]).toEqual([["1", "2"], ["3"]])
      }).pipe(Effect.provide(opencode(() => Reply.text("x", { cost: 0.25 })))))

    it.effect("leaves failed jobs undone that were to run again", () =>
      Effect.gen(function*() {
        const before = ["1", "2"].map((id) => result({ id, outcome: "OpenCodeTimeoutError", cost: 0.5 }))
        const { run } = yield* batch({
          jobs: jobs("1", "2"),
          retryFailed: true,
          budget: { cost: 0.1 },
          results: { before, append: () => Effect.void }
        })
        const outcome = yield* run
        expect(outcome.results.map(({ outcome }) => outcome)).toEqual(["OpenCodeTimeoutError", "OpenCodeTimeoutError"])
        expect([idsOf(outcome.undone), outcome.stopped]).toEqual([["1", "2"], "budget"])
      }).pipe(Effect.provide(opencode(() => "x"))))

    it.effect("does not mistake the budget error of a job for its own", () =>
      Effect.gen(function*() {
        const { run } = yield* batch({ jobs: [job("1", { options: { budget: { cost: 0.1 } } }), job("2")] })
        const outcome = yield* run
        expect(outcome.results.map(({ outcome }) => outcome)).toEqual(["OpenCodeBudgetError", "success"])
        expect(outcome.stopped).toBeUndefined()
      }).pipe(Effect.provide(opencode(() => Reply.text("x", { cost: 0.25 })))))

    it.effect("ignores the fleet budget of the surrounding program", () =>
      Effect.gen(function*() {
        const { run } = yield* batch({ jobs: jobs("1") })
        expect((yield* run).results.length).toBe(1)
      }).pipe(Effect.provide(FleetBudget.layer({ cost: 0.0001 })), Effect.provide(opencode(() => "x"))))
  })

  it.effect("ends when a result cannot be written", () =>
    Effect.gen(function*() {
      const refused = new ResultsFileError({ file: "/results/r.jsonl", reason: "unwritable" })
      const { run } = yield* batch({
        jobs: jobs("quick", "2", "3"),
        results: { before: [], append: () => refused }
      })
      const fiber = yield* Effect.fork(Effect.flip(run))
      yield* untilAsleep(1000)
      yield* untilAsleep(100_000)
      yield* adjust("1 second")
      expect(yield* Fiber.join(fiber)).toBe(refused)
      expect(yield* running).toBe(0)
      expect(yield* prompts).toEqual(["quick", "2"])
    }).pipe(Effect.provide(opencode((call) => slow(call.prompt === "quick" ? 1 : 100)))))

  it.effect("starts nothing when OpenCode is too old", () =>
    Effect.gen(function*() {
      const { course, run } = yield* batch({ jobs: jobs("1", "2") })
      expect((yield* Effect.flip(run))._tag).toBe("OpenCodeVersionError")
      expect(yield* course).toEqual([])
    }).pipe(Effect.provide(opencode(() => "x", { version: "1.0.0" }))))

  it.effect("writes no secret to the results", () =>
    Effect.gen(function*() {
      const { run, written } = yield* batch({
        jobs: [job("1", {
          name: "canary-4711",
          prompt: "key canary-4711",
          options: { configOverrides: { provider: { x: { options: { apiKey: "canary-4711" } } } } }
        })]
      })
      yield* run
      expect(JSON.stringify(yield* written)).not.toContain("canary")
      expect((yield* written)[0]).toMatchObject({ answer: "your key is <redacted>", prompt: "key <redacted>" })
    }).pipe(Effect.provide(opencode(() => "your key is canary-4711"))))
})

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "eo-batch-")))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

describe("a batch with worktrees", () => {
  /** Without the machine's own configuration, with an identity to commit as. */
  const environment = {
    ...process.env,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_AUTHOR_NAME: "test",
    GIT_AUTHOR_EMAIL: "test@example.invalid",
    GIT_COMMITTER_NAME: "test",
    GIT_COMMITTER_EMAIL: "test@example.invalid"
  }

  const git = (cwd: string, ...args: ReadonlyArray<string>) =>
    execFileSync("git", args, { cwd, env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim()

  /** Made once, and copied for each test. */
  const template = fs.mkdtempSync(path.join(os.tmpdir(), "eo-batch-template-"))

  beforeAll(() => {
    fs.mkdirSync(path.join(template, "src"))
    fs.writeFileSync(path.join(template, "src", "a.txt"), "one\n")
    git(template, "init", "--quiet", "-b", "main")
    git(template, "add", ".")
    git(template, "commit", "--quiet", "-m", "first")
  })

  afterAll(() => fs.rmSync(template, { recursive: true, force: true }))

  const repository = Effect.map(directory, (root) => {
    const at = path.join(root, "repository")
    fs.cpSync(template, at, { recursive: true })
    return { at, worktrees: path.join(root, "results.worktrees") }
  })

  /** An agent that works in the directory it is given. */
  const agent: OpenCodeTest.Respond = (call) => {
    const cwd = call.options.cwd ?? ""
    const does = (work: () => void) =>
      Reply.events([
        Events.stepStart(),
        MockCommandExecutor.waitFor(Effect.sync(work)),
        Events.text("x"),
        Events.finish()
      ])
    switch (call.prompt) {
      case "changes":
        return does(() => fs.writeFileSync(path.join(cwd, "a.txt"), "changed\n"))
      case "commits":
        return does(() => {
          fs.writeFileSync(path.join(cwd, "b.txt"), "new\n")
          git(cwd, "add", ".")
          git(cwd, "commit", "--quiet", "-m", "work")
        })
      case "removes":
        return does(() => fs.rmSync(cwd, { recursive: true }))
      case "fails":
        return Reply.fail(Failure.timeout())
      default:
        return "nothing to do"
    }
  }

  const options = (worktrees: string, keep: "none" | "failed" = "none") => ({
    worktrees: { directory: worktrees, keep }
  })

  it.scopedLive("gives each run its own and keeps or removes it by what the run did", () =>
    Effect.gen(function*() {
      const { at, worktrees } = yield* repository
      const { run } = yield* batch({
        jobs: jobs("changes", "commits", "fails", "reads").map((job) => ({ ...job, cwd: "src" })),
        cwd: at,
        concurrency: 4,
        ...options(worktrees)
      })
      const { results } = yield* run
      const base = git(at, "rev-parse", "HEAD")
      expect(results.map(({ id, worktree }) => [id, worktree?.kept, worktree?.reason, worktree?.commits])).toEqual([
        ["changes", true, "1 file with uncommitted changes", 0],
        ["commits", false, "kept: 1 commit on effect-opencode/commits", 1],
        ["fails", false, "nothing was left to keep", 0],
        ["reads", false, "nothing was left to keep", 0]
      ])
      expect(results.map(({ cwd }) => cwd)).toEqual(
        ["changes", "commits", "fails", "reads"].map((id) => path.join(worktrees, id, "src"))
      )
      expect(results.every(({ worktree }) => worktree?.base === base)).toBe(true)
      expect(fs.readdirSync(worktrees)).toEqual(["changes"])
      expect(fs.readFileSync(path.join(at, "src", "a.txt"), "utf8")).toBe("one\n")
      expect(git(at, "status", "--porcelain")).toBe("")
    }).pipe(Effect.provide(onDisk(agent))))

  it.scopedLive("reports the output of a failing hook and removes the worktree completely", () =>
    Effect.gen(function*() {
      const { at, worktrees } = yield* repository
      fs.mkdirSync(path.join(at, ".git", "hooks"), { recursive: true })
      fs.writeFileSync(
        path.join(at, ".git", "hooks", "post-checkout"),
        "#!/bin/sh\necho 'hook: git-lfs was not found on your path' >&2; exit 2\n",
        { mode: 0o755 }
      )
      const { log, run } = yield* batch({ jobs: jobs("reads", "removes"), cwd: at, ...options(worktrees) })
      const { results } = yield* run
      const warning = "its post-checkout hook failed with exit code 2: hook: git-lfs was not found on your path"
      expect(results.map(({ outcome, worktree }) => [outcome, worktree?.kept, worktree?.reason, worktree?.warning]))
        .toEqual([
          ["success", false, "nothing was left to keep", warning],
          ["success", false, "it was already gone", warning]
        ])
      expect([...(yield* log)].sort()).toEqual(
        ["reads", "removes"].map((id) => `The worktree of job ${id} was created, but ${warning}`)
      )
      expect(git(at, "worktree", "list").split("\n")).toHaveLength(1)
      expect(git(at, "branch", "--list")).toBe("* main")
      expect(fs.existsSync(worktrees)).toBe(false)
    }).pipe(Effect.provide(onDisk(agent))))

  it.scopedLive("keeps those of failed runs with keep \"failed\"", () =>
    Effect.gen(function*() {
      const { at, worktrees } = yield* repository
      const { run } = yield* batch({ jobs: jobs("fails", "reads"), cwd: at, ...options(worktrees, "failed") })
      const { results } = yield* run
      expect(results.map(({ worktree }) => worktree?.kept)).toEqual([true, false])
      expect(fs.readdirSync(worktrees)).toEqual(["fails"])
    }).pipe(Effect.provide(onDisk(agent))))

  it.scopedLive("keeps those of repeated failures, and removes all once keep is \"none\"", () =>
    Effect.gen(function*() {
      const { at, worktrees } = yield* repository
      const before: Array<JobResult> = []
      const append = (result: JobResult) => Effect.sync(() => void before.push(result))
      const again = (keep: "none" | "failed") =>
        Effect.gen(function*() {
          const { run } = yield* batch({
            jobs: jobs("fails"),
            cwd: at,
            retryFailed: true,
            results: { before: [...before], append },
            ...options(worktrees, keep)
          })
          yield* run
          return fs.existsSync(worktrees) ? fs.readdirSync(worktrees) : []
        })
      expect(yield* again("failed")).toEqual(["fails"])
      expect(yield* again("failed")).toEqual(["fails", "fails-2"])
      expect(yield* again("failed")).toEqual(["fails", "fails-2", "fails-3"])
      expect(yield* again("none")).toEqual([])
    }).pipe(Effect.provide(onDisk(agent))))

  it.scopedLive("removes that of an interrupted run unless it has work in it", () =>
    Effect.gen(function*() {
      const { at, worktrees } = yield* repository
      const ready = yield* Deferred.make<void>()
      const { run, written } = yield* batch({ jobs: jobs("works", "waits"), cwd: at, ...options(worktrees) })
      const layer = onDisk((call) =>
        Reply.events([
          Events.stepStart(),
          MockCommandExecutor.waitFor(
            call.prompt === "waits" ? Effect.void : Effect.andThen(
              Effect.sync(() => fs.writeFileSync(path.join(call.options.cwd ?? "", "new.txt"), "new")),
              Effect.asVoid(Deferred.succeed(ready, undefined))
            )
          ),
          MockCommandExecutor.never
        ])
      )
      const fiber = yield* Effect.fork(Effect.provide(run, layer))
      yield* Deferred.await(ready)
      yield* Fiber.interrupt(fiber)
      expect(fs.readdirSync(worktrees)).toEqual(["works"])
      expect(yield* written).toEqual([])

      // After resuming, the job has a new worktree; the work of the first try stays.
      const again = yield* batch({ jobs: jobs("works", "waits"), cwd: at, ...options(worktrees) })
      yield* Effect.provide(again.run, onDisk(() => "done"))
      expect((yield* again.written).map(({ id, worktree }) => [id, path.basename(worktree?.path ?? "")]).sort())
        .toEqual([
          ["waits", "waits"],
          ["works", "works-2"]
        ])
      expect(fs.readdirSync(worktrees)).toEqual(["works"])
      expect(yield* again.log).toEqual([
        `${path.join(worktrees, "works")} from an earlier try of job works was kept: 1 untracked file.`
      ])
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("starts nothing when a job is outside a repository", () =>
    Effect.gen(function*() {
      const { at, worktrees } = yield* repository
      const { course, run } = yield* batch({
        jobs: [job("reads"), job("reads too", { cwd: path.dirname(at) })],
        cwd: at,
        ...options(worktrees)
      })
      expect((yield* Effect.flip(run)).message).toContain("not a git repository")
      expect(yield* course).toEqual([])
      expect(fs.existsSync(worktrees)).toBe(false)
    }).pipe(Effect.provide(onDisk(agent))))
})

describe("a batch with jobs of unknown cost", () => {
  const unknown = Reply.text("done", { cost: 0, tokens: { input: 9_000_000 } })
  const warnings = (lines: Array<string>) =>
    Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => void lines.push(String(message)))
    )

  it.effect("marks them and warns once under a budget of all jobs", () => {
    const told: Array<string> = []
    return Effect.gen(function*() {
      const { run } = yield* batch({ jobs: jobs("a", "b", "c"), budget: { cost: 1 } })
      const { results, stopped } = yield* run
      expect(stopped).toBeUndefined()
      expect(results.map(({ outcome, unpriced }) => [outcome, unpriced])).toEqual([
        ["success", true],
        ["success", true],
        ["success", undefined]
      ])
      expect(told).toHaveLength(1)
      expect(told[0]).toContain("the fleet's budget of $1.00 cannot be enforced")
    }).pipe(
      Effect.provide(warnings(told)),
      Effect.provide(opencode({ a: unknown, b: unknown, c: Reply.text("done", { cost: 0.1 }) }))
    )
  })

  it.effect("ends when the budget says error, and can be resumed later", () =>
    Effect.gen(function*() {
      const all = jobs("a", "b", "c")
      const { log, run, written } = yield* batch({ jobs: all, budget: { cost: 1, unpriced: "error" }, concurrency: 1 })
      const { results, stopped, undone } = yield* run
      expect(results.map(({ id, outcome, unpriced }) => [id, outcome, unpriced])).toEqual([
        ["a", "OpenCodeBudgetError", true]
      ])
      expect([stopped, idsOf(undone)]).toEqual(["unpriced", ["b", "c"]])
      expect(yield* log).toEqual([])
      const again = yield* batch({
        jobs: all,
        results: { before: yield* written, append: () => Effect.void },
        budget: { cost: 1, unpriced: "error" },
        resume: true
      })
      expect((yield* again.run).undone).toEqual([])
      expect((yield* again.log)[0]).toContain("Some of the cost of earlier runs is unknown")
    }).pipe(
      Effect.provide(opencode({ a: unknown, b: Reply.text("b", { cost: 0.1 }), c: Reply.text("c", { cost: 0.1 }) }))
    ))
})

describe("a batch that resumes after a kill", () => {
  const start = (runId: string, data: string) => ({
    type: "effect-opencode/run_start",
    timestamp: 1,
    runId,
    attempt: 1,
    cwd: "/there",
    directory: data,
    ...(path.basename(data) === ".data" ? { temporary: path.dirname(data) } : {})
  })

  const lines = (...objects: ReadonlyArray<object>) => objects.map((object) => `${JSON.stringify(object)}\n`).join("")

  it.scopedLive("ends its processes, removes its data and counts its costs", () =>
    Effect.gen(function*() {
      const root = yield* directory
      const transcripts = path.join(root, "transcripts")
      const data = (name: string) => {
        fs.mkdirSync(path.join(root, name, ".data", "opencode"), { recursive: true })
        fs.chmodSync(path.join(root, name), 0o700)
        fs.writeFileSync(path.join(root, name, "of-a-tool"), "")
        return path.join(root, name, ".data")
      }
      fs.mkdirSync(transcripts)
      const spent = Events.session([Events.turn("x", { cost: 0.4 })])
      const write = (id: string, ...objects: ReadonlyArray<object>) =>
        fs.writeFileSync(path.join(transcripts, `${id}.jsonl`), lines(...objects))
      write("cut", start("aaaaa0123456789", data("effect-opencode-AbCd12")), ...spent)
      write("done", start("bbbbb0123456789", data("effect-opencode-AbCd13")))
      // somebody else's directories, which only look like ours
      const own = path.join(root, "effect-opencode-AbCd14", "data")
      fs.mkdirSync(own, { recursive: true })
      write("kept", start("ccccc0123456789", own))
      write("named", start("ddddd0123456789", data("effect-opencode-data")))
      // what anybody could have put there: a directory open to others, and a link to somebody else's files
      const open = data("effect-opencode-AbCd15")
      fs.chmodSync(path.dirname(open), 0o777)
      write("open", start("eeeee0123456789", open))
      const elsewhere = data("elsewhere")
      fs.symlinkSync(path.dirname(elsewhere), path.join(root, "effect-opencode-AbCd16"))
      write("link", start("fffff0123456789", path.join(root, "effect-opencode-AbCd16", ".data")))

      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("sleep", ["300"], { env: { ...process.env, [Leftovers.variable]: ":aaaaa0123456789" } })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const exited = yield* Deferred.make<unknown>()
      child.once("exit", (_, signal) => Deferred.unsafeDone(exited, Effect.succeed(signal)))

      const { log, run } = yield* batch({
        jobs: jobs("done", "cut", "kept", "named", "open", "link"),
        results: { before: [result({ id: "done", cost: 0.1 })], append: () => Effect.void },
        transcripts,
        concurrency: 1,
        resume: true,
        budget: { cost: 0.6 }
      })
      const outcome = yield* run
      expect(yield* Deferred.await(exited)).toBe("SIGTERM")
      expect(fs.readdirSync(root).sort()).toEqual([
        "effect-opencode-AbCd13",
        "effect-opencode-AbCd14",
        "effect-opencode-AbCd15",
        "effect-opencode-AbCd16",
        "effect-opencode-data",
        "elsewhere",
        "transcripts"
      ])
      expect(fs.existsSync(elsewhere)).toBe(true)
      expect(yield* log).toEqual([
        "An earlier batch was killed: 5 runs cut off; their remaining processes were ended."
      ])
      // 0.1 and 0.4 were spent, so one more job of 0.25 starts
      expect([idsOf(outcome.results), outcome.stopped]).toEqual([["done", "cut"], "budget"])
    }).pipe(Effect.provide(onDisk(() => Reply.text("x", { cost: 0.25 })))))

  const end = (runId: string, outcome: string) => ({ type: "effect-opencode/run_end", timestamp: 2, runId, outcome })

  const ran = (runId: string, cost: number, outcome?: string) => [
    start(runId, "/nowhere/data"),
    ...Events.session([Events.turn("x", { cost })]),
    ...(outcome === undefined ? [] : [end(runId, outcome)])
  ]

  it.scopedLive("counts every run without a result, and only when it resumes", () =>
    Effect.gen(function*() {
      const transcripts = path.join(yield* directory, "transcripts")
      fs.mkdirSync(transcripts)
      const write = (id: string, ...objects: ReadonlyArray<object>) =>
        fs.writeFileSync(path.join(transcripts, `${id}.jsonl`), lines(...objects))
      // failed, and its retry was cut off
      write("failed", ...ran("aaaaa0123456789", 0.1, "OpenCodeTimeoutError"), ...ran("bbbbb0123456789", 0.2))
      // interrupted, then done
      write("done", ...ran("ccccc0123456789", 0.2, "interrupted"), ...ran("ddddd0123456789", 0.1, "success"))
      // of no job of this batch
      write("other", ...ran("eeeee0123456789", 9))
      const before = [
        result({ id: "failed", runId: "aaaaa0123456789", outcome: "OpenCodeTimeoutError", cost: 0.1 }),
        result({ id: "done", runId: "ddddd0123456789", cost: 0.1 })
      ]
      const started = (resume: boolean, cost: number) =>
        Effect.gen(function*() {
          const { run } = yield* batch({
            jobs: jobs("failed", "done", "new"),
            results: { before: resume ? before : [], append: () => Effect.void },
            transcripts,
            concurrency: 1,
            retryFailed: true,
            resume,
            budget: { cost }
          })
          const { undone } = yield* run
          return idsOf(undone)
        })
      expect(yield* started(true, 0.59)).toEqual(["failed", "new"])
      expect(yield* started(true, 0.61)).toEqual(["new"])
      expect(yield* started(false, 0.01)).toEqual(["done", "new"])
    }).pipe(Effect.provide(onDisk(() => Reply.text("x", { cost: 0.25 })))))

  it.scopedLive("ends what is left of a retry, even when the job is not tried again", () =>
    Effect.gen(function*() {
      const root = yield* directory
      const data = path.join(root, "effect-opencode-AbCd12", ".data")
      fs.mkdirSync(data, { recursive: true })
      fs.chmodSync(path.dirname(data), 0o700)
      fs.mkdirSync(path.join(root, "transcripts"))
      fs.writeFileSync(
        path.join(root, "transcripts", "failed.jsonl"),
        lines(...ran("aaaaa0123456789", 0.1, "OpenCodeTimeoutError"), start("bbbbb0123456789", data))
      )
      const { log, run } = yield* batch({
        jobs: jobs("failed"),
        results: {
          before: [result({ id: "failed", runId: "aaaaa0123456789", outcome: "OpenCodeTimeoutError" })],
          append: () => Effect.void
        },
        transcripts: path.join(root, "transcripts"),
        resume: true
      })
      const { results } = yield* run
      expect(idsOf(results)).toEqual(["failed"])
      expect(yield* log).toEqual([
        "An earlier batch was killed: 1 run cut off; their remaining processes were ended."
      ])
      expect(fs.existsSync(data)).toBe(false)
    }).pipe(Effect.provide(onDisk(() => "x"))))

  for (const [isolation, data] of [["none", undefined], ["a directory", "/their/data"]] as const) {
    it.scopedLive(`removes the temporary directories of its runs with isolation ${isolation}`, () =>
      Effect.gen(function*() {
        const root = yield* directory
        const transcripts = path.join(root, "transcripts")
        fs.mkdirSync(transcripts)
        const temporary = (id: string, name: string) => {
          fs.writeFileSync(
            path.join(transcripts, `${id}.jsonl`),
            `${lines({ ...start("aaaaa0123456789", ""), directory: data, temporary: path.join(root, name) })}${
              "\0".repeat(100)
            }`
          )
          return path.join(root, name)
        }
        const cut = temporary("cut", "effect-opencode-AbCd12")
        fs.mkdirSync(cut, { mode: 0o700 })
        fs.mkdirSync(path.join(cut, "go"))
        fs.writeFileSync(path.join(cut, "go", "libopentui.so"), "")
        fs.chmodSync(path.join(cut, "go"), 0o500)
        // only looks like one
        fs.mkdirSync(temporary("named", "effect-opencode-data"))
        fs.mkdirSync(path.join(root, "theirs"))
        fs.symlinkSync(path.join(root, "theirs"), temporary("linked", "effect-opencode-AbCd13"))
        fs.writeFileSync(temporary("file", "effect-opencode-AbCd14"), "")
        const { run } = yield* batch({ jobs: jobs("cut", "named", "linked", "file"), transcripts })
        yield* run
        expect(fs.readdirSync(root).sort()).toEqual([
          "effect-opencode-AbCd13",
          "effect-opencode-AbCd14",
          "effect-opencode-data",
          "theirs",
          "transcripts"
        ])
      }).pipe(Effect.provide(onDisk(() => "x"))))
  }

  it.scopedLive("leaves data directories that do not belong to a run", () =>
    Effect.gen(function*() {
      const root = yield* directory
      const data = path.join(root, "effect-opencode-AbCd12", "data")
      fs.mkdirSync(data, { recursive: true })
      fs.chmodSync(path.dirname(data), 0o700)
      fs.mkdirSync(path.join(root, "transcripts"))
      fs.writeFileSync(path.join(root, "transcripts", "cut.jsonl"), lines(start("aaaaa0123456789", data)))
      const { run } = yield* batch({
        jobs: jobs("cut"),
        transcripts: path.join(root, "transcripts")
      })
      yield* run
      expect(fs.existsSync(data)).toBe(true)
    }).pipe(Effect.provide(onDisk(() => "x"))))
})
