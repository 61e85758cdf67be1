/**
 * A user's program, which is type-checked and run by plain node against the packed tarballs (`pnpm test:pack`).
 */
import { NodeCommandExecutor, NodeFileSystem, NodePath } from "@effect/platform-node"
import { Effect, Layer, Schema, Stream } from "effect"
import * as Core from "effect-opencode"
import { OpenCode, OpenCodeError, RunEvent, RunResult } from "effect-opencode"
import * as Ai from "effect-opencode-ai"
import * as Cluster from "effect-opencode-cluster"
import * as Testing from "effect-opencode-testing"
import { Events, FaultyOpenCode, MockCommandExecutor } from "effect-opencode-testing"
import * as OpenCodeByPath from "effect-opencode/OpenCode"

const answer = MockCommandExecutor.script(
  MockCommandExecutor.awaitStdin,
  MockCommandExecutor.lines([
    { type: "step_start", timestamp: 1, sessionID: "ses_1", part: { messageID: "msg_1" } },
    { type: "text", timestamp: 2, sessionID: "ses_1", part: { text: "Hello from a tarball" } },
    { type: "step_finish", timestamp: 3, sessionID: "ses_1", part: { reason: "stop", cost: 0.25 } }
  ])
)

const refused = MockCommandExecutor.script(
  MockCommandExecutor.awaitStdin,
  MockCommandExecutor.lines([
    { type: "error", sessionID: "ses_2", error: { name: "APIError", data: { message: "no", statusCode: 401 } } }
  ]),
  MockCommandExecutor.exit(1)
)

const expect = (what: string, actual: unknown, expected: unknown): void => {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Error(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
  }
}

const program = Effect.gen(function*() {
  const result = yield* OpenCode.run("say hello", { permission: { edit: "deny" } })
  expect("text", result.text, "Hello from a tarball")
  const json = yield* Schema.encode(RunResult.RunResult)(result)
  expect("JSON", (yield* Schema.decodeUnknown(RunResult.RunResult)(JSON.parse(JSON.stringify(json)))).cost, 0.25)

  const tags = yield* OpenCodeByPath.stream("say hello").pipe(
    Stream.filter(RunEvent.is("StepFinish")),
    Stream.map((event) => event.reason),
    Stream.runCollect
  )
  expect("stream", Array.from(tags), ["stop"])

  const kind = yield* OpenCode.run("be refused").pipe(
    Effect.map(() => "success"),
    Effect.catchTag("OpenCodeSessionError", (error) => Effect.succeed(error.kind))
  )
  expect("kind", kind, "authentication")

  const bad = yield* Effect.flip(OpenCode.run("x", { model: "no-provider" }))
  expect("bad input", bad instanceof OpenCodeError.OpenCodeConfigError && bad.path, "model")

  const commands = yield* Effect.flatMap(MockCommandExecutor.MockCommandExecutor, (mock) => mock.commands)
  expect("stdin", commands.map((command) => command.stdin), ["say hello", "say hello", "be refused"])
  console.log(`effect-opencode: ${Object.keys(Core).sort().join(", ")}`)
  console.log(`effect-opencode-ai: ${Object.keys(Ai).sort().join(", ")}`)
  console.log(`effect-opencode-cluster: ${Object.keys(Cluster).sort().join(", ")}`)
  console.log(`effect-opencode-testing: ${Object.keys(Testing).sort().join(", ")}`)
})

const layer = OpenCode.layer({ binary: process.execPath, version: "1.18.33" }).pipe(
  Layer.provideMerge(MockCommandExecutor.layer([answer, answer, refused])),
  Layer.provide(Layer.merge(NodeFileSystem.layer, NodePath.layer))
)

/** The executable of the testing package must be found in its tarball. */
const faulty = Effect.gen(function*() {
  const result = yield* OpenCode.run("say hello")
  expect("fake executable", result.text, "Hello from a process")
}).pipe(
  Effect.provide(FaultyOpenCode.layerOpenCode([
    FaultyOpenCode.script(FaultyOpenCode.lines(Events.turn("Hello from a process")))
  ])),
  Effect.provide(NodeCommandExecutor.layer),
  Effect.provide(Layer.merge(NodeFileSystem.layer, NodePath.layer))
)

Effect.runPromise(Effect.zipRight(Effect.provide(program, layer), faulty)).catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
