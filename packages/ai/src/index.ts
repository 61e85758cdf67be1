/**
 * Tools of the program in the hands of an OpenCode agent: a `Toolkit` of `@effect/ai` whose handlers are the program's own
 * Effects. They get decoded parameters, and run with the services, fiber refs and parent span of the run that calls them.
 *
 * A handler that fails ends the run with its typed error, or the model is told, as the tool says with `failureMode` (its
 * default, `"error"`, ends the run). A defect is a defect of the run. Arguments that do not decode are told to the model.
 * When the run is interrupted, its handlers are interrupted as well; a call may take as long as it needs, and
 * `Effect.timeout` limits it.
 *
 * The agent is given exactly the tools of its toolkit. What else it may do says `permission`, as ever.
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
