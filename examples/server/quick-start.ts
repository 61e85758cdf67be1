import { FetchHttpClient } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode, OpenCodeServer, Permission } from "effect-opencode"

const program = Effect.gen(function*() {
  const results = yield* Effect.forEach(
    ["the lexer", "the parser", "the printer", "the tests"],
    (part) =>
      OpenCode.run(`Explain ${part} in one sentence`, { permission: Permission.readOnly, timeout: "5 minutes" }),
    { concurrency: "unbounded" }
  )
  for (const { cost, text } of results) yield* Console.log(`${text} ($${cost})`)
})

// with a process for each run: OpenCode.layer().pipe(Layer.provide(NodeContext.layer))
const OpenCodeLive = OpenCodeServer.layer().pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))

program.pipe(Effect.provide(OpenCodeLive), NodeRuntime.runMain({ teardown: OpenCode.teardown }))
