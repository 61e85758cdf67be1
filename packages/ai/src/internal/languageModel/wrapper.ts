/**
 * Tells the provider what `LanguageModel.make` keeps to itself, the handlers of a toolkit, and keeps the session of a call
 * for the one that continues its conversation.
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import * as Prompt from "@effect/ai/Prompt"
import type * as Response from "@effect/ai/Response"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { type AnyToolkit, type Call, CurrentCall } from "./call.js"
import * as prompts from "./prompt.js"

type AnyOptions = LanguageModel.GenerateTextOptions<never>

/** Undefined means one after the other, as with every other provider. */
const concurrencyOf = ({ concurrency }: AnyOptions): Call["concurrency"] =>
  concurrency === undefined
    ? 1
    : typeof concurrency !== "number" || concurrency === Infinity
    ? "unbounded"
    : concurrency

/** The options with the toolkit resolved, and the call that they make. */
const enter = <O extends AnyOptions>(
  method: string,
  options: O
): Effect.Effect<{ readonly call: Call; readonly resolved: O }, never, never> =>
  Effect.map(
    (Effect.isEffect(options.toolkit) ? options.toolkit : Effect.succeed(options.toolkit)) as Effect.Effect<
      AnyToolkit | undefined
    >,
    (toolkit) => ({
      resolved: (toolkit === undefined ? options : { ...options, toolkit }) as O,
      call: {
        method,
        toolkit,
        concurrency: concurrencyOf(options),
        disableToolCallResolution: options.disableToolCallResolution === true,
        held: undefined,
        messageId: undefined
      }
    })
  )

const drop = ({ held }: Call, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  held === undefined
    ? Effect.void
    : Exit.isFailure(exit) && !Cause.isInterrupted(exit.cause)
    ? held.fail
    : held.drop

/** Keeps the session under the conversation as `Chat` has it from here on. */
const keep = (
  { held, messageId }: Call,
  prompt: Prompt.RawInput,
  content: ReadonlyArray<Response.AnyPart>
): Effect.Effect<void> =>
  held === undefined
    ? Effect.void
    : Effect.suspend(() =>
      held.keep(
        prompts.said(Prompt.merge(Prompt.make(prompt), Prompt.fromResponseParts(content)).content),
        messageId
      )
    )

type Answered = { readonly content: ReadonlyArray<Response.AnyPart> }

const effectful = <O extends AnyOptions, A extends Answered, E, R>(
  method: string,
  options: O,
  ask: (options: O) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    enter(method, options),
    ({ call, resolved }) =>
      Effect.provideService(ask(resolved), CurrentCall, call).pipe(
        Effect.onExit((exit) =>
          Exit.isSuccess(exit) ? keep(call, options.prompt, exit.value.content) : drop(call, exit)
        )
      )
  )

const streaming = <O extends AnyOptions, E, R>(
  options: O,
  ask: (options: O) => Stream.Stream<Response.AnyPart, E, R>
): Stream.Stream<Response.AnyPart, E, R> =>
  Stream.unwrap(Effect.map(enter("streamText", options), ({ call, resolved }) => {
    const content: Array<Response.AnyPart> = []
    let hasEnded = false
    return Stream.provideService(ask(resolved), CurrentCall, call).pipe(
      Stream.tap((part) => Effect.sync(() => content.push(part))),
      Stream.concat(Stream.execute(Effect.suspend(() => {
        hasEnded = true
        return keep(call, options.prompt, content)
      }))),
      Stream.ensuringWith((exit) => hasEnded ? Effect.void : drop(call, exit))
    )
  }))

export const make = (inner: LanguageModel.Service): LanguageModel.Service => {
  // The types of a service follow from the options of each call, which pass through unchanged.
  const { generateObject, generateText, streamText } = inner as unknown as
    & {
      readonly [K in "generateText" | "generateObject"]: (options: AnyOptions) => Effect.Effect<Answered>
    }
    & { readonly streamText: (options: AnyOptions) => Stream.Stream<Response.AnyPart> }
  return {
    generateText: (options: AnyOptions) => effectful("generateText", options, generateText),
    generateObject: (options: AnyOptions) => effectful("generateObject", options, generateObject),
    streamText: (options: AnyOptions) => streaming(options, streamText)
  } as unknown as LanguageModel.Service
}
