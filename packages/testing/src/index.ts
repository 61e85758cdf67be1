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
 * import { NodeHttpServer } from "@effect/platform-node"
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
 *   const { configOverrides, model, requests } = yield* ModelProvider.ModelProvider
 *   // run OpenCode with OPENCODE_CONFIG_CONTENT=JSON.stringify(configOverrides), then look at what it asked
 *   return { configOverrides, model, asked: yield* requests }
 * }).pipe(Effect.provide(provider))
 * ```
 *
 * @since 0.1.0
 */
export * as ModelProvider from "./ModelProvider.js"
