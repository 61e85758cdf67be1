import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { scripted } from "./scripted.js"

const program = Effect.scoped(Effect.gen(function*() {
  // the conversation lasts as long as the scope
  const session = yield* OpenCode.session({ timeout: "2 minutes" })
  const first = yield* session.run("Choose a name for a parser")
  const second = yield* session.run("Now a shorter one")
  yield* Console.log(`${first.answer} ${second.answer}`)
  const { cost, usage } = yield* session.usage
  yield* Console.log(`both turns: ${usage.total} tokens, $${cost}`)
}))

program.pipe(
  // the second answer shows that the model has seen the first turn
  scripted(({ messages }) => {
    const turns = messages.filter(({ role }) => role === "user").length
    return ModelProvider.Reply.text(turns === 1 ? "Parsimonious." : "Pars.")
  }),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
