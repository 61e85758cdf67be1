import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Schema } from "effect"
import type { Session } from "effect-opencode"
import { OpenCode } from "effect-opencode"

const home = Config.withDefault(Config.string("AGENT_HOME"), ".agent")

// #region restart
/** The place of the conversation: enough to continue it in another process, days later. */
const Location = Schema.parseJson(Schema.Struct({
  sessionId: Schema.String,
  directory: Schema.String,
  cwd: Schema.String
}))

/** The conversation stored in the file, or a new one. */
const open = (file: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    if (!(yield* fileSystem.exists(file))) return yield* OpenCode.session()
    const location = yield* Schema.decode(Location)(yield* fileSystem.readFileString(file))
    return yield* OpenCode.resume(location)
  })

const note = (session: Session.Session, file: string) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const sessionId = yield* session.id
    const { cwd, directory } = session
    // no id: the conversation has not begun yet
    if (sessionId === undefined || directory === undefined) return
    yield* fileSystem.writeFileString(file, yield* Schema.encode(Location)({ sessionId, directory, cwd }))
  })

/** Each start of the program adds a turn to the same conversation. */
const program = Effect.scoped(Effect.gen(function*() {
  const file = `${yield* home}/session.json`
  const session = yield* open(file)
  const result = yield* session.run(yield* Config.string("PROMPT")).pipe(
    // also after a turn that failed or was interrupted
    Effect.ensuring(Effect.ignoreLogged(note(session, file)))
  )
  yield* Console.log(result.answer)
}))

// a directory that is kept, not one that is removed with the scope
const OpenCodeLive = Layer.unwrapEffect(
  Effect.map(home, (home) => OpenCode.layer({ isolation: { directory: `${home}/data` } }))
)
// #endregion

program.pipe(
  Effect.provide(OpenCodeLive.pipe(Layer.provideMerge(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
