import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { scripted } from "./scripted.js"

/** Every option can be a `Config`; a missing or invalid variable fails the layer before anything starts. */
const OpenCodeLive = OpenCode.layerConfig({
  concurrency: Config.withDefault(Config.integer("AGENTS"), 4),
  // OpenCode inherits what programs need, and nothing that carries secrets
  environment: Config.succeed("reviewed"),
  defaults: {
    timeout: Config.withDefault(Config.duration("AGENT_TIMEOUT"), "20 minutes"),
    extraEnv: {
      // a Redacted value: it is masked in errors, logs, spans and transcripts
      ACME_API_KEY: Config.redacted("ACME_API_KEY")
    }
  }
})

const program = OpenCode.run("Say hello").pipe(
  Effect.flatMap(({ answer }) => Console.log(answer))
)

program.pipe(
  scripted(() => ModelProvider.Reply.text("Hello.")),
  Effect.provide(OpenCodeLive.pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
