/** The contract of jobs, on a cluster in memory. */
import * as ClusterWorkflowEngine from "@effect/cluster/ClusterWorkflowEngine"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Workflow from "@effect/workflow/Workflow"
import * as AgentJob from "effect-opencode-cluster/AgentJob"
import * as AgentRun from "effect-opencode-cluster/AgentRun"
import * as Cluster from "effect-opencode-cluster/Cluster"
import type { LiveEvent } from "effect-opencode-cluster/LiveEvent"
import * as RunLedger from "effect-opencode-cluster/RunLedger"
import * as Events from "effect-opencode-testing/Events"
import * as MockCommandExecutor from "effect-opencode-testing/MockCommandExecutor"
import * as OpenCodeTest from "effect-opencode-testing/OpenCodeTest"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as jobs from "../src/internal/jobs.js"

const agents = OpenCodeTest.layer({
  "Name a colour": "blue",
  Hang: OpenCodeTest.Reply.events([Events.stepStart(), MockCommandExecutor.never]),
  "You were interrupted while you worked on this task. Look at what is done already, then finish it.": "continued"
})

const cluster = Cluster.layerTest({ agents: 1 }).pipe(Layer.provideMerge(agents))

const prompts = Effect.flatMap(
  OpenCodeTest.OpenCodeTest,
  ({ calls }) => Effect.map(calls, (all) => all.map(({ prompt }) => prompt))
)

const until = <A, E, R>(condition: Effect.Effect<A | undefined | false, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    condition,
    (value) =>
      value === undefined || value === false ? Effect.delay(until(condition), "20 millis") : Effect.succeed(value)
  )

const isRunning = (id: string) =>
  AgentRun.poll(id).pipe(
    Effect.map(({ _tag }) => _tag === "Running"),
    Effect.orElseSucceed(() => false)
  )

const colour: AgentJob.AgentJob = { id: "colour", prompt: "Name a colour" }

/** Enters a job as if other runners had worked on it, and died. */
const plant = (job: AgentJob.AgentJob, attempts: ReadonlyArray<{ readonly prompted: boolean }>) =>
  Effect.gen(function*() {
    const ledger = yield* RunLedger.RunLedger
    const payload = Either.getOrThrow(jobs.encode(AgentJob.AgentJob, job))
    yield* ledger.accept({ id: job.id, payload, version: jobs.currentVersion })
    yield* Effect.forEach(attempts, ({ prompted }, index) =>
      Effect.gen(function*() {
        const attempt = { id: job.id, number: index + 1, runId: `r${index + 1}`, runner: "gone" }
        yield* ledger.begin(attempt)
        if (prompted) yield* ledger.prompted({ ...attempt, cwd: "/w", directory: undefined })
      }))
  })

describe("jobs", () => {
  it.live("run once, and their result is given to everybody", () =>
    Effect.gen(function*() {
      const [one, two] = yield* Effect.all([AgentRun.execute(colour), AgentRun.execute(colour)], { concurrency: 2 })
      assert.isFalse(yield* AgentRun.submit(colour))
      const three = yield* AgentRun.result("colour")
      assert.deepStrictEqual([one.answer, one.runner, one.attempt], ["blue", "test", 1])
      assert.deepStrictEqual([two.runId, three.runId], [one.runId, one.runId])
      assert.lengthOf(yield* prompts, 1)
      const state = yield* AgentRun.poll("colour")
      assert.strictEqual(state._tag === "Settled" ? state.status : state._tag, "succeeded")
      const { cluster, runner } = yield* AgentRun.health
      assert.deepStrictEqual([cluster.settled, runner], [1, { name: "test", agents: 1, running: 0, waiting: 0 }])
    }).pipe(Effect.provide(cluster)))

  it.live("of \"resume\" begin again on a machine without the directory of their session", () =>
    Effect.gen(function*() {
      const ledger = yield* RunLedger.RunLedger
      const job: AgentJob.AgentJob = { ...colour, afterCrash: "resume" }
      yield* plant(job, [{ prompted: true }])
      const last = { id: job.id, number: 1 }
      yield* ledger.prompted({ ...last, cwd: "/w", directory: "/of/another/machine" })
      yield* ledger.session({ ...last, sessionId: "ses_1" })
      const result = yield* AgentRun.execute(job)
      assert.deepStrictEqual([result.answer, result.attempt, result.resumed], ["blue", 2, undefined])
      assert.deepStrictEqual(yield* prompts, [job.prompt])
      // A directory of its own: the one of an earlier attempt here would not have its session.
      const [, second] = yield* ledger.attempts(job.id)
      assert.strictEqual(path.basename(second?.directory ?? ""), second?.runId)
    }).pipe(Effect.provide(cluster)))

  it.live("of an id that is taken, invalid or unknown are refused", () =>
    Effect.gen(function*() {
      yield* AgentRun.execute(colour)
      const other = yield* Effect.flip(AgentRun.execute({ ...colour, prompt: "Name a town", afterCrash: "restart" }))
      assert.deepStrictEqual(other._tag === "JobConflictError" ? other.fields : other, ["afterCrash", "prompt"])
      const invalid = yield* Effect.flip(AgentRun.execute({ id: "b", prompt: "x", options: { model: "gpt-5" } }))
      assert.strictEqual(invalid._tag, "OpenCodeConfigError")
      const errors = yield* Effect.all([
        Effect.flip(AgentRun.poll("b")),
        Effect.flip(AgentRun.cancel("b", "x")),
        Effect.flip(AgentRun.result("b")),
        Effect.flip(Stream.runDrain(AgentRun.events("b"))),
        Effect.flip(AgentRun.poll("a\0b")),
        Effect.flip(AgentRun.cancel("a\0b", "x"))
      ])
      assert.deepStrictEqual([...new Set(errors.map(({ _tag }) => _tag))], ["JobUnknownError"])
    }).pipe(Effect.provide(cluster)))

  it.live("are cancelled while they run and while they wait, not afterwards, and never by their caller's end", () =>
    Effect.gen(function*() {
      const caller = yield* Effect.fork(AgentRun.execute({ id: "running", prompt: "Hang" }))
      yield* until(Effect.map(prompts, (all) => all.length === 1))
      yield* AgentRun.submit({ id: "waiting", prompt: "Name a colour" })
      yield* Fiber.interrupt(caller)
      yield* until(Effect.map(AgentRun.health, ({ runner }) => runner?.waiting === 1))
      assert.isTrue(yield* isRunning("running"))
      assert.isTrue(yield* AgentRun.cancel("waiting", "not needed"))
      const waiting = yield* Effect.flip(AgentRun.result("waiting"))
      assert.deepStrictEqual(
        waiting._tag === "JobCancelledError" ? [waiting.reason, waiting.runId] : waiting,
        ["not needed", undefined]
      )
      assert.isTrue(yield* AgentRun.cancel("running", "too slow"))
      const running = yield* Effect.flip(AgentRun.result("running"))
      assert.strictEqual(running._tag === "JobCancelledError" ? running.reason : running._tag, "too slow")
      assert.isFalse(yield* AgentRun.cancel("running", "again"))
      assert.deepStrictEqual(yield* prompts, ["Hang"])
      yield* AgentRun.execute(colour)
    }).pipe(Effect.provide(cluster)))

  it.live("show their events to those who come early, late and afterwards", () =>
    Effect.gen(function*() {
      yield* AgentRun.submit({ id: "hang", prompt: "Hang" })
      const early = yield* Effect.fork(Stream.runCollect(AgentRun.events("hang")))
      yield* until(isRunning("hang"))
      const isProgress = (event: LiveEvent) => event._tag === "Progress"
      const late = yield* Stream.runCollect(Stream.takeUntil(AgentRun.events("hang"), isProgress))
      assert.deepStrictEqual(Chunk.toReadonlyArray(late).map(({ _tag }) => _tag), ["Started", "Progress"])
      yield* AgentRun.cancel("hang", "seen enough")
      const all = Chunk.toReadonlyArray(yield* Fiber.join(early))
      assert.deepStrictEqual(all.map(({ _tag }) => _tag), ["Started", "Progress", "Ended"])
      const afterwards = yield* Stream.runCollect(AgentRun.events("hang"))
      assert.deepStrictEqual(Chunk.toReadonlyArray(afterwards), [{ _tag: "Ended", status: "cancelled" }])
    }).pipe(Effect.provide(cluster)))

  it.live("that were cut off end as their policy says", () =>
    Effect.gen(function*() {
      const of = (id: string, more: Partial<AgentJob.AgentJob>): AgentJob.AgentJob => ({ ...colour, id, ...more })
      yield* plant(of("fail", {}), [{ prompted: true }])
      yield* plant(of("unprompted", {}), [{ prompted: false }])
      yield* plant(of("restart", { afterCrash: "restart" }), [{ prompted: true }])
      yield* plant(of("poison", { afterCrash: "restart", maxCrashes: 2 }), [1, 2, 3].map(() => ({ prompted: true })))
      const lost = yield* Effect.flip(AgentRun.execute(of("fail", {})))
      assert.deepStrictEqual(
        lost._tag === "JobLostError" ? [lost.reason, lost.runner, lost.runId, lost.attempts] : lost,
        ["runner-gone", "gone", "r1", 1]
      )
      assert.strictEqual((yield* AgentRun.execute(of("unprompted", {}))).attempt, 2)
      assert.strictEqual((yield* AgentRun.execute(of("restart", { afterCrash: "restart" }))).attempt, 2)
      const poison = yield* Effect.flip(AgentRun.execute(of("poison", { afterCrash: "restart", maxCrashes: 2 })))
      assert.strictEqual(poison._tag === "JobLostError" ? poison.attempts : poison._tag, 3)
      assert.lengthOf(yield* prompts, 2)
    }).pipe(Effect.provide(cluster)))

  it.live("whose verdict is stored start no agent, even if they are delivered again", () =>
    Effect.gen(function*() {
      const ledger = yield* RunLedger.RunLedger
      yield* plant(colour, [{ prompted: true }])
      const outcome = { _tag: "Left", left: { _tag: "JobLostError", id: "colour", reason: "runner-gone", attempts: 1 } }
      yield* ledger.settle({ id: "colour", number: 1, status: "lost", outcome: JSON.stringify(outcome) })
      const error = yield* Effect.flip(AgentRun.execute(colour))
      assert.strictEqual(error._tag, "JobLostError")
      assert.lengthOf(yield* prompts, 0)
    }).pipe(Effect.provide(cluster)))

  it.live("of a later version wait for a runner that reads them, and can be cancelled", () =>
    Effect.gen(function*() {
      const ledger = yield* RunLedger.RunLedger
      yield* ledger.accept({ ...later, id: "later" })
      yield* AgentRun.submit({ id: "later", prompt: "later" })
      yield* Effect.sleep("200 millis")
      assert.strictEqual((yield* AgentRun.poll("later"))._tag, "Accepted")
      yield* AgentRun.cancel("later", "enough")
      assert.strictEqual((yield* Effect.flip(AgentRun.result("later")))._tag, "JobCancelledError")
      assert.lengthOf(yield* prompts, 0)
    }).pipe(Effect.provide(cluster)))

  it.live("of the version before run", () =>
    Effect.gen(function*() {
      const ledger = yield* RunLedger.RunLedger
      const version = jobs.currentVersion - 1
      yield* ledger.accept({
        id: "old",
        payload: JSON.stringify({ id: "old", prompt: "Name a colour", version }),
        version
      })
      assert.strictEqual((yield* AgentRun.execute({ id: "old", prompt: "Name a colour" })).answer, "blue")
    }).pipe(Effect.provide(cluster)))

  it.live("with an answer of 64 MB keep its end", () =>
    Effect.gen(function*() {
      const { answer, truncated } = yield* AgentRun.execute({ id: "long", prompt: "Say much" })
      assert.deepStrictEqual([answer.length, answer.endsWith("the end"), truncated], [1_048_576, true, true])
    }).pipe(Effect.provide(
      Cluster.layerTest().pipe(Layer.provide(OpenCodeTest.layer({ "Say much": `${"x".repeat(1 << 26)}the end` })))
    )))

  it.live("that name a secret which the runner lacks fail before an agent is started", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(AgentRun.execute({ ...colour, secrets: ["DEPLOY_TOKEN"] }))
      assert.match(error.message, /secrets.*DEPLOY_TOKEN/)
      assert.lengthOf(yield* prompts, 0)
    }).pipe(Effect.provide(cluster)))

  it.live("have their attempt in the trace of their caller", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Effect.map(Effect.tracer, (tracer) =>
        Tracer.make({
          context: (execute, fiber) => tracer.context(execute, fiber),
          span: (...args) => {
            const span = tracer.span(...args)
            spans.push(span)
            return span
          }
        }))
      yield* AgentRun.execute(colour).pipe(
        Effect.provide(cluster),
        Effect.provide(Layer.unwrapEffect(Effect.map(tracer, Layer.setTracer)))
      )
      const find = (name: string) => spans.find((span) => span.name === name)
      assert.strictEqual(find("AgentRun.attempt")?.traceId, find("AgentRun.execute")?.traceId)
      assert.isDefined(find("AgentRun.attempt"))
    }))

  it.live("are activities of workflows, which run them once", () =>
    Effect.gen(function*() {
      const Release = Workflow.make({
        name: "Release",
        payload: { version: Schema.String },
        idempotencyKey: ({ version }) => version,
        success: Schema.String,
        error: AgentRun.ActivityError
      })
      const live = Release.toLayer(() => Effect.map(AgentRun.activity("colour", colour), ({ answer }) => answer)).pipe(
        Layer.provideMerge(ClusterWorkflowEngine.layer)
      )
      const answer = yield* Effect.provide(Release.execute({ version: "1" }), live)
      assert.strictEqual(answer, "blue")
      assert.strictEqual((yield* AgentRun.result("colour")).answer, "blue")
    }).pipe(Effect.provide(cluster)))
})

const later = { payload: "{\"id\":\"later\",\"prompt\":\"later\"}", version: jobs.currentVersion + 1 }

/** An agent that is a function. */
const clusterOf = (run: OpenCode.Service["run"]) =>
  Cluster.layerTest().pipe(Layer.provide(
    Layer.effect(OpenCode.OpenCode, Effect.map(OpenCode.OpenCode, (service) => ({ ...service, run }))).pipe(
      Layer.provide(agents)
    )
  ))

describe("agents", () => {
  it.live("wait for the answer of a person, wherever it comes from", () =>
    Effect.gen(function*() {
      const answers: Array<unknown> = []
      const run: OpenCode.Service["run"] = (prompt, options) =>
        Effect.gen(function*() {
          answers.push(
            yield* AgentRun.onPermission({
              runId: options?.runId ?? "",
              sessionId: "ses_1",
              childId: undefined,
              cwd: "/w",
              permission: "bash",
              patterns: ["git push"],
              metadata: {},
              callId: undefined
            })
          )
          return yield* Effect.flatMap(OpenCode.OpenCode, (service) => service.run(prompt, options)).pipe(
            Effect.provide(agents)
          )
        })
      yield* Effect.gen(function*() {
        yield* AgentRun.submit(colour)
        yield* Stream.runForEach(AgentRun.events("colour"), (event) =>
          event._tag !== "Asked" ? Effect.void : Effect.gen(function*() {
            assert.deepStrictEqual([event.permission, event.patterns], ["bash", ["git push"]])
            assert.isFalse(yield* AgentRun.answer("colour", "another", "once"))
            const both = yield* Effect.all([
              AgentRun.answer("colour", event.ask, "once"),
              AgentRun.answer("colour", event.ask, "reject")
            ], { concurrency: "unbounded" })
            assert.deepStrictEqual(both, [true, false])
          }))
        assert.strictEqual((yield* AgentRun.result("colour")).answer, "blue")
        assert.isFalse(yield* AgentRun.answer("colour", "any", "once"))
      }).pipe(Effect.provide(clusterOf(run)))
      assert.deepStrictEqual(answers, ["once"])
      assert.strictEqual(
        yield* AgentRun.onPermission({
          runId: "nobody's",
          sessionId: "",
          childId: undefined,
          cwd: "",
          permission: "bash",
          patterns: [],
          metadata: {},
          callId: undefined
        }),
        "reject"
      )
    }))

  it.live("that fail unexpectedly end their job, and not the runner", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(AgentRun.execute(colour))
      assert.strictEqual(error._tag === "JobLostError" ? error.reason : error._tag, "defect")
      assert.include(error.message, "it broke")
      yield* Effect.flip(AgentRun.execute({ ...colour, id: "next" }))
    }).pipe(Effect.provide(clusterOf(() => Effect.dieMessage("it broke")))))
})

describe("options of a cluster", () => {
  it.scoped("name a file that is a database", () =>
    Effect.gen(function*() {
      const filename = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "eo-cluster-")), "agents.db")
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(path.dirname(filename), { recursive: true })))
      fs.writeFileSync(filename, "no database".repeat(200))
      const error = yield* Effect.flip(Layer.build(Cluster.layerEmbedded({ filename })))
      assert.strictEqual(error instanceof Cluster.ClusterConfigError ? error.path : error, "filename")
    }).pipe(Effect.provide([agents, NodeContext.layer])))

  it.scoped("name a file that nobody works with, whatever the path to it", () =>
    Effect.gen(function*() {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "eo-cluster-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(directory, { recursive: true })))
      const at = (...names: ReadonlyArray<string>) => path.join(directory, ...names)
      fs.mkdirSync(at("real"))
      fs.symlinkSync("real", at("link"))
      // Leads to nothing yet.
      fs.symlinkSync(path.join("link", "agents.db"), at("other.db"))
      yield* Layer.build(Cluster.layerEmbedded({ filename: at("other.db") }))
      assert.isTrue(fs.existsSync(at("real", "agents.db")))
      const refused = (filename: string) =>
        Effect.map(Effect.flip(Effect.scoped(Layer.build(Cluster.layerEmbedded({ filename })))), (error) =>
          error instanceof Cluster.ClusterConfigError ? error.path : error)
      for (const filename of [at("real", "agents.db"), at("link", "agents.db"), at("other.db")]) {
        assert.strictEqual(yield* refused(filename), "filename")
        assert.strictEqual(yield* refused(path.relative(process.cwd(), filename)), "filename")
      }
      fs.writeFileSync(at("one.db"), "")
      fs.linkSync(at("one.db"), at("two.db"))
      assert.strictEqual(yield* refused(at("two.db")), "filename")
      assert.strictEqual(yield* refused(at("nowhere", "agents.db")), "filename")
    }).pipe(Effect.provide([agents, NodeContext.layer])))

  it.scoped("are checked before anything is opened", () =>
    Effect.gen(function*() {
      const refused = (layer: Layer.Layer<Cluster.Provided, unknown, never>) =>
        Effect.map(Effect.flip(Effect.scoped(Layer.build(layer))), (error) =>
          error instanceof Cluster.ClusterConfigError ? error.path : error)
      const test = (options: Cluster.TestOptions) =>
        refused(Cluster.layerTest(options).pipe(Layer.provide(agents)))
      for (const agents of [0, -1, 1.5, Number.NaN, Infinity]) {
        assert.strictEqual(yield* test({ agents }), "agents", String(agents))
        const error = yield* Effect.flip(
          Layer.build(AgentRun.layer({ name: "a", agents }) as unknown as Layer.Layer<never, unknown>)
        )
        assert.deepInclude(error, { _tag: "OpenCodeConfigError", path: "agents" })
      }
      assert.strictEqual(yield* test({ name: "" }), "name")
      assert.strictEqual(yield* test({ retention: "1 second" }), "retention")
      const runner = (options: Partial<Cluster.RunnerOptions>) =>
        refused(Cluster.layerRunner({ host: "a", port: 1, ...options }) as never)
      for (const port of [0, 1.5, 65_536, Number.NaN]) {
        assert.strictEqual(yield* runner({ port }), "port")
        assert.strictEqual(yield* runner({ listenPort: port }), "listenPort")
      }
      for (const lockExpiration of ["11 seconds", Infinity, Number.NaN, "soon" as never] as const) {
        assert.strictEqual(yield* runner({ lockExpiration }), "lockExpiration", String(lockExpiration))
        assert.strictEqual(
          yield* refused(Cluster.layerClient({ lockExpiration }) as never),
          "lockExpiration"
        )
      }
      for (const drain of [-1, Number.NaN, "-1 seconds", "later" as never] as const) {
        assert.strictEqual(yield* runner({ drain }), "drain")
      }
      for (const retention of [0, Number.NaN]) assert.strictEqual(yield* runner({ retention }), "retention")
      for (const weight of [0, -1, 0.01, 1000, Number.NaN, Infinity]) {
        assert.strictEqual(yield* runner({ weight }), "weight")
      }
      assert.strictEqual(yield* runner({ secrets: { "a b": undefined as never } }), "secrets")
    }))
})
