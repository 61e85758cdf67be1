import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"

// #region layer
const OpenCodeLive = OpenCode.layer({
  sandbox: {
    write: ["~/.cache/go-build"],
    hide: ["~/notes"],
    network: { allow: ["api.github.com"] }
  },
  defaults: { model: "anthropic/claude-sonnet-4-5" }
}).pipe(Layer.provide(NodeContext.layer))
// #endregion

OpenCode.run("Update the dependencies").pipe(
  Effect.flatMap((result) => Console.log(result.answer)),
  Effect.provide(OpenCodeLive),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
