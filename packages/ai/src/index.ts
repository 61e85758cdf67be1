/**
 * Tools of the program in the hands of an OpenCode agent: a `Toolkit` of `@effect/ai` whose handlers are the program's own
 * Effects. They get decoded parameters, and run with the services, fiber refs and parent span of the run that calls them.
 *
 * A handler that fails ends the run with its typed error, or the model is told, as the tool says with `failureMode` (its
 * default, `"error"`, ends the run). A defect is a defect of the run. Arguments that do not decode are told to the model.
 * When the run is interrupted, its handlers are interrupted as well; a call may take as long as it needs, and
 * `Effect.timeout` limits it.
 *
 * The agent is given exactly the tools of its toolkit. `permission` decides about everything else.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "@effect/ai"
 * import { NodeContext, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { HostTools } from "effect-opencode-ai"
 * import { Console, Effect, Layer, Schema } from "effect"
 * import { createServer } from "node:http"
 *
 * class NoCustomer extends Schema.TaggedError<NoCustomer>()("NoCustomer", { id: Schema.Number }) {}
 *
 * const FindCustomer = Tool.make("find_customer", {
 *   description: "The name of a customer",
 *   parameters: { id: Schema.Number },
 *   success: Schema.String,
 *   failure: NoCustomer
 * })
 * const tools = Toolkit.make(FindCustomer)
 * const handlers = tools.toLayer({
 *   find_customer: ({ id }) => id === 7 ? Effect.succeed("Ada") : new NoCustomer({ id })
 * })
 *
 * const program = HostTools.run("Write a letter to customer 7 into letter.md", {
 *   toolkit: tools,
 *   permission: { "*": "deny", edit: "allow" }
 * }).pipe(
 *   Effect.flatMap((result) => Console.log(result.answer)),
 *   Effect.catchTag("NoCustomer", ({ id }) => Console.error(`there is no customer ${id}`))
 * )
 *
 * const live = Layer.mergeAll(OpenCode.layer(), handlers, HostTools.layer()).pipe(
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
 * )
 *
 * export const main = () => program.pipe(Effect.provide(live), NodeRuntime.runMain({ teardown: OpenCode.teardown }))
 * ```
 *
 * @since 0.1.0
 */
export * as HostTools from "./HostTools.js"

/**
 * The error of host tools: tools that the agent could not have used.
 *
 * @since 0.1.0
 */
export * as HostToolsError from "./HostToolsError.js"

/**
 * An OpenCode agent as the `LanguageModel` of `@effect/ai`: a program that asks a model asks an agent instead, which reads,
 * writes and runs commands in its working directory before it answers. The layer decides, the program does not change.
 *
 * An agent is not a function of its prompt. A call that is made again does its work again, so do not retry one because of
 * its status alone; `errorOf` returns the error of the run, with what was done.
 *
 * @example
 * ```ts
 * import { LanguageModel } from "@effect/ai"
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { OpenCodeLanguageModel } from "effect-opencode-ai"
 * import { Console, Effect, Layer } from "effect"
 *
 * const program = LanguageModel.generateText({ prompt: "Explain this repository in three sentences." }).pipe(
 *   Effect.flatMap(({ text, usage }) => Console.log(text, usage.totalTokens))
 * )
 *
 * const model = OpenCodeLanguageModel.model("openai/gpt-5", { permission: { edit: "deny", bash: "deny" } }).pipe(
 *   Layer.provide(OpenCode.layer()),
 *   Layer.provide(NodeContext.layer)
 * )
 *
 * export const main = () => program.pipe(Effect.provide(model), NodeRuntime.runMain({ teardown: OpenCode.teardown }))
 * ```
 *
 * @since 0.1.0
 */
export * as OpenCodeLanguageModel from "./OpenCodeLanguageModel.js"

/**
 * OpenCode's own tools for a `Toolkit`: with them, a response names the calls that the agent has made, with parameters and
 * results. The agent has its tools in any case; what it may do says `permission`. Without them, the names of all calls are
 * in `metadata.opencode.tools` of the `finish` part.
 *
 * OpenCode 2 calls some of them by other names, `shell`, `subagent` and `patch`; they are the same tools here.
 *
 * A result is the text that OpenCode reports, which it cuts if it is long; that of a failed call is its message. A call whose
 * parameters are not those of the tool has no part.
 *
 * @example
 * ```ts
 * import { LanguageModel, Toolkit } from "@effect/ai"
 * import { OpenCodeTool } from "effect-opencode-ai"
 * import { Console, Effect } from "effect"
 *
 * export const program = LanguageModel.generateText({
 *   prompt: "Which tests fail?",
 *   toolkit: Toolkit.make(OpenCodeTool.Bash)
 * }).pipe(
 *   Effect.flatMap(({ toolCalls }) => Console.log(toolCalls.map(({ params }) => params.command)))
 * )
 * ```
 *
 * @since 0.1.0
 */
export * as OpenCodeTool from "./OpenCodeTool.js"
