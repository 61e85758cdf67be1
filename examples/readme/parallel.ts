import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Array, Console, Effect, Layer } from "effect"
import { FleetBudget, OpenCode } from "effect-opencode"

// #region parallel
const cities = ["Lisbon", "Nairobi", "Oslo", "Lima", "Hanoi", "Accra", "Quito", "Perth", "Turin", "Osaka"]

const research = Effect.gen(function*() {
  // map: ten agents, four at a time; a failed run is a Left and does not stop the others
  const answers = yield* Effect.forEach(
    cities,
    (city) => Effect.either(OpenCode.run(`What is ${city} known for? One sentence.`, { budget: { cost: 0.2 } })),
    { concurrency: 4 }
  )
  const texts = Array.getRights(answers).map((result) => `- ${result.answer}`)

  // reduce: one agent over their results
  const summary = yield* OpenCode.run(`What do these cities have in common?\n\n${texts.join("\n")}`)

  yield* Console.log(summary.answer)
  for (const error of Array.getLefts(answers)) yield* Console.error(error.message)
}).pipe(
  // together they may spend two dollars; once that is exceeded, no further run starts
  Effect.provide(FleetBudget.layer({ cost: 2 }))
)
// #endregion

research.pipe(
  Effect.provide(OpenCode.layer({ startup: { concurrency: 2 } }).pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
