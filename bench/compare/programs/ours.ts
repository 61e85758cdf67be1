/** One prompt as a program of this library sends it. */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { config, limit, prompt } from "../job.js"

const program = Effect.gen(function*() {
  const result = yield* OpenCode.run(prompt, {
    configOverrides: config,
    model: config.model,
    title: "comparison",
    ...(limit === undefined ? {} : { timeout: limit })
  })
  yield* Console.log(result.answer)
})

const OpenCodeLive = OpenCode.layer().pipe(Layer.provide(NodeContext.layer))

program.pipe(Effect.provide(OpenCodeLive), NodeRuntime.runMain({ teardown: OpenCode.teardown }))
