import { Chat } from "@effect/ai"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { OpenCodeLanguageModel } from "effect-opencode-ai"
import { ModelProvider } from "effect-opencode-testing"
import { scripted } from "./scripted.js"

const program = Effect.gen(function*() {
  const chat = yield* Chat.empty
  const first = yield* chat.generateText({ prompt: "Choose a name for a parser" })
  // continues the agent's session: only this is sent
  const second = yield* chat.generateText({ prompt: "Now a shorter one" })
  yield* Console.log(`${first.text} ${second.text} (${second.usage.totalTokens} tokens)`)
})

const model = OpenCodeLanguageModel.layer({ config: { timeout: "2 minutes" } }).pipe(
  Layer.provide(OpenCode.layer()),
  Layer.provide(NodeContext.layer)
)

program.pipe(
  Effect.provide(model),
  scripted(({ messages }) => {
    const turns = messages.filter(({ role }) => role === "user").length
    return ModelProvider.Reply.text(turns === 1 ? "Parsimonious." : "Pars.")
  }),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
