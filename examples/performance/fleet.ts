import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Option, Stream } from "effect"
import { OpenCode } from "effect-opencode"

// #region fleet
const OpenCodeLive = OpenCode.layer({
  // saves the version query (0.65 s) at the first run
  version: "1.18.33",
  // limited by memory: 410 MB for each run with the fast profile, 570 MB without
  concurrency: 8,
  defaults: { model: "anthropic/claude-sonnet-4-5", startupProfile: "fast" }
}).pipe(Layer.provide(NodeContext.layer))

const program = Stream.range(1, 40).pipe(
  // 8 runs at a time, and no fiber for the others
  Stream.mapEffect((issue) => OpenCode.run(`Is issue ${issue} a duplicate?`).pipe(Effect.option), {
    concurrency: 8,
    unordered: true
  }),
  Stream.filterMap(Option.map((result) => result.cost)),
  Stream.runSum,
  Effect.flatMap((cost) => Console.log(`$${cost.toFixed(2)}`))
)
// #endregion

program.pipe(Effect.provide(OpenCodeLive), NodeRuntime.runMain({ teardown: OpenCode.teardown }))
