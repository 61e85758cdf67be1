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
import * as Stream from "effect/Stream"
import { OpenCodeSpawnError } from "../../OpenCodeError.js"
import * as systemError from "../util/systemError.js"
import * as limitMark from "./limitMark.js"
import * as programs from "./program.js"
import * as signals from "./signals.js"
import type { ProcessTable, Seen } from "./table.js"
import * as wholeStdin from "./wholeStdin.js"

/** How a process ended; `Lost` if that is unknown. */
export type ProcessExit =
  | { readonly _tag: "Code"; readonly code: number }
  | { readonly _tag: "Signal"; readonly signal: string }
  | { readonly _tag: "Lost" }

/** A started process that ends at the latest when its scope closes. */
export interface Running {
  readonly pid: number
  /** Lets a process that is held have its stdin. */
  readonly release: Effect.Effect<void>
  readonly stdout: Stream.Stream<Uint8Array, PlatformError>
  readonly stderr: Stream.Stream<Uint8Array, PlatformError>
  readonly exit: Effect.Effect<ProcessExit>
  readonly hasExited: Effect.Effect<boolean>
  /**
   * Ends the remaining processes of the run: SIGTERM, then SIGKILL after the grace, or at once with `force`. Returns
   * the pids that could not be ended. Can be called repeatedly, and after the process has exited.
   */
  readonly terminate: (options?: { readonly force?: boolean }) => Effect.Effect<ReadonlyArray<number>>
}

export interface StartOptions {
  readonly binary: string
  readonly cwd: string
  readonly invocation: programs.Invocation
  /** What the program is started by. Default: nothing. */
  readonly wrap?: programs.Wrap | undefined
  /** True if the child inherits our environment. */
  readonly extendEnv: boolean
  /** The id of the run, in the variable `processTable.variable` of its processes. */
  readonly marker: string
  /** This program, if another one can use the same marker. */
  readonly program?: string | undefined
  /** The same as `marker` for processes with an empty environment, see `limitMark`. */
  readonly limit?: string | undefined
  readonly forceKillAfter: Duration.Duration
  /** If set, the process is not started with incomplete stdin. */
  readonly wholeStdin?: wholeStdin.Options | undefined
  /** True to leave stdin open until the process has ended or we have; the invocation's is then not used. */
  readonly holdStdin?: boolean | undefined
  /** True if the process gets its stdin when it is released. */
  readonly isHeld?: boolean | undefined
  readonly onExit?: () => void
}

/**
 * SIGTERM is repeated after this time, because OpenCode ignores the first one while it installs its plugin package
 * (1.18.33) and would use up the whole grace.
 */
const askAgainAfter = Duration.seconds(1)

/** How long the kernel may take for a SIGKILL before we give a process up. */
const killPatience = Duration.seconds(2)

const toExit = (error: PlatformError): ProcessExit => {
  const signal = /signal: (SIG[A-Z0-9]+)/.exec(
    error._tag === "SystemError" ? error.description ?? error.message : error.message
  )
  return signal === null ? { _tag: "Lost" } : { _tag: "Signal", signal: signal[1]! }
}

/** How the inner program of a container ended. */
const inside = (exit: ProcessExit): ProcessExit => {
  const signal = exit._tag === "Code" ? signals.ofExitCode(exit.code) : undefined
  return signal === undefined ? exit : { _tag: "Signal", signal }
}

/** A `PlatformError` carries the whole command line, so it is not passed on. */
const spawnError = (options: StartOptions, cause: Cause.Cause<PlatformError>): OpenCodeSpawnError => {
  const reason = Option.match(Cause.failureOption(cause), {
    onSome: systemError.reasonOf,
    // Node throws for NUL and for arguments that are too long; only its error code is free of the arguments.
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

const encoder = new TextEncoder()

/** A text that is sent only after something has happened. */
const after = (happened: Deferred.Deferred<void>, text: string): Stream.Stream<Uint8Array> =>
  Stream.concat(Stream.execute(Deferred.await(happened)), Stream.succeed(encoder.encode(text)))

export const start = (
  executor: CommandExecutor.CommandExecutor,
  table: ProcessTable,
  options: StartOptions
): Effect.Effect<Running, OpenCodeSpawnError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      // The executor's own finalizer waits for ever for a process that cannot be ended, so it gets a scope that can be
      // abandoned.
      const processScope = yield* Scope.make()
      // The input is collected, and the limit set, outside of what the program is wrapped in: a sandbox may hide the
      // file of the input, and what makes the sandbox must be found by the limit as well.
      const wrapped = (options.wrap ?? programs.asItIs)(options, options.cwd)
      const program = options.wholeStdin === undefined
        ? wrapped
        : wholeStdin.guarded(wrapped, { ...options.wholeStdin, isHeld: options.isHeld === true })
      const released = yield* Deferred.make<void>()
      const { binary, invocation } = limitMark.wrap(program, options.limit)
      const command = Command.make(binary, ...invocation.args).pipe(
        Command.workingDirectory(options.cwd),
        Command.env(invocation.env, { extendEnv: options.extendEnv }),
        (command) =>
          options.holdStdin === true
            ? command
            : options.isHeld === true
            ? Command.stdin(command, after(released, invocation.stdin))
            : Command.feed(command, invocation.stdin)
      )
      const isContainer = wrapped.isContainer === true
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
      // What is inside of a container ends with it, and hears of a signal through the group. Only one that was killed may
      // still be ending.
      let isSealed = isContainer
      yield* process.exitCode.pipe(
        Effect.matchCause({
          // A defect, too, because others wait for the exit.
          onFailure: (cause): ProcessExit =>
            Option.match(Cause.failureOption(cause), { onNone: () => ({ _tag: "Lost" }), onSome: toExit }),
          onSuccess: (code): ProcessExit => ({ _tag: "Code", code })
        }),
        Effect.map((exit) => {
          untrackLeader()
          isSealed = isContainer && exit._tag === "Code"
          Deferred.unsafeDone(exited, Effect.succeed(isContainer ? inside(exit) : exit))
          options.onExit?.()
        }),
        Effect.interruptible,
        Effect.forkIn(scope)
      )

      let known: ReadonlyArray<Seen> = []
      const members = Effect.suspend(() =>
        isSealed
          ? Effect.succeed<ReadonlyArray<Seen>>([])
          : table.members({
            pid: process.pid,
            marker: options.marker,
            program: options.program,
            limit: options.limit,
            before,
            known
          })
      )
        .pipe(
          Effect.tap((found) =>
            Effect.sync(() => {
              known = found
            })
          )
        )

      // The executor's `kill` waits for the exit without a limit, so it runs on its own fiber.
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

      // Pids are reused, so nothing is searched for or signalled once everything has ended. The executor, which signals
      // the group of a failed process, is released at once.
      let isClean = false
      const clean = Effect.suspend(() => {
        isClean = true
        return Effect.as(Scope.close(processScope, Exit.void), [] as ReadonlyArray<number>)
      })

      const end = (force: boolean): Effect.Effect<ReadonlyArray<number>> =>
        Effect.gen(function*() {
          // Before the signal, because afterwards the children have lost their parent.
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
          // Once nothing is left that would act on its stdin.
          Effect.ensuring(terminate(), Deferred.interrupt(released)),
          Effect.flatMap(Deferred.isDone(exited), (isDone) => {
            untrackLeader()
            const close = Scope.close(processScope, Exit.void)
            return isDone ? close : Effect.asVoid(Effect.forkDaemon(close))
          })
        )
      )

      return {
        pid: process.pid,
        release: Effect.asVoid(Deferred.succeed(released, undefined)),
        stdout: process.stdout,
        stderr: process.stderr,
        exit: Deferred.await(exited),
        hasExited: Deferred.isDone(exited),
        terminate
      }
    })
  )
