/** A program that submits jobs to runners and waits for them: their rate, and what the waiting costs. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { AgentRun, Cluster, RunLedger } from "effect-opencode-cluster"
import * as meter from "../lib/meter.js"

export interface Callers {
  readonly url: string
  /** The prefix of the ids. */
  readonly name: string
  readonly prompt: string
  readonly jobs: number
  /** Only waits until all callers wait, without a result. */
  readonly leave: boolean
}

const { jobs, leave, name, prompt, url } = meter.job<Callers>()

const program = Effect.gen(function*() {
  const ledger = yield* RunLedger.RunLedger
  const { cluster } = yield* AgentRun.health
  const stop = meter.start()
  const all = yield* Effect.fork(Effect.forEach(
    Array.from({ length: jobs }, (_, index) => `${name}/${index}`),
    (id) => AgentRun.execute({ id, prompt: `${id} ${prompt}` }),
    { concurrency: "unbounded", discard: true }
  ))
  if (!leave) {
    yield* Fiber.join(all)
    return stop()
  }
  const before = cluster.accepted + cluster.running + cluster.settled
  yield* Effect.repeat(ledger.counts, {
    until: ({ accepted, running, settled }) => accepted + running + settled - before >= jobs
  })
  yield* Effect.sleep("10 seconds")
  const waiting = process.memoryUsage().rss / 1e6
  const measured = stop()
  yield* Fiber.interrupt(all)
  return { ...measured, waiting }
})

const client = Cluster.layerClient().pipe(Layer.provide(PgClient.layer({ url: Redacted.make(url) })))

meter.report(await Effect.runPromise(Effect.provide(program, client)))
