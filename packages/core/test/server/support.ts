/** Common parts of the server transport's tests: an HTTP client whose server is a function. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"

/** A request as sent. */
export interface Sent {
  readonly method: string
  readonly url: URL
  readonly headers: { readonly [name: string]: string }
  readonly body: unknown
  readonly signal: AbortSignal
}

export type Answer = (sent: Sent) => Response | Effect.Effect<Response, unknown>

const bodyOf = (request: HttpClientRequest.HttpClientRequest): unknown =>
  request.body._tag === "Uint8Array" ? JSON.parse(new TextDecoder().decode(request.body.body)) : undefined

/** A client answered by a function; a failure of it is one of the connection. */
export const client = (answer: Answer) => {
  const sent: Array<Sent> = []
  return {
    sent,
    client: HttpClient.make((request, url, signal) =>
      Effect.suspend(() => {
        const one: Sent = { method: request.method, url, headers: request.headers, body: bodyOf(request), signal }
        sent.push(one)
        const response = answer(one)
        return (Effect.isEffect(response) ? response as Effect.Effect<Response, unknown> : Effect.succeed(response))
          .pipe(
            Effect.mapError((cause) => new HttpClientError.RequestError({ request, reason: "Transport", cause })),
            Effect.map((response) => HttpClientResponse.fromWeb(request, response))
          )
      })
    )
  }
}

export const json = (body: unknown, init?: ResponseInit): Response => new Response(JSON.stringify(body), init)

/** One event as `/global/event` frames it. */
export const frame = (payload: unknown, directory = "/workspace"): string =>
  `data: ${JSON.stringify({ directory, project: "global", payload })}\n\n`
