/** Server processes and the calls to them, below the service that runs agents on them. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Path from "@effect/platform/Path"
import { describe, expect, it } from "@effect/vitest"
import { ModelProvider } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as dialects from "../../src/internal/opencode/dialects.js"
import * as leash from "../../src/internal/process/leash.js"
import * as limitMark from "../../src/internal/process/limitMark.js"
import * as programs from "../../src/internal/process/program.js"
import * as table from "../../src/internal/process/table.js"
import * as apis from "../../src/internal/transport/server/api.js"
import * as connections from "../../src/internal/transport/server/connection.js"
import * as credentials from "../../src/internal/transport/server/credentials.js"
import type { Delivery, Gap, Subscription } from "../../src/internal/transport/server/hub.js"
import * as pools from "../../src/internal/transport/server/pool.js"
import { bundle } from "../support/bundle.js"
import { apiOf } from "../support/connection.js"
import * as support from "./support.js"

const binary = createRequire(import.meta.url).resolve("opencode-ai/bin/opencode.exe")

const program = bundle(fileURLToPath(new URL("./programs/serving.ts", import.meta.url)))

const services = Effect.gen(function*() {
  const executor = yield* CommandExecutor.CommandExecutor
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return {
    executor,
    fileSystem,
    path,
    table: yield* table.make({ executor, fileSystem, path }),
    leash: leash.none(Effect.succeed(undefined)),
    limitMark: limitMark.none,
    wrap: Effect.succeed(programs.asItIs),
    environment: { extend: true, variables: {} },
    forceKillAfter: Duration.seconds(1),
    password: yield* credentials.password,
    httpClient: yield* HttpClient.HttpClient
  }
})

const spec = (box: support.Sandbox, more: Partial<pools.Spec> = {}) =>
  Effect.map(ModelProvider.ModelProvider, ({ configOverrides, model }): pools.Spec => ({
    key: "one",
    binary,
    cwd: box.work,
    args: [],
    config: { configOverrides: { ...configOverrides, model } },
    isolation: "run",
    dialect: dialects.unversioned,
    ...more
  }))

const pool = (options: pools.Options = {}) =>
  Effect.flatMap(services, (services) => pools.ofProcesses(services, { startTimeout: "10 minutes", ...options }))

const server = (box: support.Sandbox, more: Partial<pools.Spec> = {}) =>
  Effect.gen(function*() {
    const all = yield* pool()
    return yield* all.get(yield* spec(box, more))
  })

/** A test in its own sandbox; the scope of its servers is closed before the remains are counted. */
const real = <E>(
  name: string,
  body: (
    box: support.Sandbox
  ) => Effect.Effect<
    void,
    E,
    | CommandExecutor.CommandExecutor
    | FileSystem.FileSystem
    | Path.Path
    | HttpClient.HttpClient
    | ModelProvider.ModelProvider
    | Scope.Scope
  >,
  options: { readonly respond?: ModelProvider.Respond; readonly client?: Layer.Layer<HttpClient.HttpClient> } = {}
): void =>
  it.scopedLive(name, () =>
    Effect.flatMap(support.sandbox, (box) =>
      Effect.scoped(body(box)).pipe(
        Effect.andThen(Effect.sync(() => expect(support.left(box)).toEqual(support.nothing))),
        Effect.provide(Layer.mergeAll(
          NodeContext.layer,
          options.client ?? NodeHttpClient.layer,
          ModelProvider.layer({
            respond: options.respond ?? ModelProvider.steps([ModelProvider.Reply.text("done")])
          }).pipe(Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
        ))
      )))

/** All items up to the last one. */
const collect = (subscription: Subscription, last: (item: Delivery | Gap) => boolean) =>
  Effect.gen(function*() {
    const all: Array<Delivery | Gap> = []
    while (!all.some(last)) all.push(...yield* subscription.take)
    return all
  })

const isType = (type: string) => (item: Delivery | Gap) => item.type === "event" && item.event.type === type

const alive = (pid: number) => {
  try {
    return !fs.readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z ")
  } catch {
    return false
  }
}

/** The server process is the child of this process. */
const serverOf = (box: support.Sandbox) => support.leader(box)

const passwordOf = ({ environment }: support.Process) =>
  Redacted.make(/OPENCODE_SERVER_PASSWORD=([^\0]*)/.exec(environment)![1]!)

describe("a server of our own", () => {
  real(
    "answers every call, sends its events, and leaves nothing, not even a working tool",
    (box) =>
      Effect.gen(function*() {
        const started = support.appearance(box.work, "started")
        const { api, directory, subscribe, version } = apiOf(
          yield* Effect.flatMap(server(box), (server) => server.connect)
        )
        expect(version).toEqual({ major: 1, minor: 18, patch: 33 })
        expect(directory?.startsWith(box.tmp)).toBe(true)
        const permission = [{ permission: "bash", pattern: "*", action: "ask" } as const]
        const session = yield* api.createSession({ directory: box.work, title: "A title", permission })
        const subscription = yield* subscribe(session.id)
        yield* api.promptAsync(session.id, { parts: [{ type: "text", text: "größer" }] })

        const first = yield* collect(subscription, isType("permission.asked"))
        expect(first.every((item) => item.type === "event" && item.sessionId === session.id)).toBe(true)
        const [request] = yield* api.permissions(box.work)
        expect(request).toMatchObject({ sessionID: session.id, permission: "bash", patterns: ["echo 1"] })
        expect(yield* api.status(box.work)).toEqual({ [session.id]: { type: "busy" } })
        expect(yield* api.replyPermission(box.work, request!.id, "once")).toBe(true)
        expect(yield* api.replyPermission(box.work, request!.id, "once")).toBe(false)
        yield* collect(subscription, isType("session.idle"))
        expect(yield* api.status(box.work)).toEqual({})

        const messages = yield* api.messages(session.id)
        expect(messages.map(({ info }) => info.role)).toEqual(["user", "assistant", "assistant"])
        expect(messages[0]!.parts[0]).toMatchObject({ type: "text", text: "größer" })
        expect(messages[2]!.info).toMatchObject({ finish: "stop" })
        const byPages = apis.make({
          client: yield* HttpClient.HttpClient,
          url: api.url,
          username: "opencode",
          password: passwordOf(serverOf(box)),
          redact: (text) => text,
          pageSize: 1
        })
        expect(yield* byPages.messages(session.id)).toEqual(messages)

        expect((yield* api.getSession(session.id)).title).toBe("A title")
        const deny = { permission: "edit", pattern: "*", action: "deny" } as const
        expect(yield* api.patchSession(session.id, { title: "Another", permission: [deny] }))
          .toMatchObject({ title: "Another", permission: [...permission, deny] })
        const branch = yield* api.fork(session.id)
        expect((yield* api.messages(branch.id)).length).toBe(3)
        expect((yield* api.sessions(box.work)).map(({ id }) => id)).toEqual([branch.id, session.id])
        const gone = yield* Effect.flip(api.getSession("ses_00000000000000000000000000"))
        expect(gone).toMatchObject({ reason: "refused", status: 404, request: "GET /session/:id" })
        expect(yield* api.children(session.id)).toEqual([])
        expect(yield* api.questions(box.work)).toEqual([])
        expect(yield* api.rejectQuestion(box.work, "que_none")).toBe(false)
        expect((yield* api.agents(box.work)).map(({ name }) => name)).toContain("build")
        expect(yield* api.models(box.work)).toContain("fake/m1")

        yield* support.respond(support.steps([support.bash("trap '' TERM; touch started; sleep 300")]))
        yield* api.promptAsync(session.id, { parts: [{ type: "text", text: "again" }] })
        yield* collect(subscription, isType("permission.asked"))
        const [second] = yield* api.permissions(box.work)
        yield* api.replyPermission(box.work, second!.id, "once")
        yield* started
        yield* support.working(box, "sleep 300")
      }),
    {
      respond: support.steps([support.bash("echo 1"), support.Reply.text("done")])
    }
  )

  real(
    "that is killed fails its callers, and the next use starts another one on the same data",
    (box) =>
      Effect.gen(function*() {
        const kept = yield* server(box)
        const first = apiOf(yield* kept.connect)
        const session = yield* first.api.createSession({ directory: box.work, title: "A title", permission: [] })
        const subscription = yield* first.subscribe(session.id)
        const { pid } = serverOf(box)
        process.kill(pid, "SIGKILL")
        const error = yield* first.died
        expect(error).toMatchObject({ reason: "exited", signal: "SIGKILL", url: first.api.url })
        expect(yield* Effect.flip(Effect.forever(subscription.take))).toBe(error)
        expect(yield* Effect.flip(first.subscribe(session.id))).toBe(error)
        expect(yield* Effect.flip(first.api.health)).toMatchObject({ reason: "unreachable" })

        // Both come while the first server is cleaned up, and share the second.
        const [second, same] = yield* Effect.all([kept.connect, kept.connect], { concurrency: "unbounded" })
        expect(second).toBe(same)
        expect(second.directory).toBe(first.directory)
        expect(serverOf(box).pid).not.toBe(pid)
        expect((yield* apiOf(second).api.getSession(session.id)).title).toBe("A title")
      }),
    { client: FetchHttpClient.layer }
  )

  real(
    "that ends before it listens fails with its stderr, and the next caller starts it again",
    (box) =>
      Effect.gen(function*() {
        const kept = yield* server(box, { args: ["--log-level", "canary"] })
        const errors = yield* Effect.all([Effect.flip(kept.connect), Effect.flip(kept.connect)], {
          concurrency: "unbounded"
        })
        expect(errors[0]).toBe(errors[1])
        expect(errors[0]).toMatchObject({
          _tag: "OpenCodeServerError",
          reason: "start-failed",
          exitCode: 1,
          url: undefined
        })
        expect(errors[0].message).toContain("could not be started: it ended with code 1 before it listened")
        expect(errors[0].message).toMatch(/stderr: opencode serve\s+starts a headless opencode server/)
        expect(yield* Effect.flip(kept.connect)).not.toBe(errors[0])
      })
  )

  real(
    "is ended by the next start if its program was killed, and not if its program lives",
    (box) =>
      Effect.gen(function*() {
        const provider = yield* ModelProvider.ModelProvider
        const started = support.appearance(box.work, "started")
        const child = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn(process.execPath, [program], {
              env: {
                ...process.env,
                OPENCODE_BINARY: binary,
                RUN_CWD: box.work,
                RUN_OPTIONS: JSON.stringify({ configOverrides: provider.configOverrides, model: provider.model })
              },
              stdio: "ignore"
            })
          ),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        const exited = yield* Deferred.make<void>()
        child.once("exit", () => Deferred.unsafeDone(exited, Effect.void))
        yield* Effect.raceFirst(
          started,
          Effect.andThen(Deferred.await(exited), Effect.dieMessage("it ended too early"))
        )
        // The process that created the file has ended, too.
        yield* support.until(() => support.processes(box).some(({ command }) => command.startsWith("sleep")))
        const theirs = support.processes(box).filter(({ command, environment }) =>
          environment.includes("EFFECT_OPENCODE_SERVER=") && / serve --hostname |sleep 300/.test(command)
        )
        expect(theirs.map(({ command }) => command).join()).toContain("sleep 300")
        const directories = fs.readdirSync(box.tmp).filter((name) => name.startsWith("effect-opencode-"))
        expect(directories.length).toBe(1)

        yield* Effect.scoped(Effect.flatMap(server(box), ({ connect }) => connect))
        expect(theirs.filter(({ pid }) => alive(pid))).toEqual(theirs)

        child.kill("SIGKILL")
        yield* Deferred.await(exited)
        expect(theirs.filter(({ pid }) => alive(pid))).toEqual(theirs)
        yield* Effect.scoped(Effect.flatMap(server(box), ({ connect }) => connect))
        expect(theirs.filter(({ pid }) => alive(pid))).toEqual([])
        expect(fs.existsSync(path.join(box.tmp, directories[0]!))).toBe(false)
      }),
    { respond: support.steps([support.bash("trap '' TERM; touch started; sleep 300")]) }
  )
})

describe("a foreign server", () => {
  real("is used with its password and left running", (box) =>
    Effect.gen(function*() {
      const { api } = apiOf(yield* Effect.flatMap(server(box), ({ connect }) => connect))
      const owned = serverOf(box)
      const attach = (password: Redacted.Redacted | undefined) =>
        Effect.flatMap(HttpClient.HttpClient, (client) => connections.attach(client, { url: `${api.url}/`, password }))

      for (const password of [Redacted.make("wrong-password"), undefined]) {
        const error = yield* Effect.flip(Effect.scoped(attach(password)))
        expect(error).toMatchObject({ reason: "unauthorized", status: 401, url: api.url })
        expect(error.message).not.toContain("wrong-password")
      }
      yield* Effect.scoped(Effect.gen(function*() {
        const { api, subscribe, version } = apiOf(yield* attach(passwordOf(owned)))
        expect(version.minor).toBe(18)
        const session = yield* api.createSession({ directory: box.work, title: "A title", permission: [] })
        const subscription = yield* subscribe(session.id)
        yield* api.promptAsync(session.id, { parts: [{ type: "text", text: "go" }] })
        yield* collect(subscription, isType("session.idle"))
      }))
      expect(yield* api.health).toEqual({ healthy: true, version: "1.18.33" })
      const elsewhere = yield* Effect.flip(Effect.scoped(Effect.flatMap(HttpClient.HttpClient, (client) =>
        connections.attach(client, { url: "http://127.0.0.1:9", password: undefined }))))
      expect(elsewhere).toMatchObject({ reason: "unreachable" })
    }), { client: NodeHttpClient.layerUndici })
})
