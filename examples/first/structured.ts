import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { scripted } from "./scripted.js"

const { Reply } = ModelProvider

const Rating = Schema.Struct({
  stars: Schema.Int.pipe(Schema.between(1, 5)),
  reason: Schema.String
})

const program = Effect.gen(function*() {
  const { result, value } = yield* OpenCode.runSchema(Rating, "Rate this project", { repairs: 1, timeout: "2 minutes" })
  yield* Console.log(`${value.stars} stars: ${value.reason}`)
  yield* Console.log(`${result.steps} steps, with the correction`)
})

program.pipe(
  // seven stars do not decode; the agent is told why, and corrects itself
  scripted(ModelProvider.sequence([
    Reply.text("```json\n{ \"stars\": 7, \"reason\": \"clear\" }\n```"),
    Reply.text("```json\n{ \"stars\": 5, \"reason\": \"clear\" }\n```")
  ])),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
