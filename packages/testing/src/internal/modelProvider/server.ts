/** The scripted provider as an HTTP server. */
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as ModelProvider from "../../ModelProvider.js"
import * as config from "./config.js"
import * as requests from "./request.js"
import * as responses from "./response.js"

const authority = (address: HttpServer.Address): Effect.Effect<string> => {
  if (address._tag === "UnixAddress") {
    return Effect.dieMessage("ModelProvider needs a server on a TCP port")
  }
  const hostname = address.hostname === "0.0.0.0" ? "127.0.0.1" : address.hostname
  return Effect.succeed(`${hostname.includes(":") ? `[${hostname}]` : hostname}:${address.port}`)
}

interface State {
  readonly respond: ModelProvider.Respond
  readonly index: number
  readonly requests: ReadonlyArray<ModelProvider.ProviderRequest>
}

/** Serves the provider until the scope closes. */
export const make = Effect.fnUntraced(function*(
  options: ModelProvider.Options & { readonly title: ModelProvider.Reply }
) {
  const server = yield* HttpServer.HttpServer
  const baseUrl = `http://${yield* authority(server.address)}/v1`
  const state = yield* Ref.make<State>({ respond: options.respond, index: 0, requests: [] })
  const closing = yield* Deferred.make<void>()
  const sources = new Set<unknown>()

  const complete = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
    const asked = yield* requests.read(request)
    const { number, received, respond } = yield* Ref.modify(state, (current) => {
      const received: ModelProvider.ProviderRequest = { ...asked, index: current.index }
      return [
        { number: current.requests.length, received, respond: current.respond },
        {
          ...current,
          index: asked.isTitle ? current.index : current.index + 1,
          requests: [...current.requests, received]
        }
      ]
    })
    const chosen = asked.isTitle ? options.title : respond(received)
    const reply = Effect.isEffect(chosen) ? yield* chosen : chosen
    const envelope = { id: `chatcmpl-${number}`, created: Math.floor(asked.time / 1000), model: asked.model }
    return yield* responses.toResponse(received, request.source, envelope, reply)
  })

  const route = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    sources.add(request.source)
    const path = request.url.split("?")[0]
    if (request.method === "GET" && path === "/v1/models") {
      return HttpServerResponse.unsafeJson(
        { object: "list", data: [{ id: config.modelId, object: "model", created: 0, owned_by: config.providerId }] },
        { headers: responses.closeConnection }
      )
    }
    if (request.method === "POST" && path === "/v1/chat/completions") {
      return yield* complete(request)
    }
    return responses.refuse(404, `ModelProvider does not serve ${request.method} ${path}`)
  }).pipe(
    HttpIncomingMessage.withMaxBodySize(Option.none()),
    Effect.catchTags({
      ParseError: (error) => Effect.succeed(responses.refuse(400, error.message)),
      RequestError: (error) => Effect.succeed(responses.refuse(400, error.message))
    }),
    Effect.raceFirst(Effect.as(Deferred.await(closing), responses.refuse(503, "ModelProvider is closing"))),
    // a server handles requests in an uninterruptible region
    Effect.interruptible
  )

  yield* server.serve(route)
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      Deferred.succeed(closing, void 0),
      Effect.sync(() => sources.forEach(responses.destroyConnection))
    )
  )

  const configOverrides = config.of(baseUrl, options.apiKey, options.images)
  const service: ModelProvider.Service = {
    baseUrl,
    model: config.model,
    configOverrides,
    runConfig: { configOverrides, model: config.model },
    requests: Effect.map(Ref.get(state), ({ requests }) => requests),
    respond: (respond) => Ref.update(state, (current) => ({ ...current, respond, index: 0 }))
  }
  return service
})
