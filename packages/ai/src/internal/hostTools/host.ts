/** Serves toolkits to the runs of a program. */
import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Path from "@effect/platform/Path"
import { type Carrier, OpenCode } from "effect-opencode/OpenCode"
import * as RunConfig from "effect-opencode/RunConfig"
import type { RunEvent } from "effect-opencode/RunEvent"
import { CurrentObserver } from "effect-opencode/RunOptions"
import type { Observer, RunOptions } from "effect-opencode/RunOptions"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as HostTools from "../../HostTools.js"
import { HostToolsError } from "../../HostToolsError.js"
import * as bindings from "./binding.js"
import * as definitions from "./definitions.js"
import * as endpoints from "./endpoint.js"
import * as http from "./http.js"
import * as plugin from "./plugin.js"
import * as variables from "./variables.js"

interface Settings {
  readonly name: string
  readonly progressEvery: Duration.Duration
  readonly concurrency: number | "unbounded"
  readonly url: string
}

const refuse = (reason: HostToolsError["reason"], detail: string) => new HostToolsError({ reason, detail })

const urlOf = (address: HttpServer.Address): Option.Option<string> => {
  if (address._tag === "UnixAddress") return Option.none()
  const anywhere = address.hostname === "0.0.0.0" || address.hostname === "::"
  const host = anywhere ? "127.0.0.1" : address.hostname
  return Option.some(`http://${host.includes(":") ? `[${host}]` : host}:${address.port}`)
}

const settingsOf = (
  { concurrency = "unbounded", name = "host", progressEvery = "15 seconds" }: HostTools.Options,
  address: HttpServer.Address
): Effect.Effect<Settings, HostToolsError> => {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_-]*$/.test(name)) {
    return refuse("options", "`name` must begin with a letter or a digit and consist of letters, digits, `_` and `-`")
  }
  if (concurrency !== "unbounded" && !(Number.isInteger(concurrency) && concurrency > 0)) {
    return refuse("options", "`concurrency` must be a positive integer or \"unbounded\"")
  }
  const every = Option.filter(
    Duration.decodeUnknown(progressEvery),
    (duration) => Duration.greaterThan(duration, Duration.zero) && Duration.isFinite(duration)
  )
  if (Option.isNone(every)) return refuse("options", "`progressEvery` must be a duration greater than zero")
  return Option.match(urlOf(address), {
    onNone: () => refuse("options", "the `HttpServer` must listen on a TCP port, which OpenCode can reach"),
    onSome: (url) => Effect.succeed({ name, concurrency, progressEvery: every.value, url })
  })
}

/**
 * The entry of the tool server. OpenCode 2 reads that of 1 as well, but offers its tools through one that runs code (2.0.14).
 */
const serverOf = ({ name, url }: Settings, token: string, major: number): { readonly [key: string]: unknown } => {
  const server = {
    type: "remote",
    url: `${url}${http.paths.tools}`,
    headers: { Authorization: `Bearer ${token}` },
    oauth: false
  }
  return major < 2
    ? { [name]: { ...server, enabled: true } }
    : { servers: { [name]: { ...server, disabled: false, codemode: false } } }
}

const configOf = (
  settings: Settings,
  token: string,
  names: definitions.Definitions["names"],
  major: number
) => ({
  mcp: serverOf(settings, token, major),
  permission: Object.fromEntries([...names.keys()].map((tool) => [tool, "allow" as const])),
  // Otherwise the tools would not be offered, but be written about in the code of another one.
  extraEnv: { [variables.codeMode]: "false" }
})

interface Config extends RunConfig.RunConfig {
  readonly permission: Readonly<Record<string, "allow">>
}

/** The endpoint of the runs on warm servers with one toolkit. */
interface Standing {
  readonly shared: endpoints.Shared
  readonly config: Config
  /** True if a server that was started by hand can have it, so its token is valid as long as the layer. */
  isHandedOut: boolean
}

/**
 * Toolkits of warm servers are kept up to this number; a program with more of them starts a server for each anyway. Those of
 * servers that were started by hand are not counted.
 */
const maxStanding = 256

const withRules = (options: RunOptions, config: Config): Config => {
  const { permission } = options
  if (typeof permission !== "object") return config
  // A rule of the run for one of the tools is what the program wants.
  const rules = Object.entries(config.permission).filter(([tool]) => !Object.hasOwn(permission, tool))
  return { ...config, permission: Object.fromEntries(rules) }
}

const merge = <O extends RunOptions>(options: O, config: Config): O => ({
  ...options,
  ...RunConfig.merge(options, withRules(options, config))
})

const unusable = (
  { name }: Settings,
  carrier: Carrier,
  options: RunOptions,
  region: RunConfig.RunConfig
): HostToolsError | undefined =>
  (options.attach ?? region.attach) !== undefined
    ? refuse(
      "attached",
      "the server is already running, so the tools cannot be added to its configuration; use `OpenCode.layer`, " +
        "`OpenCodeServer.layer`, or `OpenCodeServer.layerAttach` with a server that has `HostTools.plugin`"
    )
    : carrier === "server" && (options.pure ?? region.pure) === true
    ? refuse("pure", "a warm server needs a plugin to tell its sessions apart; use `OpenCode.layer` for `pure` runs")
    : Object.hasOwn(options.mcp ?? {}, name)
    ? refuse("name-clash", `the run has a tool server "${name}" of its own; give the layer another \`name\``)
    : undefined

/** A binary that does not tell its version fails the run itself. */
const majorOf = Effect.flatMap(
  OpenCode,
  ({ version }) => Effect.orElseSucceed(Effect.map(version, ({ major }) => major), () => 1)
)

/** Answers requests until the scope closes. */
export const make = (options: HostTools.Options, shownBy: bindings.Options["shownBy"]) =>
  Effect.gen(function*() {
    const server = yield* HttpServer.HttpServer
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const scope = yield* Effect.scope
    const settings = yield* Effect.either(settingsOf(options, server.address))
    const open = new Map<string, endpoints.Endpoint>()
    const standing = new Map<string, Standing>()
    const lock = yield* Effect.makeSemaphore(1)
    const closing = yield* Deferred.make<void>()

    yield* server.serve(http.make({
      name: options.name ?? "host",
      progressEvery: Option.getOrElse(Duration.decodeUnknown(options.progressEvery ?? "15 seconds"), () =>
        Duration.seconds(15)),
      endpoints: open,
      closing: Deferred.await(closing)
    }))
    yield* Effect.addFinalizer(() =>
      Deferred.succeed(closing, undefined)
    )

    const directory = yield* Effect.cached(
      Scope.extend(fileSystem.makeTempDirectoryScoped({ prefix: "effect-opencode-tools-" }), scope)
    )

    const writePlugin = (file: string, text: string) =>
      Effect.gen(function*() {
        const at = path.join(yield* directory, file)
        yield* fileSystem.writeFileString(at, text, { mode: 0o600 })
        return (yield* path.toFileUrl(at)).href
      }).pipe(
        Effect.mapError((cause) =>
          new HostToolsError({ reason: "plugin", detail: "the plugin for a warm server could not be written", cause })
        )
      )

    const makeStanding = (own: Settings, tools: definitions.Definitions, isHandedOut = false) =>
      Effect.gen(function*() {
        const key = JSON.stringify(tools.list)
        const known = standing.get(key)
        if (known !== undefined) {
          known.isHandedOut ||= isHandedOut
          standing.delete(key)
          standing.set(key, known)
          return known
        }
        const token = endpoints.secret(40)
        const url = yield* writePlugin(
          `host-tools-${standing.size}-${endpoints.secret(8)}.js`,
          plugin.source({
            url: `${own.url}${http.paths.plugin}`,
            token,
            server: own.name,
            tools: [...tools.names.keys()]
          })
        )
        const shared = endpoints.shared(tools)
        const made: Standing = {
          shared,
          isHandedOut,
          config: { ...configOf(own, token, tools.names, 1), configOverrides: { plugin: [url] } }
        }
        open.set(token, shared.endpoint)
        standing.set(key, made)
        const passing = [...standing].filter(([, { isHandedOut }]) => !isHandedOut)
        for (const [oldest, { shared }] of passing.slice(0, Math.max(0, passing.length - maxStanding))) {
          standing.delete(oldest)
          for (const [token, endpoint] of open) if (endpoint === shared.endpoint) open.delete(token)
        }
        return made
      }).pipe(lock.withPermits(1), Effect.uninterruptible)

    const makeOwn = (
      own: Settings,
      tools: definitions.Definitions,
      binding: bindings.Binding,
      major: number
    ) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => {
            const token = endpoints.secret(40)
            const made = endpoints.ofRun(tools, binding)
            open.set(token, made.endpoint)
            return { token, made }
          }),
          ({ token }) => Effect.sync(() => open.delete(token))
        ),
        ({ made, token }) => ({ connection: made.connection, config: configOf(own, token, tools.names, major) })
      )

    const defined = (toolkit: Pick<Toolkit.WithHandler<Record<string, Tool.Any>>, "tools">) =>
      Effect.gen(function*() {
        const own = yield* settings
        const { clash, definitions: tools } = definitions.make(own.name, toolkit.tools)
        return Option.isSome(clash) ? yield* clash.value : { own, tools }
      })

    const prepared = (toolkit: Toolkit.WithHandler<Record<string, Tool.Any>>) =>
      Effect.gen(function*() {
        const { own, tools } = yield* defined(toolkit)
        const { carrier = "process" } = yield* OpenCode
        const major = tools.list.length === 0 ? 1 : yield* majorOf
        if (carrier !== "process" && major > 1) {
          return yield* refuse(
            "version",
            `a server of OpenCode ${major} is not given the tools of a program, because the session that a call names proves ` +
              "nothing; use `OpenCode.layer`"
          )
        }
        const handedOut = carrier !== "attached" || tools.list.length === 0
          ? undefined
          : standing.get(JSON.stringify(tools.list))
        if (carrier === "attached" && tools.list.length > 0 && handedOut?.isHandedOut !== true) {
          return yield* refuse(
            "attached",
            "the server is already running, and was not given the configuration of `HostTools.plugin` for this toolkit"
          )
        }
        return { own, tools, carrier, major }
      })

    /** The configuration of a toolkit for the runs of a warm server; one started by hand has most of it already. */
    const sharedConfig = (own: Settings, tools: definitions.Definitions, carrier: Carrier) =>
      Effect.map(makeStanding(own, tools), ({ config, shared }) => ({
        shared,
        config: carrier === "attached" ? { permission: config.permission } : config
      }))

    const pluginConfig = (toolkit: Pick<Toolkit.WithHandler<Record<string, Tool.Any>>, "tools">) =>
      Effect.gen(function*() {
        const { own, tools } = yield* defined(toolkit)
        if (tools.list.length === 0) return RunConfig.empty
        return (yield* makeStanding(own, tools, true)).config
      })

    const serve = (toolkit: Toolkit.WithHandler<Record<string, Tool.Any>>) =>
      Effect.gen(function*() {
        const { carrier, major, own, tools } = yield* prepared(toolkit)
        const binding = yield* bindings.make({ toolkit, concurrency: own.concurrency, shownBy })
        const isEmpty = tools.list.length === 0
        const { config, connection } = carrier !== "process" && !isEmpty
          ? yield* Effect.flatMap(sharedConfig(own, tools, carrier), ({ config, shared }) =>
            Effect.map(
              Effect.acquireRelease(Effect.sync(() => shared.connect(binding)), ({ close }) => close),
              (connection) => ({ config, connection })
            ))
          : yield* makeOwn(own, tools, binding, major)

        const observe = (event: RunEvent): Effect.Effect<void> =>
          event._tag === "StepStart" ? connection.stepStarted(event.sessionId) : Effect.void
        /** The observer of the region around the run, then ours. */
        const observer = Effect.map(CurrentObserver, ({ onEvent, onSession }): Observer => ({
          onEvent: onEvent === undefined ? observe : (event) => Effect.andThen(onEvent(event), observe(event)),
          onSession
        }))
        const completed = Effect.andThen(binding.settled, isEmpty ? Effect.void : connection.connected)

        const served: HostTools.Served<unknown> = {
          runConfig: isEmpty ? RunConfig.empty : config,
          options: (given) =>
            isEmpty ?
              Effect.succeed(given) :
              Effect.flatMap(
                RunConfig.CurrentRunConfig,
                (region) => unusable(own, carrier, given, region) ?? Effect.succeed(merge(given, config))
              ),
          during: (run) =>
            isEmpty ?
              run :
              Effect.flatMap(observer, (observer) =>
                Effect.provideService(run, CurrentObserver, observer).pipe(
                  // Waits until the run is gone.
                  Effect.raceFirst(binding.failure),
                  Effect.tap(() => completed)
                )),
          duringStream: (events) =>
            isEmpty ?
              events :
              Stream.unwrap(Effect.map(observer, (observer) =>
                Stream.provideService(events, CurrentObserver, observer).pipe(
                  Stream.interruptWhen(binding.failure),
                  Stream.concat(Stream.drain(Stream.fromEffect(completed)))
                ))),
          calls: binding.calls,
          names: tools.names
        }
        return served
      })

    const sessionConfig = (toolkit: Toolkit.WithHandler<Record<string, Tool.Any>>) =>
      Effect.gen(function*() {
        const { carrier, own, tools } = yield* prepared(toolkit)
        return <O extends RunOptions>(given: O): Effect.Effect<O, HostToolsError> =>
          Effect.flatMap(RunConfig.CurrentRunConfig, (region) => {
            if (tools.list.length === 0) return Effect.succeed(given)
            const problem = unusable(own, carrier, given, region)
            if (problem !== undefined) return problem
            // Each turn of a process has its own token; a server has its configuration from the start.
            return carrier !== "process"
              ? Effect.map(sharedConfig(own, tools, carrier), ({ config }) => merge(given, config))
              : Effect.succeed(given)
          })
      })

    return { serve, sessionConfig, pluginConfig }
  })
