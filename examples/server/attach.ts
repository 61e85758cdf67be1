import { FetchHttpClient, Terminal } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer, Stream } from "effect"
import { OpenCode, OpenCodeServer } from "effect-opencode"

// #region attach
/** `opencode serve` runs elsewhere, and is left running. */
const OpenCodeLive = Layer.unwrapEffect(Effect.gen(function*() {
  const url = yield* Config.string("OPENCODE_URL")
  const password = yield* Config.redacted("OPENCODE_SERVER_PASSWORD")
  return OpenCodeServer.layerAttach({ url, password })
})).pipe(Layer.provide(FetchHttpClient.layer))

/** Shows the answer as it is written, word by word. */
const program = Effect.gen(function*() {
  const terminal = yield* Terminal.Terminal
  yield* OpenCode.stream("Explain this repository in three sentences").pipe(
    Stream.runForEach((event) => event._tag === "TextDelta" ? terminal.display(event.text) : Effect.void)
  )
})
// #endregion

program.pipe(
  Effect.provide(OpenCodeLive),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
