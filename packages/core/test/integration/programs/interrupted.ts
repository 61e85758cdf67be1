/** A program as users write them, for a test that ends it by a signal. The run's options come as JSON from the environment. */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer, Schema } from "effect"
import { OpenCode, RunConfig } from "effect-opencode"

const program = Effect.gen(function*() {
  const options = yield* Schema.decode(Schema.parseJson(RunConfig.RunConfig))(yield* Config.string("RUN_OPTIONS"))
  const cwd = yield* Config.string("RUN_CWD")
  yield* OpenCode.run("go", { ...options, cwd })
})

program.pipe(
  Effect.provide(OpenCode.layer({ version: "1.18.33" }).pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain
)
