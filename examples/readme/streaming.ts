import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { OpenCode } from "effect-opencode"

// #region streaming
const watch = OpenCode.stream("Write the release notes").pipe(
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
// #endregion

watch.pipe(
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
