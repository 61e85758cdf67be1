import { FetchHttpClient } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode, OpenCodeServer, Permission, RunConfig } from "effect-opencode"

// #region kinds
const program = Effect.gen(function*() {
  // model, agent, permissions, title and directory belong to a run: both runs share one server
  const reviews = Effect.all([
    OpenCode.run("Review the parser", { permission: Permission.readOnly }),
    OpenCode.run("Write tests for the printer", { title: "Tests", timeout: "10 minutes" })
  ], { concurrency: "unbounded" })

  // the environment belongs to a server: this run uses a second one
  const deployment = OpenCode.run("Say which deployment the scripts would change").pipe(
    RunConfig.withRunConfig({ extraEnv: { DEPLOYMENT: "staging" } })
  )

  const [[review, tests], { text }] = yield* Effect.all([reviews, deployment], { concurrency: "unbounded" })
  for (const said of [review.answer, tests.answer, text]) yield* Console.log(said)
})

const OpenCodeLive = OpenCodeServer.layer({
  // a third kind would wait until one of the two is unused, and replace it
  maxServers: 2,
  idleTimeToLive: "10 minutes"
})
// #endregion

program.pipe(
  Effect.provide(OpenCodeLive.pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
