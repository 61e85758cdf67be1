/**
 * A `CommandExecutor` whose processes are scripts, for tests of any program over `@effect/platform/Command`.
 *
 * A script says what a process does: what it writes and where the chunks end, how long it sleeps on the
 * test clock, when it waits for its input, how it ends and whether it obeys SIGTERM. Every process runs on a
 * fiber of its own and behaves as one of Node's does, traps included, so that a program which forgets to
 * close the input, to drain stderr or to escalate a kill hangs here as it would in production. What was
 * started, fed and killed is recorded.
 *
 * @example
 * ```ts
 * import { Command } from "@effect/platform"
 * import { Effect } from "effect"
 * import { MockCommandExecutor } from "effect-opencode-testing"
 *
 * const program = Effect.gen(function*() {
 *   const output = yield* Command.make("agent", "--json").pipe(Command.feed("hello"), Command.string)
 *   const mock = yield* MockCommandExecutor.MockCommandExecutor
 *   const [command] = yield* mock.commands
 *   return { output, stdin: command?.stdin }
 * })
 *
 * const result = program.pipe(
 *   Effect.provide(MockCommandExecutor.layer([
 *     MockCommandExecutor.script(
 *       MockCommandExecutor.awaitStdin,
 *       MockCommandExecutor.lines([{ type: "text", text: "hi" }]),
 *       MockCommandExecutor.exit(0)
 *     )
 *   ]))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as PlatformError from "@effect/platform/Error"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as HashMap from "effect/HashMap"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { Pipe } from "./internal/pipe.js"
import { isWatchdog, nothingToWatch, started } from "./internal/started.js"
import * as Utf8 from "./internal/utf8.js"

// -----------------------------------------------------------------------------
// Scripts
// -----------------------------------------------------------------------------

/**
 * One thing that a scripted process does.
 *
 * @since 0.1.0
 * @category models
 */
export type Step = Data.TaggedEnum<{
  readonly Stdout: { readonly chunks: ReadonlyArray<Uint8Array> }
  readonly Stderr: { readonly chunks: ReadonlyArray<Uint8Array> }
  readonly Sleep: { readonly duration: Duration.DurationInput }
  readonly AwaitStdin: {}
  readonly WaitFor: { readonly effect: Effect.Effect<void> }
  readonly Decide: {
    readonly choose: (command: RecordedCommand) => ReadonlyArray<Step> | Effect.Effect<ReadonlyArray<Step>>
  }
  readonly CloseStdout: {}
  readonly Exit: { readonly code: number }
  readonly Signal: { readonly signal: CommandExecutor.Signal }
  readonly Never: {}
}>

const Step = Data.taggedEnum<Step>()

/**
 * What a process writes: text, bytes, or a list of either, of which each member is a chunk of its own.
 *
 * @since 0.1.0
 * @category models
 */
export type Content = string | Uint8Array | ReadonlyArray<string | Uint8Array>

/**
 * The whole life of one scripted process, as data.
 *
 * @since 0.1.0
 * @category models
 */
export interface Script extends ScriptOptions {
  /**
   * What the process does, in order. After the last step it exits with code 0.
   */
  readonly steps: ReadonlyArray<Step>
}

/**
 * What a script can say beside its steps.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScriptOptions {
  /**
   * Fails `Command.start` with this error, or with the system error of this reason that Node would give.
   * No step runs.
   */
  readonly spawnError?: PlatformError.PlatformError | PlatformError.SystemErrorReason | undefined
  /**
   * Whether SIGTERM ends the process. SIGKILL always does. Defaults to `"die"`.
   */
  readonly onSigterm?: "die" | "ignore" | undefined
  /**
   * Keeps stdout open after the process has ended, until this effect is done: what a grandchild that
   * inherited the pipe does. Signals do not reach it.
   */
  readonly stdoutOutlivesProcess?: Effect.Effect<void> | undefined
}

/**
 * A script of these steps.
 *
 * @since 0.1.0
 * @category constructors
 */
export const script = (...steps: ReadonlyArray<Step>): Script => ({ steps })

/**
 * A script of these steps whose process takes no notice of SIGTERM, outlives its end, or cannot be started.
 *
 * @example
 * ```ts
 * import { MockCommandExecutor } from "effect-opencode-testing"
 *
 * const stubborn = MockCommandExecutor.scriptWith(
 *   { onSigterm: "ignore" },
 *   MockCommandExecutor.stderr("working"),
 *   MockCommandExecutor.never
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const scriptWith = (options: ScriptOptions, ...steps: ReadonlyArray<Step>): Script => ({ ...options, steps })

/**
 * A script of a command that cannot be started.
 *
 * @since 0.1.0
 * @category constructors
 */
export const spawnError = (error: PlatformError.PlatformError | PlatformError.SystemErrorReason): Script => ({
  spawnError: error,
  steps: []
})

/**
 * Writes to stdout. Waits while the pipe holds 64 KiB that nobody has read.
 *
 * @since 0.1.0
 * @category steps
 */
export const stdout = (content: Content): Step => Step.Stdout({ chunks: toChunks(content) })

/**
 * Writes to stderr. Waits while the pipe holds 64 KiB that nobody has read.
 *
 * @since 0.1.0
 * @category steps
 */
export const stderr = (content: Content): Step => Step.Stderr({ chunks: toChunks(content) })

/**
 * Writes values to stdout as JSON, one line and one chunk for each.
 *
 * @since 0.1.0
 * @category steps
 */
export const lines = (values: ReadonlyArray<unknown>): Step =>
  stdout(values.map((value) => `${JSON.stringify(value)}\n`))

/**
 * Sleeps on the clock of the fiber that started the process, which in a test is the `TestClock`.
 *
 * @since 0.1.0
 * @category steps
 */
export const sleep = (duration: Duration.DurationInput): Step => Step.Sleep({ duration })

/**
 * Waits until stdin has been closed, for ever if nobody closes it.
 *
 * @since 0.1.0
 * @category steps
 */
export const awaitStdin: Step = Step.AwaitStdin()

/**
 * Waits for an effect, such as `Deferred.await`, so that a test decides when the process goes on.
 *
 * @since 0.1.0
 * @category steps
 */
export const waitFor = (effect: Effect.Effect<void>): Step => Step.WaitFor({ effect })

/**
 * Goes on with steps that depend on the command as it is by then: behind {@link awaitStdin}, on what it was fed.
 *
 * @example
 * ```ts
 * import { MockCommandExecutor } from "effect-opencode-testing"
 *
 * const upperCase = MockCommandExecutor.script(
 *   MockCommandExecutor.awaitStdin,
 *   MockCommandExecutor.decide(({ stdin }) =>
 *     stdin === "" ? [MockCommandExecutor.exit(1)] : [MockCommandExecutor.stdout(stdin.toUpperCase())]
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category steps
 */
export const decide = (
  choose: (command: RecordedCommand) => ReadonlyArray<Step> | Effect.Effect<ReadonlyArray<Step>>
): Step => Step.Decide({ choose })

/**
 * Ends stdout while the process goes on.
 *
 * @since 0.1.0
 * @category steps
 */
export const closeStdout: Step = Step.CloseStdout()

/**
 * Ends the process with an exit code.
 *
 * @since 0.1.0
 * @category steps
 */
export const exit = (code: number): Step => Step.Exit({ code })

/**
 * Ends the process by a signal that somebody else has sent.
 *
 * @since 0.1.0
 * @category steps
 */
export const signal = (signal: CommandExecutor.Signal): Step => Step.Signal({ signal })

/**
 * Goes on for ever, until the process is killed.
 *
 * @since 0.1.0
 * @category steps
 */
export const never: Step = Step.Never()

/**
 * Cuts content into chunks of a number of bytes, also in the middle of a UTF-8 character.
 *
 * @example
 * ```ts
 * import { MockCommandExecutor } from "effect-opencode-testing"
 *
 * const byteByByte = MockCommandExecutor.stdout(MockCommandExecutor.chunked("größer", 1))
 * ```
 *
 * @since 0.1.0
 * @category utils
 */
export const chunked = (content: Content, size: number): ReadonlyArray<Uint8Array> => {
  const bytes = concat(toChunks(content))
  const width = Math.max(1, Math.floor(size))
  return Array.from(
    { length: Math.ceil(bytes.length / width) },
    (_, index) => bytes.slice(index * width, (index + 1) * width)
  )
}

// -----------------------------------------------------------------------------
// Records
// -----------------------------------------------------------------------------

/**
 * How far a command has come.
 *
 * @since 0.1.0
 * @category models
 */
export type ProcessState = Data.TaggedEnum<{
  /** `Command.start` failed. */
  readonly NotStarted: { readonly error: PlatformError.PlatformError }
  readonly Running: {}
  readonly Exited: { readonly code: number }
  readonly Signaled: { readonly signal: CommandExecutor.Signal }
  /** An effect of the script died. Whoever waits for the process dies with it. */
  readonly Crashed: { readonly cause: Cause.Cause<never> }
}>

/**
 * Constructors and matchers of `ProcessState`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ProcessState = Data.taggedEnum<ProcessState>()

/**
 * How much went through one of a process's output pipes.
 *
 * @since 0.1.0
 * @category models
 */
export interface PipeRecord {
  /**
   * Bytes that the process could write.
   */
  readonly bytesWritten: number
  /**
   * Bytes that were read. The difference was still in the pipe, or was lost with it.
   */
  readonly bytesRead: number
}

/**
 * A command as it was started, and what has happened to its process until the record was asked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordedCommand {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /**
   * The variables of the command itself, without those of the environment that it may extend.
   */
  readonly env: Readonly<Record<string, string>>
  /**
   * Whether the process would also have inherited the environment of its parent.
   */
  readonly extendEnv: boolean
  readonly cwd: string | undefined
  /**
   * `undefined` when the process was not started.
   */
  readonly pid: number | undefined
  /**
   * What has arrived on stdin so far.
   */
  readonly stdin: string
  readonly stdinEnded: boolean
  /**
   * The signals that reached the process while it ran, in order, also those that it ignored.
   */
  readonly signals: ReadonlyArray<CommandExecutor.Signal>
  readonly state: ProcessState
  readonly stdout: PipeRecord
  readonly stderr: PipeRecord
  /**
   * Bytes written to stdout and stderr together.
   */
  readonly bytesWritten: number
}

/**
 * What a test can ask the mock.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Every command that was started or could not be started, in order.
   */
  readonly commands: Effect.Effect<ReadonlyArray<RecordedCommand>>
  /**
   * The number of processes that have not ended.
   */
  readonly running: Effect.Effect<number>
}

/**
 * The records of a mock executor.
 *
 * @since 0.1.0
 * @category context
 */
export class MockCommandExecutor extends Context.Tag("effect-opencode-testing/MockCommandExecutor")<
  MockCommandExecutor,
  Service
>() {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * An executor that takes its scripts from a list, in the order in which processes are started, or from a
 * function of the command.
 *
 * A command beyond the end of the list cannot be started: `Command.start` fails with a `SystemError` that
 * names the program. In a pipeline of commands the last one is started first. Like Node's, this executor
 * loses what a process wrote before it ended when nobody has begun to read by the next turn of the event
 * loop. Closing the layer kills what still runs. The watchdog of `effect-opencode` needs no script and is not recorded.
 *
 * @example
 * ```ts
 * import { MockCommandExecutor } from "effect-opencode-testing"
 *
 * const inOrder = MockCommandExecutor.layer([
 *   MockCommandExecutor.script(MockCommandExecutor.stderr("locked"), MockCommandExecutor.exit(1)),
 *   MockCommandExecutor.script(MockCommandExecutor.stdout("done"))
 * ])
 *
 * const byCommand = MockCommandExecutor.layer((command) =>
 *   command.args.includes("--version")
 *     ? MockCommandExecutor.script(MockCommandExecutor.stdout("1.18.33\n"))
 *     : MockCommandExecutor.script(MockCommandExecutor.never)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  scripts:
    | ReadonlyArray<Script>
    | ((command: RecordedCommand) => Script | Effect.Effect<Script, PlatformError.PlatformError>)
): Layer.Layer<CommandExecutor.CommandExecutor | MockCommandExecutor> => {
  if (typeof scripts === "function") {
    return fromSelector((command) => {
      const selected = scripts(command)
      return Effect.isEffect(selected) ? selected : Effect.succeed(selected)
    })
  }
  return fromSelector((command, index) => {
    const selected = scripts[index]
    return selected === undefined
      ? Effect.fail(unscripted(command, `only ${scripts.length} were given`))
      : Effect.succeed(selected)
  })
}

/**
 * An executor that plays the first script whose predicate holds, every time that it holds.
 *
 * @example
 * ```ts
 * import { MockCommandExecutor } from "effect-opencode-testing"
 *
 * const layer = MockCommandExecutor.layerMatch([
 *   [(command) => command.command === "git", MockCommandExecutor.script(MockCommandExecutor.stdout("clean\n"))],
 *   [(command) => command.args.includes("run"), MockCommandExecutor.script(MockCommandExecutor.exit(1))]
 * ])
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMatch = (
  cases: ReadonlyArray<readonly [predicate: (command: RecordedCommand) => boolean, script: Script]>
): Layer.Layer<CommandExecutor.CommandExecutor | MockCommandExecutor> =>
  fromSelector((command) => {
    const found = cases.find(([predicate]) => predicate(command))
    return found === undefined
      ? Effect.fail(unscripted(command, `none of ${cases.length} predicates holds`))
      : Effect.succeed(found[1])
  })

// -----------------------------------------------------------------------------
// internal
// -----------------------------------------------------------------------------

type Ended = Extract<ProcessState, { readonly _tag: "Exited" | "Signaled" }>

/** Below this every number can be the id of a real process (Linux ends at 2^22). */
const firstPid = 2 ** 30

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

const toChunks = (content: Content): ReadonlyArray<Uint8Array> => {
  const parts = typeof content === "string" || content instanceof Uint8Array ? [content] : content
  return parts.map((part) => typeof part === "string" ? Utf8.encode(part) : part)
}

const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0))
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}

/** As Node's executor words it: the whole command line is in the error, secrets and all. */
const systemError = (
  entry: Entry,
  method: string,
  description: string,
  reason: PlatformError.SystemErrorReason = "Unknown"
): PlatformError.SystemError =>
  new PlatformError.SystemError({
    reason,
    module: "Command",
    method,
    description,
    pathOrDescriptor: `${entry.command.command} ${entry.command.args.join(" ")}`,
    cause: new Error(description)
  })

const unscripted = (command: RecordedCommand, why: string): PlatformError.SystemError =>
  new PlatformError.SystemError({
    reason: "Unknown",
    module: "Command",
    method: "spawn",
    description: `MockCommandExecutor has no script for this command: ${why}`,
    pathOrDescriptor: command.command
  })

const errnoCodes: Partial<Record<PlatformError.SystemErrorReason, string>> = {
  AlreadyExists: "EEXIST",
  BadResource: "ENOTDIR",
  Busy: "EBUSY",
  NotFound: "ENOENT",
  PermissionDenied: "EACCES"
}

/** A process, or a command that never became one. */
class Entry {
  readonly stdin: Array<Uint8Array> = []
  readonly stdinEnd = Effect.unsafeMakeLatch(false)
  readonly signals: Array<CommandExecutor.Signal> = []
  readonly stdout = new Pipe()
  readonly stderr = new Pipe()
  readonly ended = Deferred.unsafeMake<Ended>(FiberId.none)
  pid: number | undefined = undefined
  stdinEnded = false
  state: ProcessState = ProcessState.Running()
  script: Script = { steps: [] }
  fiber: Fiber.RuntimeFiber<void> | undefined = undefined

  constructor(readonly command: Command.StandardCommand) {}

  get isRunning(): boolean {
    return this.state._tag === "Running"
  }

  get record(): RecordedCommand {
    return {
      command: this.command.command,
      args: this.command.args,
      env: Object.fromEntries(HashMap.toEntries(this.command.env)),
      extendEnv: this.command.extendEnv,
      cwd: Option.getOrUndefined(this.command.cwd),
      pid: this.pid,
      stdin: Utf8.decode(concat(this.stdin)),
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
      Effect.zipRight(Effect.sync(() => {
        entry.stdout.discardUnread()
        entry.stderr.discardUnread()
      })),
      Effect.zipRight(outlives ?? Effect.void),
      Effect.ensuring(Effect.sync(() => entry.stdout.end())),
      Effect.interruptible,
      Effect.forkDaemon
    )
  })

const crash = (entry: Entry, cause: Cause.Cause<never>): Effect.Effect<void> =>
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

/** How the process has ended, `undefined` when there is no step left. */
const playSteps: (entry: Entry, steps: ReadonlyArray<Step>) => Effect.Effect<Ended | undefined> = Effect.fnUntraced(
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

const deliver = (entry: Entry, signal: CommandExecutor.Signal): Effect.Effect<void, PlatformError.PlatformError> =>
  Effect.suspend(() => {
    if (!entry.isRunning) {
      return Effect.fail(systemError(entry, "kill", "Failed to kill process"))
    }
    entry.signals.push(signal)
    if (notLethal.has(signal) || (signal === "SIGTERM" && entry.script.onSigterm === "ignore")) {
      return Effect.void
    }
    return Effect.zipRight(
      end(entry, ProcessState.Signaled({ signal })),
      Effect.sync(() => entry.fiber?.unsafeInterruptAsFork(FiberId.none))
    )
  })

const spawn = (entry: Entry, pid: number): Effect.Effect<void, PlatformError.PlatformError> =>
  Effect.suspend(() => {
    const error = entry.script.spawnError
    if (error !== undefined) {
      if (typeof error !== "string") {
        return Effect.fail(error)
      }
      return Effect.fail(
        systemError(entry, "spawn", `spawn ${entry.command.command} ${errnoCodes[error] ?? error}`, error)
      )
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

const toProcess = (entry: Entry, pid: number): CommandExecutor.Process => {
  const stdin: CommandExecutor.Process["stdin"] = entry.command.stdin === "inherit"
    ? Sink.drain
    : Sink.forEachChunk((chunk: Chunk.Chunk<Uint8Array>) =>
      Effect.suspend(() => {
        if (!entry.isRunning) {
          return Effect.fail(systemError(entry, "toWritable", "write EPIPE"))
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
            systemError(entry, "exitCode", `Process interrupted due to receipt of signal: ${ended.signal}`)
          )
    ),
    isRunning: Effect.sync(() => entry.isRunning),
    kill: (signal = "SIGTERM") => Effect.zipRight(deliver(entry, signal), Effect.asVoid(Deferred.await(entry.ended))),
    stdin,
    stdout: typeof stdout === "string" ? entry.stdout.stream : Stream.transduce(entry.stdout.stream, stdout),
    stderr: entry.stderr.stream,
    toJSON: () => ({ _id: "@effect/platform/CommandExecutor/Process", pid })
  }
}

const fromSelector = (
  select: (command: RecordedCommand, index: number) => Effect.Effect<Script, PlatformError.PlatformError>
): Layer.Layer<CommandExecutor.CommandExecutor | MockCommandExecutor> =>
  Layer.scopedContext(Effect.gen(function*() {
    const entries: Array<Entry> = []

    const start = (
      command: Command.StandardCommand,
      input: Command.Command.Input
    ): Effect.Effect<CommandExecutor.Process, PlatformError.PlatformError, Scope.Scope> =>
      Effect.suspend(() => {
        const entry = new Entry(command)
        const isHidden = isWatchdog(command)
        const index = isHidden ? -1 : entries.push(entry) - 1
        const pid = firstPid + index
        if (input === "inherit") {
          entry.endStdin()
        }
        if (command.stdout === "inherit") {
          entry.stdout.detach()
        }
        if (command.stderr === "inherit") {
          entry.stderr.detach()
        }
        const selected = isHidden ? Effect.succeed(script(stdout(nothingToWatch))) : select(entry.record, index)
        const acquire = selected.pipe(
          Effect.flatMap((script) => {
            entry.script = script
            return spawn(entry, pid)
          }),
          Effect.tapErrorCause((cause) =>
            Either.match(Cause.failureOrCause(cause), {
              onLeft: (error) =>
                Effect.sync(() => {
                  entry.state = ProcessState.NotStarted({ error })
                }),
              onRight: (defect) => crash(entry, defect)
            })
          )
        )
        const release = Effect.suspend(() =>
          entry.isRunning
            ? Effect.ignore(Effect.zipRight(deliver(entry, "SIGTERM"), Deferred.await(entry.ended)))
            : Effect.void
        )
        return Effect.acquireRelease(acquire, () => release).pipe(
          Effect.as(toProcess(entry, pid)),
          Effect.tap((process) =>
            typeof input === "string"
              ? Effect.void
              : Effect.forkDaemon(Effect.interruptible(Stream.run(input, process.stdin)))
          )
        )
      })

    const executor = CommandExecutor.makeExecutor((command) => {
      const [head, ...tail] = Command.flatten(command)
      return tail.reduce(
        (previous, next) =>
          start(started(next), Stream.unwrapScoped(Effect.map(previous, (process) => process.stdout))),
        start(started(head), head.stdin)
      )
    })

    yield* Effect.addFinalizer(() =>
      Effect.forEach(entries, (entry) => Effect.ignore(deliver(entry, "SIGKILL")), { discard: true })
    )

    return Context.make(CommandExecutor.CommandExecutor, executor).pipe(
      Context.add(MockCommandExecutor, {
        commands: Effect.sync(() => entries.map((entry) => entry.record)),
        running: Effect.sync(() => entries.filter((entry) => entry.isRunning).length)
      })
    )
  }))
