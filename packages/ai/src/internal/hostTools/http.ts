/** The tools over HTTP, for OpenCode's client of the Model Context Protocol. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as ServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as content from "./content.js"
import type { Endpoint, Resolved } from "./endpoint.js"
import * as messages from "./messages.js"

export const paths = { tools: "/mcp", plugin: "/plugin" } as const

export interface Options {
  readonly name: string
  readonly progressEvery: Duration.Duration
  /** What the tokens open. */
  readonly endpoints: ReadonlyMap<string, Endpoint>
  readonly closing: Effect.Effect<void>
}

const sessionHeader = "mcp-session-id"

const empty = (status: number): HttpServerResponse.HttpServerResponse => HttpServerResponse.empty({ status })

const tokenOf = ({ headers }: HttpServerRequest.HttpServerRequest): string =>
  /^Bearer (\S+)$/i.exec(headers["authorization"] ?? "")?.[1] ?? ""

const bodyOf = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<Option.Option<unknown>> =>
  Effect.option(request.json)

const decodeMessage = Schema.decodeUnknownOption(messages.Message)
const decodeCall = Schema.decodeUnknownOption(messages.Call)
const decodeCancelled = Schema.decodeUnknownOption(messages.Cancelled)

const refusal = (reason: string): content.Answer => ({
  content: [content.text(`The call was refused: ${reason}.`)],
  isError: true
})

/** Makes the application; the calls in it are interrupted with their connections. */
export const make = ({ closing, endpoints, name, progressEvery }: Options) => {
  let count = 0
  const nextId = (): string => `${++count}`
  /** The running calls by the connection and the id of their request. */
  const running = new Map<string, Deferred.Deferred<void>>()
  const keyOf = (request: HttpServerRequest.HttpServerRequest, id: messages.Id): string =>
    `${tokenOf(request)} ${request.headers[sessionHeader] ?? ""} ${JSON.stringify(id)}`

  const handle = (call: messages.Call, resolved: Resolved): Effect.Effect<content.Answer> =>
    resolved.binding.call({
      name: call.name,
      params: resolved.params,
      callId: resolved.callId ?? `call-${nextId()}`,
      sessionId: resolved.sessionId
    })

  /** Answers a call as a stream, because OpenCode gives up a request that is silent for a minute (1.18.33). */
  const callTool = (
    endpoint: Endpoint,
    call: messages.Call,
    id: messages.Id,
    key: string
  ): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
    Effect.gen(function*() {
      const cancelled = yield* Deferred.make<void>()
      const answer = endpoint.resolve(call).pipe(
        Effect.flatMap((resolved) => handle(call, resolved)),
        Effect.catchAll((reason) =>
          Effect.as(Effect.logWarning(`A call of the tool ${call.name} was refused: ${reason}`), refusal(reason))
        ),
        Effect.map((answer) => messages.event(messages.result(id, content.toWire(answer)))),
        // A cancelled request has no answer.
        Effect.raceFirst(Effect.flatMap(Deferred.await(cancelled), () => Effect.fail(Option.none<never>()))),
        Effect.onExit(() => Effect.sync(() => running.delete(key)))
      )
      running.set(key, cancelled)
      const token = call._meta?.progressToken
      let beats = 0
      const beat = Effect.sync(() =>
        token === undefined ? messages.comment : messages.event(messages.progress(token, beats++))
      )
      return HttpServerResponse.stream(
        Stream.fromEffectOption(answer).pipe(
          Stream.merge(Stream.repeatEffectWithSchedule(beat, Schedule.spaced(progressEvery)), { haltStrategy: "left" }),
          Stream.interruptWhen(closing)
        ),
        { contentType: "text/event-stream", headers: { "cache-control": "no-store" } }
      )
    })

  const notify = (message: messages.Message, request: HttpServerRequest.HttpServerRequest): Effect.Effect<void> =>
    // OpenCode cancels every call that has ended as well (1.18.33), which is no longer running then.
    message.method !== "notifications/cancelled" ? Effect.void : Option.match(decodeCancelled(message.params), {
      onNone: () => Effect.void,
      onSome: ({ requestId }) => {
        const cancelled = running.get(keyOf(request, requestId))
        return cancelled === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(cancelled, undefined))
      }
    })

  const respond = (
    endpoint: Endpoint,
    { id, method, params }: messages.Message & { readonly id: messages.Id },
    request: HttpServerRequest.HttpServerRequest
  ): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
    const json = (message: { readonly [key: string]: unknown }) =>
      Effect.succeed(HttpServerResponse.unsafeJson(message))
    switch (method) {
      case "initialize":
        return Effect.map(
          json(messages.initialized(id, name, params)),
          // The ids of the requests are unique only in one connection.
          HttpServerResponse.setHeader(sessionHeader, crypto.randomUUID())
        )
      case "ping":
        return json(messages.result(id, {}))
      case "tools/list":
        endpoint.listed()
        return json(messages.result(id, { tools: endpoint.definitions.list }))
      case "tools/call":
        return Option.match(decodeCall(params), {
          onNone: () => json(messages.failure(id, messages.codes.params, "Not a call of a tool.")),
          onSome: (call) =>
            endpoint.definitions.list.some((tool) => tool.name === call.name)
              ? callTool(endpoint, call, id, keyOf(request, id))
              : json(messages.failure(id, messages.codes.params, `There is no tool ${call.name}.`))
        })
      default:
        return json(messages.failure(id, messages.codes.method, `There is no method ${method}.`))
    }
  }

  const tools = (endpoint: Endpoint, request: HttpServerRequest.HttpServerRequest) =>
    Effect.gen(function*() {
      // There is no stream from the server, and no session to delete.
      if (request.method !== "POST") return empty(405)
      const body = yield* bodyOf(request)
      if (Option.isNone(body)) {
        return HttpServerResponse.unsafeJson(messages.failure(null, messages.codes.parse, "Not JSON."), { status: 400 })
      }
      const decoded = decodeMessage(body.value)
      if (Option.isNone(decoded)) {
        return HttpServerResponse.unsafeJson(messages.failure(null, messages.codes.request, "Not a message."), {
          status: 400
        })
      }
      const { id, ...message } = decoded.value
      if (id !== undefined) return yield* respond(endpoint, { ...message, id }, request)
      yield* notify(message, request)
      return empty(202)
    })

  return Effect.gen(function*() {
    const request = yield* ServerRequest.HttpServerRequest
    // Only a browser sends one, for a page that must not reach the program.
    if (request.headers["origin"] !== undefined) return empty(403)
    const endpoint = endpoints.get(tokenOf(request))
    if (endpoint === undefined) return empty(401)
    const path = request.url.split("?")[0] ?? ""
    if (path === paths.tools) return yield* tools(endpoint, request)
    if (request.method !== "POST" || !path.startsWith(`${paths.plugin}/`)) return empty(404)
    const reply = yield* Effect.flatMap(
      bodyOf(request),
      (body) => endpoint.report(path.slice(paths.plugin.length), Option.getOrUndefined(body))
    )
    return Option.match(reply, {
      onNone: () => empty(403),
      onSome: (value) => HttpServerResponse.unsafeJson(value)
    })
  }).pipe(
    // A server handles requests in an uninterruptible region.
    Effect.interruptible
  )
}
