/** The runner as a program: OpenCode is looked at first, then jobs are taken until the program is asked to leave. */
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as AgentRun from "../../AgentRun.js"
import * as Cluster from "../../Cluster.js"
import type { RunnerArguments } from "./commandLine.js"
import * as health from "./health.js"

export interface Surroundings<E, E2> {
  readonly secrets: { readonly [name: string]: Redacted.Redacted }
  readonly database: Layer.Layer<SqlClient.SqlClient, E>
  readonly server: Layer.Layer<HttpServer.HttpServer, E2>
}

/**
 * Works until it is interrupted, then finishes its agents. The health endpoint is there from the beginning to the end:
 * it is opened first, so it is closed last.
 */
export const run = <E, E2>(args: RunnerArguments, { database, secrets, server }: Surroundings<E, E2>) =>
  Effect.scoped(Effect.gen(function*() {
    const openCode = yield* OpenCode.OpenCode
    const state = yield* Ref.make<health.State>({ _tag: "Starting" })
    const http = yield* Layer.build(server)
    yield* Effect.provide(
      HttpServer.serveEffect(HttpRouter.toHttpApp(health.router(state)).pipe(Effect.flatten)),
      http
    )
    // A runner without a working OpenCode would fail the jobs of the whole cluster one after the other.
    const version = yield* openCode.version
    const runner = Cluster.layerRunner({
      host: args.host,
      port: args.port,
      listenHost: args.listenHost,
      agents: args.agents,
      drain: args.drain,
      secrets,
      ...(args.name === undefined ? {} : { name: args.name }),
      ...(args.data === undefined ? {} : { dataDirectory: args.data })
    })
    const services = yield* Layer.build(Layer.provide(runner, database))
    const agents = Context.get(services, AgentRun.AgentRun)
    yield* Ref.set(state, { _tag: "Working", health: agents.health })
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        Ref.set(state, { _tag: "Draining", health: agents.health }),
        Effect.logInfo("Leaving: running agents finish, waiting jobs go to other runners")
      )
    )
    yield* Effect.logInfo(`Takes jobs with OpenCode ${version.major}.${version.minor}.${version.patch}`)
    return yield* Effect.never
  }))
