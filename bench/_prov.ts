import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { ModelProvider } from "effect-opencode-testing"
import * as fs from "node:fs"
import { createServer } from "node:http"
const P = ModelProvider.layer({ respond: (r) => ModelProvider.Reply.text(`answer to ${r.prompt}`) }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)
NodeRuntime.runMain(
  Effect.scoped(Effect.gen(function*() {
    const p = yield* ModelProvider.ModelProvider
    fs.writeFileSync("/tmp/scr/real/config.json", JSON.stringify(p.configOverrides))
    let last = 0
    while (true) {
      yield* Effect.sleep("200 millis")
      const r = yield* p.requests
      if (r.length !== last) {
        last = r.length
        fs.writeFileSync("/tmp/scr/real/requests", `${r.length} ${r.filter((x) => x.isTitle).length}`)
      }
    }
  })).pipe(Effect.provide(P)) as any
)
