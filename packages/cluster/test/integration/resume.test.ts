/** The real OpenCode: a job whose runner leaves in the middle of a shell command continues in its session. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe } from "@effect/vitest"
import * as AgentRun from "effect-opencode-cluster/AgentRun"
import * as Cluster from "effect-opencode-cluster/Cluster"
import * as RunLedger from "effect-opencode-cluster/RunLedger"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as path from "node:path"
import * as support from "../../../core/test/integration/support.js"

describe("a job of the real OpenCode", () => {
  support.real(
    "is resumed in its session, with what it has said, after its runner has left",
    (box) =>
      Effect.gen(function*() {
        const openCode = yield* OpenCode.OpenCode
        const cluster = Cluster.layerEmbedded({
          filename: path.join(box.root, "agents.db"),
          dataDirectory: path.join(box.root, "cluster"),
          drain: 0
        }).pipe(Layer.provide([Layer.succeed(OpenCode.OpenCode, openCode), NodeContext.layer]))
        const job = {
          id: "long",
          prompt: "Wait, then say so",
          options: { permission: { bash: "allow" } },
          afterCrash: "resume"
        } as const

        const first = yield* Effect.gen(function*() {
          yield* AgentRun.submit(job)
          yield* support.working(box, "sleep 300")
          return yield* Effect.flatMap(RunLedger.RunLedger, (ledger) => ledger.attempts("long"))
        }).pipe(Effect.provide(cluster))
        assert.strictEqual(first[0]?.prompted, true)
        assert.deepStrictEqual(support.left(box), support.nothing)

        const result = yield* Effect.provide(AgentRun.execute(job), cluster)
        assert.deepStrictEqual([result.answer, result.attempt, result.resumed], ["waited", 2, true])
        assert.strictEqual(result.sessionId, first[0]?.sessionId)
        const requests = yield* support.asked
        const said = requests.at(-1)?.messages.filter(({ role }) => role === "user").map(({ text }) => text).join("\n")
        assert.include(said, job.prompt)
        assert.include(said, "You were interrupted")
      }),
    { respond: ({ index }) => index === 0 ? support.bash("sleep 300") : support.Reply.text("waited") }
  )
})
