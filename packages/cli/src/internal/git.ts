/** Git, asked without a terminal: its answer or a reason, never a prompt and never a pager. */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

export interface Answer {
  readonly stdout: string
  readonly stderr: string
  /** `undefined` where git could not be started or was ended by a signal; `stderr` says so. */
  readonly exitCode: number | undefined
}

/** Plain output whatever is configured, and no program of the configuration to watch files. */
const settings = ["-c", "core.quotePath=off", "-c", "core.fsmonitor=false", "-c", "color.ui=false"]

const text = <E>(stream: Stream.Stream<Uint8Array, E>): Effect.Effect<string, E> =>
  Stream.mkString(Stream.decodeText(stream))

/** Another git, of an agent perhaps, has the lock of a file for a moment. */
const isLocked = ({ exitCode, stderr }: Answer): boolean =>
  exitCode !== 0 && /\.lock'?: File exists|could not lock|cannot lock ref/i.test(stderr)

const ask = (
  executor: CommandExecutor.CommandExecutor,
  directory: string,
  args: ReadonlyArray<string>
): Effect.Effect<Answer> =>
  Effect.scoped(Effect.gen(function*() {
    const process = yield* executor.start(
      Command.make("git", "-C", directory, ...settings, ...args).pipe(
        Command.env({ LC_ALL: "C", GIT_TERMINAL_PROMPT: "0" }),
        Command.feed("")
      )
    )
    return yield* Effect.all({
      stdout: text(process.stdout),
      stderr: text(process.stderr),
      exitCode: process.exitCode
    }, { concurrency: "unbounded" })
  })).pipe(
    // Node throws for arguments that cannot be passed.
    Effect.catchAllCause((cause) =>
      Cause.isInterrupted(cause) ? Effect.interrupt : Effect.succeed({
        stdout: "",
        stderr: Option.match(Cause.failureOption(cause), {
          onNone: () => "git could not be started",
          onSome: (error) =>
            error._tag === "SystemError" && error.reason === "NotFound"
              ? "git was not found; install it or put it on the PATH"
              : "git was ended by a signal, or could not be started"
        }),
        exitCode: undefined
      })
    )
  )

/** Runs git in a directory; asks again for two seconds while another git stands in its way. */
export const git = (
  executor: CommandExecutor.CommandExecutor,
  directory: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<Answer> => {
  const attempt = (left: number): Effect.Effect<Answer> =>
    Effect.flatMap(
      ask(executor, directory, args),
      (answer) => left > 0 && isLocked(answer) ? Effect.delay(attempt(left - 1), "200 millis") : Effect.succeed(answer)
    )
  return attempt(10)
}

/** The longest that an answer may take of which clean-up depends. */
const patience = Duration.minutes(2)

/**
 * As {@link git}, for clean-up: it works although the fiber is being interrupted, so it must not wait for ever. The fibers
 * are on their own because nothing inside an uninterruptible region can be cut short.
 */
export const gitInTime = (
  executor: CommandExecutor.CommandExecutor,
  directory: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<Answer> =>
  Effect.gen(function*() {
    const answered = yield* Deferred.make<Answer>()
    const late: Answer = {
      stdout: "",
      stderr: `git did not answer within ${Duration.format(patience)}`,
      exitCode: undefined
    }
    const asking = yield* Effect.forkDaemon(
      Effect.interruptible(Effect.intoDeferred(git(executor, directory, ...args), answered))
    )
    const waiting = yield* Effect.forkDaemon(
      Effect.interruptible(Effect.delay(Deferred.succeed(answered, late), patience))
    )
    const answer = yield* Deferred.await(answered)
    yield* Fiber.interruptFork(asking)
    yield* Fiber.interruptFork(waiting)
    return answer
  })
