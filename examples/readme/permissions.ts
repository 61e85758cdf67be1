import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode, Permission } from "effect-opencode"

// #region permissions
// closed by default: everything not named is denied, MCP tools included
const permission = Permission.make({
  read: "allow",
  glob: "allow",
  edit: { "OUTDATED.md": "allow" },
  bash: { "npm outdated*": "allow" }
})

const audit = OpenCode.run("Find outdated dependencies and write OUTDATED.md", { permission })
// #endregion

audit.pipe(
  Effect.flatMap((result) => Console.log(result.answer)),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
