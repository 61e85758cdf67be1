/** The real OpenCode over a server: an agent waits for a person, who answers through the cluster. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as AgentRun from "effect-opencode-cluster/AgentRun"
import * as Cluster from "effect-opencode-cluster/Cluster"
import { ModelProvider } from "effect-opencode-testing"
import * as OpenCodeServer from "effect-opencode/OpenCodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import { createServer } from "node:http"
import * as path from "node:path"
import * as support from "../../../core/test/integration/support.js"
import * as opencode2 from "../../../core/test/support/opencode2.js"

const provider = (tool: string) =>
  ModelProvider.layer({
    respond: ({ index }) =>
      index === 0
        ? support.Reply.toolCalls([{
          name: tool,
          arguments: { command: "echo approved > by-a-person", description: "Scripted" }
        }])
        : support.Reply.text("ended")
  }).pipe(Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))

const cluster = (box: support.Sandbox, name: string, options: OpenCodeServer.Options) => {
  const agent = Layer.unwrapEffect(
    Effect.map(ModelProvider.ModelProvider, ({ configOverrides, model }) =>
      OpenCodeServer.layer({
        startTimeout: "10 minutes",
        forceKillAfter: "15 seconds",
        ask: ["bash", "shell"],
        onPermission: AgentRun.onPermission,
        ...options,
        defaults: { configOverrides, model, title: "Scripted", cwd: box.work }
      }))
  ).pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))
  return Cluster.layerEmbedded({
    filename: path.join(box.root, `${name}.db`),
    dataDirectory: path.join(box.root, "cluster")
  }).pipe(Layer.provide([agent, NodeContext.layer]))
}

/** Runs one job, answers what it asks, and returns what was asked and how it ended. */
const answered = (reply: OpenCodeServer.PermissionAnswer) =>
  Effect.gen(function*() {
    const job = { id: "careful", prompt: "Write the file" }
    const asked = yield* Ref.make<ReadonlyArray<{ readonly patterns: ReadonlyArray<string>; readonly late: boolean }>>(
      []
    )
    yield* AgentRun.submit(job)
    yield* AgentRun.events(job.id).pipe(
      Stream.runForEach((event) =>
        event._tag !== "Asked" ? Effect.void : Effect.gen(function*() {
          assert.isTrue(yield* AgentRun.answer(job.id, event.ask, reply))
          const late = yield* AgentRun.answer(job.id, event.ask, reply)
          yield* Ref.update(asked, (all) => [...all, { patterns: event.patterns, late }])
        })
      )
    )
    const outcome = yield* AgentRun.result(job.id).pipe(
      Effect.map(({ answer }) => answer),
      Effect.catchAll(({ _tag }) => Effect.succeed(_tag))
    )
    return { asked: yield* Ref.get(asked), outcome }
  })

const versions = [
  { name: "1", tool: "bash", options: { version: support.version }, skip: false, why: "" },
  {
    name: "2",
    tool: "shell",
    options: { binary: opencode2.binary, version: opencode2.version },
    skip: opencode2.binary === undefined,
    why: opencode2.why
  }
]

for (const { name, options, skip, tool, why } of versions) {
  describe.skipIf(skip)(`approval by a person, OpenCode ${name}${why}`, () => {
    it.scopedLive("lets the agent that waits go on, and can forbid it", () =>
      Effect.gen(function*() {
        const box = yield* support.sandbox
        const ask = (reply: OpenCodeServer.PermissionAnswer, of: string) =>
          answered(reply).pipe(Effect.provide(Layer.provide(cluster(box, of, options), provider(tool))))
        const file = path.join(box.work, "by-a-person")

        const refused = yield* ask({ reject: "nobody may write today" }, "refused")
        assert.strictEqual(refused.asked.length, 1)
        assert.isFalse(fs.existsSync(file))

        const allowed = yield* ask("once", "allowed")
        assert.deepStrictEqual(allowed.asked, [{ patterns: ["echo approved > by-a-person"], late: false }])
        assert.strictEqual(fs.readFileSync(file, "utf8"), "approved\n")
        assert.strictEqual(allowed.outcome, "ended")
        assert.deepStrictEqual(support.left(box), support.nothing)
      }), 300_000)
  })
}
