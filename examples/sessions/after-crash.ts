import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { OpenCode, Transcript } from "effect-opencode"

const home = Config.withDefault(Config.string("AGENT_HOME"), ".agent")

// #region after-crash
/** The last run of the transcript, if its program died before the run ended and a conversation had begun. */
const unfinished = (file: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    if (!(yield* fileSystem.exists(file))) return undefined
    const recorded = yield* Transcript.read(file)
    return recorded.outcome === undefined && recorded.sessionId !== undefined ? recorded : undefined
  })

const program = Effect.scoped(Effect.gen(function*() {
  const transcript = `${yield* home}/nightly.jsonl`
  const recorded = yield* unfinished(transcript)
  if (recorded === undefined) {
    return yield* OpenCode.run("Update the dependencies one by one, and test after each", { transcript })
  }
  yield* Console.log(`continuing after ${recorded.events.length} events`)
  // ends what the agent has left running, then continues in the same data and working directory
  const session = yield* OpenCode.resume(recorded, { transcript })
  return yield* session.run("You were interrupted. Look at what is done, then go on.")
}))
// #endregion

program.pipe(
  Effect.flatMap((result) => Console.log(result.answer)),
  Effect.provide(
    Layer.unwrapEffect(
      Effect.map(home, (home) => OpenCode.layer({ isolation: { directory: `${home}/data` } }))
    ).pipe(Layer.provideMerge(NodeContext.layer))
  ),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
