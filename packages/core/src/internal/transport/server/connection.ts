import type * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { OpenCodeConfigError, OpenCodeServerError, OpenCodeVersionError } from "../../../OpenCodeError.js"
import type { OpenCodeError } from "../../../OpenCodeError.js"
import * as Version from "../../../Version.js"
import type * as environment from "../../launch/environment.js"
import * as redact from "../../opencode/redact.js"
import * as secretSearch from "../../opencode/secretSearch.js"
import * as crashTexts from "../../opencode/v1/crashTexts.js"
import * as apis from "./api.js"
import type { Api } from "./api.js"
import * as credentials from "./credentials.js"
import * as hubs from "./hub.js"
import type { Subscription } from "./hub.js"
import * as serverProcess from "./serverProcess.js"
import type { Spec } from "./serverProcess.js"

/** A server that answers, until it does not. */
export interface Connection {
  readonly api: Api
  readonly version: Version.Version
  /** The data directory; `undefined` where it is OpenCode's own or not on this machine. */
  readonly directory: string | undefined
  /** Returns when events of the session are known to arrive: prompt after it. */
  readonly subscribe: (sessionId: string) => Effect.Effect<Subscription, OpenCodeServerError, Scope.Scope>
  /** Returns when the server is gone, and why. Subscriptions fail with the same error. */
  readonly died: Effect.Effect<OpenCodeServerError>
}

/** A server that is started, or looked for, when it is needed. */
export interface Server {
  /**
   * The connection that there is, or a new one. Callers that come while a server starts share its start and its
   * failure; the next caller tries again.
   */
  readonly connect: Effect.Effect<Connection, OpenCodeError>
  /** Whether there has been one: then there are data that the next one goes on with. */
  readonly hasOpened: () => boolean
}

/** The versions whose server is driven: measured with 1.18.33. */
const supported = { from: Version.make(1, 18, 0), below: Version.make(2, 0, 0) }

const checked = (url: string, text: string): Effect.Effect<Version.Version, OpenCodeVersionError> => {
  const version = Option.getOrUndefined(Version.parse(text))
  return version !== undefined && Version.isAtLeast(version, supported.from) &&
      !Version.isAtLeast(version, supported.below)
    ? Effect.succeed(version)
    : new OpenCodeVersionError({
      binary: url,
      version: text,
      reason: `as a server this library drives ${Version.format(supported.from)} and later, below ${
        Version.format(supported.below)
      }`
    })
}

const connect = (
  api: Api,
  directory: string | undefined,
  gone: Effect.Effect<OpenCodeServerError>
): Effect.Effect<Connection, OpenCodeError, Scope.Scope> =>
  Effect.gen(function*() {
    const version = yield* Effect.flatMap(api.health, ({ version }) => checked(api.url, version))
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
      directory,
      subscribe: hub.subscribe,
      died: hub.failed
    }
  })

/** How long a server may take to end its sessions before it is ended without: it waits for their tools. */
const disposePatience = Duration.seconds(5)

export interface Services extends serverProcess.Services {
  readonly httpClient: HttpClient.HttpClient
}

/** Nothing was done yet by a server that has crashed on its database, or has found its port taken. */
const again = {
  while: (error: OpenCodeError) =>
    error._tag === "OpenCodeServerError" && error.reason === "start-failed" &&
    (crashTexts.sqlite(error.stderr) !== undefined || crashTexts.isPortTaken(error.stderr)),
  schedule: Schedule.intersect(Schedule.recurs(2), Schedule.spaced("1 second"))
}

/** Starts a server of our own; it ends with the scope, and everything that runs in it. */
export const open = (
  services: Services,
  spec: Spec,
  around: environment.ProcessEnvironment,
  options: { readonly startTimeout: Duration.Duration }
): Effect.Effect<Connection, OpenCodeError, Scope.Scope> =>
  Effect.gen(function*() {
    const started = yield* Effect.retry(serverProcess.start(services, spec, around, options), again)
    const api = apis.make({
      client: services.httpClient,
      url: started.url,
      username: credentials.username,
      password: services.password,
      redact: started.redact
    })
    // A signal alone would leave the tools: they are leaders of groups of their own.
    yield* Effect.addFinalizer(() =>
      Effect.whenEffect(
        Effect.ignore(Effect.timeout(Effect.interruptible(api.dispose), disposePatience)),
        started.isRunning
      )
    )
    return yield* connect(api, around.directory, started.exited)
  })

export interface AttachOptions {
  readonly url: string
  /** Default: `opencode`. */
  readonly username?: string | undefined
  readonly password: Redacted.Redacted | undefined
  /** What the server's replies are cleaned of. Default: the password. */
  readonly secrets?: Effect.Effect<ReadonlyArray<string>> | undefined
}

/** The address without what does not belong to it: credentials, which are given apart, query and hash. */
export const addressOf = (url: string): string | undefined => {
  if (!URL.canParse(url)) return undefined
  const { host, pathname, protocol } = new URL(url)
  return protocol === "http:" || protocol === "https:"
    ? `${protocol}//${host}${pathname.replace(/\/+$/, "")}`
    : undefined
}

/** Connects to a server of somebody else, which is left running. */
export const attach = (
  httpClient: HttpClient.HttpClient,
  options: AttachOptions
): Effect.Effect<Connection, OpenCodeError, Scope.Scope> =>
  Effect.gen(function*() {
    const url = addressOf(options.url)
    if (url === undefined) {
      return yield* new OpenCodeConfigError({ path: "url", reason: "it is no address of an HTTP server" })
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
    return yield* connect(api, undefined, Effect.never)
  })

type State =
  | { readonly _tag: "Closed" }
  | { readonly _tag: "Opening"; readonly result: Deferred.Deferred<Connection, OpenCodeError> }
  | { readonly _tag: "Open"; readonly connection: Connection }
  | { readonly _tag: "Closing"; readonly done: Deferred.Deferred<void> }

/** Opens a connection when somebody asks, and again when it has died. */
export const hold = (
  open: Effect.Effect<Connection, OpenCodeError, Scope.Scope>
): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    let state: State = { _tag: "Closed" }
    let hasOpened = false

    /** One connection from its beginning until all that is left of it is gone. */
    const live = (result: Deferred.Deferred<Connection, OpenCodeError>): Effect.Effect<void> => {
      const done = Deferred.unsafeMake<void>(FiberId.none)
      const use = Effect.gen(function*() {
        const connection = yield* open
        state = { _tag: "Open", connection }
        hasOpened = true
        yield* Deferred.succeed(result, connection)
        yield* connection.died
        // What it leaves is swept before another one begins in the same directories.
        state = { _tag: "Closing", done }
      })
      return Effect.interruptible(Effect.scoped(use)).pipe(
        Effect.onExit((exit) => {
          state = { _tag: "Closed" }
          return Effect.zipRight(
            exit._tag === "Failure" ? Deferred.failCause(result, exit.cause) : Effect.void,
            Deferred.succeed(done, undefined)
          )
        }),
        Effect.ignore,
        // It outlives the run that asked for it first.
        Effect.mapInputContext((context: Context.Context<never>) => Context.omit(Tracer.ParentSpan)(context))
      )
    }

    // Not interruptible between the change of the state and whoever will change it back.
    const connect: Server["connect"] = Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        switch (state._tag) {
          case "Open":
            return Effect.succeed(state.connection)
          case "Opening":
            return restore(Deferred.await(state.result))
          case "Closing":
            return restore(Effect.zipRight(Deferred.await(state.done), connect))
          case "Closed": {
            const result = Deferred.unsafeMake<Connection, OpenCodeError>(FiberId.none)
            state = { _tag: "Opening", result }
            return Effect.zipRight(Effect.forkIn(live(result), scope), restore(Deferred.await(result)))
          }
        }
      })
    )

    return { connect, hasOpened: () => hasOpened }
  })
