/**
 * Builders of the JSON lines that `opencode run --format json` prints, of the same shape as those of OpenCode 1.14.34
 * to 1.18.33, for scripts, fixtures and canned results.
 *
 * Every builder gives a whole event. Ids are counters and timestamps are made up, so that a test sees the same ones
 * every time; {@link session} numbers a list of events as one session.
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
 * crashes, hangs, floods, takes no notice of signals or leaves processes behind, as its script says.
 *
 * It is a Node program of this package behind a shell script, so it needs `node` on `PATH`, `/bin/sh`, and a platform
 * that has both: Linux, macOS.
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
 * A `CommandExecutor` whose processes are scripts, for tests of any program over `@effect/platform/Command`.
 *
 * A script says what a process does: what it writes and where the chunks end, how long it sleeps on the
 * test clock, when it waits for its input, how it ends and whether it obeys SIGTERM. Every process runs on a
 * fiber of its own and behaves as one of Node's does, traps included, so that a program which forgets to
 * close the input, to drain stderr or to escalate a kill hangs here as it would in production. What was
 * started, fed and killed is recorded.
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
 * A model provider that answers from a script, spoken to over HTTP as any OpenAI-compatible one, for tests
 * that run the real OpenCode without the internet, without an account and with every fault on demand.
 *
 * The server is whichever `HttpServer` the test provides, usually Node's on a free loopback port. What the
 * provider is asked is recorded.
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
 * The `OpenCode` service without OpenCode, for tests of programs that do not care about processes: answers by prompt, by
 * predicate or by function, every failure on demand, timing on the test clock, and a record of what was asked.
 *
 * The service is the real one over scripted processes and a disk that is not there: options are checked, time limits
 * and budgets are kept, events are decoded and added up, and the outcome is decided by the code that does it in
 * production. So `run` and `stream` agree here as they do there, and no double can drift.
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
 * Runs on file: what the processes of real runs printed, recorded once and played back in tests as often as needed.
 *
 * {@link record} stands between a program and its `CommandExecutor` and writes a file for each OpenCode process.
 * {@link replay} is a `CommandExecutor` that plays such files, at once or in their own time. The program is the same in
 * both cases.
 *
 * Secrets are cleaned before anything is written: the values given as `redact`, the values of environment variables
 * and of OpenCode configuration whose names say so (`apiKey`, `TOKEN`, …), and what looks like a secret (`Bearer …`,
 * `sk-…`, private keys). The environment itself is never written. What the model said and what tools read is written
 * as it was: look at a recording before you publish it.
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
