/** Jobs whose agents cost nothing, so that what is measured is the cluster. Not bundled: SQLite is a native module. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { PgClient } from "@effect/sql-pg"
import { Deferred, Effect, Layer, Logger, LogLevel, Redacted, Stream } from "effect"
import { OpenCode } from "effect-opencode"
import { AgentRun, Cluster } from "effect-opencode-cluster"
import { OpenCodeTest } from "effect-opencode-testing"
import * as meter from "../lib/meter.js"
import { medianOf } from "../lib/report.js"

export interface Job {
  /** `none` runs the same prompts without a cluster. */
  readonly storage: "none" | "memory" | "sqlite" | "postgres"
  /** The SQLite file, or the URL of PostgreSQL. */
  readonly at: string
  /** A free port. */
  readonly port: number
  /** The prefix of the ids. */
  readonly name: string
  readonly jobs: number
  /** Jobs on the idle cluster, one after the other. */
  readonly single: number
}

const agents = 32

const job = meter.job<Job>()

const Agents = OpenCodeTest.layer(() => "done").pipe(Layer.provideMerge(NodeContext.layer))

const Postgres = PgClient.layer({ url: Redacted.make(job.at) })

const many = <E, R>(run: (name: string) => Effect.Effect<string, E, R>) =>
  Effect.gen(function*() {
    const stop = meter.start()
    const answers = yield* Effect.forEach(
      Array.from({ length: job.jobs }, (_, index) => `${job.name}/${index}`),
      run,
      { concurrency: "unbounded" }
    )
    if (answers.some((answer) => answer !== "done")) return yield* Effect.die(new Error("a job has another answer"))
    return stop()
  })

/** The time from submitting a job to its first event, in milliseconds. */
const firstEvent = (id: string) =>
  Effect.gen(function*() {
    const from = performance.now()
    yield* AgentRun.submit({ id, prompt: id })
    const first = yield* Deferred.make<number>()
    yield* Stream.runForEach(
      AgentRun.events(id),
      () => Effect.flatMap(Effect.sync(() => performance.now() - from), (time) => Deferred.succeed(first, time))
    )
    return yield* Deferred.await(first)
  })

const cluster = Effect.gen(function*() {
  // The runner has its shards when it answers.
  yield* AgentRun.execute({ id: `${job.name}/warm`, prompt: "warm" })
  const measured = yield* many((id) => Effect.map(AgentRun.execute({ id, prompt: id }), ({ answer }) => answer))
  const times = yield* Effect.forEach(
    Array.from({ length: job.single }, (_, index) => `${job.name}/single/${index}`),
    firstEvent
  )
  return { ...measured, firstEvent: medianOf(times) }
})

const program = (): Effect.Effect<meter.Measured, unknown> => {
  switch (job.storage) {
    case "none":
      return many((id) => Effect.map(OpenCode.run(id), ({ answer }) => answer)).pipe(Effect.provide(Agents))
    case "memory":
      return Effect.provide(cluster, Layer.provide(Cluster.layerTest({ agents }), Agents))
    case "sqlite":
      return Effect.provide(cluster, Layer.provide(Cluster.layerEmbedded({ filename: job.at, agents }), Agents))
    case "postgres":
      // Callers are a client of the cluster, as in another program.
      return Effect.scoped(Effect.gen(function*() {
        yield* Layer.build(
          Cluster.layerRunner({ host: "127.0.0.1", port: job.port, agents, drain: "1 second" }).pipe(
            Layer.provide([Agents, Postgres])
          )
        )
        return yield* Effect.provide(cluster, Layer.provide(Cluster.layerClient(), Postgres))
      }))
  }
}

const measured = await Effect.runPromise(
  program().pipe(
    Effect.provide(Logger.pretty),
    Logger.withMinimumLogLevel(LogLevel.Error)
  )
)
meter.report(measured)
