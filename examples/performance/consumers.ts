import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { type Chunk, Console, Effect, Layer, Sink, Stream } from "effect"
import { OpenCode, type RunEvent } from "effect-opencode"

// #region fold
/** By chunks: no effect for an event, nothing kept. */
const tools = OpenCode.stream("Tidy the repository up").pipe(
  Stream.run(Sink.foldLeftChunks(0, (count, events: Chunk.Chunk<RunEvent.RunEvent>) => {
    for (const event of events) if (event._tag === "ToolUse") count++
    return count
  }))
)
// #endregion

// #region for-each
/** An effect for each event, for work that has to happen immediately. */
const show = OpenCode.stream("Tidy the repository up").pipe(
  Stream.runForEach((event) => event._tag === "ToolUse" ? Console.log(event.tool) : Effect.void)
)
// #endregion

// #region run
/** All events are kept, in the result or in the error. */
const whole = OpenCode.run("Tidy the repository up").pipe(
  Effect.map((result) => result.events.length)
)
// #endregion

Effect.gen(function*() {
  yield* Console.log(yield* tools)
  yield* show
  yield* Console.log(yield* whole)
}).pipe(
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
