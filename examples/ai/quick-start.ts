import { LanguageModel } from "@effect/ai"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { OpenCode } from "effect-opencode"
import { OpenCodeLanguageModel } from "effect-opencode-ai"

const Review = Schema.Struct({
  verdict: Schema.Literal("approve", "reject"),
  reasons: Schema.Array(Schema.String)
})

const program = LanguageModel.generateObject({
  prompt: "Review the last commit of this repository.",
  schema: Review
}).pipe(
  Effect.flatMap(({ usage, value }) => Console.log(value.verdict, value.reasons, usage.totalTokens)),
  Effect.catchTag("HttpResponseError", (error) => Console.error(`the provider said ${error.response.status}`))
)

const model = OpenCodeLanguageModel.model("openai/gpt-5", {
  permission: { edit: "deny" },
  timeout: "10 minutes"
}).pipe(
  Layer.provide(OpenCode.layer()),
  Layer.provide(NodeContext.layer)
)

program.pipe(Effect.provide(model), NodeRuntime.runMain({ teardown: OpenCode.teardown }))
