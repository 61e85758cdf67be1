import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode, RunConfig } from "effect-opencode"

// #region regions
const review = Effect.gen(function*() {
  const bugs = yield* OpenCode.run("Review the last commit for bugs")
  const names = yield* OpenCode.run("Review the last commit for misleading names").pipe(
    RunConfig.withRunConfig({ model: "anthropic/claude-haiku-4-5" })
  )
  return [bugs.answer, names.answer]
}).pipe(
  RunConfig.withRunConfig({ agent: "plan", permission: { edit: "deny" } })
)
// #endregion

review.pipe(
  Effect.flatMap((texts) => Console.log(texts.join("\n\n"))),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
