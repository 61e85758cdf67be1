import { NodeContext, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { createServer } from "node:http"

// #region provider
const { Reply } = ModelProvider

const provider = ModelProvider.layer({
  respond: ModelProvider.steps([
    Reply.toolCalls([{ name: "read", arguments: { filePath: "package.json" } }]),
    Reply.text("It is a JavaScript project.")
  ])
}).pipe(Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })))

const program = Effect.gen(function*() {
  const { configOverrides, model } = yield* ModelProvider.ModelProvider
  const result = yield* OpenCode.run("What is this?", { configOverrides, model })
  yield* Console.log(result.answer)
}).pipe(
  Effect.provide(provider),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer)))
)
// #endregion

program.pipe(NodeRuntime.runMain({ teardown: OpenCode.teardown }))
