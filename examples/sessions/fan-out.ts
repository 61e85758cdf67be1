import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Array, Console, Effect, Layer, Schema } from "effect"
import { OpenCode, Permission } from "effect-opencode"

// #region fan-out
const services = ["billing", "mail", "search"]

const Audit = Schema.Struct({
  service: Schema.String,
  risk: Schema.Literal("low", "medium", "high"),
  outdated: Schema.Array(Schema.Struct({ name: Schema.String, latest: Schema.String })),
  lastRelease: Schema.optional(Schema.Date)
})

const Plan = Schema.Struct({
  first: Schema.Literal(...services),
  steps: Schema.NonEmptyArray(Schema.String)
})

const audit = Effect.gen(function*() {
  // one agent and one typed value for each service; a failed one does not stop the others
  const audits = yield* Effect.forEach(
    services,
    (service) =>
      OpenCode.runSchema(Audit, `Audit the dependencies of services/${service}`, { budget: { cost: 0.5 } }).pipe(
        Effect.map(({ value }) => value),
        Effect.tapError((error) => Console.error(`${service}: ${error.message}`)),
        Effect.option
      ),
    { concurrency: 2 }
  )

  // one agent over their findings
  const found = yield* Schema.encode(Schema.parseJson(Schema.Array(Audit)))(Array.getSomes(audits))
  const { result, value } = yield* OpenCode.runSchema(Plan, `Plan the updates that these audits ask for:\n\n${found}`)

  yield* Console.log(`begin with ${value.first}`)
  for (const step of value.steps) yield* Console.log(`- ${step}`)
  yield* Console.log(`planned for $${result.cost}`)
})
// #endregion

audit.pipe(
  Effect.provide(
    OpenCode.layer({
      startup: { concurrency: 2 },
      defaults: { permission: Permission.readOnly, timeout: "10 minutes" }
    }).pipe(Layer.provide(NodeContext.layer))
  ),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
