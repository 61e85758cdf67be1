/** Tools of the program: their calls, the start of a run that has them, and the turns of a conversation. */
import { Chat, Tool, Toolkit } from "@effect/ai"
import { FetchHttpClient } from "@effect/platform"
import { NodeContext, NodeHttpServer } from "@effect/platform-node"
import { Duration, Effect, Layer, Schema } from "effect"
import { OpenCode, OpenCodeServer, type RunEvent } from "effect-opencode"
import { HostTools, OpenCodeLanguageModel } from "effect-opencode-ai"
import { ModelProvider } from "effect-opencode-testing"
import * as http from "node:http"
import { childrenCpu, job as read, report, start } from "../lib/meter.js"
import { medianOf } from "../lib/report.js"

const job = read<{
  readonly binary: string
  readonly work: string
  readonly variant: "without" | "with" | "calls" | "server"
  readonly calls: number
}>()

const Twice = Tool.make("twice", { parameters: { n: Schema.Number }, success: Schema.Number })
const toolkit = Toolkit.make(Twice)
const handlers = toolkit.toLayer({ twice: ({ n }) => Effect.succeed(n * 2) })

/** From the arrival of a request to the end of its answer, for calls and for reports of the plugin. */
const times = { calls: [] as Array<number>, reports: [] as Array<number> }
const observed = () => {
  const server = http.createServer()
  server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
    const from = performance.now()
    let type: unknown
    const writeHead = response.writeHead.bind(response)
    response.writeHead = (status: number, headers?: unknown) => {
      type = (headers as { readonly [name: string]: unknown } | undefined)?.["content-type"]
      return writeHead(status, headers as http.OutgoingHttpHeaders)
    }
    response.on("finish", () => {
      if (request.url?.startsWith("/plugin/call") === true) times.reports.push(performance.now() - from)
      else if (type === "text/event-stream") times.calls.push(performance.now() - from)
    })
  })
  return server
}

const port = (make: () => http.Server) => Layer.fresh(NodeHttpServer.layer(make, { port: 0, host: "127.0.0.1" }))

const host = HostTools.layer().pipe(Layer.provide(port(observed)))

const provider = ModelProvider.layer({
  respond: ({ prompt, step }) =>
    prompt.startsWith("calls") && step < job.calls
      ? ModelProvider.Reply.toolCalls([{ name: "host_twice", arguments: { n: step } }])
      : ModelProvider.Reply.text("done")
}).pipe(Layer.provide(port(() => http.createServer())))

const opencode = Layer.unwrapEffect(Effect.map(ModelProvider.ModelProvider, ({ configOverrides, model }) => {
  const options = {
    binary: job.binary,
    version: "1.18.33",
    defaults: { configOverrides, model, title: "benchmark", cwd: job.work, permission: { "*": "deny" as const } }
  }
  return job.variant === "server"
    ? OpenCodeServer.layer({ ...options, concurrency: "unbounded" })
    : OpenCode.layer(options)
})).pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))

/** OpenCode's own times of the calls, in the events. */
const eventTimes = (events: ReadonlyArray<RunEvent.RunEvent>): ReadonlyArray<number> =>
  events.flatMap((event) => {
    if (event._tag !== "ToolUse") return []
    const { end, start } = event.time ?? {}
    return start === undefined || end === undefined ? [] : [end - start]
  })

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.timed(effect), ([duration, value]) => [Duration.toMillis(duration), value] as const)

const calling = (prompt: string) =>
  Effect.map(HostTools.run(prompt, { toolkit }), ({ events }) => {
    const found = eventTimes(events)
    if (found.length !== job.calls) throw new Error(`${found.length} of ${job.calls} calls`)
    return found
  })

const atOnce = 4

const variants = {
  without: Effect.as(OpenCode.run("nothing"), {}),
  with: Effect.as(HostTools.run("nothing", { toolkit }), {}),
  calls: Effect.map(calling("calls"), (events) => ({ event: medianOf(events) })),
  server: Effect.gen(function*() {
    const all = Effect.forEach(Array.from({ length: atOnce }, (_, index) => `calls ${index}`), calling, {
      concurrency: "unbounded"
    })
    // Starts the server, and lets both sides compile their hot code.
    yield* all
    times.calls.length = times.reports.length = 0
    const events = (yield* all).flat()
    const [call, ticket] = [medianOf(times.calls), medianOf(times.reports)]
    const chat = (n: number) =>
      Effect.gen(function*() {
        const chat = yield* Chat.empty
        yield* chat.generateText({ prompt: `first of ${n}` })
        return (yield* timed(chat.generateText({ prompt: "second" })))[0]
      })
    yield* chat(0)
    const turns = yield* Effect.forEach([1, 2, 3, 4, 5], chat)
    return { event: medianOf(events), call, ticket, turn: medianOf(turns) }
  }).pipe(Effect.provide(OpenCodeLanguageModel.layer()))
}

const program = Effect.suspend((): Effect.Effect<
  { readonly [figure: string]: number },
  unknown,
  OpenCode.OpenCode | HostTools.HostTools | Tool.HandlersFor<(typeof toolkit)["tools"]>
> => variants[job.variant])

const stop = start()
const figures = await Effect.runPromise(
  program.pipe(
    Effect.provide(Layer.mergeAll(Layer.provideMerge(opencode, provider), handlers, host))
  )
)
report({
  ...(times.calls.length === 0 ? {} : { call: medianOf(times.calls) }),
  ...figures,
  ...stop(),
  children: childrenCpu()
})
