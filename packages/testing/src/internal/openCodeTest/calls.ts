/** Answers calls of the service, and records them. */
import type * as OpenCode from "effect-opencode/OpenCode"
import type * as OpenCodeError from "effect-opencode/OpenCodeError"
import * as RunConfig from "effect-opencode/RunConfig"
import type * as RunEvent from "effect-opencode/RunEvent"
import type { RunOptions } from "effect-opencode/RunOptions"
import type * as RunResult from "effect-opencode/RunResult"
import type { ForkOptions, Session } from "effect-opencode/Session"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as MockCommandExecutor from "../../MockCommandExecutor.js"
import type * as OpenCodeTest from "../../OpenCodeTest.js"
import * as Quote from "../quote.js"
import { Entry, toPart } from "./entry.js"
import * as servers from "./servers.js"
import * as services from "./service.js"

/** The variable by which the process of a call is recognized. */
const callVariable = "EFFECT_OPENCODE_TEST_CALL"

/** A server of OpenCode 2 that is asked for its models, and not prompted. */
const asked: servers.Part = { script: { steps: [] } }

export const Outcome = Data.taggedEnum<OpenCodeTest.Outcome>()

const causeToOutcome = (cause: Cause.Cause<OpenCodeError.OpenCodeError>): OpenCodeTest.Outcome =>
  Option.match(Cause.failureOption(cause), {
    onSome: (error) => Outcome.Failed({ error }),
    onNone: () => Cause.isInterruptedOnly(cause) ? Outcome.Interrupted() : Outcome.Died({ defect: Cause.squash(cause) })
  })

/** Makes the service with answers, and the records of its calls. */
export const make = Effect.fnUntraced(
  function*(
    respond: OpenCodeTest.Respond | { readonly [prompt: string]: OpenCodeTest.Answer },
    options: OpenCodeTest.Options | undefined,
    textReply: (text: string) => OpenCodeTest.Reply
  ) {
    const entries: Array<Entry> = []
    let nextCall = yield* Deferred.make<void>()
    const positions = new Map<OpenCodeTest.Reply, number>()

    const choose: OpenCodeTest.Respond = typeof respond === "function"
      ? respond
      : (call) => Object.hasOwn(respond, call.prompt) ? respond[call.prompt] : undefined

    const missing = (call: OpenCodeTest.Call) =>
      Effect.die(
        new Error(
          `OpenCodeTest has no answer to the prompt ${Quote.beginning(call.prompt)} (call ${
            call.index + 1
          }, ${call.method}). ${
            typeof respond === "function"
              ? "The function of the layer returned undefined."
              : Quote.there("Prompts with an answer", Object.keys(respond))
          }`
        )
      )

    /** Returns the n-th of these answers for the n-th request. */
    const settle = (answer: OpenCodeTest.Answer, nth: (reply: OpenCodeTest.Reply) => number): OpenCodeTest.Reply => {
      if (typeof answer === "string") return textReply(answer)
      if (answer._tag !== "Sequence") return answer
      return settle(answer.answers[Math.min(nth(answer), answer.answers.length - 1)] ?? answer.answers[0], nth)
    }

    const position = (reply: OpenCodeTest.Reply): number => {
      const before = positions.get(reply) ?? 0
      positions.set(reply, before + 1)
      return before
    }

    const isOpenCode2 = servers.isOpenCode2(options)
    const standIns = servers.make(options)

    /** Returns what this start of the process plays, or this prompt of a server. */
    const partOf = (entry: Entry, args: ReadonlyArray<string>): servers.Part => {
      const attempt = entry.attempts++
      let reply = entry.reply
      while (reply._tag === "Attempts" || reply._tag === "Sequence") {
        reply = settle(
          reply._tag === "Attempts"
            ? reply.answers[Math.min(attempt, reply.answers.length - 1)] ?? reply.answers[0]
            : reply,
          position
        )
      }
      return toPart(entry, reply, args, isOpenCode2)
    }

    const select: services.Select = (command) => {
      const entry = entries[Number(command.env[callVariable])]
      if (isOpenCode2) {
        return standIns.script(
          command,
          Effect.sync(() => entry === undefined ? asked : partOf(entry, command.args))
        )
      }
      if (!services.isRun(command)) return services.other(command, options)
      return entry === undefined
        ? Effect.dieMessage("OpenCodeTest: a process without a call")
        : partOf(entry, command.args).script
    }

    const mock = yield* Layer.build(MockCommandExecutor.layer(select))
    const inner = yield* Effect.provide(services.make(options, standIns.fetch), mock)

    const begin = (method: OpenCodeTest.Call["method"], prompt: string, options: RunOptions): Effect.Effect<Entry> =>
      Effect.zipWith(RunConfig.CurrentRunConfig, Deferred.make<void>(), (region, later) => {
        const entry = new Entry({
          prompt,
          options: RunConfig.merge(region, options),
          method,
          index: entries.length,
          repetition: entries.filter(({ call }) => call.prompt === prompt).length
        })
        entries.push(entry)
        Deferred.unsafeDone(nextCall, Effect.void)
        nextCall = later
        return entry
      })

    const answer = (entry: Entry): Effect.Effect<void> =>
      Effect.suspend(() => {
        const chosen = choose(entry.call)
        return Effect.isEffect(chosen) ? chosen : Effect.succeed(chosen)
      }).pipe(
        Effect.flatMap((chosen) => chosen === undefined ? missing(entry.call) : Effect.succeed(chosen)),
        Effect.map((chosen) => {
          entry.reply = settle(chosen, position)
        })
      )

    /**
     * True for a message to branch off after that the real service accepts. It is not passed on, because the scripted
     * OpenCode has no such messages.
     */
    const isBranch = (own: RunOptions): boolean => {
      const { attach, fork, forkAfter, sessionId } = RunConfig.merge(options?.defaults ?? {}, own)
      return fork === true && sessionId !== undefined && attach === undefined && forkAfter !== ""
    }

    /** Passes the call's number to its processes. */
    const numbered = <A extends RunOptions>(entry: Entry, options: A | undefined): A => ({
      ...options!,
      forkAfter: isBranch(entry.call.options) ? undefined : options?.forkAfter,
      extraEnv: { ...options?.extraEnv, [callVariable]: String(entry.call.index) }
    })

    /** Fails with the error that replaces the outcome, if there is one. */
    const insteadOfSchema = (entry: Entry): Effect.Effect<void, OpenCodeError.SchemaError> =>
      Effect.suspend(() => entry.instead === undefined ? Effect.void : Effect.fail(entry.instead))

    const insteadOfRun = (entry: Entry): Effect.Effect<void, OpenCodeError.RunError> =>
      Effect.catchTag(insteadOfSchema(entry), "OpenCodeOutputError", () =>
        Effect.dieMessage(
          `OpenCodeTest: only \`runSchema\` can fail with an OpenCodeOutputError, and call ${
            entry.call.index + 1
          } is a \`${entry.call.method}\``
        ))

    const effect = <A, E extends OpenCodeError.SchemaError>(
      entry: Entry,
      effect: Effect.Effect<A, E>,
      instead: (entry: Entry) => Effect.Effect<void, E>,
      resultOf: (value: A) => RunResult.RunResult
    ): Effect.Effect<A, E> =>
      answer(entry).pipe(
        Effect.andThen(effect),
        Effect.tapError(() => instead(entry)),
        Effect.tap(() => instead(entry)),
        Effect.onExit((exit) =>
          Effect.sync(() =>
            entry.end(
              Exit.isSuccess(exit)
                ? Outcome.Done({ result: resultOf(exit.value) })
                : causeToOutcome(exit.cause)
            )
          )
        )
      )

    const stream = (
      entry: Entry,
      stream: Stream.Stream<RunEvent.RunEvent, OpenCodeError.RunError>
    ): Stream.Stream<RunEvent.RunEvent, OpenCodeError.RunError> =>
      Stream.unwrapScoped(Effect.gen(function*() {
        // The first outcome counts: a stream that ends or fails does so before its scope is closed.
        yield* Effect.addFinalizer(() => Effect.sync(() => entry.end(Outcome.Interrupted())))
        yield* Effect.tapErrorCause(answer(entry), (cause) => Effect.sync(() => entry.end(causeToOutcome(cause))))
        return stream.pipe(
          Stream.tapError(() => insteadOfRun(entry)),
          Stream.concat(Stream.execute(insteadOfRun(entry))),
          Stream.tapErrorCause((cause) => Effect.sync(() => entry.end(causeToOutcome(cause)))),
          Stream.concat(Stream.execute(Effect.sync(() => entry.end(Outcome.Done({ result: undefined })))))
        )
      }))

    /** The three methods that are recorded, of the service or of a session, which has its own options. */
    const observed = (inner: Pick<OpenCode.Service, "run" | "stream" | "runSchema">, outer: RunOptions) => {
      const start = (method: OpenCodeTest.Call["method"], prompt: string, options: RunOptions | undefined) =>
        begin(method, prompt, RunConfig.merge(outer, options ?? {}))
      return {
        run: (prompt, options) =>
          Effect.flatMap(
            start("run", prompt, options),
            (entry) => effect(entry, inner.run(prompt, numbered(entry, options)), insteadOfRun, (result) => result)
          ),
        stream: (prompt, options) =>
          Stream.unwrap(Effect.map(
            start("stream", prompt, options),
            (entry) => stream(entry, inner.stream(prompt, numbered(entry, options)))
          )),
        runSchema: (schema, prompt, options) =>
          Effect.flatMap(start("runSchema", prompt, options), (entry) =>
            effect(
              entry,
              inner.runSchema(schema, prompt, numbered(entry, options)),
              insteadOfSchema,
              ({ result }) => result
            ))
      } satisfies Pick<OpenCode.Service, "run" | "stream" | "runSchema">
    }

    const branchOf = (from: ForkOptions | undefined): RunOptions =>
      from?.after === undefined ? {} : { fork: true, forkAfter: from.after }

    const session = (inner: Session, options: RunOptions): Session => ({
      ...inner,
      ...observed(inner, options),
      fork: (from) => Effect.map(inner.fork(), (fork) => session(fork, { ...options, ...branchOf(from) }))
    })

    const opencode: OpenCode.Service = {
      ...inner,
      ...observed(inner, {}),
      session: (options) => Effect.map(inner.session(options), (opened) => session(opened, options ?? {})),
      resume: (location, options) =>
        Effect.map(inner.resume(location, options), (opened) => session(opened, options ?? {}))
    }

    const awaitCalls = (count: number): Effect.Effect<void> =>
      Effect.suspend(() =>
        entries.length >= count ? Effect.void : Effect.andThen(Deferred.await(nextCall), awaitCalls(count))
      )

    const records: OpenCodeTest.Service = {
      awaitCalls,
      calls: Effect.sync(() => entries.map(({ attempts, call, outcome }) => ({ ...call, outcome, attempts }))),
      running: Effect.sync(() => entries.filter(({ outcome }) => outcome._tag === "Running").length)
    }
    return { opencode, records }
  }
)
