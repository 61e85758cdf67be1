import { NodeContext, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Binary, OpenCode } from "effect-opencode"
import { Conformance } from "effect-opencode-testing"
import { createServer } from "node:http"

// #region conformance
const program = Effect.gen(function*() {
  const binary = yield* Binary.resolve()
  const version = yield* Effect.flatMap(OpenCode.OpenCode, (service) => service.version)
  const judgements = yield* Conformance.run({
    binary,
    version,
    httpServer: Layer.orDie(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
  })
  for (const { fact, status } of judgements) {
    if (status === "differs") yield* Console.log(`${fact.id}: ${fact.otherwise}`)
  }
}).pipe(
  Effect.provide(OpenCode.layer()),
  Effect.provide(NodeContext.layer)
)
// #endregion

program.pipe(NodeRuntime.runMain({ teardown: OpenCode.teardown }))
