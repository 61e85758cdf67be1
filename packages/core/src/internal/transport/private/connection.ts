import type * as HttpClient from "@effect/platform/HttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { Event, PrivateServer } from "../../opencode/privateServer.js"
import * as hubs from "../server/hub.js"
import type { Hub } from "../server/hub.js"
import * as request from "../server/request.js"
import type { Requests } from "../server/request.js"

/** The requests and the events of a server that answers. */
export interface Connection extends Hub<Event> {
  readonly requests: Requests
}

export interface Options {
  readonly httpClient: HttpClient.HttpClient
  readonly url: string
  /** Default: OpenCode's own. */
  readonly username?: string | undefined
  readonly password: Redacted.Redacted | undefined
  /** Masks secrets in the server's replies. */
  readonly redact: (text: string) => string
  /** Returns the error when the server is known to be gone. */
  readonly gone: (lost: (detail: string) => OpenCodeServerError) => Effect.Effect<OpenCodeServerError>
}

export const requestsOf = ({ username }: PrivateServer, options: Omit<Options, "gone">): Requests =>
  request.make({
    client: options.httpClient,
    url: options.url,
    username: options.username ?? username,
    password: options.password,
    redact: options.redact
  })

/** Subscribes to the events of a server. */
export const open = (server: PrivateServer, options: Options): Effect.Effect<Connection, never, Scope.Scope> => {
  const requests = requestsOf(server, options)
  const { events } = server.routes
  const lost = (detail: string) =>
    new OpenCodeServerError({
      reason: "unreachable",
      url: options.url,
      request: `${events.method} ${events.route}`,
      detail,
      stderr: ""
    })
  return Effect.map(
    hubs.makeFor({
      receive: server.receive,
      sessionOf: ({ sessionId }) => sessionId,
      parentOf: ({ parentId }) => parentId
    }, {
      open: requests.open(events),
      lost,
      gone: options.gone(lost),
      patience: Duration.millis(server.patience)
    }),
    (hub) => ({ ...hub, requests })
  )
}
