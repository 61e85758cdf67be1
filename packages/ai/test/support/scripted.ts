/** A service whose runs are scripts that act as OpenCode does: as a client of the tools, over HTTP. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { OpenCode, RunOptions, Version } from "effect-opencode"
import { HostTools } from "effect-opencode-ai"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { createServer } from "node:http"

type Json = { readonly [key: string]: any }

export interface Wire {
  readonly status: number
  readonly headers: Headers
  readonly body: any
}

/** What a script can do. */
export interface Client {
  readonly options: RunOptions.RunOptions
  readonly sessionId: string
  readonly url: string
  readonly token: string
  /** The messages of streams, as they have arrived. */
  readonly seen: ReadonlyArray<Json>
  /** The events of streams without a message. */
  readonly comments: () => number
  /** Any request; without a body it is a GET. */
  readonly send: (body: unknown, more?: { readonly path?: string; readonly headers?: Json }) => Effect.Effect<Wire>
  /** A request of the protocol; the messages of its answer. */
  readonly ask: (
    method: string,
    params?: Json,
    more?: { readonly id?: number; readonly connection?: string }
  ) => Effect.Effect<ReadonlyArray<Json>>
  readonly notify: (method: string, params: Json, connection?: string) => Effect.Effect<Wire>
  /** Connects, lists the tools, and begins a step, as OpenCode does before it asks the model. */
  readonly begin: Effect.Effect<ReadonlyArray<Json>>
  readonly list: Effect.Effect<ReadonlyArray<Json>>
  readonly step: Effect.Effect<void>
  /** The result of a call. */
  readonly call: (name: string, args?: Json, meta?: Json) => Effect.Effect<Json>
  /** A request of the plugin. */
  readonly plugin: (route: string, body: Json) => Effect.Effect<Wire>
  /** The plugin's report of a session. */
  readonly report: (more?: Json) => Effect.Effect<Wire>
  /** A call with a ticket from the plugin. */
  readonly ticketed: (name: string, args?: Json, more?: Json) => Effect.Effect<Json>
}

export type Script = (client: Client, prompt: string) => Effect.Effect<unknown>

let count = 0

const key = "the key of OpenCode"

const clientOf = (options: RunOptions.RunOptions, observer: (typeof RunOptions.CurrentObserver)["Service"]): Client => {
  const sessionId = `ses_${++count}`
  const server = (Object.values(options.mcp ?? {}).at(-1) ?? {}) as Json
  const url = String(server["url"])
  const headers = { ...server["headers"], "content-type": "application/json" }
  const plugin: Client["plugin"] = (route, body) => client.send(body, { path: `/plugin${route}` })
  const seen: Array<Json> = []
  let comments = 0
  /** Reads an answer as it arrives. */
  const request = (body: Json, connection = "one") =>
    Effect.promise(async (signal) => {
      const response = await fetch(url, {
        method: "POST",
        body: JSON.stringify({ jsonrpc: "2.0", ...body }),
        headers: { ...headers, "mcp-session-id": connection },
        signal
      })
      if (response.headers.get("content-type") !== "text/event-stream") return [await response.json() as Json]
      const messages: Array<Json> = []
      let rest = ""
      const decoder = new TextDecoder()
      for await (const chunk of response.body! as unknown as AsyncIterable<Uint8Array>) {
        const events = (rest + decoder.decode(chunk, { stream: true })).split("\n\n")
        rest = events.pop()!
        for (const event of events) {
          const data = event.split("\n").find((line) => line.startsWith("data: "))
          if (data === undefined) {
            comments++
          } else {
            messages.push(JSON.parse(data.slice("data: ".length)) as Json)
            seen.push(messages.at(-1)!)
          }
        }
      }
      return messages
    })
  const client: Client = {
    options,
    sessionId,
    url,
    seen,
    comments: () => comments,
    token: String(server["headers"]?.Authorization).slice("Bearer ".length),
    send: (body, more) =>
      Effect.promise(async (signal) => {
        const response = await fetch(new URL(more?.path ?? "/mcp", url), {
          method: body === undefined ? "GET" : "POST",
          ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
          headers: { ...headers, ...more?.headers },
          signal
        })
        const text = await response.text()
        return {
          status: response.status,
          headers: response.headers,
          body: text.startsWith("{") ? JSON.parse(text) as unknown : text
        }
      }),
    ask: (method, params, more) =>
      request({ id: more?.id ?? ++count, method, ...(params === undefined ? {} : { params }) }, more?.connection),
    notify: (method, params, connection = "one") =>
      client.send({ jsonrpc: "2.0", method, params }, { headers: { "mcp-session-id": connection } }),
    list: Effect.suspend(() => Effect.map(client.ask("tools/list"), ([answer]) => answer?.["result"].tools)),
    step: Effect.suspend(() => observer.onEvent?.({ _tag: "StepStart", sessionId, raw: {} }) ?? Effect.void),
    begin: Effect.suspend(() => Effect.tap(client.list, () => client.step)),
    call: (name, args = {}, meta = {}) =>
      Effect.map(client.ask("tools/call", { name, arguments: args, _meta: meta }), (answers) => {
        const last = answers.at(-1)
        return last?.["result"] ?? last
      }),
    plugin,
    report: (more) => plugin("/session", { key, session: sessionId, status: "connected", ...more }),
    ticketed: (name, args = {}, more = {}) =>
      Effect.gen(function*() {
        const { body, status } = yield* plugin("/call", {
          key,
          session: sessionId,
          from: sessionId,
          tool: `host_${name}`,
          args,
          ...more
        })
        if (status !== 200) return { status }
        return yield* client.call(name, { ...args, __call: body.ticket })
      })
  }
  return client
}

const never = () => Effect.die("not scripted")

/** What a script has returned. */
export const returned = <A = Json>({ answer }: { readonly answer: unknown }): A => answer as A

export interface Given {
  readonly carrier?: OpenCode.Carrier | undefined
  readonly version?: Version.Version
  /** The configuration that the server was started with. */
  readonly config?: () => RunOptions.RunOptions
}

/** The service; the answer of a run is what its script returns, and its events are one text with that. */
export const opencode = (script: Script, given?: OpenCode.Carrier | Given) => {
  const { carrier, config, version = Version.make(1, 18, 33) }: Given = typeof given === "object"
    ? given
    : { carrier: given }
  const run = (prompt: string, options: RunOptions.RunOptions = {}) =>
    Effect.flatMap(
      RunOptions.CurrentObserver,
      (observer) =>
        Effect.map(script(clientOf({ ...config?.(), ...options }, observer), prompt), (answer) =>
          ({ answer, events: [] }) as any)
    )
  const service: OpenCode.Service = {
    ...(carrier === undefined ? {} : { carrier }),
    run,
    stream: (prompt, options) =>
      Stream.map(
        Stream.fromEffect(run(prompt, options)),
        ({ answer }) => ({ _tag: "Text", text: String(answer), raw: {} }) as const
      ),
    runSchema: (_, prompt, options) => Effect.map(run(prompt, options), ({ answer }) => ({ value: answer }) as any),
    session: (settled) =>
      Effect.succeed({
        id: Effect.succeed(undefined),
        directory: undefined,
        cwd: "/",
        usage: Effect.die("not scripted"),
        export: never,
        run: (prompt, options) => run(prompt, { ...settled, ...options }),
        stream: (prompt, options) => service.stream(prompt, { ...settled, ...options }),
        runSchema: (schema, prompt, options) => service.runSchema(schema, prompt, { ...settled, ...options }),
        fork: () => Effect.orDie(service.session(settled))
      }),
    resume: never,
    importSession: never,
    version: Effect.succeed(version),
    models: Effect.die("not scripted")
  }
  return Layer.succeed(OpenCode.OpenCode, service)
}

export const server = Layer.fresh(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))

export const host = (options?: HostTools.Options) => Layer.provide(HostTools.layer(options), server)

/** Waits for the network, while the clock of the test stands still. */
export const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    isSo()
      ? Effect.void
      : Effect.andThen(Effect.promise(() => new Promise((resolve) => setImmediate(resolve))), until(isSo))
  )

/** The text that the model is shown. */
export const textOf = (result: Json): string =>
  (result["content"] as ReadonlyArray<Json>).map(({ text }) => text as string).join()
