/**
 * Ten agents in parallel on copies of a small workspace, and one more over their results: `npm run demo`.
 *
 * A scripted model on loopback answers them, and lets four of them go wrong. With `OPENCODE_MODEL=provider/model` that
 * model answers, with your own credentials.
 */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Clock, Config, Console, Data, Effect, Option, Ref } from "effect"
import { FleetBudget, OpenCode } from "effect-opencode"
import type { Agent } from "./agent.js"
import { mapReduce } from "./agents.js"
import { layerModel, layerScripted } from "./model.js"
import * as Progress from "./progress.js"
import { documentTasks, overviewTask } from "./tasks.js"
import * as Traces from "./traces.js"
import * as Trouble from "./trouble.js"
import * as View from "./view.js"

class UnexpectedError extends Data.TaggedError("UnexpectedError")<{
  readonly agents: ReadonlyArray<string>
  readonly isClean: boolean
}> {
  override get message(): string {
    return [
      ...(this.agents.length === 0 ? [] : [`Not as expected: ${this.agents.join(", ")}.`]),
      ...(this.isClean ? [] : ["Something was left behind."])
    ].join(" ")
  }
}

const left = (agents: ReadonlyArray<Agent>) =>
  Effect.flatMap(Traces.Traces, (traces) => traces.left(agents.flatMap(({ background }) => Option.toArray(background))))

const program = Effect.gen(function*() {
  const model = yield* Config.option(Config.nonEmptyString("OPENCODE_MODEL"))
  const tasks = documentTasks(Option.isSome(model) ? {} : Trouble.troubles)
  const all = [...tasks, overviewTask([])]
  yield* Console.log(View.heading(tasks.length, model))

  const startedAt = yield* Clock.currentTimeMillis
  const duration = Effect.map(Clock.currentTimeMillis, (now) => now - startedAt)
  const states = yield* Progress.makeAgents(all.map(({ name }) => name))
  const agents = Effect.map(Ref.get(states), (states) => [...states.values()])

  const findings = yield* mapReduce(tasks).pipe(
    Effect.provide(Progress.layer(states)),
    Effect.provide(FleetBudget.layer({ cost: 5 })),
    Effect.provide(Option.match(model, { onNone: () => layerScripted, onSome: layerModel })),
    Effect.onInterrupt(() =>
      Effect.gen(function*() {
        const interrupted = yield* agents
        yield* Console.log(View.interrupted(interrupted, yield* left(interrupted), yield* duration))
      })
    )
  )

  const ended = yield* agents
  const traces = yield* left(ended)
  yield* Console.log(View.report({ agents: ended, findings, left: traces, duration: yield* duration }).join("\n"))
  const unexpected = ended.filter((agent) => {
    const task = all.find(({ name }) => name === agent.name)
    return task === undefined || !Trouble.isExpected(task, agent)
  })
  const isClean = traces.processes.length === 0 && traces.directories.length === 0
  if (unexpected.length > 0 || !isClean) {
    return yield* new UnexpectedError({ agents: unexpected.map(({ name }) => name), isClean })
  }
})

/**
 * Package managers forward a Ctrl-C, so it arrives twice. `runMain` interrupts the program at the first one; without
 * listeners the second would kill the program while it ends its agents.
 */
let interruptedBy: "SIGINT" | "SIGTERM" | undefined
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    interruptedBy ??= signal
  })
}

program.pipe(
  Effect.provide(Traces.layer),
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain({
    teardown: (exit, onExit) =>
      OpenCode.teardown(exit, (code) => {
        onExit(code === 130 && interruptedBy === "SIGTERM" ? 143 : code)
      })
  })
)
