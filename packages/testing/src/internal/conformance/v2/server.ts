/** A private server of a scenario: started, asked and followed by the routes with which the library drives it. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Contract from "effect-opencode/Contract"
import type { RunConfig } from "effect-opencode/RunConfig"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { titled } from "../scenario.js"
import type { Plan, Running, World } from "../world.js"

const password = "conformance-password"

/** A reply of the server. */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

interface Frame {
  readonly type?: unknown
  readonly data?: { readonly [key: string]: unknown }
}

const parse = (text: string): unknown =>
  Option.getOrElse(Schema.decodeUnknownOption(Schema.parseJson())(text), () => text)

const field = (u: unknown, name: string): unknown =>
  typeof u === "object" && u !== null && name in u ? (u as { readonly [name: string]: unknown })[name] : undefined

/** The id in a reply, or of the first thing in it. */
export const idOf = (body: unknown): string => {
  const data = field(body, "data")
  const id = field(Array.isArray(data) ? data[0] : data, "id")
  return typeof id === "string" ? id : "ses_unknown"
}

const sessionOf = ({ data }: Frame): unknown => data?.["sessionID"] ?? field(data?.["form"], "sessionID")

/** What a scenario does with its server. */
export interface Api extends Pick<Running, "kill" | "release" | "stderr"> {
  readonly routes: Contract.PrivateServer["routes"]
  readonly ask: (request: Contract.ServerRequest, hasPassword?: boolean) => Effect.Effect<Answer>
  /** Asks, and records the reply. */
  readonly observe: (name: string, request: Contract.ServerRequest, hasPassword?: boolean) => Effect.Effect<Answer>
  /** Makes a session and returns its id. */
  readonly create: (options?: {
    readonly rules?: ReadonlyArray<Contract.ServerRule>
    readonly agent?: string
    readonly model?: string
  }) => Effect.Effect<string>
  /** Records the events of these sessions when the last prompt has ended. */
  readonly prompt: (name: string, sessionId: string, text: string) => Effect.Effect<void>
  readonly send: (sessionId: string, text: string) => Effect.Effect<Answer>
  readonly frames: (sessionId?: string) => ReadonlyArray<Frame>
  /** Waits for an event of a session. */
  readonly hears: (sessionId: string, type: string) => Effect.Effect<void>
  /** Waits for the end of a prompt, and records the events of its session. */
  readonly ended: (name: string, sessionId: string) => Effect.Effect<void>
}

const isEnd = ({ type }: Frame): boolean =>
  type === "session.execution.succeeded" || type === "session.execution.failed" ||
  type === "session.execution.interrupted"

/** The rule without which a question would wait for a person. */
export const unanswerable: Contract.ServerRule = { action: "question", resource: "*", effect: "deny" }

const connect = (world: World, server: Contract.PrivateServer, url: string, running: Running) =>
  Effect.gen(function*() {
    const { routes } = server
    const http = (yield* HttpClient.HttpClient).pipe(
      HttpClient.withTracerDisabledWhen(() => true),
      HttpClient.withTracerPropagation(false)
    )
    const toRequest = ({ body, method, path, query }: Contract.ServerRequest, hasPassword: boolean) => {
      const plain = HttpClientRequest.make(method)(`${url}${path}`).pipe(HttpClientRequest.setUrlParams(query ?? {}))
      const known = hasPassword ? HttpClientRequest.basicAuth(plain, server.username, password) : plain
      return body === undefined ? known : HttpClientRequest.bodyUnsafeJson(known, body)
    }
    const ask: Api["ask"] = (request, hasPassword = true) =>
      http.execute(toRequest(request, hasPassword)).pipe(
        Effect.flatMap((response) =>
          Effect.map(response.text, (text) => ({ status: response.status, body: parse(text) }))
        ),
        Effect.scoped,
        Effect.timeoutOption("1 minute"),
        Effect.map(Option.getOrElse((): Answer => ({ status: 0, body: "no reply" }))),
        Effect.orElseSucceed((): Answer => ({ status: 0, body: "no reply" }))
      )
    const all: Array<Frame> = []
    const listen = http.execute(toRequest(routes.events, true)).pipe(
      Effect.map((response) => response.stream),
      Stream.unwrapScoped,
      Stream.decodeText(),
      Stream.splitLines,
      Stream.filter((line) => line.startsWith("data:")),
      Stream.runForEach((line) =>
        Effect.sync(() => {
          all.push(parse(line.slice("data:".length)) as Frame)
        })
      ),
      Effect.ignore
    )
    const frames: Api["frames"] = (sessionId) =>
      sessionId === undefined ? all : all.filter((frame) => sessionOf(frame) === sessionId)
    const observe: Api["observe"] = (name, request, hasPassword) =>
      Effect.tap(ask(request, hasPassword), (answer) => world.observe(name, answer))
    const hears: Api["hears"] = (sessionId, type) =>
      world.until(Effect.sync(() => frames(sessionId).some((frame) => frame.type === type)))
    const send: Api["send"] = (sessionId, text) => ask(routes.prompt(sessionId, text, []))
    /** Each session has as many ends as prompts. */
    const prompted = new Map<string, number>()
    const ended: Api["ended"] = (name, sessionId) => {
      const count = (prompted.get(sessionId) ?? 0) + 1
      prompted.set(sessionId, count)
      return Effect.andThen(
        world.until(Effect.sync(() => frames(sessionId).filter(isEnd).length >= count)),
        Effect.suspend(() => world.observe(name, frames(sessionId)))
      )
    }
    const api: Api = {
      ...running,
      routes,
      ask,
      observe,
      create: ({ agent, model = "m1", rules = [] } = {}) =>
        Effect.map(
          ask(routes.create({
            directory: world.work,
            title: titled.title,
            agent,
            model: { provider: "fake", id: model },
            rules: [...rules, unanswerable]
          })),
          ({ body }) => idOf(body)
        ),
      send,
      prompt: (name, sessionId, text) => Effect.andThen(send(sessionId, text), ended(name, sessionId)),
      frames,
      hears,
      ended
    }
    yield* Effect.forkScoped(listen)
    yield* world.until(Effect.sync(() => all.length > 0))
    // The first request about a directory loads its configuration.
    yield* ask(routes.agents(world.work))
    return api
  })

export interface Options extends Pick<Plan, "content"> {
  readonly config?: RunConfig | undefined
  /** Merged over the configuration that points to the provider. */
  readonly overrides?: { readonly [key: string]: unknown } | undefined
  readonly env?: { readonly [name: string]: string } | undefined
}

/** The variables with which the library starts a server. */
export const variables = (
  world: World,
  server: Contract.PrivateServer,
  { config, env, overrides }: Options
): { readonly [name: string]: string } => ({
  ...Contract.variables(world.version, {
    ...config,
    configOverrides: { ...world.provider.configOverrides, ...overrides, ...config?.configOverrides }
  }),
  [Contract.variableNames.password]: password,
  [Contract.variableNames.database]: world.path("data", "opencode", server.database),
  ...env
})

/** Starts a server, acts on it, and ends its standard input, by which it ends. */
export const serving = (
  world: World,
  name: string,
  options: Options,
  act: (api: Api) => Effect.Effect<unknown, never, Scope.Scope>
): Effect.Effect<Contract.ProcessRecord> => {
  const server = Contract.privateServer(world.version)
  if (server === undefined) return Effect.dieMessage("this version has no private server")
  const env = variables(world, server, options)
  const address = (stdout: string) =>
    stdout.split("\n").slice(0, -1).map(server.address).find((found) => found !== undefined)
  return world.run(name, {
    args: server.args,
    content: options.content ?? env[Contract.variableNames.configContent],
    env: Object.fromEntries(Object.entries(env).filter(([name]) => name !== Contract.variableNames.configContent)),
    holdStdin: true,
    during: (running) =>
      Effect.gen(function*() {
        // A server that ends before it listens ends the wait as well.
        yield* world.until(Effect.sync(() => address(running.stdout()) !== undefined))
        const url = address(running.stdout())
        if (url !== undefined) {
          yield* Effect.flatMap(connect(world, server, url, running), act).pipe(
            Effect.scoped,
            Effect.provide(FetchHttpClient.layer)
          )
        }
        yield* running.release
      })
  })
}
