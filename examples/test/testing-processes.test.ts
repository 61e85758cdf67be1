import { FileSystem } from "@effect/platform"
import { NodeContext, NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import {
  Events,
  FaultyOpenCode,
  MockCommandExecutor,
  ModelProvider,
  OpenCodeTest,
  Recording
} from "effect-opencode-testing"
import { createServer } from "node:http"
import { review } from "../testing/review.js"

// #region mock
it.effect("denies the agent every way to write", () =>
  Effect.gen(function*() {
    yield* review("a.ts")
    const { commands } = yield* MockCommandExecutor.MockCommandExecutor
    const [command] = yield* commands
    expect(command?.stdin).toBe("Review a.ts")
    expect(JSON.parse(command?.env["OPENCODE_CONFIG_CONTENT"] ?? "{}").permission.edit).toBe("deny")
  }).pipe(
    Effect.provide(OpenCodeTest.layerProcess([
      MockCommandExecutor.script(
        MockCommandExecutor.awaitStdin,
        MockCommandExecutor.lines(Events.turn("Looks good."))
      )
    ]))
  ))
// #endregion

// #region faulty
const Faulty = FaultyOpenCode.layerOpenCode([
  FaultyOpenCode.sqliteCrash,
  FaultyOpenCode.script(
    // like the bash tool: a process that no signal to the group reaches
    FaultyOpenCode.child({ detached: true, ignoresSignals: true }),
    FaultyOpenCode.lines(Events.turn("Looks good."))
  )
], { forceKillAfter: "100 millis" }).pipe(Layer.provide(NodeContext.layer))

it.live("leaves no process behind", () =>
  Effect.gen(function*() {
    expect(yield* review("a.ts")).toBe("a.ts: Looks good.")
    const { calls } = yield* FaultyOpenCode.FaultyOpenCode
    // if it were still running, the run would have failed and named it
    expect((yield* calls).map(({ children }) => children.length)).toEqual([0, 1])
  }).pipe(Effect.provide(Faulty)))
// #endregion

// #region opencode2
/** OpenCode 2 in memory, on the test clock. */
const InMemory = OpenCodeTest.layer({ "Review a.ts": "Looks good." }, {
  version: "2.0.14",
  defaults: { model: "acme/large" }
})

/** OpenCode 2 as a process whose events end in the middle. */
const InAProcess = FaultyOpenCode.layerOpenCode([
  FaultyOpenCode.script(
    FaultyOpenCode.lines(Events.turn(Events.tool({ tool: "bash", input: { command: "npm test" } }))),
    FaultyOpenCode.closeStdout,
    FaultyOpenCode.lines(Events.turn("Looks good."))
  )
], { version: "2.0.14", defaults: { model: "acme/large" } }).pipe(Layer.provide(NodeContext.layer))

const reviewsWithOpenCode2 = Effect.gen(function*() {
  expect(yield* review("a.ts")).toBe("a.ts: Looks good.")
  const opencode = yield* OpenCode.OpenCode
  expect((yield* opencode.version).major).toBe(2)
})

it.live("reviews with OpenCode 2 in memory", () => Effect.provide(reviewsWithOpenCode2, InMemory))

it.live("reviews with OpenCode 2 in a process", () => Effect.provide(reviewsWithOpenCode2, InAProcess))
// #endregion

// #region provider
const Provider = ModelProvider.layer({
  respond: ModelProvider.steps([
    ModelProvider.Reply.toolCalls([{ name: "read", arguments: { filePath: "a.ts" } }]),
    ModelProvider.Reply.text("Looks good.")
  ])
}).pipe(Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))

const Offline = Layer.unwrapEffect(
  Effect.map(ModelProvider.ModelProvider, ({ runConfig }) => OpenCode.layer({ defaults: runConfig }))
).pipe(
  Layer.provideMerge(Provider),
  Layer.provide(NodeContext.layer)
)

it.live("works with the real OpenCode", () =>
  Effect.gen(function*() {
    expect(yield* review("a.ts")).toBe("a.ts: Looks good.")

    const { requests } = yield* ModelProvider.ModelProvider
    const [first] = (yield* requests).filter(({ isTitle }) => !isTitle)
    expect(first?.prompt).toBe("Review a.ts")
    expect(first?.tools).not.toContain("edit")
  }).pipe(Effect.provide(Offline)))
// #endregion

const temporary = Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.makeTempDirectoryScoped())

it.scopedLive("plays a recording back", () =>
  Effect.gen(function*() {
    const directory = yield* temporary
    const { binary } = yield* FaultyOpenCode.make({
      cases: [{ scripts: [FaultyOpenCode.script(FaultyOpenCode.lines(Events.turn("Looks good.")))] }]
    })
    // #region record
    const Recorded = OpenCode.layer({ binary }).pipe(
      Layer.provide(Recording.record({ directory, redact: ["the customer's name"] })),
      Layer.provide(NodeContext.layer)
    )
    // #endregion
    // #region replay
    const Replayed = OpenCodeTest.layerExecutor().pipe(
      Layer.provide(Recording.replay(directory)),
      Layer.provide(NodeContext.layer)
    )
    // #endregion
    const original = yield* Effect.provide(review("a.ts"), Recorded)
    expect(yield* Effect.provide(review("a.ts"), Replayed)).toBe(original)
  }).pipe(Effect.provide(NodeContext.layer)))
