/** The tools of one run: its handlers, in the surroundings of the fiber that made them. */
import * as AiError from "@effect/ai/AiError"
import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Call, Part } from "../../HostTools.js"
import type { HostToolsError } from "../../HostToolsError.js"
import * as content from "./content.js"

type AnyToolkit = Toolkit.WithHandler<Record<string, Tool.Any>>

export interface Request {
  /** The tool's name in the toolkit. */
  readonly name: string
  /** As the model has sent them. */
  readonly params: unknown
  readonly callId: string
  readonly sessionId: string | undefined
}

export interface Binding {
  /** Runs a handler. Interruption reaches it; a failure that ends the run is not answered. */
  readonly call: (request: Request) => Effect.Effect<content.Answer>
  /** Ends the run. */
  readonly fail: (error: HostToolsError) => Effect.Effect<void>
  /** Waits for a failure that ends the run. */
  readonly failure: Effect.Effect<never, unknown>
  /** That failure, if there is one. */
  readonly settled: Effect.Effect<void, unknown>
  readonly calls: Effect.Effect<ReadonlyArray<Call>>
}

export interface Options {
  readonly toolkit: AnyToolkit
  readonly concurrency: number | "unbounded"
  /** What the model is shown of a result of the tool, if the tool says so. */
  readonly shownBy: (tool: Tool.Any) => Option.Option<(encoded: unknown) => ReadonlyArray<Part>>
}

/** Made by `Toolkit.handle` itself, not by a handler. */
const ofToolkit = (error: unknown): AiError.AiError | undefined =>
  AiError.isAiError(error) && error.module === "Toolkit" ? error : undefined

const explained = (error: AiError.AiError): string => {
  const cause: unknown = "cause" in error ? error.cause : undefined
  return `The arguments do not fit the tool.\n${cause instanceof Error ? cause.message : error.message}`
}

const failed = (text: string): content.Answer => ({ content: [content.text(text)], isError: true })

/**
 * Captures the services, fiber refs and parent span of the calling fiber for the handlers. They are interrupted when the
 * scope closes.
 */
export const make = (
  { concurrency, shownBy, toolkit }: Options
): Effect.Effect<Binding, never, Scope.Scope> =>
  Effect.gen(function*() {
    const handlers = yield* FiberSet.make()
    const fork = yield* FiberSet.runtime(handlers)()
    const failure = yield* Deferred.make<never, unknown>()
    const permits = concurrency === "unbounded" ? undefined : yield* Effect.makeSemaphore(concurrency)
    const calls: Array<Call> = []

    const end = (cause: Cause.Cause<unknown>) => Effect.andThen(Deferred.failCause(failure, cause), Effect.never)

    const answer = (request: Request, tool: Tool.Any): Effect.Effect<content.Answer> =>
      Effect.gen(function*() {
        const from = yield* Clock.currentTimeMillis
        const handled: Effect.Effect<Tool.HandlerResult<Tool.Any>, unknown> = toolkit.handle(
          request.name,
          request.params as never
        )
        // An interruption from outside does not return here.
        const exit = yield* Effect.exit(handled)
        const duration = Duration.millis((yield* Clock.currentTimeMillis) - from)
        if (Exit.isFailure(exit)) {
          const error = Option.map(Cause.failureOption(exit.cause), ofToolkit)
          const own = Option.getOrUndefined(error)
          if (own?._tag === "MalformedOutput") return failed(explained(own))
          // A result that does not fit its Schema is a fault of the program.
          return yield* end(own === undefined ? exit.cause : Cause.die(own))
        }
        const { encodedResult, isFailure } = exit.value
        calls.push({
          id: request.callId,
          name: request.name,
          params: request.params,
          result: encodedResult,
          isFailure,
          sessionId: request.sessionId,
          duration
        })
        if (isFailure) return failed(content.textOf(encodedResult))
        const shown = shownBy(tool)
        return yield* Option.match(shown, {
          onNone: () => Effect.succeed({ content: [content.text(content.textOf(encodedResult))], isError: false }),
          onSome: (toContent) =>
            Effect.catchAllCause(
              Effect.sync(() => ({ content: toContent(encodedResult), isError: false })),
              end
            )
        })
      })

    return {
      call: (request) =>
        Effect.suspend(() => {
          const tool = toolkit.tools[request.name]
          if (tool === undefined) return Effect.succeed(failed(`There is no tool ${request.name}.`))
          const spanned = Effect.withSpan(answer(request, tool), `execute_tool ${request.name}`, {
            attributes: {
              "gen_ai.operation.name": "execute_tool",
              "gen_ai.tool.name": request.name,
              "gen_ai.tool.call.id": request.callId,
              ...(request.sessionId === undefined ? {} : { "gen_ai.conversation.id": request.sessionId })
            }
          })
          const fiber: Fiber.Fiber<content.Answer> = fork(
            permits === undefined ? spanned : permits.withPermits(1)(spanned)
          )
          return Effect.onInterrupt(Fiber.join(fiber), () => Fiber.interrupt(fiber))
        }),
      fail: (error) => Effect.asVoid(Deferred.fail(failure, error)),
      failure: Deferred.await(failure),
      settled: Effect.flatMap(Deferred.poll(failure), Option.getOrElse(() => Effect.void)),
      calls: Effect.sync(() => [...calls])
    }
  })
