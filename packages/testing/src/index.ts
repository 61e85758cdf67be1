/**
 * Runs the real OpenCode through the scenarios of this library's contract and checks every fact that the library relies
 * on: offline, without an account, in directories of its own, against a scripted model provider on loopback.
 *
 * @since 0.1.0
 */
export * as Conformance from "./Conformance.js"

/**
 * Builders of the JSON lines that `opencode run --format json` prints, of the same shape as those of OpenCode 1.14.34
 * to 1.18.33, for scripts, fixtures and canned results.
 *
 * Every builder returns a complete event. Ids are counters and timestamps are fixed, so that every test run sees the
 * same ones; {@link session} numbers a list of events as one session.
 *
 * @example
 * ```ts
 * import { Events, MockCommandExecutor } from "effect-opencode-testing"
 *
 * const answer = MockCommandExecutor.script(
 *   MockCommandExecutor.awaitStdin,
 *   MockCommandExecutor.lines(Events.session([
 *     Events.turn([Events.tool({ tool: "bash", input: { command: "ls" }, output: "a.txt\n" })]),
 *     Events.turn("There is one file.", { cost: 0.002 })
 *   ]))
 * )
 * ```
 *
 * @since 0.1.0
 */
export * as Events from "./Events.js"

/**
 * An `opencode` executable that plays scripts, for end-to-end tests through real processes without the real binary of
 * 180 MB. It answers `--version` and `models`, reads its standard input to the end as OpenCode does, and then prints,
 * crashes, hangs, floods, ignores signals or leaves processes behind, as scripted.
 *
 * With a version from 2.0.0 on it is OpenCode 2 instead: `serve --stdio` with the routes and events of 2.0.14, where each
 * prompt plays a script. The same scripts work for both majors. A script that ends its process before it says anything
 * (`sqliteCrash`) then crashes the start of the server, which knows no prompt yet: with cases by prompt it ends the server
 * when the prompt arrives.
 *
 * It is a Node program of this package, started by a shell script, so it needs `node` on `PATH` and `/bin/sh`: Linux or
 * macOS.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Events, FaultyOpenCode } from "effect-opencode-testing"
 * import { Effect, Layer } from "effect"
 *
 * // crashes twice, then answers
 * const layer = FaultyOpenCode.layerOpenCode([
 *   FaultyOpenCode.sqliteCrash,
 *   FaultyOpenCode.sqliteCrash,
 *   FaultyOpenCode.script(FaultyOpenCode.lines(Events.turn("Here I am.")))
 * ], { forceKillAfter: "100 millis" }).pipe(Layer.provide(NodeContext.layer))
 *
 * const result = OpenCode.run("Are you there?").pipe(Effect.provide(layer))
 * ```
 *
 * @since 0.1.0
 */
export * as FaultyOpenCode from "./FaultyOpenCode.js"

/**
 * A `CommandExecutor` whose processes are scripts, for tests of any program that uses `@effect/platform/Command`.
 *
 * A script defines what a process does: what it writes and where the chunks end, how long it sleeps on the test clock,
 * when it waits for its input, how it ends and if it obeys SIGTERM. Every process runs on its own fiber and behaves
 * like a process of Node's, traps included, so that a program that forgets to close the input, to drain stderr or to
 * escalate a kill hangs here as in production. Starts, input and signals are recorded.
 *
 * @example
 * ```ts
 * import { Command } from "@effect/platform"
 * import { Effect } from "effect"
 * import { MockCommandExecutor } from "effect-opencode-testing"
 *
 * const program = Effect.gen(function*() {
 *   const output = yield* Command.make("agent", "--json").pipe(Command.feed("hello"), Command.string)
 *   const mock = yield* MockCommandExecutor.MockCommandExecutor
 *   const [command] = yield* mock.commands
 *   return { output, stdin: command?.stdin }
 * })
 *
 * const result = program.pipe(
 *   Effect.provide(MockCommandExecutor.layer([
 *     MockCommandExecutor.script(
 *       MockCommandExecutor.awaitStdin,
 *       MockCommandExecutor.lines([{ type: "text", text: "hi" }]),
 *       MockCommandExecutor.exit(0)
 *     )
 *   ]))
 * )
 * ```
 *
 * @since 0.1.0
 */
export * as MockCommandExecutor from "./MockCommandExecutor.js"

/**
 * A scripted, OpenAI-compatible model provider over HTTP, for tests that run the real OpenCode without the internet,
 * without an account and with every fault on demand.
 *
 * The test provides the `HttpServer`, usually Node's on a free loopback port. All requests to the provider are
 * recorded.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeHttpServer } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Effect, Layer } from "effect"
 * import { ModelProvider } from "effect-opencode-testing"
 * import { createServer } from "node:http"
 *
 * const provider = ModelProvider.layer({
 *   respond: ModelProvider.steps([
 *     ModelProvider.Reply.toolCalls([{ name: "bash", arguments: { command: "ls", description: "List" } }]),
 *     ModelProvider.Reply.text("There are three files.")
 *   ])
 * }).pipe(
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const { requests, runConfig } = yield* ModelProvider.ModelProvider
 *   const result = yield* OpenCode.run("How many files are there?", runConfig)
 *   return { answer: result.answer, asked: yield* requests }
 * }).pipe(
 *   Effect.provide(provider),
 *   Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer)))
 * )
 * ```
 *
 * @since 0.1.0
 */
export * as ModelProvider from "./ModelProvider.js"

/**
 * The `OpenCode` service without OpenCode, for tests that do not need processes: answers by prompt, by predicate or by
 * function, every failure on demand, timing on the test clock, and a record of all calls.
 *
 * The service is the real one on scripted processes and a fake disk: options are checked, time limits and budgets are
 * enforced, events are decoded and added up, and the outcome is decided by the production code. So `run` and `stream`
 * agree as they do in production, and the double cannot drift.
 *
 * @example
 * ```ts
 * import { OpenCode } from "effect-opencode"
 * import { Events, OpenCodeTest } from "effect-opencode-testing"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { text } = yield* OpenCode.run("Name a colour")
 *   const { calls } = yield* OpenCodeTest.OpenCodeTest
 *   return { text, asked: (yield* calls).map((call) => call.prompt) }
 * })
 *
 * const result = program.pipe(
 *   Effect.provide(OpenCodeTest.layer({
 *     "Name a colour": "blue",
 *     "Fix the test": OpenCodeTest.Reply.events([
 *       Events.turn(Events.tool({ tool: "edit", input: { filePath: "a.ts" } })),
 *       Events.turn("Fixed.")
 *     ])
 *   }))
 * )
 * ```
 *
 * @since 0.1.0
 */
export * as OpenCodeTest from "./OpenCodeTest.js"

/**
 * Recordings of real runs: the output of their processes, recorded once and replayed in tests.
 *
 * {@link record} wraps a program's `CommandExecutor` and writes a file for each OpenCode process. {@link replay} is a
 * `CommandExecutor` that plays such files, at once or with their recorded timing. The program is the same in both
 * cases.
 *
 * Secrets are masked before anything is written: the values given as `redact`, values of environment variables and
 * OpenCode configuration with secret names (`apiKey`, `TOKEN`, …), and everything that looks like a secret (`Bearer …`,
 * `sk-…`, private keys). The environment itself is never written. Output of the model and of tools is written
 * unchanged: review a recording before you publish it.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { OpenCodeTest, Recording } from "effect-opencode-testing"
 * import { Layer } from "effect"
 *
 * // once, with the real binary
 * const recording = OpenCode.layer().pipe(
 *   Layer.provide(Recording.record({ directory: "test/transcripts" })),
 *   Layer.provide(NodeContext.layer)
 * )
 *
 * // in the tests
 * const replaying = OpenCodeTest.layerExecutor().pipe(
 *   Layer.provide(Recording.replay("test/transcripts")),
 *   Layer.provide(NodeContext.layer)
 * )
 * ```
 *
 * @since 0.1.0
 */
export * as Recording from "./Recording.js"
