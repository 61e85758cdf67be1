/** The scenario of `opencode serve`: the calls and the events with which the library drives a server. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpMethod from "@effect/platform/HttpMethod"
import * as Contract from "effect-opencode/Contract"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ModelProvider from "../../../ModelProvider.js"
import { titled } from "../scenario.js"
import type { World } from "../world.js"

const { Reply, steps } = ModelProvider

const password = "conformance-password"

const credentials = { username: "opencode", password } as const

const calling = (command: string) =>
  Reply.toolCalls([{ name: "bash", arguments: { command, description: "Scripted" } }])

let failures = 0

export const respond: ModelProvider.Respond = (request) => {
  const { prompt } = request
  if (prompt.includes("ASK")) return steps([calling("echo asked"), Reply.text("asked")])(request)
  if (prompt.includes("REJECT")) return steps([calling("echo rejected"), Reply.text("went on")])(request)
  if (prompt.includes("UNAUTHORIZED")) return Reply.unauthorized("canary refused")
  if (prompt.includes("RETRY")) return failures++ === 0 ? Reply.rateLimited("1 second") : Reply.text("recovered")
  if (prompt.includes("NEVER")) return Reply.stall("begun")
  return Reply.reasoning("Let me think.", Reply.text("one two", { deltas: ["one", " two"] }))
}

/** A reply of the server. */
interface Answer {
  readonly status: number
  readonly body: unknown
}

interface Frame {
  readonly directory?: unknown
  readonly payload?: { readonly type?: unknown; readonly properties?: { readonly [key: string]: unknown } }
}

const parse = (text: string): unknown =>
  Option.getOrElse(Schema.decodeUnknownOption(Schema.parseJson())(text), () => text)

const rules = (action: string) => [{ permission: "bash", pattern: "*", action }]

/** Calls a server, and collects the events of its stream. */
const client = (world: World, url: string) =>
  Effect.gen(function*() {
    const http = (yield* HttpClient.HttpClient).pipe(
      HttpClient.withTracerDisabledWhen(() => true),
      HttpClient.withTracerPropagation(false)
    )
    const request = (method: HttpMethod.HttpMethod, path: string, body?: unknown, hasPassword = true) => {
      const plain = HttpClientRequest.make(method)(`${url}${path}`).pipe(
        HttpClientRequest.setHeader("x-opencode-directory", encodeURIComponent(world.work))
      )
      const known = hasPassword ? HttpClientRequest.basicAuth(plain, credentials.username, credentials.password) : plain
      return body === undefined ? known : HttpClientRequest.bodyUnsafeJson(known, body)
    }
    const ask = (
      method: HttpMethod.HttpMethod,
      path: string,
      body?: unknown,
      hasPassword?: boolean
    ): Effect.Effect<Answer> =>
      http.execute(request(method, path, body, hasPassword)).pipe(
        Effect.flatMap((response) =>
          Effect.map(response.text, (text) => ({ status: response.status, body: parse(text) }))
        ),
        Effect.scoped,
        Effect.timeoutOption("1 minute"),
        Effect.map(Option.getOrElse((): Answer => ({ status: 0, body: "no reply" }))),
        Effect.orElseSucceed((): Answer => ({ status: 0, body: "no reply" }))
      )
    const frames: Array<Frame> = []
    const listen = http.execute(request("GET", "/global/event")).pipe(
      Effect.map((response) => response.stream),
      Stream.unwrapScoped,
      Stream.decodeText(),
      Stream.splitLines,
      Stream.filter((line) => line.startsWith("data:")),
      Stream.runForEach((line) =>
        Effect.sync(() => {
          frames.push(parse(line.slice("data:".length)) as Frame)
        })
      ),
      Effect.ignore
    )
    return { ask, frames, listen }
  })

type Client = Effect.Effect.Success<ReturnType<typeof client>>

const idOf = (body: unknown): string =>
  typeof body === "object" && body !== null && "id" in body && typeof body.id === "string" ? body.id : "ses_unknown"

const drive = (world: World, url: string) =>
  Effect.gen(function*() {
    const api: Client = yield* client(world, url)
    const { ask, frames } = api
    const observe = world.observe
    /** The events of a session, or of all, by their type. */
    const eventsOf = (sessionId: string | undefined) =>
      frames.flatMap(({ payload }) =>
        payload?.type !== "sync" && (sessionId === undefined || payload?.properties?.["sessionID"] === sessionId)
          ? [payload ?? {}]
          : []
      )
    const has = (sessionId: string, type: string) =>
      Effect.sync(() => eventsOf(sessionId).some((event) => event.type === type))
    const session = (permission: ReadonlyArray<unknown>) => ask("POST", "/session", { title: "Scripted", permission })
    const prompt = (id: string, text: string) =>
      ask("POST", `/session/${id}/prompt_async`, {
        model: { providerID: "fake", modelID: "m1" },
        parts: [{ type: "text", text }]
      })
    const idle = (id: string) => world.until(has(id, "session.idle"))

    yield* observe("withoutPassword", yield* ask("GET", "/global/health", undefined, false))
    yield* observe("health", yield* ask("GET", "/global/health"))
    yield* Effect.forkScoped(api.listen)
    yield* world.until(Effect.sync(() => frames.length > 0))
    yield* observe("firstFrame", frames[0])
    yield* observe("path", yield* ask("GET", "/path"))
    yield* observe("work", world.work)
    yield* observe("models", yield* ask("GET", "/config/providers"))
    const agents = (yield* ask("GET", "/agent")).body
    yield* observe("agents", Array.isArray(agents) ? agents.map(({ mode, name }) => ({ mode, name })) : agents)

    const text = yield* session(rules("allow"))
    const id = idOf(text.body)
    yield* observe("session", text)
    yield* observe("prompt", yield* prompt(id, "TEXT"))
    yield* idle(id)
    yield* observe("textEvents", eventsOf(id))
    const messages = yield* ask("GET", `/session/${id}/message?limit=100`)
    yield* observe("messages", messages)
    yield* observe("forked", yield* ask("POST", `/session/${id}/fork`, {}))
    const last = Array.isArray(messages.body) ? messages.body.at(-1)?.info?.id : undefined
    const branch = idOf((yield* ask("POST", `/session/${id}/fork`, { messageID: last })).body)
    yield* observe("branchMessages", yield* ask("GET", `/session/${branch}/message?limit=100`))
    yield* observe("patched", yield* ask("PATCH", `/session/${id}`, { permission: rules("deny") }))

    const asking = idOf((yield* session(rules("ask"))).body)
    yield* prompt(asking, "ASK")
    yield* world.until(has(asking, "permission.asked"))
    const waiting = yield* ask("GET", "/permission")
    yield* observe("permissions", waiting)
    const requestId = Array.isArray(waiting.body) ? idOf(waiting.body[0]) : "per_unknown"
    yield* observe("once", yield* ask("POST", `/permission/${requestId}/reply`, { reply: "once" }))
    yield* idle(asking)
    yield* observe("askEvents", eventsOf(asking))

    const rejecting = idOf((yield* session(rules("ask"))).body)
    yield* prompt(rejecting, "REJECT")
    yield* world.until(has(rejecting, "permission.asked"))
    const pending = yield* ask("GET", "/permission")
    const rejected = Array.isArray(pending.body) ? idOf(pending.body[0]) : "per_unknown"
    yield* ask("POST", `/permission/${rejected}/reply`, { reply: "reject" })
    yield* idle(rejecting)
    yield* observe("rejectEvents", eventsOf(rejecting))

    const refused = idOf((yield* session([])).body)
    yield* prompt(refused, "UNAUTHORIZED")
    yield* idle(refused)
    yield* observe("errorEvents", eventsOf(refused))

    const retried = idOf((yield* session([])).body)
    yield* prompt(retried, "RETRY")
    yield* idle(retried)
    yield* observe("retryEvents", eventsOf(retried))

    const aborted = idOf((yield* session([])).body)
    yield* prompt(aborted, "NEVER")
    yield* world.until(has(aborted, "message.part.delta"))
    yield* observe("status", (yield* ask("GET", "/session/status")).body)
    yield* observe("aborted", aborted)
    yield* observe("abort", yield* ask("POST", `/session/${aborted}/abort`))
    yield* idle(aborted)
    yield* observe("abortEvents", eventsOf(aborted))
    yield* observe("dispose", yield* ask("POST", "/global/dispose"))
  }).pipe(Effect.scoped, Effect.provide(FetchHttpClient.layer))

const variables = {
  [Contract.variableNames.serverPassword]: password,
  [Contract.variableNames.serverUsername]: credentials.username
}

/** Starts a server, and does something with its address. */
const serving = (world: World, act: (url: string) => Effect.Effect<unknown>): Effect.Effect<void> => {
  const server = Contract.server(world.version)
  if (server === undefined) return Effect.void
  const address = (stdout: string) =>
    stdout.split("\n").slice(0, -1).map(server.address).find((found) => found !== undefined)
  return Effect.asVoid(world.run("serve", {
    args: server.args,
    env: variables,
    during: ({ kill, stdout }) =>
      Effect.gen(function*() {
        yield* world.until(Effect.sync(() => address(stdout()) !== undefined))
        const url = address(stdout())
        if (url !== undefined) yield* act(url)
        yield* kill("SIGTERM")
      })
  }))
}

export const run = (world: World): Effect.Effect<void> => serving(world, (url) => drive(world, url))

/** A run that the server works on. */
export const attach = (world: World): Effect.Effect<void> =>
  serving(world, (url) => world.run("run", { prompt: "hi", options: { ...titled, attach: url }, env: variables }))
