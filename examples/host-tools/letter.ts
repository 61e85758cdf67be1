import { Tool, Toolkit } from "@effect/ai"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer, Schema } from "effect"
import { OpenCode } from "effect-opencode"
import { HostTools } from "effect-opencode-ai"
import { createServer } from "node:http"

class Customers extends Context.Tag("Customers")<Customers, ReadonlyMap<number, string>>() {}
class NoCustomer extends Schema.TaggedError<NoCustomer>()("NoCustomer", { id: Schema.Number }) {}

const FindCustomer = Tool.make("find_customer", {
  description: "The name of a customer",
  parameters: { id: Schema.Number },
  success: Schema.String,
  failure: NoCustomer // ends the run; with `failureMode: "return"` the model is told instead
})
const tools = Toolkit.make(FindCustomer)

const handlers = tools.toLayer(Effect.map(Customers, (customers) =>
  tools.of({
    find_customer: ({ id }) => {
      const name = customers.get(id)
      return name === undefined ? new NoCustomer({ id }) : Effect.succeed(name)
    }
  })))

const program = HostTools.run("Write a letter to customer 7 into letter.md", {
  toolkit: tools,
  permission: { "*": "deny", edit: "allow" },
  timeout: "10 minutes"
}).pipe(
  Effect.flatMap((result) => Console.log(result.answer, result.cost)),
  Effect.catchTag("NoCustomer", ({ id }) => Console.error(`there is no customer ${id}, the run was ended`))
)

const live = Layer.mergeAll(OpenCode.layer(), handlers, HostTools.layer()).pipe(
  // A server has one application, so these tools need one of their own.
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  Layer.provide(Layer.succeed(Customers, new Map([[7, "Ada"]])))
)

program.pipe(Effect.provide(live), NodeRuntime.runMain({ teardown: OpenCode.teardown }))
