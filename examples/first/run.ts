import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode, Permission } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { scripted } from "./scripted.js"

const { Reply } = ModelProvider

const program = Effect.gen(function*() {
  const result = yield* OpenCode.run("What is this project?", {
    permission: Permission.readOnly,
    timeout: "2 minutes"
  })
  yield* Console.log(result.answer)
  yield* Console.log(`${result.steps} steps, ${result.usage.total} tokens, $${result.cost}`)
})

program.pipe(
  // the model's steps: it reads a file, then it answers; without this line your own model answers
  scripted(ModelProvider.steps([
    Reply.toolCalls([{ name: "read", arguments: { filePath: "package.json" } }]),
    Reply.text("A project with a package.json.")
  ])),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
