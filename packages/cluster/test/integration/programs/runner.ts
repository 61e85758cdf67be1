/** A runner on PostgreSQL: `HOST`, `PORT`, `DATABASE_URL`, `AGENTS`, `DRAIN`, `DATA`; the agent is `OPENCODE_BINARY`. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { PgClient } from "@effect/sql-pg"
import * as Cluster from "effect-opencode-cluster/Cluster"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

const Agent = OpenCode.layer().pipe(Layer.provideMerge(NodeContext.layer))

const Runner = Layer.unwrapEffect(Effect.map(
  Config.all({
    host: Config.string("HOST"),
    port: Config.integer("PORT"),
    agents: Config.withDefault(Config.integer("AGENTS"), 4),
    drain: Config.withDefault(Config.duration("DRAIN"), "1 minute"),
    dataDirectory: Config.string("DATA")
  }),
  (options) => Cluster.layerRunner({ ...options, secrets: { DEPLOY_TOKEN: Redacted.make("canary-7f3a9c51") } })
)).pipe(Layer.provide([Agent, PgClient.layerConfig({ url: Config.redacted("DATABASE_URL") })]))

const ready = Layer.effectDiscard(Effect.sync(() => process.send?.("ready")))

NodeRuntime.runMain(Layer.launch(Layer.provide(ready, Runner)) as Effect.Effect<never>)
