import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { scripted } from "./scripted.js"

const { Reply } = ModelProvider

const program = OpenCode.stream("What is this project?", { timeout: "2 minutes" }).pipe(
  Stream.runForEach((event) => {
    switch (event._tag) {
      case "Text":
        return Console.log(event.text)
      case "ToolUse":
        return Console.log(`[${event.tool}] ${event.title ?? event.status}`)
      case "StepFinish":
        return Console.log(`[step] ${event.tokens.total} tokens, $${event.cost}`)
      default:
        return Effect.void
    }
  })
)

program.pipe(
  scripted(ModelProvider.steps([
    Reply.toolCalls([{ name: "read", arguments: { filePath: "package.json" } }]),
    Reply.text("A project with a package.json.")
  ])),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
