import type * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { OpenCodeConfigError, OpenCodeServerError, OpenCodeVersionError } from "../../../OpenCodeError.js"
import type { QueryError } from "../../../OpenCodeError.js"
import * as Version from "../../../Version.js"
import type * as environment from "../../launch/environment.js"
import type { Release } from "../../launch/launcher.js"
import * as dialects from "../../opencode/dialects.js"
import * as redact from "../../opencode/redact.js"
import * as secretSearch from "../../opencode/secretSearch.js"
import * as runtime from "../../util/runtime.js"
import * as apis from "./api.js"
import type { Api } from "./api.js"
import * as credentials from "./credentials.js"
import * as hubs from "./hub.js"
import type { Subscription } from "./hub.js"
import * as serverProcess from "./serverProcess.js"
import type { Spec } from "./serverProcess.js"

/** A connection to a server that answers. */
export interface Connection extends Release {
  readonly api: Api
  /** The server's process; `undefined` if this program has not started it. */
  readonly pid: number | undefined
  /** The data directory; `undefined` if it is OpenCode's own or not on this machine. */
  readonly directory: string | undefined
  /** Returns when events of the session are known to arrive; prompt only after that. */
  readonly subscribe: (sessionId: string) => Effect.Effect<Subscription, OpenCodeServerError, Scope.Scope>
  /** Returns the reason when the server is gone. Subscriptions fail with the same error. */
  readonly died: Effect.Effect<OpenCodeServerError>
}

/** A server that is started or connected to on demand. */
export interface Server {
  /**
   * Returns the current connection or opens a new one. Callers that arrive while a server starts share its start and
   * its failure; the next caller tries again.
   */
  readonly connect: Effect.Effect<Connection, QueryError>
  /** True if there has been a connection, so that there are data for the next one. */
  readonly hasOpened: () => boolean
}

const serverRanges = `in server mode this library supports ${dialects.ranges(({ server }) => server?.supported)}`

const checked = (url: string, text: string): Effect.Effect<Release, OpenCodeVersionError> => {
  const version = Version.parse(text)
  const dialect = version === undefined ? undefined : dialects.forServer(version)
  return version !== undefined && dialect !== undefined
    ? Effect.succeed({ version, dialect })
    : new OpenCodeVersionError({
      binary: url,
      version: text,
      reason: serverRanges
    })
}

const connect = (
  api: Api,
  { directory, pid }: Pick<Connection, "directory" | "pid">,
  gone: Effect.Effect<OpenCodeServerError>
): Effect.Effect<Connection, QueryError, Scope.Scope> =>
  Effect.gen(function*() {
    const { dialect, version } = yield* Effect.flatMap(api.health, ({ version }) => checked(api.url, version))
    const hub = yield* hubs.make({
      open: api.events,
      lost: (detail) =>
        new OpenCodeServerError({
          reason: "unreachable",
          url: api.url,
          request: "GET /global/event",
          detail,
          stderr: ""
        }),
      gone
    })
    return {
      api,
      version,
      dialect,
      pid,
      directory,
      subscribe: hub.subscribe,
      died: hub.failed
    }
  })

/** How long a server may take to end its sessions, whose tools it waits for, before it is ended anyway. */
const disposePatience = Duration.seconds(5)

export interface Services extends serverProcess.Services {
  readonly httpClient: HttpClient.HttpClient
}

const unversioned = dialects.unversioned.crashTexts

/**
 * A server that crashed on its database or found its port in use has done nothing yet, so starting it again is safe.
 */
const again = {
  while: (error: QueryError) =>
    error._tag === "OpenCodeServerError" && error.reason === "start-failed" &&
    (unversioned.sqlite(error.stderr) !== undefined || unversioned.isPortTaken(error.stderr)),
  schedule: Schedule.intersect(Schedule.recurs(2), Schedule.spaced("1 second"))
}

/** Starts our own server; it ends, with everything that runs in it, when the scope closes. */
export const open = (
  services: Services,
  spec: Spec,
  around: environment.ProcessEnvironment,
  options: { readonly startTimeout: Duration.Duration }
): Effect.Effect<Connection, QueryError, Scope.Scope> =>
  Effect.gen(function*() {
    const started = yield* Effect.retry(serverProcess.start(services, spec, around, options), again).pipe(
      Effect.mapError((error) =>
        error._tag === "OpenCodeServerError" && error.reason === "start-failed" &&
          dialects.unversioned.server.isForeign(error.stderr)
          ? new OpenCodeVersionError({ binary: spec.binary, reason: `${serverRanges}, and this is another major` })
          : error
      )
    )
    const api = apis.make({
      client: services.httpClient,
      url: started.url,
      username: credentials.username,
      password: services.password,
      redact: started.redact
    })
    // A signal alone would leave the tools, which lead their own process groups.
    yield* Effect.addFinalizer(() =>
      Effect.whenEffect(
        Effect.ignore(Effect.timeout(Effect.interruptible(api.dispose), disposePatience)),
        started.isRunning
      )
    )
    return yield* connect(api, { directory: around.directory, pid: started.pid }, started.exited)
  })

export interface AttachOptions {
  readonly url: string
  /** Default: `opencode`. */
  readonly username?: string | undefined
  readonly password: Redacted.Redacted | undefined
  /** The secrets to mask in the server's replies. Default: the password. */
  readonly secrets?: Effect.Effect<ReadonlyArray<string>> | undefined
}

/** Strips credentials, which are passed separately, query and hash from an address; `undefined` if it is invalid. */
export const addressOf = (url: string): string | undefined => {
  if (!URL.canParse(url)) return undefined
  const { host, pathname, protocol } = new URL(url)
  return protocol === "http:" || protocol === "https:"
    ? `${protocol}//${host}${pathname.replace(/\/+$/, "")}`
    : undefined
}

/** Connects to an existing server, which is left running. */
export const attach = (
  httpClient: HttpClient.HttpClient,
  options: AttachOptions
): Effect.Effect<Connection, QueryError, Scope.Scope> =>
  Effect.gen(function*() {
    const url = addressOf(options.url)
    if (url === undefined) {
      return yield* new OpenCodeConfigError({ path: "url", reason: "not a valid address of an HTTP server" })
    }
    const api = apis.make({
      client: httpClient,
      url,
      username: options.username ?? credentials.username,
      password: options.password,
      redact:
        redact.make(options.secrets === undefined ? secretSearch.secretsOf(options.password) : yield* options.secrets)
          .text
    })
    return yield* connect(api, { directory: undefined, pid: undefined }, Effect.never)
  })

type State =
  | { readonly _tag: "Closed" }
  | { readonly _tag: "Opening"; readonly result: Deferred.Deferred<Connection, QueryError> }
  | { readonly _tag: "Open"; readonly connection: Connection }
  | { readonly _tag: "Closing"; readonly done: Deferred.Deferred<void> }

/** Makes a server that opens a connection on demand, and again after it has died. */
export const hold = (
  open: Effect.Effect<Connection, QueryError, Scope.Scope>
): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    let state: State = { _tag: "Closed" }
    let hasOpened = false

    /** Runs one connection from its start until everything it left is removed. */
    const live = (result: Deferred.Deferred<Connection, QueryError>): Effect.Effect<void> => {
      const done = runtime.deferred<void>()
      const use = Effect.gen(function*() {
        const connection = yield* open
        state = { _tag: "Open", connection }
        hasOpened = true
        yield* Deferred.succeed(result, connection)
        yield* connection.died
        // Everything it leaves is removed before another one starts in the same directories.
        state = { _tag: "Closing", done }
      })
      return Effect.interruptible(Effect.scoped(use)).pipe(
        Effect.onExit((exit) => {
          state = { _tag: "Closed" }
          return Effect.andThen(
            exit._tag === "Failure" ? Deferred.failCause(result, exit.cause) : Effect.void,
            Deferred.succeed(done, undefined)
          )
        }),
        Effect.ignore,
        // The connection outlives the run that opened it.
        Effect.mapInputContext((context: Context.Context<never>) => Context.omit(Tracer.ParentSpan)(context))
      )
    }

    // Not interruptible between changing the state and forking the fiber that resets it.
    const connect: Server["connect"] = Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        switch (state._tag) {
          case "Open":
            return Effect.succeed(state.connection)
          case "Opening":
            return restore(Deferred.await(state.result))
          case "Closing":
            return restore(Effect.andThen(Deferred.await(state.done), connect))
          case "Closed": {
            const result = runtime.deferred<Connection, QueryError>()
            state = { _tag: "Opening", result }
            return Effect.andThen(Effect.forkIn(live(result), scope), restore(Deferred.await(result)))
          }
        }
      })
    )

    return { connect, hasOpened: () => hasOpened }
  })
