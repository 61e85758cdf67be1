/** The two functions from which `LanguageModel.make` builds a model. */
import type { AiError } from "@effect/ai/AiError"
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Response from "@effect/ai/Response"
import * as Telemetry from "@effect/ai/Telemetry"
import * as Tool from "@effect/ai/Tool"
import type { Service as OpenCodeService } from "effect-opencode/OpenCode"
import { OpenCode } from "effect-opencode/OpenCode"
import type { RunOptions } from "effect-opencode/RunOptions"
import type { RunResult } from "effect-opencode/RunResult"
import type { Session, SessionOptions, TurnOptions } from "effect-opencode/Session"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as HostTools from "../../HostTools.js"
import type { HostToolsError } from "../../HostToolsError.js"
import { type Call, CurrentCall } from "./call.js"
import type { ModelConfig } from "./config.js"
import * as errors from "./errors.js"
import * as parts from "./parts.js"
import * as prompts from "./prompt.js"
import * as sessions from "./sessions.js"

export interface Options {
  /** Why the options of the model are not valid. */
  readonly problem: string | undefined
  readonly opencode: OpenCodeService
  /** The tool server of the program, if it has one. */
  readonly hostTools: Option.Option<HostTools.Service>
  /** The sessions of conversations; none if every call is a run of its own. */
  readonly sessions: sessions.Sessions | undefined
  /** The configuration of the model, under that of the region of a call. */
  readonly config: Effect.Effect<ModelConfig>
}

/** One call, ready to be run. */
interface Ready {
  readonly call: Call
  readonly method: string
  readonly prompt: string
  readonly session: Pick<Session, "run" | "stream" | "runSchema">
  readonly turn: TurnOptions
  readonly repairs: number | undefined
  readonly tools: parts.Tools
  readonly served: HostTools.Served<unknown> | undefined
  /** The model of the options. */
  readonly model: string | undefined
  /** What `onSession` has told. */
  readonly known: { runId?: string; sessionId?: string }
}

const orRefuse = (method: string) => <A>(read: Either.Either<A, string>): Effect.Effect<A, AiError> =>
  Either.match(read, { onLeft: (reason) => errors.refused(method, reason), onRight: Effect.succeed })

/** Why an agent cannot do what the call asks of its tools. */
const unable = ({ toolChoice, tools }: LanguageModel.ProviderOptions, call: Call): string | undefined => {
  if (call.concurrency !== "unbounded" && !(Number.isInteger(call.concurrency) && call.concurrency > 0)) {
    return "`concurrency` must be a positive whole number or \"unbounded\""
  }
  if (tools.length === 0) return undefined
  if (call.disableToolCallResolution) {
    return "`disableToolCallResolution` is not possible: an agent needs the results of its tools while it runs"
  }
  const isRequired = toolChoice === "required" ||
    (typeof toolChoice === "object" && ("tool" in toolChoice || toolChoice.mode === "required"))
  if (isRequired) return "a call of a tool cannot be enforced; use the tool choice \"auto\", \"none\" or `{ oneOf }`"
  const foreign = tools.find((tool) => Tool.isProviderDefined(tool) && !parts.isOwn(tool))
  return foreign === undefined ? undefined : `the tool "${foreign.name}" belongs to another provider`
}

/** The toolkit that is served: those of its tools that the call allows, one call at a time unless told otherwise. */
const servable = (
  { toolChoice, tools }: LanguageModel.ProviderOptions,
  { concurrency, toolkit }: Call
): Effect.Effect<Call["toolkit"]> => {
  const handled = toolChoice === "none" ? [] : tools.filter((tool) => !Tool.isProviderDefined(tool))
  if (toolkit === undefined || handled.length === 0) return Effect.succeed(undefined)
  const allowed = Object.fromEntries(handled.map((tool) => [tool.name, tool]))
  if (concurrency === "unbounded") return Effect.succeed({ ...toolkit, tools: allowed })
  return Effect.map(Effect.makeSemaphore(concurrency), (semaphore) => ({
    tools: allowed,
    handle: (name: string, params: never) => semaphore.withPermits(1)(toolkit.handle(name, params))
  }))
}

const serve = (
  options: Options,
  method: string,
  toolkit: Call["toolkit"]
): Effect.Effect<HostTools.Served<unknown> | undefined, unknown, Scope.Scope | OpenCode> =>
  Effect.gen(function*() {
    if (toolkit === undefined) return undefined
    const here = yield* hostToolsOf(options)
    if (Option.isNone(here)) {
      return yield* errors.refused(
        method,
        "tools of the program need `HostTools.layer`, provided to the model or around the call"
      )
    }
    // The handlers need the services of the caller, in whose context this runs.
    return yield* here.value.serve(toolkit) as Effect.Effect<HostTools.Served<unknown>, unknown, Scope.Scope | OpenCode>
  })

const hostToolsOf = ({ hostTools }: Options) =>
  Effect.map(Effect.serviceOption(HostTools.HostTools), Option.orElse(() => hostTools))

/** Adds tools to the options of a session: a warm server has them from its start. */
const withSession = (
  options: Options,
  toolkit: NonNullable<Call["toolkit"]>,
  given: SessionOptions
): Effect.Effect<SessionOptions, HostToolsError, OpenCode> =>
  Effect.flatMap(
    hostToolsOf(options),
    Option.match({
      onNone: () => Effect.succeed(given),
      onSome: (service) => Effect.flatMap(service.sessionConfig(toolkit), (add) => add(given))
    })
  )

const compose = (
  first: RunOptions["onSession"],
  second: NonNullable<RunOptions["onSession"]>
): NonNullable<RunOptions["onSession"]> =>
  first === undefined ? second : (session) => Effect.andThen(first(session), second(session))

/** Everything before the run. */
const prepare = (options: Options, request: LanguageModel.ProviderOptions) =>
  Effect.gen(function*() {
    const call = yield* CurrentCall
    const { method } = call
    const reason = options.problem ?? unable(request, call)
    if (reason !== undefined) return yield* errors.refused(method, reason)
    const asked = yield* orRefuse(method)(prompts.read(request.prompt))
    const { onSession, repairs, thinking = true, ...config } = yield* options.config
    const toolkit = yield* servable(request, call)
    const served = yield* serve(options, method, toolkit)
    const known: Ready["known"] = {}
    const turn = (told: Pick<prompts.Asked, "files">): RunOptions => ({
      files: told.files,
      ...(asked.system === undefined ? {} : { system: asked.system }),
      thinking,
      onSession: compose(onSession, ({ parentId, runId, sessionId }) =>
        Effect.sync(() => {
          known.runId ??= runId
          if (parentId === undefined) known.sessionId ??= sessionId
        }))
    })
    const withTools = <O extends RunOptions>(given: O) =>
      served === undefined ? Effect.succeed(given) : served.options(given)
    const ready = (
      told: Pick<prompts.Asked, "text" | "files">,
      session: Ready["session"],
      turn: RunOptions
    ): Ready => ({
      call,
      method,
      prompt: told.text,
      session,
      turn,
      repairs,
      served,
      tools: { host: served?.names ?? new Map(), own: parts.ownOf(request.tools) },
      model: config.model,
      known
    })

    if (options.sessions === undefined) {
      const told = yield* orRefuse(method)(prompts.retell(asked))
      const { opencode } = options
      return ready(told, opencode, yield* withTools({ ...config, ...turn(told) }))
    }

    const { ofSession, ofTurn } = sessions.split(config)
    const names = [...served?.names.keys() ?? []]
    const wanted: sessions.Wanted = {
      base: ofSession,
      options: toolkit === undefined ? ofSession : yield* withSession(options, toolkit, ofSession),
      tools: names,
      message: asked.message,
      earlier: asked.history.filter(({ role }) => role === "user").at(-1)
    }
    const held = yield* options.sessions.take(prompts.said(asked.history), wanted)
    call.held = held
    const told = held.isContinued ? asked : yield* orRefuse(method)(prompts.retell(asked))
    const own = { ...ofTurn, ...turn(told) }
    return ready(told, held.session, yield* withTools(held.hidden.length === 0 ? own : { ...own, ...hiding(held) }))
  })

/** Rules by which the model is not offered the tools of an earlier call. */
const hiding = ({ hidden }: sessions.Held): TurnOptions => ({
  permission: Object.fromEntries(hidden.map((tool) => [tool, "deny" as const]))
})

const annotate = (
  span: Tracer.Span,
  { model }: Pick<Ready, "model">,
  response: Response.ResponseMetadataPartEncoded,
  { reason, usage }: Response.FinishPartEncoded
): void =>
  Telemetry.addGenAIAnnotations(span, {
    system: "opencode",
    operation: { name: "chat" },
    request: { model: model ?? null },
    response: { id: response.id ?? null, model: response.modelId ?? null, finishReasons: [reason] },
    usage: { inputTokens: usage.inputTokens ?? null, outputTokens: usage.outputTokens ?? null }
  })

const callsOf = (served: Ready["served"]) => served === undefined ? Effect.succeed([]) : served.calls

const during = <A, E, R>(served: Ready["served"], run: Effect.Effect<A, E, R>): Effect.Effect<A, unknown, R> =>
  served === undefined ? run : served.during(run)

/** The response of a whole run; an object is its only text. */
const whole = (options: Options, request: LanguageModel.ProviderOptions) =>
  Effect.gen(function*() {
    const ready = yield* prepare(options, request)
    const { known, method, prompt, served, session, tools, turn } = ready
    const { responseFormat } = request
    const answered = responseFormat.type === "json"
      ? yield* Effect.gen(function*() {
        // A context that its Schema needs is in the fiber.
        const schema = responseFormat.schema as Schema.Schema<unknown>
        const { result, value } = yield* during(
          served,
          session.runSchema(schema, prompt, {
            ...turn,
            ...(ready.repairs === undefined ? {} : { repairs: ready.repairs })
          })
        ) as Effect.Effect<{ readonly result: RunResult; readonly value: unknown }, unknown>
        const encoded = yield* Effect.mapError(
          Schema.encode(Schema.parseJson(schema))(value),
          (error) => errors.malformed(method, "the answer cannot be encoded again", error)
        )
        return { result, text: encoded }
      })
      : { result: yield* during(served, session.run(prompt, turn)), text: undefined }
    const { result, text } = answered
    ready.call.messageId = parts.messageOf(result.events)
    const said = parts.content(result.events, tools, yield* callsOf(served))
    const model = result.model ?? ready.model
    const metadata = parts.responseMetadata({ sessionId: result.sessionId, model }, yield* Clock.currentTimeMillis)
    const finish = parts.finish({
      sessionId: result.sessionId,
      runId: known.runId ?? result.runId,
      model,
      usage: result.usage,
      cost: result.cost,
      unpriced: result.unpriced === true,
      steps: result.steps,
      finishReason: result.finishReason,
      tools: parts.toolNames(result.events)
    })
    annotate(request.span, ready, metadata, finish)
    return [
      metadata,
      ...(text === undefined
        ? said
        : [...said.filter(({ type }) => type !== "text"), { type: "text" as const, text }]),
      finish
    ]
  }).pipe(Effect.scoped)

const streamed = (options: Options, request: LanguageModel.ProviderOptions) =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const ready = yield* prepare(options, request)
    const { known, prompt, served, session, tools, turn } = ready
    const calls = callsOf(served)
    const state = parts.streaming(tools)
    let metadata: Response.ResponseMetadataPartEncoded | undefined
    const begin = Effect.map(Clock.currentTimeMillis, (now): ReadonlyArray<Response.StreamPartEncoded> => {
      if (metadata !== undefined) return []
      const { sessionId = state.facts().sessionId } = known
      metadata = parts.responseMetadata({ sessionId, model: ready.model }, now)
      return [metadata]
    })
    const events = session.stream(prompt, turn)
    const end = Effect.gen(function*() {
      const rest = [...yield* begin, ...state.end()]
      const { messageId, ...facts } = state.facts()
      ready.call.messageId = messageId
      const { sessionId = facts.sessionId } = known
      const finish = parts.finish({ ...facts, sessionId, runId: known.runId, model: ready.model })
      annotate(request.span, ready, metadata!, finish)
      return [...rest, finish]
    })
    return (served === undefined ? events : served.duringStream(events)).pipe(
      Stream.mapConcatEffect((event) =>
        Effect.gen(function*() {
          const made = state.add(event, event._tag === "ToolUse" ? yield* calls : [])
          return made.length === 0 ? [] : [...yield* begin, ...made]
        })
      ),
      Stream.concat(Stream.unwrap(Effect.map(end, Stream.fromIterable)))
    )
  })).pipe(Stream.provideService(Tracer.ParentSpan, request.span))

export const make = (options: Options): LanguageModel.ConstructorParams => {
  const provided = <A, R>(effect: Effect.Effect<A, unknown, R>) =>
    Effect.flatMap(
      CurrentCall,
      ({ method }) => Effect.mapError(Effect.provideService(effect, OpenCode, options.opencode), errors.convert(method))
    )
  return {
    // The failure of a handler is among the errors of the call by its type.
    generateText: (request) => provided(whole(options, request)) as Effect.Effect<Array<Response.PartEncoded>, AiError>,
    streamText: (request) =>
      Stream.mapError(
        Stream.provideService(streamed(options, request), OpenCode, options.opencode),
        errors.convert("streamText")
      ) as Stream.Stream<Response.StreamPartEncoded, AiError>
  }
}
