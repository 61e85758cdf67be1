import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"

// #region configuration
const OpenCodeLive = OpenCode.layerConfig({
  concurrency: Config.withDefault(Config.integer("AGENTS"), 4),
  environment: Config.succeed("reviewed"),
  defaults: {
    model: Config.string("AGENT_MODEL"),
    timeout: Config.withDefault(Config.duration("AGENT_TIMEOUT"), "20 minutes"),
    extraEnv: {
      ANTHROPIC_API_KEY: Config.redacted("ANTHROPIC_API_KEY")
    }
  }
}).pipe(Layer.provide(NodeContext.layer))
// #endregion

OpenCode.run("Fix the failing test").pipe(
  Effect.flatMap((result) => Console.log(result.answer)),
  Effect.provide(OpenCodeLive),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
