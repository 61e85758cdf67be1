/** One scripted process: its actions, its end, and its handle for a program. */
import type * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import type * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type * as MockCommandExecutor from "../../MockCommandExecutor.js"
import { Pipe } from "../pipe.js"
import * as Utf8 from "../utf8.js"
import * as content from "./content.js"
import * as errors from "./errors.js"

export const ProcessState = Data.taggedEnum<MockCommandExecutor.ProcessState>()

type Ended = Extract<MockCommandExecutor.ProcessState, { readonly _tag: "Exited" | "Signaled" }>

const notLethal: ReadonlySet<CommandExecutor.Signal> = new Set([
  "SIGCHLD",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGURG",
  "SIGWINCH"
])

/** A process, or a command that was not started. */
export class Entry {
  readonly stdin: Array<Uint8Array> = []
  readonly stdinEnd = Effect.unsafeMakeLatch(false)
  readonly signals: Array<CommandExecutor.Signal> = []
  readonly stdout = new Pipe()
  readonly stderr = new Pipe()
  readonly ended = Effect.runSync(Deferred.make<Ended>())
  pid: number | undefined = undefined
  stdinEnded = false
  state: MockCommandExecutor.ProcessState = ProcessState.Running()
  script: MockCommandExecutor.Script = { steps: [] }
  fiber: Fiber.Fiber<void> | undefined = undefined

  constructor(readonly command: Command.StandardCommand) {}

  get isRunning(): boolean {
    return this.state._tag === "Running"
  }

  get record(): MockCommandExecutor.RecordedCommand {
    return {
      command: this.command.command,
      args: this.command.args,
      env: Object.fromEntries(HashMap.toEntries(this.command.env)),
      extendEnv: this.command.extendEnv,
      cwd: Option.getOrUndefined(this.command.cwd),
      pid: this.pid,
      stdin: Utf8.decode(content.concat(this.stdin)),
      stdinEnded: this.stdinEnded,
      signals: [...this.signals],
      state: this.state,
      stdout: { bytesWritten: this.stdout.bytesWritten, bytesRead: this.stdout.bytesRead },
      stderr: { bytesWritten: this.stderr.bytesWritten, bytesRead: this.stderr.bytesRead },
      bytesWritten: this.stdout.bytesWritten + this.stderr.bytesWritten
    }
  }

  endStdin(): void {
    this.stdinEnded = true
    this.stdinEnd.unsafeOpen()
  }
}

/** A turn of the real event loop, whatever clock the test has. */
const nextTurn = Effect.withClock(Effect.sleep(0), Clock.make())

const end = (entry: Entry, ended: Ended): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!entry.isRunning) {
      return Effect.void
    }
    entry.state = ended
    entry.stderr.end()
    const outlives = entry.script.stdoutOutlivesProcess
    if (outlives === undefined) {
      entry.stdout.end()
    }
    Deferred.unsafeDone(entry.ended, Effect.succeed(ended))
    return nextTurn.pipe(
      Effect.andThen(Effect.sync(() => {
        entry.stdout.discardUnread()
        entry.stderr.discardUnread()
      })),
      Effect.andThen(outlives ?? Effect.void),
      Effect.ensuring(Effect.sync(() => entry.stdout.end())),
      Effect.interruptible,
      Effect.forkDaemon
    )
  })

export const crash = (entry: Entry, cause: Cause.Cause<never>): Effect.Effect<void> =>
  Effect.sync(() => {
    if (entry.isRunning) {
      entry.state = ProcessState.Crashed({ cause })
      entry.stdout.end()
      entry.stderr.end()
      Deferred.unsafeDone(entry.ended, Effect.failCause(cause))
    }
  })

const play = (entry: Entry): Effect.Effect<Ended> =>
  Effect.map(playSteps(entry, entry.script.steps), (ended) => ended ?? ProcessState.Exited({ code: 0 }) as Ended)

/** Plays steps and returns how the process has ended; `undefined` if no step ended it. */
const playSteps: (entry: Entry, steps: ReadonlyArray<MockCommandExecutor.Step>) => Effect.Effect<Ended | undefined> =
  Effect.fnUntraced(
    function*(entry, steps) {
      for (const step of steps) {
        switch (step._tag) {
          case "Stdout":
          case "Stderr": {
            const pipe = step._tag === "Stdout" ? entry.stdout : entry.stderr
            for (const chunk of step.chunks) {
              yield* pipe.write(chunk)
            }
            break
          }
          case "Sleep": {
            yield* Effect.sleep(step.duration)
            break
          }
          case "AwaitStdin": {
            yield* entry.stdinEnd.await
            break
          }
          case "WaitFor": {
            yield* step.effect
            break
          }
          case "Decide": {
            const chosen = step.choose(entry.record)
            const ended = yield* playSteps(entry, Effect.isEffect(chosen) ? yield* chosen : chosen)
            if (ended !== undefined) {
              return ended
            }
            break
          }
          case "CloseStdout": {
            entry.stdout.end()
            break
          }
          case "Exit": {
            return ProcessState.Exited({ code: step.code }) as Ended
          }
          case "Signal": {
            return ProcessState.Signaled({ signal: step.signal }) as Ended
          }
          case "Never": {
            return yield* Effect.never
          }
        }
      }
      return undefined
    }
  )

export const deliver = (
  entry: Entry,
  signal: CommandExecutor.Signal
): Effect.Effect<void, PlatformError.PlatformError> =>
  Effect.suspend(() => {
    if (!entry.isRunning) {
      return Effect.fail(errors.systemError(entry.command, "kill", "Failed to kill process"))
    }
    entry.signals.push(signal)
    if (notLethal.has(signal) || (signal === "SIGTERM" && entry.script.onSigterm === "ignore")) {
      return Effect.void
    }
    return Effect.andThen(
      end(entry, ProcessState.Signaled({ signal })),
      Effect.suspend(() => entry.fiber === undefined ? Effect.void : Fiber.interruptFork(entry.fiber))
    )
  })

export const spawn = (entry: Entry, pid: number): Effect.Effect<void, PlatformError.PlatformError> =>
  Effect.suspend(() => {
    const error = entry.script.spawnError
    if (error !== undefined) {
      if (typeof error !== "string") {
        return Effect.fail(error)
      }
      return Effect.fail(errors.spawnError(entry.command, error))
    }
    entry.pid = pid
    return play(entry).pipe(
      Effect.matchCauseEffect({
        onFailure: (cause) => crash(entry, cause),
        onSuccess: (ended) => end(entry, ended)
      }),
      // `start` runs in an uninterruptible region, and a fiber inherits that
      Effect.interruptible,
      Effect.forkDaemon,
      Effect.map((fiber) => {
        entry.fiber = fiber
      })
    )
  })

const ProcessProto = {
  [CommandExecutor.ProcessTypeId]: CommandExecutor.ProcessTypeId,
  ...Inspectable.BaseProto
} as const

export const toProcess = (entry: Entry, pid: number): CommandExecutor.Process => {
  const stdin: CommandExecutor.Process["stdin"] = entry.command.stdin === "inherit"
    ? Sink.drain
    : Sink.forEachChunk((chunk: Chunk.Chunk<Uint8Array>) =>
      Effect.suspend(() => {
        if (!entry.isRunning) {
          return Effect.fail(errors.systemError(entry.command, "toWritable", "write EPIPE"))
        }
        entry.stdin.push(...Chunk.toReadonlyArray(chunk))
        return Effect.void
      })
    ).pipe(Sink.mapEffect(() => Effect.sync(() => entry.endStdin())))
  const { stdout } = entry.command
  return {
    ...ProcessProto,
    pid: CommandExecutor.ProcessId(pid),
    exitCode: Effect.flatMap(
      Deferred.await(entry.ended),
      (ended) =>
        ended._tag === "Exited"
          ? Effect.succeed(CommandExecutor.ExitCode(ended.code))
          : Effect.fail(
            errors.systemError(
              entry.command,
              "exitCode",
              `Process interrupted due to receipt of signal: ${ended.signal}`
            )
          )
    ),
    isRunning: Effect.sync(() => entry.isRunning),
    kill: (signal = "SIGTERM") => Effect.andThen(deliver(entry, signal), Effect.asVoid(Deferred.await(entry.ended))),
    stdin,
    stdout: typeof stdout === "string" ? entry.stdout.stream : Stream.transduce(entry.stdout.stream, stdout),
    stderr: entry.stderr.stream,
    toJSON: () => ({ _id: "@effect/platform/CommandExecutor/Process", pid })
  }
}
