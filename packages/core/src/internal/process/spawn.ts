import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type { PlatformError } from "@effect/platform/Error"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { OpenCodeSpawnError } from "../../OpenCodeError.js"
import * as systemError from "../util/systemError.js"
import type { ProcessTable, Seen } from "./table.js"
import * as wholeStdin from "./wholeStdin.js"
import type { Invocation } from "./wholeStdin.js"

/** How a process ended; `Lost` if that could not be found out. */
export type ProcessExit =
  | { readonly _tag: "Code"; readonly code: number }
  | { readonly _tag: "Signal"; readonly signal: string }
  | { readonly _tag: "Lost" }

/** A started process that is certain to be ended with its scope. */
export interface Running {
  readonly pid: number
  readonly stdout: Stream.Stream<Uint8Array, PlatformError>
  readonly stderr: Stream.Stream<Uint8Array, PlatformError>
  readonly exit: Effect.Effect<ProcessExit>
  readonly hasExited: Effect.Effect<boolean>
  /**
   * Ends whatever is left of the run: asks politely, then, after the grace or at once with `force`, does not ask.
   * Gives the pids that could not be ended. Can be called again, and after the process has exited.
   */
  readonly terminate: (options?: { readonly force?: boolean }) => Effect.Effect<ReadonlyArray<number>>
}

export interface StartOptions {
  readonly binary: string
  readonly cwd: string
  readonly invocation: Invocation
  /** Whether the child inherits our environment. */
  readonly extendEnv: boolean
  /** The id of the run, which the environment of its processes has in `processTable.variable`. */
  readonly marker: string
  readonly forceKillAfter: Duration.Duration
  /** Not to be started with a part of its stdin. */
  readonly wholeStdin?: wholeStdin.Options | undefined
  readonly onExit?: () => void
}

/**
 * A first SIGTERM does not end OpenCode while it installs its plugin package, a second one does (1.18.33). One that is
 * not asked twice would take the whole grace for that.
 */
const askAgainAfter = Duration.seconds(1)

/** How long the kernel gets to carry out a SIGKILL before we give a process up. */
const killPatience = Duration.seconds(2)

const toExit = (error: PlatformError): ProcessExit => {
  const signal = /signal: (SIG[A-Z0-9]+)/.exec(
    error._tag === "SystemError" ? error.description ?? error.message : error.message
  )
  return signal === null ? { _tag: "Lost" } : { _tag: "Signal", signal: signal[1]! }
}

/** A `PlatformError` carries the whole command line, so it is not passed on. */
const spawnError = (options: StartOptions, cause: Cause.Cause<PlatformError>): OpenCodeSpawnError => {
  const reason = Option.match(Cause.failureOption(cause), {
    onSome: systemError.reasonOf,
    // Node throws for arguments that are too long and for NUL; its code is the only part without the arguments.
    onNone: () => {
      const defect = Cause.squash(cause)
      return defect instanceof Error && "code" in defect ? String(defect.code) : "the process could not be created"
    }
  })
  const hint = systemError.hintOf(reason)
  return new OpenCodeSpawnError({
    binary: options.binary,
    cwd: options.cwd,
    reason,
    ...(hint === undefined ? {} : { hint })
  })
}

export const start = (
  executor: CommandExecutor.CommandExecutor,
  table: ProcessTable,
  options: StartOptions
): Effect.Effect<Running, OpenCodeSpawnError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      // The executor's own finalizer waits for ever on a process that cannot be ended, so it gets a scope that can
      // be left behind.
      const processScope = yield* Scope.make()
      const { binary, invocation } = options.wholeStdin === undefined
        ? options
        : wholeStdin.guarded(options, options.wholeStdin)
      const command = Command.make(binary, ...invocation.args).pipe(
        Command.workingDirectory(options.cwd),
        Command.env(invocation.env, { extendEnv: options.extendEnv }),
        Command.feed(invocation.stdin)
      )
      const before = yield* restore(table.baseline)
      const process = yield* restore(executor.start(command)).pipe(
        Scope.extend(processScope),
        Effect.catchAllCause((cause) =>
          Effect.andThen(
            Effect.forkDaemon(Scope.close(processScope, Exit.void)),
            Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.fail(spawnError(options, cause))
          )
        )
      )
      const untrackLeader = table.trackLeader(process.pid)
      const exited = yield* Deferred.make<ProcessExit>()
      yield* process.exitCode.pipe(
        Effect.matchCause({
          // A defect too: whoever waits for the exit must learn of it.
          onFailure: (cause): ProcessExit =>
            Option.match(Cause.failureOption(cause), { onNone: () => ({ _tag: "Lost" }), onSome: toExit }),
          onSuccess: (code): ProcessExit => ({ _tag: "Code", code })
        }),
        Effect.map((exit) => {
          untrackLeader()
          Deferred.unsafeDone(exited, Effect.succeed(exit))
          options.onExit?.()
        }),
        Effect.interruptible,
        Effect.forkIn(scope)
      )

      let known: ReadonlyArray<Seen> = []
      const members = Effect.suspend(() => table.members({ pid: process.pid, marker: options.marker, before, known }))
        .pipe(
          Effect.tap((found) =>
            Effect.sync(() => {
              known = found
            })
          )
        )

      // `kill` of the executor waits for the exit, for ever if need be, so it gets a fiber of its own.
      const signalGroup = (signal: CommandExecutor.Signal) =>
        Effect.flatMap(Deferred.isDone(exited), (isDone) =>
          isDone
            ? Effect.void
            : process.kill(signal).pipe(Effect.ignore, Effect.interruptible, Effect.forkIn(processScope)))

      const gone = Effect.zipWith(Deferred.isDone(exited), members, (isDone, left) => isDone && left.length === 0)

      const poll = (pause: number): Effect.Effect<void> =>
        Effect.flatMap(gone, (done) =>
          done ? Effect.void : Effect.andThen(Effect.sleep(pause), poll(Math.min(pause * 2, 100))))

      const waitGone = (patience: Duration.Duration): Effect.Effect<boolean> =>
        Effect.andThen(Deferred.await(exited), poll(5)).pipe(
          Effect.interruptible,
          Effect.timeoutOption(patience),
          Effect.map(Option.isSome)
        )

      // The pids belong to whoever gets them next, so nothing is looked for or signalled once everything is gone, and
      // the executor, which signals the group of a failed process, is let go at once.
      let isClean = false
      const clean = Effect.suspend(() => {
        isClean = true
        return Effect.as(Scope.close(processScope, Exit.void), [] as ReadonlyArray<number>)
      })

      const end = (force: boolean): Effect.Effect<ReadonlyArray<number>> =>
        Effect.gen(function*() {
          // Before the signal: afterwards the children have lost their parent.
          const before = yield* members
          if (before.length === 0 && (yield* Deferred.isDone(exited))) {
            return yield* clean
          }
          if (!force) {
            yield* signalGroup("SIGTERM")
            yield* table.kill(before, "TERM")
            if (yield* waitGone(Duration.min(askAgainAfter, options.forceKillAfter))) {
              return yield* clean
            }
            const rest = Duration.subtract(options.forceKillAfter, askAgainAfter)
            if (Duration.greaterThan(rest, Duration.zero)) {
              yield* signalGroup("SIGTERM")
              if (yield* waitGone(rest)) {
                return yield* clean
              }
            }
          }
          yield* signalGroup("SIGKILL")
          yield* table.kill(yield* members, "KILL")
          if (yield* waitGone(killPatience)) {
            return yield* clean
          }
          const left = (yield* members).map(({ pid }) =>
            pid
          )
          return (yield* Deferred.isDone(exited)) ? left : [process.pid, ...left]
        })

      const terminate: Running["terminate"] = (how) =>
        Effect.suspend(() => isClean ? Effect.succeed([]) : end(how?.force === true))

      yield* Scope.addFinalizer(
        scope,
        Effect.andThen(
          terminate(),
          Effect.flatMap(Deferred.isDone(exited), (isDone) => {
            untrackLeader()
            const close = Scope.close(processScope, Exit.void)
            return isDone ? close : Effect.asVoid(Effect.forkDaemon(close))
          })
        )
      )

      return {
        pid: process.pid,
        stdout: process.stdout,
        stderr: process.stderr,
        exit: Deferred.await(exited),
        hasExited: Deferred.isDone(exited),
        terminate
      }
    })
  )
