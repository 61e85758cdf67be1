/**
 * Ten agents in parallel on copies of a small workspace, and one more over their results: `npm run demo`.
 *
 * A scripted model on loopback answers them. With `OPENCODE_MODEL=provider/model` that model answers, with your own
 * credentials.
 */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Clock, Config, Console, Data, Effect, Function, Option } from "effect"
import { FleetBudget } from "effect-opencode"
import { mapReduce } from "./agents.js"
import { layerModel, layerScripted } from "./model.js"
import * as Progress from "./progress.js"
import { documentTasks } from "./tasks.js"
import * as View from "./view.js"

class RunsFailedError extends Data.TaggedError("RunsFailedError")<{ readonly count: number }> {
  override get message(): string {
    return `${this.count} of the runs failed.`
  }
}

const names = [...documentTasks.map(({ name }) => name), "overview"]

const work = Effect.gen(function*() {
  const results = yield* mapReduce
  const progress = yield* Progress.Progress
  return { ...results, agents: yield* progress.agents }
}).pipe(
  Effect.provide(Progress.layer(names)),
  Effect.provide(FleetBudget.layer({ cost: 5 }))
)

const program = Effect.gen(function*() {
  const model = yield* Config.option(Config.nonEmptyString("OPENCODE_MODEL"))
  yield* Console.log(View.heading(names.length - 1, model))

  const startedAt = yield* Clock.currentTimeMillis
  const results = yield* Effect.provide(work, Option.match(model, { onNone: () => layerScripted, onSome: layerModel }))
  const endedAt = yield* Clock.currentTimeMillis

  yield* Console.log(View.report({ ...results, duration: endedAt - startedAt }).join("\n"))
  const failed = results.agents.filter(({ state }) => state !== "done")
  if (failed.length > 0) return yield* new RunsFailedError({ count: failed.length })
})

/**
 * Package managers forward a Ctrl-C, so it arrives twice. `runMain` interrupts the program at the first one; without a
 * listener the second would kill the program while it ends its agents.
 */
const patience = Effect.acquireRelease(
  Effect.sync(() => process.on("SIGINT", Function.constVoid)),
  () => Effect.sync(() => process.off("SIGINT", Function.constVoid))
)

Effect.andThen(patience, program).pipe(
  Effect.scoped,
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain
)
