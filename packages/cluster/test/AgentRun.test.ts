import { assert, it } from "@effect/vitest"
import { type AgentJob, AgentRun, Cluster } from "effect-opencode-cluster"
import { Events, MockCommandExecutor, OpenCodeTest } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const cluster = Cluster.layerTest().pipe(Layer.provideMerge(OpenCodeTest.layer({
  "Name a colour": "blue",
  "Hang": OpenCodeTest.Reply.events([Events.stepStart(), MockCommandExecutor.never])
})))

it.live("a job is run once, and its result is given again", () =>
  Effect.gen(function*() {
    const job: AgentJob.AgentJob = { id: "colour/1", prompt: "Name a colour" }
    const [one, two] = yield* Effect.all([AgentRun.execute(job), AgentRun.execute(job)], { concurrency: 2 })
    const three = yield* AgentRun.execute(job)
    assert.strictEqual(one.answer, "blue")
    assert.deepStrictEqual([two.runId, three.runId], [one.runId, one.runId])
    assert.strictEqual(one.runner, "test")
    assert.lengthOf(yield* Effect.flatMap(OpenCodeTest.OpenCodeTest, ({ calls }) => calls), 1)
  }).pipe(Effect.provide(cluster)))
