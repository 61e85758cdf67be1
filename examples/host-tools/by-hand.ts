import { Tool, Toolkit } from "@effect/ai"
import { FileSystem } from "@effect/platform"
import { NodeContext, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { HostTools } from "effect-opencode-ai"
import { createServer } from "node:http"

const FindCustomer = Tool.make("find_customer", { parameters: { id: Schema.Number }, success: Schema.String })
const tools = Toolkit.make(FindCustomer)

// #region config
const writeConfig = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const { configOverrides, mcp } = yield* HostTools.plugin(tools)
  // the token is in it
  yield* fileSystem.writeFileString("server.json", JSON.stringify({ mcp, ...configOverrides }), { mode: 0o600 })
  yield* Console.log("OPENCODE_CONFIG=server.json OPENCODE_EXPERIMENTAL_CODE_MODE=false opencode serve")
})
// #endregion

const live = HostTools.layer().pipe(
  Layer.provideMerge(NodeContext.layer),
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)

// The file and the token are valid as long as the layer.
writeConfig.pipe(Effect.andThen(Effect.never), Effect.provide(live), NodeRuntime.runMain)
