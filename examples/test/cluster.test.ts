/** Runs the parts of examples/cluster on a cluster in memory. */
import { ClusterWorkflowEngine } from "@effect/cluster"
import { expect, it } from "@effect/vitest"
import { Console, Effect, Layer } from "effect"
import { AgentRun, Cluster } from "effect-opencode-cluster"
import { OpenCodeTest } from "effect-opencode-testing"
import { release, ReleaseLive, watch } from "../cluster/jobs.js"

// #region test
const cluster = Cluster.layerTest().pipe(Layer.provide(OpenCodeTest.layer({
  "Write the notes of 1.4": "faster",
  "Review: faster": "fine"
})))

it.live("a release is reviewed, and repeating it starts no agent", () =>
  Effect.gen(function*() {
    const live = Layer.provideMerge(ReleaseLive, ClusterWorkflowEngine.layer)
    expect(yield* Effect.provide(release("1.4"), live)).toBe("fine")
    expect((yield* AgentRun.result("notes/1.4")).answer).toBe("faster")
  }).pipe(Effect.provide(cluster)))
// #endregion

it.live("a job is watched to its end", () =>
  Effect.gen(function*() {
    const printed: Array<unknown> = []
    const console = yield* Effect.console
    yield* AgentRun.submit({ id: "notes", prompt: "Write the notes of 1.4" })
    yield* watch("notes").pipe(
      Console.withConsole({ ...console, log: (...args) => Effect.sync(() => void printed.push(...args)) })
    )
    expect(printed.at(-1)).toBe("succeeded")
  }).pipe(Effect.provide(cluster)))
