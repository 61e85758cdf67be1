import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode, Permission } from "effect-opencode"

const program = Effect.gen(function*() {
  const result = yield* OpenCode.run("Explain this repository in three sentences", {
    permission: Permission.readOnly,
    timeout: "5 minutes"
  })
  yield* Console.log(result.answer)
  yield* Console.log(`${result.steps} steps, ${result.usage.total} tokens, $${result.cost}`)
})

const OpenCodeLive = OpenCode.layer().pipe(Layer.provide(NodeContext.layer))

program.pipe(Effect.provide(OpenCodeLive), NodeRuntime.runMain({ teardown: OpenCode.teardown }))
