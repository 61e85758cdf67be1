import { FileSystem } from "@effect/platform"
import { NodeContext, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { createServer } from "node:http"

const { Reply } = ModelProvider

// #region model
/** Asks for a tool in the first step and answers in the second one. */
export const respond: ModelProvider.Respond = ({ step }) =>
  step === 0
    ? Reply.toolCalls([{ name: "bash", arguments: { command: "ls", description: "List the files" } }])
    : Reply.text("These are the files.")

export const program = Effect.gen(function*() {
  const { configOverrides, model } = yield* ModelProvider.ModelProvider
  const file = yield* (yield* FileSystem.FileSystem).makeTempFileScoped({ prefix: "mock-model-", suffix: ".json" })
  yield* (yield* FileSystem.FileSystem).writeFileString(file, JSON.stringify(configOverrides))
  yield* Console.log(`effect-opencode run "List the files" --model ${model} --config-overrides @${file}`)
  yield* Console.log(`OPENCODE_CONFIG=${file} opencode run --model ${model} "List the files"`)
  return yield* Effect.never
})
// #endregion

program.pipe(
  Effect.scoped,
  Effect.provide(ModelProvider.layer({ respond })),
  Effect.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
