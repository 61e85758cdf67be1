import { FetchHttpClient } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Array, Console, Effect, Layer } from "effect"
import { FleetBudget, OpenCode, OpenCodeServer } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { scripted } from "./scripted.js"

const program = Effect.gen(function*() {
  // twenty agents, five at a time; a failed run is a Left and does not stop the others
  const results = yield* Effect.forEach(
    Array.range(1, 20),
    (n) => Effect.either(OpenCode.run(`Review part ${n}`, { timeout: "2 minutes" })),
    { concurrency: 5 }
  )
  for (const { answer } of Array.getRights(results)) yield* Console.log(answer)
  const failures = Array.groupBy(Array.getLefts(results), ({ _tag }) => _tag)
  for (const [tag, errors] of Object.entries(failures)) {
    yield* Console.log(`${errors.length} × ${tag}: ${errors[0].message}`)
  }
}).pipe(
  // together they may spend one dollar; once that is exceeded, no further run starts
  Effect.provide(FleetBudget.layer({ cost: 1 }))
)

program.pipe(
  // every answer costs about ten cents
  scripted(({ prompt }) => ModelProvider.Reply.text(`${prompt}: done.`, { usage: { input: 100_000 } })),
  // all runs share a warm server; `OpenCode.layer()` starts a process for each of them
  Effect.provide(OpenCodeServer.layer().pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
