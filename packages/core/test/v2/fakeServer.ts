/** A private server of OpenCode 2.x over a scripted `fetch`: the routes that a run uses, and events that a test sends. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Effect from "effect/Effect"

type Wire = { readonly [name: string]: unknown }

export interface Asked {
  readonly method: string
  readonly path: string
  readonly body: Wire | undefined
}

export interface Options {
  /** What happens when the prompt has arrived. */
  readonly onPrompt?: ((server: FakeServer) => void) | undefined
  /** What happens when the prompt is interrupted. */
  readonly onInterrupt?: ((server: FakeServer) => void) | undefined
  /** The type of the first event, in place of the usual one. */
  readonly greeting?: string | undefined
  /** Replies in place of the usual ones. */
  readonly reply?: ((asked: Asked) => Response | undefined) | undefined
}

export interface FakeServer {
  readonly asked: Array<Asked>
  readonly send: (type: string, data?: Wire) => void
  /** Ends the stream of events; the next request opens another one. */
  readonly cut: () => void
  readonly fetch: typeof globalThis.fetch
}

export const url = "http://127.0.0.1:40000"

/** The line that a server prints when it listens. */
export const ready = `${JSON.stringify({ url })}\n`

export const session = "ses_1"

const json = (body: unknown, status = 200): Response =>
  new Response(status === 204 ? null : JSON.stringify(body), { status })

const rules = [
  { action: "*", resource: "*", effect: "allow" },
  { action: "external_directory", resource: "*", effect: "ask" }
]

const agents = [
  { id: "build", mode: "primary", permissions: rules },
  { id: "general", mode: "subagent", permissions: rules }
]

const text = new TextEncoder()

export const make = (options: Options = {}): FakeServer => {
  const asked: Array<Asked> = []
  const active: Record<string, Wire> = {}
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined
  const frame = (event: Wire) => stream?.enqueue(text.encode(`data: ${JSON.stringify(event)}\n\n`))

  const usual = ({ body, method, path }: Asked, signal: AbortSignal | null | undefined): Response => {
    const route = `${method} ${path.replace(/ses_\w+/, ":id").replace(/(permission|form)\/\w+/, "$1/:id")}`
    switch (route) {
      case "GET /api/info":
        return json({ version: "2.0.14" })
      case "GET /api/agent":
        return json({ data: agents })
      case "GET /api/config":
        return json([{ type: "directory", path: "/config" }])
      case "GET /api/model":
        return json({ data: [{ providerID: "fake", id: "m1" }] })
      case "POST /api/session":
        return json({ data: { id: session, title: body?.["title"], permissions: body?.["permissions"] } })
      case "GET /api/session/:id":
        return json({ data: { id: session, permissions: [] } })
      case "POST /api/session/:id/prompt":
        active[session] = {}
        queueMicrotask(() => options.onPrompt?.(self))
        return json({ data: { id: "msg_prompt" } })
      case "POST /api/session/:id/interrupt":
        queueMicrotask(() => options.onInterrupt?.(self))
        return json({ interrupted: true })
      case "GET /api/session/active":
        return json({ data: active })
      case "GET /api/session/:id/message":
      case "GET /api/session/:id/permission":
      case "GET /api/session/:id/form":
        return json({ data: [] })
      case "PATCH /api/session/:id":
      case "POST /api/session/:id/model":
      case "POST /api/session/:id/agent":
      case "POST /api/session/:id/permission/:id/reply":
      case "DELETE /api/session/:id/form/:id":
        return json(undefined, 204)
      case "GET /api/event": {
        const events = new ReadableStream<Uint8Array>({
          start: (controller) => {
            stream = controller
            signal?.addEventListener("abort", () => {
              stream = undefined
              controller.error(signal.reason)
            })
            frame({ type: options.greeting ?? "server.connected", data: {} })
          }
        })
        return new Response(events, { status: 200 })
      }
      default:
        return json({ message: `no route ${route}` }, 404)
    }
  }

  const self: FakeServer = {
    asked,
    send: (type, data = {}) => {
      if (/^session\.execution\.(succeeded|failed|interrupted)$/.test(type)) delete active[session]
      frame({ id: "evt", created: 1, type, data: { sessionID: session, ...data } })
    },
    cut: () => {
      stream?.close()
      stream = undefined
    },
    fetch: (input, init) => {
      const { pathname } = new URL(String(input))
      const body = init?.body == null ? undefined : JSON.parse(
        typeof init.body === "string" ? init.body : new TextDecoder().decode(init.body as Uint8Array)
      ) as Wire
      const request: Asked = { method: init?.method ?? "GET", path: pathname, body }
      asked.push(request)
      return Promise.resolve(options.reply?.(request) ?? usual(request, init?.signal))
    }
  }
  return self
}

const step = { assistantMessageID: "msg_1" }
const tokens = { input: 10, output: 5, reasoning: 0, cache: { read: 0, write: 0 } }

export const begin = ({ send }: FakeServer): void =>
  send("session.step.started", { ...step, model: { id: "m1", providerID: "fake" } })

/** A text and the end of its step. */
export const said = ({ send }: FakeServer, answer: string): void => {
  send("session.text.ended", { ...step, ordinal: 0, text: answer })
  send("session.step.ended", { ...step, finish: "stop", cost: 0.25, tokens })
}

/** The rest of an answer. */
export const finish = (server: FakeServer, answer: string): void => {
  said(server, answer)
  server.send("session.execution.succeeded")
}

export const answer = (server: FakeServer, said: string): void => {
  begin(server)
  finish(server, said)
}

/** The messages of a session with this answer, the newest first. */
export const messages = (said: string) => [
  { id: "msg_idle", type: "idle", outcome: "succeeded" },
  { id: "msg_1", type: "assistant", content: [{ type: "text", text: said }], finish: "stop", cost: 0.25, tokens },
  { id: "msg_prompt", type: "user", text: "Go" }
]

export const reply = json

export const provide = (server: FakeServer) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, FetchHttpClient.Fetch, server.fetch) as Effect.Effect<A, E, R>

/** The requests of one route. */
export const of = ({ asked }: FakeServer, method: string, end: string): ReadonlyArray<Asked> =>
  asked.filter((request) => request.method === method && request.path.endsWith(end))
