/**
 * Tools of the program in the hands of an OpenCode agent: a `Toolkit` of `@effect/ai` whose handlers are the program's own
 * Effects. They get decoded parameters, and run with the services, fiber refs and parent span of the run that calls them.
 *
 * A handler that fails ends the run with its typed error, or the model is told, as the tool says with `failureMode` (its
 * default, `"error"`, ends the run). A defect is a defect of the run. Arguments that do not decode are told to the model.
 * When the run is interrupted, its handlers are interrupted as well; a call may take as long as it needs, and
 * `Effect.timeout` limits it.
 *
 * The agent is given exactly the tools of its toolkit. `permission` decides about everything else.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "@effect/ai"
 * import { NodeContext, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { HostTools } from "effect-opencode-ai"
 * import { Console, Effect, Layer, Schema } from "effect"
 * import { createServer } from "node:http"
 *
 * class NoCustomer extends Schema.TaggedError<NoCustomer>()("NoCustomer", { id: Schema.Number }) {}
 *
 * const FindCustomer = Tool.make("find_customer", {
 *   description: "The name of a customer",
 *   parameters: { id: Schema.Number },
 *   success: Schema.String,
 *   failure: NoCustomer
 * })
 * const tools = Toolkit.make(FindCustomer)
 * const handlers = tools.toLayer({
 *   find_customer: ({ id }) => id === 7 ? Effect.succeed("Ada") : new NoCustomer({ id })
 * })
 *
 * const program = HostTools.run("Write a letter to customer 7 into letter.md", {
 *   toolkit: tools,
 *   permission: { "*": "deny", edit: "allow" }
 * }).pipe(
 *   Effect.flatMap((result) => Console.log(result.answer)),
 *   Effect.catchTag("NoCustomer", ({ id }) => Console.error(`there is no customer ${id}`))
 * )
 *
 * const live = Layer.mergeAll(OpenCode.layer(), handlers, HostTools.layer()).pipe(
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
 * )
 *
 * export const main = () => program.pipe(Effect.provide(live), NodeRuntime.runMain({ teardown: OpenCode.teardown }))
 * ```
 *
 * @since 0.1.0
 */
import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpServer from "@effect/platform/HttpServer"
import type * as Path from "@effect/platform/Path"
import * as OpenCode from "effect-opencode/OpenCode"
import type { OpenCodeConfigError, RunError, SchemaError, SessionOpenError } from "effect-opencode/OpenCodeError"
import type { RunConfig } from "effect-opencode/RunConfig"
import type { RunEvent } from "effect-opencode/RunEvent"
import type { RunOptions, SchemaOptions } from "effect-opencode/RunOptions"
import type { RunResult } from "effect-opencode/RunResult"
import type {
  ForkOptions,
  SchemaTurnOptions,
  Session as CoreSession,
  SessionOptions,
  TurnOptions
} from "effect-opencode/Session"
import type { Answer } from "effect-opencode/StructuredOutput"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { HostToolsError } from "./HostToolsError.js"
import * as host from "./internal/hostTools/host.js"

/**
 * A piece of a result as the model sees it. Data is bytes, or base64. OpenCode passes an image on as a message of the user,
 * "Attached media from tool result"; a model without image input is told that it cannot be read (1.18.33).
 *
 * @since 0.1.0
 * @category models
 */
export type Part =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image"; readonly mediaType: string; readonly data: Uint8Array | string }
  | { readonly type: "resource"; readonly uri: string; readonly mediaType?: string | undefined; readonly text: string }
  | {
    readonly type: "resource"
    readonly uri: string
    readonly mediaType?: string | undefined
    readonly data: Uint8Array | string
  }

/**
 * An annotation of a tool: what the model is shown of an encoded result. Default: a text as it is, anything else as JSON,
 * and `null` for a tool without a result. OpenCode cuts a text of more than 50 kB and tells the model where the rest is
 * (1.18.33), which a run that may not read cannot open; the program keeps all of it. Failures are always text.
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { HostTools } from "effect-opencode-ai"
 * import { Schema } from "effect"
 *
 * export const Screenshot = Tool.make("screenshot", { success: Schema.String }).annotate(
 *   HostTools.Content,
 *   (encoded) => [{ type: "image", mediaType: "image/png", data: String(encoded) }]
 * )
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class Content extends Context.Tag("effect-opencode-ai/HostTools/Content")<
  Content,
  (encoded: unknown) => ReadonlyArray<Part>
>() {}

/**
 * A call that a handler has answered.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  /** OpenCode's id of the call, if it names one. */
  readonly id: string
  /** The tool's name in the toolkit. */
  readonly name: string
  /** The encoded parameters, as the model has sent them. */
  readonly params: unknown
  /** The encoded result, whole, or the encoded failure of a tool with `failureMode: "return"`. */
  readonly result: unknown
  readonly isFailure: boolean
  /** The session of a call, that of a sub-agent if it has called; `undefined` with a process of OpenCode 1. */
  readonly sessionId: string | undefined
  readonly duration: Duration.Duration
}

/**
 * A toolkit whose tools are served to one run, as returned by `serve`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Served<out E> {
  /** The configuration that gives the tools to a run: the tool server, and the permissions of exactly its tools. */
  readonly runConfig: RunConfig
  /** Adds the configuration to the options of a run. Fails if the run could not have the tools. */
  readonly options: <O extends RunOptions>(options: O) => Effect.Effect<O, HostToolsError>
  /**
   * Runs an effect with one run in it, whose options have come from `options`. Its calls are answered; a handler that fails
   * ends it. A run that could not use the tools fails, even if it would have succeeded.
   */
  readonly during: <A, E2, R>(run: Effect.Effect<A, E2, R>) => Effect.Effect<A, E | E2 | HostToolsError, R>
  /** The same for the events of one run. */
  readonly duringStream: <A, E2, R>(
    events: Stream.Stream<A, E2, R>
  ) => Stream.Stream<A, E | E2 | HostToolsError, R>
  /** The calls that were answered, in the order of their answers. They are kept until the scope closes. */
  readonly calls: Effect.Effect<ReadonlyArray<Call>>
  /** From OpenCode's name of a tool, as in a `ToolUse` event, to its name in the toolkit. */
  readonly names: ReadonlyMap<string, string>
}

/**
 * A toolkit with its handlers: a `Toolkit` whose handlers are in the context, or one that has been resolved.
 *
 * @since 0.1.0
 * @category models
 */
export type ToolkitInput<Tools extends Record<string, Tool.Any>, E, R> =
  | Toolkit.WithHandler<Tools>
  | Effect.Effect<Toolkit.WithHandler<Tools>, E, R>

/**
 * The typed failures of tools that end a run.
 *
 * @since 0.1.0
 * @category models
 */
export type HandlerError<Tools extends Record<string, Tool.Any>> = Tool.HandlerError<Tools[keyof Tools]>

/**
 * The services that the tools need when they are called.
 *
 * @since 0.1.0
 * @category models
 */
export type Requirements<Tools extends Record<string, Tool.Any>> = Tool.Requirements<Tools[keyof Tools]>

/**
 * The operations of the service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Serves a toolkit to one run until the scope closes; see `serve`. */
  readonly serve: <Tools extends Record<string, Tool.Any>, E, R>(
    toolkit: ToolkitInput<Tools, E, R>
  ) => Effect.Effect<
    Served<HandlerError<Tools>>,
    HostToolsError | E,
    OpenCode.OpenCode | Scope.Scope | Requirements<Tools> | R
  >
  /** The configuration of a server that is started by hand; see `plugin`. */
  readonly plugin: (
    toolkit: { readonly tools: Readonly<Record<string, Tool.Any>> }
  ) => Effect.Effect<RunConfig, HostToolsError>
  /** Returns what adds the configuration of the tools to a session on a warm server, which has it from the start. */
  readonly sessionConfig: (
    toolkit: Toolkit.WithHandler<Record<string, Tool.Any>>
  ) => Effect.Effect<
    <O extends RunOptions>(options: O) => Effect.Effect<O, HostToolsError>,
    HostToolsError,
    OpenCode.OpenCode
  >
}

/**
 * The service tag.
 *
 * @since 0.1.0
 * @category tags
 */
export class HostTools extends Context.Tag("effect-opencode-ai/HostTools")<HostTools, Service>() {}

/**
 * Options of a layer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name of the tool server in OpenCode, which begins the names of its tools: `host_find_customer`. Default: `host`. */
  readonly name?: string | undefined
  /**
   * How often OpenCode hears that a call is still running. It gives up a request that is silent for 60 seconds, and any
   * request after 5 minutes whose answer has not begun (1.18.33). Default: 15 seconds.
   */
  readonly progressEvery?: Duration.DurationInput | undefined
  /** How many calls of one run may be handled at the same time; others wait. Default: unbounded. */
  readonly concurrency?: number | "unbounded" | undefined
}

const resolved = <Tools extends Record<string, Tool.Any>, E, R>(
  toolkit: ToolkitInput<Tools, E, R>
): Effect.Effect<Toolkit.WithHandler<Tools>, E, R> => "handle" in toolkit ? Effect.succeed(toolkit) : toolkit

/** The dispatcher works with tools by their names. */
const untyped = (toolkit: unknown): Toolkit.WithHandler<Record<string, Tool.Any>> =>
  toolkit as Toolkit.WithHandler<Record<string, Tool.Any>>

/**
 * Makes the service on the `HttpServer` of the context, which must be one of its own: a server has one application. Use
 * `Layer.fresh`, or a second layer of a server, if the program has another one. It should listen on the loopback address,
 * on a free port.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options?: Options
): Effect.Effect<Service, never, HttpServer.HttpServer | FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.map(
    host.make(options ?? {}, (tool) => Context.getOption(tool.annotations, Content)),
    ({ pluginConfig, serve, sessionConfig }): Service => ({
      plugin: pluginConfig,
      serve: <Tools extends Record<string, Tool.Any>, E, R>(toolkit: ToolkitInput<Tools, E, R>) =>
        Effect.flatMap(
          resolved(toolkit),
          (toolkit) =>
            serve(untyped(toolkit)) as Effect.Effect<
              Served<HandlerError<Tools>>,
              HostToolsError,
              OpenCode.OpenCode | Scope.Scope
            >
        ),
      sessionConfig
    })
  )

/**
 * The service on the `HttpServer` of the context, which must be one of its own. A request needs the token of a run, which is
 * in its configuration and valid as long as the run; with `OpenCodeServer`, that of the toolkit and a ticket, which a
 * plugin gets for each call in the session of a run. A request of a browser is refused.
 *
 * @example
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { HostTools } from "effect-opencode-ai"
 * import { Layer } from "effect"
 * import { createServer } from "node:http"
 *
 * export const HostToolsLive = HostTools.layer({ name: "shop" }).pipe(
 *   Layer.provide(Layer.fresh(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options?: Options
): Layer.Layer<HostTools, never, HttpServer.HttpServer | FileSystem.FileSystem | Path.Path> =>
  Layer.scoped(HostTools, make(options))

/**
 * Serves a toolkit to one run, for programs that start it themselves. The handlers run with the services, fiber refs and
 * parent span of the caller, and are interrupted when the scope closes; the token is gone then.
 *
 * @example
 * ```ts
 * import type { Toolkit } from "@effect/ai"
 * import { OpenCode } from "effect-opencode"
 * import { HostTools } from "effect-opencode-ai"
 * import { Effect } from "effect"
 *
 * export const answered = (prompt: string, toolkit: Toolkit.WithHandler<{}>) =>
 *   Effect.scoped(Effect.gen(function*() {
 *     const served = yield* HostTools.serve(toolkit)
 *     const options = yield* served.options({ permission: { "*": "deny" } })
 *     const result = yield* served.during(OpenCode.run(prompt, options))
 *     return { answer: result.answer, calls: yield* served.calls }
 *   }))
 * ```
 *
 * @since 0.1.0
 * @category serving
 */
export const serve = <Tools extends Record<string, Tool.Any>, E = never, R = never>(
  toolkit: ToolkitInput<Tools, E, R>
): Effect.Effect<
  Served<HandlerError<Tools>>,
  HostToolsError | E,
  HostTools | OpenCode.OpenCode | Scope.Scope | Requirements<Tools> | R
> => Effect.flatMap(HostTools, ({ serve }) => serve(toolkit))

/**
 * The configuration that gives a server of OpenCode 1 the tools of a toolkit, for one that is started by hand and used with
 * `OpenCodeServer.layerAttach`: the tool server, and the file of the plugin that tells the sessions of that server apart.
 * Start the server with `mcp` and `plugin` in its configuration, and with the variables of `extraEnv`. The file and the token
 * are valid as long as the layer, so the program starts first and the server ends with it.
 *
 * All sessions of that server are offered the tools, unless their rules deny `host_*`; a call in a session that is not one of
 * this program is refused.
 *
 * @example
 * ```ts
 * import type { Toolkit } from "@effect/ai"
 * import { HostTools } from "effect-opencode-ai"
 * import { Effect } from "effect"
 *
 * export const configContent = (toolkit: Toolkit.Toolkit<{}>) =>
 *   Effect.map(HostTools.plugin(toolkit), ({ configOverrides, mcp }) => JSON.stringify({ mcp, ...configOverrides }))
 * ```
 *
 * @since 0.1.0
 * @category serving
 */
export const plugin = (
  toolkit: { readonly tools: Readonly<Record<string, Tool.Any>> }
): Effect.Effect<RunConfig, HostToolsError, HostTools> => Effect.flatMap(HostTools, ({ plugin }) => plugin(toolkit))

/** The toolkit of a run. */
interface WithToolkit<Tools extends Record<string, Tool.Any>, E, R> {
  readonly toolkit: ToolkitInput<Tools, E, R>
}

/**
 * Options of a run with tools.
 *
 * @since 0.1.0
 * @category models
 */
export interface HostOptions<Tools extends Record<string, Tool.Any>, E = never, R = never>
  extends RunOptions, WithToolkit<Tools, E, R>
{}

/**
 * Options of a run with tools whose answer decodes by a Schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface HostSchemaOptions<Tools extends Record<string, Tool.Any>, E = never, R = never>
  extends SchemaOptions, WithToolkit<Tools, E, R>
{}

/**
 * Options of a session with tools.
 *
 * @since 0.1.0
 * @category models
 */
export interface HostSessionOptions<Tools extends Record<string, Tool.Any>, E = never, R = never>
  extends SessionOptions, WithToolkit<Tools, E, R>
{}

type Needed<Tools extends Record<string, Tool.Any>, R> = HostTools | OpenCode.OpenCode | Requirements<Tools> | R

/**
 * Runs the agent to its end, with tools of the program. See `OpenCode.run`.
 *
 * @since 0.1.0
 * @category runs
 */
export const run = <Tools extends Record<string, Tool.Any>, E = never, R = never>(
  prompt: string,
  { toolkit, ...options }: HostOptions<Tools, E, R>
): Effect.Effect<RunResult, RunError | HostToolsError | HandlerError<Tools> | E, Needed<Tools, R>> =>
  Effect.scoped(Effect.gen(function*() {
    const served = yield* serve(toolkit)
    return yield* served.during(OpenCode.run(prompt, yield* served.options(options)))
  }))

/**
 * Emits the events of a run with tools of the program as they arrive. See `OpenCode.stream`.
 *
 * @since 0.1.0
 * @category runs
 */
export const stream = <Tools extends Record<string, Tool.Any>, E = never, R = never>(
  prompt: string,
  { toolkit, ...options }: HostOptions<Tools, E, R>
): Stream.Stream<RunEvent, RunError | HostToolsError | HandlerError<Tools> | E, Needed<Tools, R>> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const served = yield* serve(toolkit)
    return served.duringStream(OpenCode.stream(prompt, yield* served.options(options)))
  }))

/**
 * Asks for an answer that decodes by a Schema, with tools of the program. See `runSchema` of the OpenCode service.
 *
 * @since 0.1.0
 * @category runs
 */
export const runSchema = <A, I, Tools extends Record<string, Tool.Any>, E = never, R = never>(
  schema: Schema.Schema<A, I>,
  prompt: string,
  { toolkit, ...options }: HostSchemaOptions<Tools, E, R>
): Effect.Effect<Answer<A>, SchemaError | HostToolsError | HandlerError<Tools> | E, Needed<Tools, R>> =>
  Effect.scoped(Effect.gen(function*() {
    const served = yield* serve(toolkit)
    const given = yield* served.options(options)
    const opencode = yield* OpenCode.OpenCode
    return yield* served.during(opencode.runSchema(schema, prompt, given))
  }))

/**
 * A conversation of several turns with tools of the program.
 *
 * @since 0.1.0
 * @category models
 */
export interface Session<out E> extends Omit<CoreSession, "run" | "stream" | "runSchema" | "fork"> {
  readonly run: (prompt: string, options?: TurnOptions) => Effect.Effect<RunResult, RunError | HostToolsError | E>
  readonly stream: (prompt: string, options?: TurnOptions) => Stream.Stream<RunEvent, RunError | HostToolsError | E>
  readonly runSchema: <A, I>(
    schema: Schema.Schema<A, I>,
    prompt: string,
    options?: SchemaTurnOptions
  ) => Effect.Effect<Answer<A>, SchemaError | HostToolsError | E>
  /** Branches off; see `Session.fork` of core. */
  readonly fork: (options?: ForkOptions) => Effect.Effect<Session<E>, OpenCodeConfigError, Scope.Scope>
}

/**
 * Opens a conversation of several turns whose turns have tools of the program. The handlers run with the services of the
 * session, and with the fiber refs and the parent span of the turn. See `session` of the OpenCode service.
 *
 * @since 0.1.0
 * @category sessions
 */
export const session = <Tools extends Record<string, Tool.Any>, E = never, R = never>(
  { toolkit: input, ...options }: HostSessionOptions<Tools, E, R>
): Effect.Effect<
  Session<HandlerError<Tools>>,
  SessionOpenError | HostToolsError | E,
  Needed<Tools, R> | Scope.Scope
> =>
  Effect.gen(function*() {
    const context = yield* Effect.context<Needed<Tools, R>>()
    const toolkit = yield* resolved(input)
    const opencode = yield* OpenCode.OpenCode
    const { sessionConfig } = yield* HostTools
    const configured = yield* sessionConfig(untyped(toolkit))
    const opened = yield* opencode.session(yield* configured(options))

    /** The services of the turn's caller below those of the session, so that its span and references are seen. */
    const served = Effect.mapInputContext(
      serve<Tools>(toolkit),
      (turn: Context.Context<Scope.Scope>) =>
        Context.merge(context, turn) as Context.Context<Needed<Tools, never> | Scope.Scope>
    )
    const wrap = (inner: CoreSession): Session<HandlerError<Tools>> => ({
      ...inner,
      run: (prompt, turn) =>
        Effect.scoped(Effect.gen(function*() {
          const one = yield* served
          return yield* one.during(inner.run(prompt, yield* one.options(turn ?? {})))
        })),
      stream: (prompt, turn) =>
        Stream.unwrapScoped(Effect.gen(function*() {
          const one = yield* served
          return one.duringStream(inner.stream(prompt, yield* one.options(turn ?? {})))
        })),
      runSchema: (schema, prompt, turn) =>
        Effect.scoped(Effect.gen(function*() {
          const one = yield* served
          const given = yield* one.options(turn ?? {})
          return yield* one.during(inner.runSchema(schema, prompt, given))
        })),
      fork: (from) => Effect.map(inner.fork(from), wrap)
    })
    return wrap(opened)
  })
