import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"

const home = Config.withDefault(Config.string("AGENT_HOME"), ".agent")

// #region ledger
const program = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const directory = yield* home
  const runId = yield* Config.string("JOB")

  const result = yield* OpenCode.run("Update the dependencies one by one, and test after each", {
    runId,
    // the conversation of this job, apart from those of all others
    isolation: { directory: `${directory}/${runId}` },
    // without a line in the ledger, nothing begins
    onStart: ({ attempt, process }) =>
      fileSystem.writeFileString(
        `${directory}/ledger`,
        `${runId} ${attempt} ${process?.pid} ${process?.started}\n`,
        { flag: "a" }
      ).pipe(Effect.orDie)
  })
  yield* Console.log(result.runId, result.answer)
})
// #endregion

program.pipe(
  Effect.provide(OpenCode.layer().pipe(Layer.provideMerge(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
