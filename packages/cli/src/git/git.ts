/** Runs git without a terminal: never a prompt, never a pager. */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type { PlatformError } from "@effect/platform/Error"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

export interface Answer {
  readonly stdout: string
  readonly stderr: string
  /** `undefined` if git could not be started or was ended by a signal; `stderr` then says so. */
  readonly exitCode: number | undefined
}

/** Plain output whatever is configured, and no configured file watcher. */
const settings = ["-c", "core.quotePath=off", "-c", "core.fsmonitor=false", "-c", "color.ui=false"]

const text = <E>(stream: Stream.Stream<Uint8Array, E>): Effect.Effect<string, E> =>
  Stream.mkString(Stream.decodeText(stream))

/** Git's own reason for a failure, without its progress messages. */
export const complaint = (stderr: string): string => {
  const lines = stderr.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "")
  const reasons = lines.flatMap((line) => /^(?:fatal|error): (.*)/.exec(line)?.[1] ?? [])
  return reasons.length > 0
    ? [...new Set(reasons)].slice(0, 3).join("; ")
    : lines.find((line) => !/^(?:Preparing worktree|hint:|warning:)/.test(line)) ?? "git failed without a message"
}

/** Whether git failed because another git process, an agent's perhaps, held a lock. */
export const isLocked = ({ exitCode, stderr }: Answer): boolean =>
  exitCode !== 0 && /\.lock'?: File exists|could not lock|cannot lock ref/i.test(stderr)

const start = (executor: CommandExecutor.CommandExecutor, directory: string, args: ReadonlyArray<string>) =>
  executor.start(
    Command.make("git", "-C", directory, ...settings, ...args).pipe(
      Command.env({ LC_ALL: "C", GIT_TERMINAL_PROMPT: "0" }),
      Command.feed("")
    )
  )

/** Node throws for arguments that cannot be passed. */
const answered = (
  asking: Effect.Effect<Answer, PlatformError>,
  said: () => string = () => ""
): Effect.Effect<Answer> =>
  Effect.catchAllCause(asking, (cause) =>
    Cause.isInterrupted(cause) ? Effect.interrupt : Effect.succeed({
      stdout: "",
      stderr: said() + Option.match(Cause.failureOption(cause), {
        onNone: () => "git could not be started",
        onSome: (error) =>
          error._tag === "SystemError" && error.reason === "NotFound"
            ? "git was not found; install it or add it to the PATH"
            : "git was ended by a signal, or could not be started"
      }),
      exitCode: undefined
    }))

const ask = (
  executor: CommandExecutor.CommandExecutor,
  directory: string,
  args: ReadonlyArray<string>
): Effect.Effect<Answer> =>
  answered(Effect.scoped(Effect.flatMap(start(executor, directory, args), (process) =>
    Effect.all({
      stdout: text(process.stdout),
      stderr: text(process.stderr),
      exitCode: process.exitCode
    }, { concurrency: "unbounded" }))))

/** How long git may take if it runs hooks, which can install packages or wait for input that never comes. */
export const hookPatience = Duration.minutes(10)

/** How long to wait for the output of an ended git: a process left by a hook can keep the pipe open for ever. */
const lastWords = Duration.seconds(2)

/** Runs git once, with its hooks. An interruption, or the end of `hookPatience`, ends git together with its hooks. */
export const gitWithHooks = (
  executor: CommandExecutor.CommandExecutor,
  directory: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<Answer> =>
  Effect.suspend(() => {
    let [stdout, stderr] = ["", ""]
    const once = Effect.gen(function*() {
      const process = yield* start(executor, directory, args)
      // A hook that ignores SIGTERM would outlive its git.
      yield* Effect.addFinalizer((exit) =>
        Exit.isInterrupted(exit)
          ? Effect.ignore(Effect.andThen(process.kill("SIGTERM"), process.kill("SIGKILL")))
          : Effect.void
      )
      const listen = <E>(stream: Stream.Stream<Uint8Array, E>, hear: (text: string) => void) =>
        Effect.forkScoped(Stream.runForEach(Stream.decodeText(stream), (text) => Effect.sync(() => hear(text))))
      const ears = [
        yield* listen(process.stdout, (text) => void (stdout += text)),
        yield* listen(process.stderr, (text) => void (stderr += text))
      ]
      const exitCode: number = yield* process.exitCode
      yield* Effect.timeoutOption(Fiber.awaitAll(ears), lastWords)
      return { stdout, stderr, exitCode }
    })
    const late = (): Answer => ({
      stdout,
      stderr: `${stderr}\nerror: git did not end within ${Duration.format(hookPatience)}, so it was ended`,
      exitCode: undefined
    })
    return Effect.timeoutTo(answered(Effect.scoped(once), () => stderr === "" ? "" : `${stderr}\n`), {
      duration: hookPatience,
      onSuccess: (answer) => answer,
      onTimeout: late
    })
  })

/** Runs git in a directory; retries for two seconds while another git process holds a lock. */
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

/** How long clean-up waits for an answer of git. */
const patience = Duration.minutes(2)

/**
 * Like {@link git}, but for clean-up: it works while the fiber is being interrupted, so it must not wait for ever. It
 * forks fibers because nothing inside an uninterruptible region can be cut short.
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
