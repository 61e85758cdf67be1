import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode, RunEvent, Tool, WorkingTree } from "effect-opencode"

// #region changes
const program = Effect.gen(function*() {
  const result = yield* OpenCode.run("Fix the failing test", { usage: "deep" })

  const tools = result.events.filter(RunEvent.is("ToolUse")).map(Tool.fromEvent)
  for (const { exit, input } of tools.filter(Tool.is("Bash"))) {
    yield* Console.log(`$ ${input.command} (${exit ?? "did not end"})`)
  }
  for (const { kind, path } of result.filesChanged) yield* Console.log(`${kind} ${path}`)

  // includes changes by shell commands and sub-agents
  yield* Console.log(yield* WorkingTree.diff("."))
})
// #endregion

program.pipe(
  Effect.provide(OpenCode.layer().pipe(Layer.provideMerge(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
