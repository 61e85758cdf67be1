/**
 * A `CommandExecutor` whose processes are scripts, for tests of any program that uses `@effect/platform/Command`.
 *
 * A script defines what a process does: what it writes and where the chunks end, how long it sleeps on the test clock,
 * when it waits for its input, how it ends and if it obeys SIGTERM. Every process runs on its own fiber and behaves
 * like a process of Node's, traps included, so that a program that forgets to close the input, to drain stderr or to
 * escalate a kill hangs here as in production. Starts, input and signals are recorded.
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
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as contents from "./internal/mockProcess/content.js"
import * as errors from "./internal/mockProcess/errors.js"
import * as executors from "./internal/mockProcess/executor.js"
import * as processes from "./internal/mockProcess/process.js"

/**
 * One action of a scripted process.
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
 * What a process writes: text, bytes, or a list of either, in which each member is a separate chunk.
 *
 * @since 0.1.0
 * @category models
 */
export type Content = string | Uint8Array | ReadonlyArray<string | Uint8Array>

/**
 * The script of one process, as data.
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
 * The options of a script besides its steps.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScriptOptions {
  /** Fails `Command.start` with this error, or with Node's system error for this reason. No step runs. */
  readonly spawnError?: PlatformError.PlatformError | PlatformError.SystemErrorReason | undefined
  /** What SIGTERM does to the process; SIGKILL always ends it. Default: `"die"`. */
  readonly onSigterm?: "die" | "ignore" | undefined
  /**
   * Keeps stdout open after the process has ended, until this effect is done, like a grandchild that inherited the
   * pipe. Signals do not reach it.
   */
  readonly stdoutOutlivesProcess?: Effect.Effect<void> | undefined
}

/**
 * Makes a script of these steps.
 *
 * @since 0.1.0
 * @category constructors
 */
export const script = (...steps: ReadonlyArray<Step>): Script => ({ steps })

/**
 * Makes a script of these steps whose process ignores SIGTERM, keeps stdout open after its end, or cannot be started.
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
 * Makes a script of a command that cannot be started.
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
export const stdout = (content: Content): Step => Step.Stdout({ chunks: contents.toChunks(content) })

/**
 * Writes to stderr. Waits while the pipe holds 64 KiB that nobody has read.
 *
 * @since 0.1.0
 * @category steps
 */
export const stderr = (content: Content): Step => Step.Stderr({ chunks: contents.toChunks(content) })

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
 * Waits until stdin has been closed, possibly for ever.
 *
 * @since 0.1.0
 * @category steps
 */
export const awaitStdin: Step = Step.AwaitStdin()

/**
 * Waits for an effect, such as `Deferred.await`, so that a test decides when the process continues.
 *
 * @since 0.1.0
 * @category steps
 */
export const waitFor = (effect: Effect.Effect<void>): Step => Step.WaitFor({ effect })

/**
 * Continues with steps that depend on the current record of the command: after {@link awaitStdin}, on its input.
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
 * Ends stdout while the process keeps running.
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
 * Ends the process by a signal from outside.
 *
 * @since 0.1.0
 * @category steps
 */
export const signal = (signal: CommandExecutor.Signal): Step => Step.Signal({ signal })

/**
 * Keeps the process running until it is killed.
 *
 * @since 0.1.0
 * @category steps
 */
export const never: Step = Step.Never()

/**
 * Cuts content into chunks of this many bytes, also in the middle of a UTF-8 character.
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
  const bytes = contents.concat(contents.toChunks(content))
  const width = Math.max(1, Math.floor(size))
  return Array.from(
    { length: Math.ceil(bytes.length / width) },
    (_, index) => bytes.slice(index * width, (index + 1) * width)
  )
}

/**
 * The state of a command.
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
  /** An effect of the script died. Effects that wait for the process die with it. */
  readonly Crashed: { readonly cause: Cause.Cause<never> }
}>

/**
 * Constructors and matchers of `ProcessState`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ProcessState = processes.ProcessState

/**
 * The bytes that went through an output pipe of a process.
 *
 * @since 0.1.0
 * @category models
 */
export interface PipeRecord {
  /** Bytes that the process has written. */
  readonly bytesWritten: number
  /**
   * Bytes that were read. The difference was still in the pipe, or was lost with it.
   */
  readonly bytesRead: number
}

/**
 * A started command, and what has happened to its process so far.
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
  /** True if the process would also have inherited its parent's environment. */
  readonly extendEnv: boolean
  readonly cwd: string | undefined
  /** `undefined` if the process was not started. */
  readonly pid: number | undefined
  /**
   * What has arrived on stdin so far.
   */
  readonly stdin: string
  readonly stdinEnded: boolean
  /** The signals that reached the running process, in order, including ignored ones. */
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
 * The records of a mock executor.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Every command, in order, including those that could not be started. */
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

/**
 * An executor that takes its scripts from a list, in order of the starts, or from a function of the command.
 *
 * A command beyond the end of the list cannot be started: `Command.start` fails with a `SystemError` that
 * names the program. In a pipeline of commands the last one is started first. Like Node's, this executor
 * loses what a process wrote before it ended when nobody has begun to read by the next turn of the event
 * loop. Closing the layer kills what still runs. The watchdog of `effect-opencode`, and its attempt to
 * make a process namespace (`containment`), need no script and are not recorded.
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
      ? Effect.fail(errors.unscripted(command, `only ${scripts.length} were given`))
      : Effect.succeed(selected)
  })
}

/**
 * An executor that plays the first script whose predicate matches, every time.
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
      ? Effect.fail(errors.unscripted(command, `none of ${cases.length} predicates matches`))
      : Effect.succeed(found[1])
  })

const fromSelector = (select: executors.Select): Layer.Layer<CommandExecutor.CommandExecutor | MockCommandExecutor> =>
  Layer.scopedContext(
    Effect.map(
      executors.make(select),
      ({ executor, records }) =>
        Context.make(CommandExecutor.CommandExecutor, executor).pipe(Context.add(MockCommandExecutor, records))
    )
  )
