import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Console, Effect, Either, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { AgentRun, Cluster } from "effect-opencode-cluster"

const repositories = ["api", "web", "docs", "billing", "search"]

const nightly = Effect.gen(function*() {
  const outcomes = yield* Effect.forEach(repositories, (repository) =>
    Effect.either(AgentRun.execute({
      id: `node-22/${repository}`, // submitted twice, it runs once
      prompt: `Upgrade ${repository} to Node 22 and make its tests pass.`,
      options: { permission: { edit: "allow", bash: "allow" } },
      afterCrash: "restart"
    })), { concurrency: "unbounded" })
  for (const outcome of outcomes) {
    yield* Console.log(Either.match(outcome, {
      onLeft: (error) => error.message,
      onRight: ({ runner, text }) => `${runner}: ${text}`
    }))
  }
})

const Agent = OpenCode.layer().pipe(Layer.provideMerge(NodeContext.layer))

// one process and a file
const Embedded = Cluster.layerEmbedded({ filename: "agents.db" }).pipe(Layer.provide(Agent))

// many machines: `node program.js runner` on each, `node program.js` anywhere
const Postgres = PgClient.layerConfig({ url: Config.redacted("DATABASE_URL") })
const Runner = Layer.unwrapEffect(
  Effect.map(Config.all({ host: Config.string("HOST"), port: Config.integer("PORT") }), Cluster.layerRunner)
).pipe(Layer.provide([Agent, Postgres]))
const Client = Cluster.layerClient().pipe(Layer.provide(Postgres))

const main = process.argv[2] === "runner" ?
  Layer.launch(Runner)
  : nightly.pipe(Effect.provide(process.env["DATABASE_URL"] === undefined ? Embedded : Client))
NodeRuntime.runMain(main as Effect.Effect<void>)
