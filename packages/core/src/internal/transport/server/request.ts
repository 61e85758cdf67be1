/**
 * Sends requests to a server of OpenCode: with its credentials, a time limit and errors that contain no secrets. No call
 * waits for a model.
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Client from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as HttpMethod from "@effect/platform/HttpMethod"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { OpenCodeServerError } from "../../../OpenCodeError.js"
import * as inTime from "../../util/inTime.js"
import { isObject } from "../../util/object.js"

export type Call<A> = Effect.Effect<A, OpenCodeServerError>

export interface Options {
  readonly client: HttpClient.HttpClient
  /** Without credentials and without a slash at its end. */
  readonly url: string
  readonly username: string
  /** Without a password no credentials are sent. */
  readonly password: Redacted.Redacted | undefined
  /** Masks secrets in the server's replies. */
  readonly redact: (text: string) => string
}

/** The time limit of each call. */
const patience = Duration.minutes(1)

/** The characters of an error text that are shown in a message. */
const shown = 500

export interface Request {
  readonly method: HttpMethod.HttpMethod
  /** The route as shown, without session ids, which the errors of runs carry. */
  readonly route: string
  readonly path: string
  readonly query?: { readonly [name: string]: string | undefined } | undefined
  readonly body?: unknown
}

export interface Reply {
  readonly status: number
  readonly text: string
  readonly cursor: string | undefined
}

/** The innermost cause names the system's error; the outer ones only say "fetch failed". */
const causeOf = (cause: unknown): string | undefined => {
  if (!(cause instanceof Error)) return undefined
  return causeOf(cause.cause) ?? ("code" in cause && typeof cause.code === "string" && cause.message === ""
    ? cause.code
    : cause.message)
}

const messageOf = (body: unknown): string | undefined => {
  if (!isObject(body)) return undefined
  const data = isObject(body["data"]) ? body["data"] : body
  const message = data["message"] ?? body["name"] ?? body["_tag"]
  return typeof message === "string" ? message : undefined
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export type Requests = ReturnType<typeof make>

/** Makes the functions that send requests to a server at an address. */
export const make = (options: Options) => {
  const { redact, url } = options
  // The client's spans would contain the directory and every header, and its propagation would send the trace to the
  // server.
  const client = options.client.pipe(Client.withTracerDisabledWhen(() => true), Client.withTracerPropagation(false))

  const failure = (
    request: Pick<Request, "method" | "route">,
    reason: OpenCodeServerError["reason"],
    more: { readonly status?: number; readonly detail?: string | undefined } = {}
  ) =>
    new OpenCodeServerError({
      reason,
      url,
      request: `${request.method} ${request.route}`,
      status: more.status,
      detail: more.detail === undefined ? undefined : redact(more.detail).slice(0, shown),
      stderr: ""
    })

  /** The client's errors contain the request with its headers, so they are not passed on. */
  const lost = (request: Pick<Request, "method" | "route">) => (error: HttpClientError.HttpClientError) =>
    failure(request, "unreachable", { detail: causeOf(error.cause) ?? error.reason })

  const toRequest = ({ body, method, path, query }: Request): HttpClientRequest.HttpClientRequest => {
    let request = HttpClientRequest.make(method)(`${url}${path}`).pipe(
      HttpClientRequest.setUrlParams(query ?? {}),
      // Otherwise the server compresses on loopback, too, which not every client can read.
      HttpClientRequest.setHeader("accept-encoding", "identity")
    )
    if (options.password !== undefined) {
      request = HttpClientRequest.basicAuth(request, options.username, Redacted.value(options.password))
    }
    return body === undefined ? request : HttpClientRequest.bodyUnsafeJson(request, body)
  }

  const refused = (request: Request, { status, text }: Reply) =>
    status === 401
      ? failure(request, "unauthorized", { status })
      : status >= 400
      ? failure(request, "refused", { status, detail: messageOf(parse(text)) })
      : failure(request, "unexpected-reply", { status })

  const execute = (request: Request): Call<Reply> =>
    Effect.suspend(() => client.execute(toRequest(request))).pipe(
      Effect.flatMap((response) =>
        // Even if nobody uses the body, because the connection is reusable only after it.
        Effect.map(response.text, (text): Reply => ({
          status: response.status,
          text,
          cursor: response.headers["x-next-cursor"]
        }))
      ),
      Effect.mapError(lost(request)),
      inTime.orFail(
        patience,
        () => failure(request, "unreachable", { detail: `no reply within ${Duration.format(patience)}` })
      )
    )

  const spanned = <A>(request: Request, call: Call<A>): Call<A> =>
    Effect.withSpan(call, "OpenCode.server.request", {
      captureStackTrace: false,
      attributes: { "http.request.method": request.method, "http.route": request.route }
    })

  const isOk = ({ status }: Reply) => status >= 200 && status < 300

  const ok = (request: Request): Call<Reply> =>
    spanned(
      request,
      Effect.flatMap(execute(request), (reply) => isOk(reply) ? Effect.succeed(reply) : refused(request, reply))
    )

  /** The content is not shown, because it can contain anything, even provider keys. */
  const unexpected = (request: Request, status: number, text: string) =>
    failure(request, "unexpected-reply", { status, detail: `${text.length} characters of an unexpected shape` })

  const decode = <A>(request: Request, is: (u: unknown) => u is A, { status, text }: Reply): Call<A> => {
    const body = parse(text)
    return is(body) ? Effect.succeed(body) : unexpected(request, status, text)
  }

  /** Asks for a reply that a function reads. */
  const read = <A>(request: Request, of: (body: unknown) => A | undefined): Call<A> =>
    Effect.flatMap(ok(request), ({ status, text }) => {
      const found = of(parse(text))
      return found === undefined ? unexpected(request, status, text) : Effect.succeed(found)
    })

  const ask = <A>(request: Request, is: (u: unknown) => u is A): Call<A> =>
    Effect.flatMap(ok(request), (reply) => decode(request, is, reply))

  const send = (request: Request): Call<void> => Effect.asVoid(ok(request))

  /** Returns true if the request was still open. */
  const answer = (request: Request): Call<boolean> =>
    spanned(
      request,
      Effect.flatMap(execute(request), (reply) =>
        isOk(reply) ? Effect.succeed(true) : reply.status === 404 ? Effect.succeed(false) : refused(request, reply))
    )

  /** Opens a stream that does not end by itself. */
  const open = (
    request: Request
  ): Effect.Effect<Stream.Stream<Uint8Array, OpenCodeServerError>, OpenCodeServerError, Scope.Scope> =>
    Effect.suspend(() => Client.withScope(client).execute(toRequest(request))).pipe(
      Effect.mapError(lost(request)),
      Effect.flatMap((response: HttpClientResponse.HttpClientResponse) =>
        response.status === 200
          ? Effect.succeed(Stream.mapError(response.stream, lost(request)))
          : refused(request, { status: response.status, text: "", cursor: undefined })
      )
    )

  return { answer, ask, decode, failure, ok, open, read, send }
}
