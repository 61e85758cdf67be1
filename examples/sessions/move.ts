import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Schema } from "effect"
import { Conversation, OpenCode } from "effect-opencode"
import type { Session } from "effect-opencode"

const home = Config.withDefault(Config.string("AGENT_HOME"), ".agent")

// #region move
const Exported = Schema.parseJson(Conversation.Conversation)

/** Writes a conversation to a file that can be sent to another machine. */
const pack = (session: Session.Session, file: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    yield* fileSystem.writeFileString(file, yield* Schema.encode(Exported)(yield* session.export()))
  })

/** Continues it there, in a data directory and a working directory of that machine. */
const unpack = (file: string, directory: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const conversation = yield* Schema.decode(Exported)(yield* fileSystem.readFileString(file))
    const location = yield* OpenCode.importSession(conversation, { isolation: { directory } })
    return yield* OpenCode.resume(location)
  })
// #endregion

const program = Effect.scoped(Effect.gen(function*() {
  const directory = yield* home
  const file = `${directory}.json`
  const session = yield* OpenCode.session()
  yield* session.run("Plan how to split src/server.ts")
  yield* pack(session, file)
  const moved = yield* unpack(file, directory)
  const { answer } = yield* moved.run("Do the first step of the plan")
  yield* Console.log(answer)
}))

program.pipe(
  Effect.provide(OpenCode.layer().pipe(Layer.provideMerge(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
