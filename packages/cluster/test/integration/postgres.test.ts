/** Runners on PostgreSQL as real processes, with a stand-in for the binary, and a client in this one. */
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as AgentRun from "effect-opencode-cluster/AgentRun"
import * as Cluster from "effect-opencode-cluster/Cluster"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as agents from "../support/agent.js"
import * as postgres from "../support/postgres.js"
import * as processes from "../support/runners.js"

const isThere = postgres.programs() !== undefined
if (!isThere) {
  console.error("There is no PostgreSQL: RUNNERS ON SEVERAL MACHINES ARE NOT TESTED.")
}

describe.runIf(isThere)("runners on PostgreSQL", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "eo-cluster-"))
  const agent = agents.make(directory)
  let database: postgres.Postgres
  let runners: processes.Runners

  beforeAll(async () => {
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

  it.live("a job runs once", () =>
    Effect.gen(function*() {
      const one = yield* Effect.promise(() => runners.start())
      const result = yield* AgentRun.execute({ id: "a/1", prompt: "hello sleep=0.2" })
      assert.strictEqual(result.runner, one.name)
      assert.strictEqual(result.answer, "done")
    }).pipe(Effect.provide(client)))
})
