import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { PermissionRequest } from "../../opencode/privateServer.js"
import * as retryCount from "../../opencode/retryCount.js"
import type * as verdicts from "../../opencode/verdict.js"
import * as drain from "../../process/drain.js"
import type { Running, Sink } from "../../run/transport.js"
import * as inTime from "../../util/inTime.js"
import type { Prompt } from "./api.js"
import type { ApiConnection } from "./connection.js"
import * as eventMapper from "./eventMapper.js"
import * as follow from "./follow.js"
import * as permissionRequests from "./permissionRequests.js"

/** One prompt and its dependencies. */
export interface Turn {
  readonly connection: ApiConnection
  /** The session's directory. */
  readonly directory: string
  readonly thinking: boolean
  /** Creates or prepares the session. */
  readonly open: Effect.Effect<Opened, OpenCodeServerError>
  readonly prompt: Prompt
  /** Decides a permission request of the session `sessionId` or of a sub-agent. */
  readonly decide: (request: PermissionRequest, sessionId: string) => Effect.Effect<permissionRequests.Answer>
  /** How long the server may take to abort the prompt. */
  readonly patience: Duration.Duration
}

export interface Opened {
  readonly sessionId: string
  /** The last change of the session, in milliseconds by the server's clock; `undefined` for a new one. */
  readonly since: number | undefined
}

/** How long a prompt may take to begin; until then the server has nothing to abort, but runs it later (1.18.33). */
const beginPatience = Duration.seconds(10)

/** Runs one prompt. When the scope closes it is aborted, unless it has ended. */
export const start = (turn: Turn, sink: Sink): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const { connection, directory } = turn
    const { api } = connection
    const scope = yield* Effect.scope
    // Separate, because it must stay open while the prompt is aborted.
    const inner = yield* Scope.make()
    const begun = yield* Deferred.make<void>()
    let prompted: { readonly sessionId: string; readonly questions: permissionRequests.Asks } | undefined
    let isClosing = false
    let aborting: Fiber.Fiber<void> | undefined

    const drive = Effect.gen(function*() {
      const { sessionId, since } = yield* turn.open
      sink.state.inSession(sessionId)
      yield* sink.onSession(sessionId)
      const subscription = yield* connection.subscribe(sessionId)
      const questions = yield* permissionRequests.make({
        reply: (request, reply) => api.replyPermission(directory, request.id, reply),
        watchdog: sink.watchdog,
        decide: (request) => turn.decide(request, sessionId)
      })
      const retries = retryCount.make(() => sessionId)
      const events = follow.make({
        connection,
        directory,
        sessionId,
        subscription,
        mapper: eventMapper.make({ sessionId, since, thinking: turn.thinking, retries }),
        retries,
        asks: questions,
        sink,
        onBegin: () => Deferred.unsafeDone(begun, Effect.void),
        isClosing: () => isClosing
      })
      yield* Effect.suspend(() => {
        if (isClosing) return Effect.interrupt
        prompted = { sessionId, questions }
        return api.promptAsync(sessionId, turn.prompt)
      })
      yield* events
    })
    const driver = yield* Effect.forkIn(Scope.extend(Effect.interruptible(drive), inner), inner)
    driver.addObserver(sink.watchdog.ended)

    /** A session becomes idle before its aborted tools have ended; its last message shows when they have (1.18.33). */
    const untilResting = (sessionId: string): Effect.Effect<void, OpenCodeServerError> =>
      Effect.gen(function*() {
        const status = (yield* api.status(directory))[sessionId]
        const last = follow.isIdle(status) ? (yield* api.messages(sessionId)).at(-1) : undefined
        if (
          follow.isIdle(status) && (last === undefined || last.info.role !== "assistant" || follow.isClosed(last))
        ) return
        yield* Effect.delay(untilResting(sessionId), "50 millis")
      })

    const hasEnded = Effect.map(Fiber.poll(driver), (exit) => Option.isSome(exit) && Exit.isSuccess(exit.value))

    const abortBegun = (sessionId: string): Effect.Effect<void, OpenCodeServerError | string> =>
      Effect.gen(function*() {
        const waited = yield* Effect.raceFirst(Deferred.await(begun), Effect.asVoid(Fiber.await(driver))).pipe(
          Effect.timeoutOption(beginPatience)
        )
        if (yield* hasEnded) return
        yield* Effect.andThen(api.abort(sessionId), untilResting(sessionId)).pipe(
          inTime.orFail(turn.patience, () => "it took too long")
        )
        if (Option.isNone(waited)) return yield* Effect.fail("it had not begun yet")
      })

    const endPrompt = Effect.suspend(() => {
      if (prompted === undefined) return Effect.asVoid(Fiber.interrupt(driver))
      const { questions, sessionId } = prompted
      return Effect.andThen(
        questions.close,
        Effect.raceFirst(abortBegun(sessionId), Effect.flatMap(connection.died, Effect.fail))
      ).pipe(
        Effect.catchAll((error) => {
          const reason = typeof error === "string" ? error : error.message
          // A prompt ends with its server.
          return typeof error !== "string" && error.reason === "exited"
            ? Effect.void
            : Effect.logWarning(`The session ${sessionId} could not be aborted on its server: ${reason}`)
        })
      )
    })

    /**
     * Aborts the prompt and waits until the server has stopped. It runs on its own fiber, because an interruption of
     * the waiting caller would reach the effects that it races. Later callers wait for the same abort.
     */
    const abort = Effect.uninterruptible(Effect.gen(function*() {
      isClosing = true
      aborting ??= yield* Effect.forkIn(Effect.interruptible(endPrompt), inner)
      return aborting
    })).pipe(Effect.flatMap(Fiber.await), Effect.asVoid)

    yield* Scope.addFinalizer(scope, Effect.andThen(abort, Scope.close(inner, Exit.void)))

    const running: Running = {
      stop: () =>
        Effect.gen(function*() {
          yield* abort
          yield* drain.until([driver], sink.watchdog)
          return { exit: yield* exitOf(yield* Fiber.await(driver)), survivors: [] }
        })
    }
    return running
  }))

const exitOf = (exit: Exit.Exit<void, OpenCodeServerError>): Effect.Effect<verdicts.Exit> =>
  Exit.match(exit, {
    onSuccess: () => Effect.succeed<verdicts.Exit>({ _tag: "Settled" }),
    onFailure: (cause) =>
      Option.match(Cause.failureOption(cause), {
        onSome: (error) => Effect.succeed<verdicts.Exit>({ _tag: "Server", error }),
        onNone: () =>
          Cause.isInterruptedOnly(cause)
            ? Effect.succeed<verdicts.Exit>({ _tag: "Lost" })
            : Effect.die(Cause.squash(cause))
      })
  })
