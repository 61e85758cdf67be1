import type * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Conversation from "../../../Conversation.js"
import { OpenCodeConfigError, OpenCodeServerError, OpenCodeVersionError } from "../../../OpenCodeError.js"
import type { QueryError, SessionOpenError } from "../../../OpenCodeError.js"
import type { RunOptions } from "../../../RunOptions.js"
import * as Version from "../../../Version.js"
import type * as environment from "../../launch/environment.js"
import type { Release } from "../../launch/launcher.js"
import { includes } from "../../opencode/dialect.js"
import type { Dialect } from "../../opencode/dialect.js"
import * as dialects from "../../opencode/dialects.js"
import type { PrivateServer } from "../../opencode/privateServer.js"
import * as redact from "../../opencode/redact.js"
import * as secretSearch from "../../opencode/secretSearch.js"
import type * as verdicts from "../../opencode/verdict.js"
import type { WireObject } from "../../util/object.js"
import * as runtime from "../../util/runtime.js"
import * as catalogs from "../private/catalog.js"
import * as sessions from "../private/connection.js"
import type * as leases from "../private/lease.js"
import * as apis from "./api.js"
import type { Api } from "./api.js"
import * as credentials from "./credentials.js"
import * as hubs from "./hub.js"
import type { Subscription } from "./hub.js"
import type { Requests } from "./request.js"
import * as serverProcess from "./serverProcess.js"
import type { ServerDialect, Spec } from "./serverProcess.js"

interface Common extends Release {
  /** The server's process; `undefined` if this program has not started it. */
  readonly pid: number | undefined
  /** The data directory; `undefined` if it is OpenCode's own or not on this machine. */
  readonly directory: string | undefined
  /** Returns the reason when the server is gone. Subscriptions fail with the same error. */
  readonly died: Effect.Effect<OpenCodeServerError>
  /** The session of a directory that was used last. */
  readonly lastSession: (directory: string) => Effect.Effect<string | undefined, OpenCodeServerError>
  readonly conversation: (sessionId: string) => Effect.Effect<Conversation.Conversation, OpenCodeServerError>
  readonly models: (directory: string, options: RunOptions) => Effect.Effect<ReadonlyArray<string>, OpenCodeServerError>
}

/** A connection to a server of OpenCode 1, whose prompts bring their settings. */
export interface ApiConnection extends Common {
  readonly _tag: "Api"
  readonly api: Api
  /** Returns when events of the session are known to arrive; prompt only after that. */
  readonly subscribe: (sessionId: string) => Effect.Effect<Subscription, OpenCodeServerError, Scope.Scope>
}

/** A connection to a server of OpenCode 2, whose sessions have the settings. */
export interface SessionsConnection extends Common {
  readonly _tag: "Sessions"
  readonly server: leases.Server
}

/** A connection to a server that answers. */
export type Connection = ApiConnection | SessionsConnection

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

/** Reads the version of a server that has answered as this major does. */
const checked = (
  url: string,
  text: string,
  protocol: PrivateServer | undefined
): Effect.Effect<Release, OpenCodeVersionError> => {
  const version = Version.parse(text)
  const dialect = version === undefined ? undefined : dialects.forServer(version)
  return version !== undefined && dialect !== undefined && dialect.privateServer === protocol
    ? Effect.succeed({ version, dialect })
    : new OpenCodeVersionError({
      binary: url,
      version: text,
      reason: serverRanges
    })
}

/** The dialect of a binary whose server is supported. */
export const withServer = (
  binary: string,
  version: Version.Version,
  dialect: Dialect
): Effect.Effect<ServerDialect, OpenCodeVersionError> => {
  const { server } = dialect
  return server !== undefined && includes(server.supported, version)
    ? Effect.succeed({ ...dialect, server })
    : new OpenCodeVersionError({ binary, version: Version.format(version), reason: serverRanges })
}

const incomplete = (url: string, sessionId: string) =>
  new OpenCodeServerError({
    reason: "unexpected-reply",
    url,
    detail: `the session ${sessionId} is not a complete conversation`,
    stderr: ""
  })

interface Place {
  readonly pid: number | undefined
  readonly directory: string | undefined
}

const connectApi = (
  api: Api,
  { directory, pid }: Place,
  { dialect, version }: Release,
  gone: Effect.Effect<OpenCodeServerError>
): Effect.Effect<ApiConnection, never, Scope.Scope> =>
  Effect.gen(function*() {
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
      _tag: "Api",
      api,
      version,
      dialect,
      pid,
      directory,
      subscribe: hub.subscribe,
      died: hub.failed,
      lastSession: (of) => Effect.map(api.sessions(of, 1), (sessions) => sessions[0]?.id),
      conversation: (sessionId) =>
        Effect.flatMap(
          Effect.zip(api.getSession(sessionId), api.messages(sessionId)),
          ([info, messages]) =>
            Effect.mapError(
              Schema.decodeUnknown(Conversation.Conversation)({ info, messages }),
              () => incomplete(api.url, sessionId)
            )
        ),
      models: api.models
    }
  })

/** All messages of a session, the oldest first. */
const messagesOf = (
  { replies, routes }: PrivateServer,
  requests: Requests,
  sessionId: string
): Effect.Effect<ReadonlyArray<WireObject>, OpenCodeServerError> => {
  const page = (
    cursor: string | undefined,
    later: ReadonlyArray<WireObject>
  ): Effect.Effect<ReadonlyArray<WireObject>, OpenCodeServerError> =>
    Effect.flatMap(requests.read(routes.messages(sessionId, cursor), replies.messages), ({ messages, next }) => {
      const all = [...[...messages].reverse(), ...later]
      return next === undefined || messages.length === 0 ? Effect.succeed(all) : page(next, all)
    })
  return page(undefined, [])
}

/** What a process says about a server that is not its answers. */
interface Life extends Pick<leases.Server, "dropped" | "onDropped"> {
  readonly exited: Effect.Effect<OpenCodeServerError>
  readonly isRunning: Effect.Effect<boolean>
}

const endless: Life = {
  exited: Effect.never,
  isRunning: Effect.succeed(true),
  dropped: () => undefined,
  onDropped: Effect.never
}

const connectSessions = (
  protocol: PrivateServer,
  options: Omit<sessions.Options, "gone">,
  { directory, pid }: Place,
  release: Release,
  life: Life
): Effect.Effect<SessionsConnection, never, Scope.Scope> =>
  Effect.map(sessions.open(protocol, { ...options, gone: () => life.exited }), (connection) => {
    const { requests } = connection
    const { replies, routes } = protocol
    return {
      _tag: "Sessions",
      ...release,
      pid,
      directory,
      died: connection.failed,
      server: {
        protocol,
        pid,
        connection: Effect.succeed(connection),
        exit: Effect.map(life.exited, (error): verdicts.Exit => ({ _tag: "Server", error })),
        hasExited: Effect.map(life.isRunning, (isRunning) => !isRunning),
        dropped: life.dropped,
        onDropped: life.onDropped
      },
      lastSession: (of) =>
        Effect.map(requests.read(routes.lastSession(of), replies.sessions), (sessions) => sessions[0]?.id),
      conversation: (sessionId) =>
        Effect.flatMap(
          Effect.zip(
            requests.read(routes.session(sessionId), replies.rawSession),
            messagesOf(protocol, requests, sessionId)
          ),
          ([info, messages]) =>
            Option.match(protocol.conversation(info, messages), {
              onNone: () => incomplete(options.url, sessionId),
              onSome: Effect.succeed
            })
        ),
      models: (of, config) => {
        const named = protocol.model(config)
        return catalogs.models(
          requests,
          protocol,
          of,
          (models) => models.length > 0 && (named === undefined || models.includes(`${named.provider}/${named.id}`))
        )
      }
    }
  })

/** Asks a server for its version, by the requests of its major. */
const askVersion = (
  protocol: PrivateServer,
  options: Omit<sessions.Options, "gone">
): Effect.Effect<Release, OpenCodeServerError | OpenCodeVersionError> =>
  Effect.flatMap(
    sessions.requestsOf(protocol, options).read(protocol.routes.info, protocol.replies.version),
    (text) => checked(options.url, text, protocol)
  )

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
    const place = { directory: around.directory, pid: started.pid }
    const { privateServer } = spec.dialect
    if (privateServer !== undefined) {
      const options = {
        httpClient: services.httpClient,
        url: started.url,
        password: services.password,
        redact: started.redact
      }
      return yield* connectSessions(privateServer, options, place, yield* askVersion(privateServer, options), started)
    }
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
    const release = yield* Effect.flatMap(api.health, ({ version }) => checked(api.url, version, undefined))
    return yield* connectApi(api, place, release, started.exited)
  })

export interface AttachOptions {
  readonly url: string
  /** Default: `opencode`. */
  readonly username?: string | undefined
  readonly password: Redacted.Redacted | undefined
  /** The secrets to mask in the server's replies. Default: the password. */
  readonly secrets?: Effect.Effect<ReadonlyArray<string>> | undefined
  /** Masks secrets in the server's replies, in place of `secrets`. */
  readonly redact?: ((text: string) => string) | undefined
  /** True for no warning about a version that was not tested. */
  readonly allowUntested?: boolean | undefined
  /** The servers that were warned about, which is done once. Default: none. */
  readonly warned?: Set<string> | undefined
}

/** The requests of the majors that have no health route of OpenCode 1. */
const protocols = dialects.all.flatMap(({ privateServer }) => privateServer === undefined ? [] : [privateServer])

/** Warns about a server of a version that was not tested. */
const warn = (
  { allowUntested, warned }: AttachOptions,
  url: string,
  { dialect, version }: Release
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const server = `OpenCode ${Version.format(version)} (${url})`
    if (allowUntested === true || dialect.isTested(version) || warned?.has(server) === true) return Effect.void
    warned?.add(server)
    return Effect.logWarning(
      `${server} was not tested with this library; ` +
        "`effect-opencode conformance` tells what is different in it, and `allowUntested` silences this warning"
    )
  })

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
    const { password, username } = options
    const clean = options.redact ??
      redact.make(options.secrets === undefined ? secretSearch.secretsOf(password) : yield* options.secrets).text
    const api = apis.make({
      client: httpClient,
      url,
      username: username ?? credentials.username,
      password,
      redact: clean
    })
    const elsewhere: Place = { directory: undefined, pid: undefined }
    // First the older route: OpenCode 2 answers it with a page, and OpenCode 1 fetches pages it does not know from outside.
    const health = yield* Effect.either(api.health)
    if (Either.isRight(health)) {
      const release = yield* checked(url, Either.getOrThrow(health).version, undefined)
      yield* warn(options, url, release)
      return yield* connectApi(api, elsewhere, release, Effect.never)
    }
    const refusal = Either.getOrThrow(Either.flip(health))
    if (refusal.reason !== "unexpected-reply" && refusal.status !== 404) return yield* refusal
    const given = { httpClient, url, username, password, redact: clean }
    for (const protocol of protocols) {
      const release = yield* Effect.catchIf(
        Effect.asSome(askVersion(protocol, given)),
        (error) =>
          error._tag === "OpenCodeServerError" && (error.reason === "unexpected-reply" || error.status === 404),
        () => Effect.succeedNone
      )
      if (Option.isNone(release)) continue
      yield* warn(options, url, release.value)
      return yield* connectSessions(protocol, given, elsewhere, release.value, endless)
    }
    return yield* refusal
  })

/**
 * A server whose version is not known yet. A session can be opened where that cannot be found out; its turns then ask
 * again, and fail with the reason.
 */
export const orLater = (
  get: Effect.Effect<Server, QueryError, Scope.Scope>
): Effect.Effect<Server, SessionOpenError, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) =>
    Effect.catchAll(get, (error): Effect.Effect<Server, SessionOpenError> => {
      if (error._tag === "OpenCodeConfigError" || error._tag === "OpenCodeBinaryNotFoundError") {
        return Effect.fail(error)
      }
      let known: Server | undefined
      const again = Effect.tap(Scope.extend(get, scope), (server) =>
        Effect.sync(() => {
          known = server
        }))
      return Effect.succeed<Server>({
        connect: Effect.suspend(() =>
          Effect.flatMap(known === undefined ? again : Effect.succeed(known), (s) => s.connect)
        ),
        hasOpened: () => known?.hasOpened() === true
      })
    }))

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
