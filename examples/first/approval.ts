import { FetchHttpClient } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode, OpenCodeServer } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { scripted } from "./scripted.js"

const { Reply } = ModelProvider

/** Asked while the agent waits; here a rule decides, it could as well be a person. */
const OpenCodeLive = OpenCodeServer.layer({
  ask: ["bash"],
  onPermission: ({ patterns, permission }) =>
    Effect.gen(function*() {
      const isAllowed = patterns.every((command) => command.startsWith("echo "))
      yield* Console.log(`${permission} ${patterns.join(", ")}: ${isAllowed ? "allowed" : "refused"}`)
      return isAllowed ? "once" as const : { reject: "Only echo is allowed." }
    })
})

const bash = (command: string) => Reply.toolCalls([{ name: "bash", arguments: { command, description: "A command" } }])

const program = OpenCode.run("Clean up", { timeout: "2 minutes" }).pipe(
  Effect.flatMap(({ answer }) => Console.log(answer))
)

program.pipe(
  scripted(ModelProvider.steps([bash("echo hello"), bash("rm -rf build"), Reply.text("I said hello.")])),
  Effect.provide(OpenCodeLive.pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
