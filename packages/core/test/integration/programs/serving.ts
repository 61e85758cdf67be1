/** A program that is killed while its server works. The server's options come as JSON from the environment. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import { RunConfig } from "effect-opencode"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as dialects from "../../../src/internal/opencode/dialects.js"
import * as leash from "../../../src/internal/process/leash.js"
import * as limitMark from "../../../src/internal/process/limitMark.js"
import * as programs from "../../../src/internal/process/program.js"
import * as table from "../../../src/internal/process/table.js"
import * as credentials from "../../../src/internal/transport/server/credentials.js"
import * as pools from "../../../src/internal/transport/server/pool.js"
import { apiOf } from "../../support/connection.js"

const program = Effect.gen(function*() {
  const config = yield* Schema.decode(Schema.parseJson(RunConfig.RunConfig))(yield* Config.string("RUN_OPTIONS"))
  const cwd = yield* Config.string("RUN_CWD")
  const binary = yield* Config.string("OPENCODE_BINARY")
  const executor = yield* CommandExecutor.CommandExecutor
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const services = {
    executor,
    fileSystem,
    path,
    table: yield* table.make({ executor, fileSystem, path }),
    leash: leash.none(Effect.succeed(undefined)),
    limitMark: limitMark.none,
    wrap: Effect.succeed(programs.asItIs),
    environment: { extend: true, variables: {} },
    forceKillAfter: Duration.seconds(5),
    httpClient: yield* HttpClient.HttpClient,
    password: yield* credentials.password
  }
  const pool = yield* pools.ofProcesses(services, {})
  const server = yield* pool.get({
    key: "one",
    binary,
    cwd,
    args: [],
    config,
    isolation: "run",
    dialect: dialects.unversioned
  })
  const { api } = apiOf(yield* server.connect)
  const session = yield* api.createSession({ directory: cwd, title: "A title", permission: [] })
  yield* api.promptAsync(session.id, { parts: [{ type: "text", text: "go" }] })
  return yield* Effect.never
})

Effect.scoped(program).pipe(
  Effect.provide(Layer.merge(NodeContext.layer, NodeHttpClient.layer)),
  NodeRuntime.runMain
)
