/** What the probes of a runner are told. */
import * as HttpApp from "@effect/platform/HttpApp"
import { assert, describe, it } from "@effect/vitest"
import type * as AgentRun from "effect-opencode-cluster/AgentRun"
import * as RunLedger from "effect-opencode-cluster/RunLedger"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as health from "../src/internal/bin/health.js"

const well: AgentRun.Health = {
  runner: { name: "one", agents: 4, running: 1, waiting: 0 },
  cluster: { accepted: 0, running: 1, settled: 0, stuck: 0, oldest: 0 }
}

const paths = ["live", "ready", "health"]

const asked = async (state: health.State) => {
  const { handler } = HttpApp.toWebHandlerLayer(
    health.router(Effect.runSync(Ref.make(state))),
    Layer.empty
  )
  return Promise.all(paths.map(async (path) => {
    const answer = await handler(new Request(`http://runner/${path}`))
    const body = await answer.text()
    return [answer.status, path === "live" ? "" : String(JSON.parse(body).status)]
  }))
}

describe("the probes of a runner", () => {
  const cases: ReadonlyArray<readonly [name: string, state: health.State, answers: ReadonlyArray<unknown>]> = [
    ["starts", { _tag: "Starting" }, [[200, ""], [503, "starting"], [503, "starting"]]],
    ["works", { _tag: "Working", health: Effect.succeed(well) }, [[200, ""], [200, "ok"], [200, "ok"]]],
    [
      "has jobs that nobody works on, which no restart of its own mends",
      { _tag: "Working", health: Effect.succeed({ ...well, cluster: { ...well.cluster, stuck: 2 } }) },
      [[200, ""], [200, "stuck-jobs"], [503, "stuck-jobs"]]
    ],
    [
      "is refused by its database",
      {
        _tag: "Working",
        health: Effect.fail(new RunLedger.LedgerError({ operation: "counts", cause: new Error("refused") }))
      },
      [[200, ""], [503, "no-database"], [503, "no-database"]]
    ],
    [
      "hears nothing from its database",
      { _tag: "Working", health: Effect.never },
      [[200, ""], [503, "no-database"], [503, "no-database"]]
    ],
    ["drains", { _tag: "Draining", health: Effect.succeed(well) }, [[200, ""], [503, "draining"], [503, "draining"]]]
  ]
  for (const [name, state, answers] of cases) {
    it(`of one that ${name}`, async () => {
      assert.deepStrictEqual(await asked(state), answers)
    })
  }
})
