import { Chat } from "@effect/ai"
import { NodeContext, NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Option, Stream } from "effect"
import { OpenCodeServer } from "effect-opencode"
import { OpenCodeLanguageModel } from "effect-opencode-ai"

const program = Effect.gen(function*() {
  const chat = yield* Chat.fromPrompt([{ role: "system", content: "You plan before you write." }])
  // #region turns
  const plan = yield* chat.generateText({ prompt: "Plan how to split src/server.ts." })
  yield* Console.log(plan.text)
  // The agent remembers its plan: only this prompt is sent.
  yield* chat.streamText({ prompt: "Do the first step." }).pipe(
    Stream.runForEach((part) => part.type === "text-delta" ? Console.log(part.delta) : Effect.void)
  )
  // #endregion
}).pipe(
  // #region errors
  Effect.catchAll((error) =>
    Option.match(OpenCodeLanguageModel.errorOf(error), {
      onNone: () => Console.error(error.message),
      onSome: (cause) =>
        cause._tag === "OpenCodeTimeoutError"
          ? Console.error(`too slow, but said: ${cause.partial.text}`)
          : Console.error(cause.message)
    })
  )
  // #endregion
)

const model = OpenCodeLanguageModel.layer({
  model: "anthropic/claude-sonnet-4-5",
  sessions: { capacity: 4, timeToLive: "10 minutes" }
}).pipe(
  Layer.provide(OpenCodeServer.layer()),
  Layer.provide([NodeContext.layer, NodeHttpClient.layer])
)

program.pipe(Effect.provide(model), NodeRuntime.runMain)
