import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { OpenCode, Permission } from "effect-opencode"

// #region recursive
interface Module {
  readonly name: string
  readonly parts: ReadonlyArray<Module>
}

const Module: Schema.Schema<Module> = Schema.Struct({
  name: Schema.String,
  parts: Schema.Array(Schema.suspend(() => Module))
}).annotations({ identifier: "Module" })

const outline = OpenCode.runSchema(Module, "Outline the modules of this repository", {
  permission: Permission.readOnly,
  repairs: 1
})
// #endregion

const print = (module: Module, depth = 0): Effect.Effect<void> =>
  Effect.andThen(
    Console.log(`${"  ".repeat(depth)}${module.name}`),
    Effect.forEach(module.parts, (part) => print(part, depth + 1), { discard: true })
  )

outline.pipe(
  Effect.flatMap(({ value }) => print(value)),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
