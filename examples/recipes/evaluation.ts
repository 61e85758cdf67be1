import { FetchHttpClient } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Array, Console, Duration, Effect, Layer, Number } from "effect"
import { FleetBudget, OpenCode, OpenCodeServer, Permission } from "effect-opencode"

// #region evaluation
const models = ["acme/large", "acme/small"]

const tasks = [
  {
    prompt: "Which port does the server listen on? Answer with the number.",
    isRight: (answer: string) => /\b4096\b/.test(answer)
  },
  {
    prompt: "Does the server retry failed requests? Answer yes or no.",
    isRight: (answer: string) => /^no\b/i.test(answer)
  }
]

const repetitions = 3

interface Score {
  readonly model: string
  readonly isRight: boolean
  readonly cost: number
  readonly millis: number
}

/** A run that fails is a wrong answer, except that the budget of the whole evaluation ends it. */
const score = (model: string, task: typeof tasks[number]) =>
  OpenCode.run(task.prompt, { model, permission: Permission.readOnly, timeout: "5 minutes" }).pipe(
    Effect.map(({ answer, cost, duration }): Score => ({
      model,
      isRight: task.isRight(answer.trim()),
      cost,
      millis: Duration.toMillis(duration)
    })),
    Effect.catchIf(
      (error) => !(error._tag === "OpenCodeBudgetError" && error.scope === "fleet"),
      (error) => Effect.as(Console.error(error.message), { model, isRight: false, cost: 0, millis: 0 })
    )
  )

export const evaluate = Effect.gen(function*() {
  const runs = models.flatMap((model) => tasks.flatMap((task) => Array.makeBy(repetitions, () => ({ model, task }))))
  const scores = yield* Effect.forEach(runs, ({ model, task }) => score(model, task), { concurrency: 8 })
  return models.map((model) => {
    const own = scores.filter((score) => score.model === model)
    return {
      model,
      right: `${own.filter(({ isRight }) => isRight).length}/${own.length}`,
      cost: Number.sumAll(own.map(({ cost }) => cost)),
      seconds: Number.sumAll(own.map(({ millis }) => millis)) / own.length / 1000
    }
  })
}).pipe(Effect.provide(FleetBudget.layer({ cost: 5 })))
// #endregion

evaluate.pipe(
  Effect.flatMap(Console.table),
  // many short runs in one directory
  Effect.provide(OpenCodeServer.layer().pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
