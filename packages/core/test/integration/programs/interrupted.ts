/** A program as users write them, for a test that ends it by a signal. The run's options come as JSON from the environment. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { OpenCode, RunConfig } from "effect-opencode"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const program = Effect.gen(function*() {
  const options = yield* Schema.decode(Schema.parseJson(RunConfig.RunConfig))(yield* Config.string("RUN_OPTIONS"))
  const cwd = yield* Config.string("RUN_CWD")
  yield* OpenCode.run("go", { ...options, cwd })
})

program.pipe(
  Effect.provide(OpenCode.layer({ version: "1.18.33" }).pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
