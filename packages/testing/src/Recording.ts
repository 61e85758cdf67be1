/**
 * Recordings of real runs: the output of their processes, recorded once and replayed in tests.
 *
 * {@link record} wraps a program's `CommandExecutor` and writes a file for each OpenCode process. {@link replay} is a
 * `CommandExecutor` that plays such files, at once or with their recorded timing. The program is the same in both
 * cases.
 *
 * Secrets are masked before anything is written: the values given as `redact`, values of environment variables and
 * OpenCode configuration with secret names (`apiKey`, `TOKEN`, …), and everything that looks like a secret (`Bearer …`,
 * `sk-…`, private keys). The environment itself is never written. Output of the model and of tools is written
 * unchanged: review a recording before you publish it.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { OpenCodeTest, Recording } from "effect-opencode-testing"
 * import { Layer } from "effect"
 *
 * // once, with the real binary
 * const recording = OpenCode.layer().pipe(
 *   Layer.provide(Recording.record({ directory: "test/transcripts" })),
 *   Layer.provide(NodeContext.layer)
 * )
 *
 * // in the tests
 * const replaying = OpenCodeTest.layerExecutor().pipe(
 *   Layer.provide(Recording.replay("test/transcripts")),
 *   Layer.provide(NodeContext.layer)
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Redaction from "effect-opencode/Redaction"
import * as RunConfig from "effect-opencode/RunConfig"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Line, Lines } from "./internal/lines.js"
import * as Quote from "./internal/quote.js"
import { withDefault } from "./internal/schemas.js"
import { started } from "./internal/started.js"
import * as unscripted from "./internal/unscripted.js"
import * as Utf8 from "./internal/utf8.js"
import * as MockCommandExecutor from "./MockCommandExecutor.js"

const at = { at: Schema.Number }

const Output = Schema.Struct({
  ...at,
  type: Schema.Literal("stdout", "stderr"),
  line: Schema.String,
  /** True if the line ended with a line feed. */
  ended: withDefault(Schema.Boolean, () => true)
})

/**
 * One line of a file. `at` is in milliseconds since the process was started.
 *
 * - `process`: the first line; `command` without its directory
 * - `stdin`: the complete input of the process
 * - `stdout`, `stderr`: a line that it printed
 * - `signal`: a signal that the program sent to it
 * - `exit`: its end, with a code or by a signal
 *
 * @since 0.1.0
 * @category schemas
 */
export const Entry = Schema.Union(
  Schema.Struct({
    type: Schema.Literal("process"),
    format: Schema.Literal(1),
    startedAt: Schema.Number,
    command: Schema.String,
    args: Schema.Array(Schema.String)
  }),
  Schema.Struct({ ...at, type: Schema.Literal("stdin"), text: Schema.String }),
  Output,
  Schema.Struct({ ...at, type: Schema.Literal("signal"), signal: Schema.String }),
  Schema.Struct({
    ...at,
    type: Schema.Literal("exit"),
    code: Schema.optional(Schema.Number),
    signal: Schema.optional(Schema.String)
  })
)

/**
 * @since 0.1.0
 * @category models
 */
export type Entry = typeof Entry.Type

/**
 * The input and output of one process.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recording {
  /** The file, or another distinct name. */
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly entries: ReadonlyArray<Entry>
}

/**
 * A file is not a valid recording.
 *
 * @since 0.1.0
 * @category errors
 */
export class RecordingError extends Schema.TaggedError<RecordingError>("effect-opencode-testing/RecordingError")(
  "RecordingError",
  {
    file: Schema.String,
    /** From 1; 0 for the file as a whole. */
    line: Schema.Number,
    reason: Schema.String
  }
) {
  override get message(): string {
    return `${this.file}${this.line === 0 ? "" : `:${this.line}`} is not a recording: ${this.reason}`
  }
}

/**
 * The prompt of a recording: the input of the process, or else the argument after `--`.
 *
 * @since 0.1.0
 * @category getters
 */
export const prompt = (recording: Recording): string =>
  promptOf(recording.args, recording.entries.map((entry) => entry.type === "stdin" ? entry.text : "").join(""))

const promptOf = (args: ReadonlyArray<string>, stdin: string): string => {
  const separator = args.indexOf("--")
  // A line feed alone releases a process that has its prompt in the arguments.
  return (stdin !== "" && stdin !== "\n") || separator < 0 ? stdin : args.slice(separator + 1).join(" ")
}

const decodeEntry = Schema.decodeUnknownOption(Schema.parseJson(Entry))
const encodeEntry = Schema.encodeSync(Entry)

const parse = (file: string, text: string): Effect.Effect<Recording, RecordingError> =>
  Effect.gen(function*() {
    const lines = text.split("\n")
    // A killed recorder leaves half a line.
    const whole = lines.slice(0, -1)
    const entries: Array<Entry> = []
    for (const [index, line] of whole.entries()) {
      const entry = decodeEntry(line)
      if (Option.isNone(entry)) {
        return yield* new RecordingError({ file, line: index + 1, reason: "the line is not a valid entry of format 1" })
      }
      entries.push(entry.value)
    }
    const first = entries[0]
    if (first?.type !== "process") {
      return yield* new RecordingError({ file, line: 0, reason: "it does not begin with a `process` entry" })
    }
    const { args, command, startedAt } = first
    return { name: file, command, args, startedAt, entries: entries.slice(1) }
  })

/**
 * Reads every recording (`*.jsonl`) of a directory, in order of the process starts.
 *
 * @since 0.1.0
 * @category loading
 */
export const load: (
  directory: string
) => Effect.Effect<
  ReadonlyArray<Recording>,
  RecordingError | PlatformError.PlatformError,
  FileSystem.FileSystem | Path.Path
> = Effect.fnUntraced(function*(directory: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = (yield* fileSystem.readDirectory(directory)).filter((name) => name.endsWith(".jsonl")).sort()
  const recordings = yield* Effect.forEach(names, (name) => {
    const file = path.join(directory, name)
    return Effect.flatMap(fileSystem.readFileString(file), (text) => parse(file, text))
  })
  // by name if the times are equal: files of one recorder are numbered
  return recordings.sort((a, b) => a.startedAt - b.startedAt)
})

/**
 * @since 0.1.0
 * @category models
 */
export interface RecordOptions {
  /** The directory of the files, created if needed. */
  readonly directory: string
  /**
   * Values that must not be in a file. Variables and settings with secret names, and everything `Redacted` in
   * `RunConfig.withRunConfig`, are masked by default; a `Redacted` in the options of a single run is not, unless it has
   * a secret name.
   */
  readonly redact?: ReadonlyArray<string | Redacted.Redacted> | undefined
  /** Which commands are recorded. Default: `run`, `models` and `--version` of any program. */
  readonly include?: ((command: Command.StandardCommand) => boolean) | undefined
}

/**
 * Records the output of a program's processes, one file for each, without changing it. A file that cannot be written is
 * logged as a warning, and the run continues.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCode } from "effect-opencode"
 * import { Recording } from "effect-opencode-testing"
 * import { Layer, Redacted } from "effect"
 *
 * const layer = OpenCode.layer().pipe(
 *   Layer.provide(Recording.record({
 *     directory: "transcripts",
 *     redact: [Redacted.make("a customer's name")]
 *   })),
 *   Layer.provide(NodeContext.layer)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const record = (
  options: RecordOptions
): Layer.Layer<
  CommandExecutor.CommandExecutor,
  PlatformError.PlatformError,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
> =>
  Layer.effect(
    CommandExecutor.CommandExecutor,
    Effect.gen(function*() {
      const inner = yield* CommandExecutor.CommandExecutor
      const fileSystem = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const include = options.include ?? isOpenCode
      const given = secretsIn(options.redact)
      yield* fileSystem.makeDirectory(options.directory, { recursive: true })
      let files = 0
      const known = (config: RunConfig.RunConfig) =>
        Redaction.ofRun(config).pipe(
          Effect.provideService(FileSystem.FileSystem, fileSystem),
          Effect.provideService(Path.Path, path)
        )

      /** Creates a new file with a unique name. */
      const create = (startedAt: number): Effect.Effect<FileSystem.File, PlatformError.PlatformError, Scope.Scope> =>
        Effect.suspend(() => {
          const moment = new Date(startedAt).toISOString().replace(/[:.]/g, "-")
          const name = `${moment}-${String(++files).padStart(4, "0")}.jsonl`
          return Effect.catchIf(
            fileSystem.open(path.join(options.directory, name), { flag: "wx", mode: 0o600 }),
            (error) => error._tag === "SystemError" && error.reason === "AlreadyExists",
            () => create(startedAt)
          )
        })

      return CommandExecutor.makeExecutor((command) => {
        if (command._tag !== "StandardCommand") return inner.start(command)
        const program = started(command)
        if (!include(program)) return inner.start(command)
        return Effect.gen(function*() {
          const startedAt = yield* Clock.currentTimeMillis
          // before the process starts, because a pipe that is not read at once can lose its content
          const file = yield* Effect.option(Effect.tapError(create(startedAt), warn))
          if (Option.isNone(file)) return yield* inner.start(command)
          const cleaner = Redaction.make([
            ...given,
            ...Redaction.secretsOf(yield* RunConfig.CurrentRunConfig),
            ...(yield* known({ extraEnv: Object.fromEntries(HashMap.toEntries(command.env)) }))
          ])
          return yield* recorded(inner, command, yield* makeLog(file.value, startedAt), cleaner, {
            type: "process",
            format: 1,
            startedAt,
            command: path.basename(program.command),
            args: program.args.map(cleaner.text)
          })
        })
      })
    })
  )

/** Values that are secrets whatever their names. */
const secretsIn = (values: ReadonlyArray<string | Redacted.Redacted> = []): ReadonlyArray<string> =>
  Redaction.secretsOf(values.map((value) => typeof value === "string" ? Redacted.make(value) : value))

const isOpenCode = ({ args }: Command.StandardCommand): boolean =>
  args[0] === "run" || (args.length === 1 && (args[0] === "--version" || args[0] === "models"))

const warn = (error: PlatformError.PlatformError): Effect.Effect<void> =>
  Effect.logWarning(`Recording.record cannot write: ${error.message}`)

interface Log {
  /** Milliseconds since the start. */
  readonly now: () => number
  readonly write: (entries: ReadonlyArray<Entry>) => Effect.Effect<void>
}

const makeLog = Effect.fnUntraced(function*(file: FileSystem.File, startedAt: number) {
  const clock = yield* Effect.clock
  const lock = yield* Effect.makeSemaphore(1)
  let isBroken = false
  const log: Log = {
    now: () => clock.unsafeCurrentTimeMillis() - startedAt,
    write: (entries) =>
      entries.length === 0 || isBroken ?
        Effect.void :
        Effect.suspend(() =>
          file.writeAll(Utf8.encode(entries.map((entry) => `${JSON.stringify(encodeEntry(entry))}\n`).join("")))
        ).pipe(
          Effect.catchAll((error) => {
            isBroken = true
            return warn(error)
          }),
          lock.withPermits(1)
        )
  }
  return log
})

const recorded = Effect.fnUntraced(function*(
  inner: CommandExecutor.CommandExecutor,
  command: Command.StandardCommand,
  log: Log,
  cleaner: Redaction.Redactor,
  first: Entry
) {
  yield* log.write([first])

  const input = command.stdin
  const fed = typeof input === "string"
    ? command
    : Command.stdin(
      command,
      Stream.suspend(() => {
        const lines = new Lines()
        const pieces: Array<Line> = []
        let isWritten = false
        const write = Effect.suspend(() => {
          if (isWritten) return Effect.void
          isWritten = true
          pieces.push(...lines.flush())
          const text = pieces.map((line) => line.ended ? `${line.text}\n` : line.text).join("")
          return text === "" ? Effect.void : log.write([{ type: "stdin", at: log.now(), text: cleaner.text(text) }])
        })
        return input.pipe(
          Stream.mapChunks((chunk) => {
            for (const bytes of chunk) pieces.push(...lines.push(bytes))
            return chunk
          }),
          // before the process sees the end of its input, and even if it never does
          Stream.concat(Stream.execute(write)),
          Stream.ensuring(write)
        )
      })
    )

  // Registered before the process is started, so that it runs after the process has ended.
  const running: { process?: CommandExecutor.Process } = {}
  const written = yield* Deferred.make<void>()
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() =>
      running.process === undefined ? Effect.void : Effect.flatMap(
        Effect.orElseSucceed(running.process.isRunning, () => true),
        (isRunning) => isRunning ? Effect.void : Deferred.await(written)
      )
    )
  )
  const process = yield* inner.start(fed)
  running.process = process

  yield* process.exitCode.pipe(
    Effect.matchCauseEffect({
      onSuccess: (code) => log.write([{ type: "exit", at: log.now(), code }]),
      onFailure: (cause) => {
        const signal = /signal: (SIG[A-Z0-9]+)/.exec(String(cause))?.[1]
        return signal === undefined ? Effect.void : log.write([{ type: "exit", at: log.now(), signal }])
      }
    }),
    Effect.ensuring(Deferred.succeed(written, undefined)),
    Effect.interruptible,
    Effect.forkDaemon
  )
  const signaled = (signal: string) => Effect.suspend(() => log.write([{ type: "signal", at: log.now(), signal }]))
  // The executor ends running processes when the scope closes.
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(
      Effect.orElseSucceed(process.isRunning, () => false),
      (isRunning) => isRunning ? signaled("SIGTERM") : Effect.void
    )
  )

  const tapped = (
    type: "stdout" | "stderr",
    stream: Stream.Stream<Uint8Array, PlatformError.PlatformError>
  ): Stream.Stream<Uint8Array, PlatformError.PlatformError> =>
    Stream.suspend(() => {
      const lines = new Lines()
      const clean = cleaner.lines()
      const write = (found: ReadonlyArray<Line>) => {
        const at = log.now()
        return log.write(found.map(({ ended, text }) => ({ type, at, line: clean(text), ended })))
      }
      return stream.pipe(
        Stream.mapChunksEffect((chunk) =>
          Effect.as(write(Chunk.toReadonlyArray(chunk).flatMap((bytes) => lines.push(bytes))), chunk)
        ),
        Stream.ensuring(Effect.suspend(() => write(lines.flush())))
      )
    })

  const result: CommandExecutor.Process = Object.assign(Object.create(Object.getPrototypeOf(process)), process, {
    stdout: tapped("stdout", process.stdout),
    stderr: tapped("stderr", process.stderr),
    kill: (signal?: CommandExecutor.Signal) => Effect.andThen(signaled(signal ?? "SIGTERM"), process.kill(signal))
  })
  return result
})

/**
 * @since 0.1.0
 * @category models
 */
export interface ReplayOptions {
  /**
   * `"at-once"`: without any waiting. `"recorded"`: every line and the end at its recorded time, by the `Clock`, which
   * in a test is the `TestClock`. Default: `"at-once"`.
   */
  readonly timing?: "at-once" | "recorded" | undefined
  /** The values that were given to {@link record}, if a prompt contains one. */
  readonly redact?: ReadonlyArray<string | Redacted.Redacted> | undefined
}

/**
 * An executor that replays recordings, of a directory or from a list.
 *
 * A run gets the recording of the same prompt, preferably with the same arguments and not yet played; every other
 * command gets the one with the same arguments. A command without a recording prints the request and the available
 * recordings on stderr and exits with 64, which the library reports as an `OpenCodeProcessError` with that message. A
 * process that the program had to end keeps running until it is ended again.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { OpenCodeTest, Recording } from "effect-opencode-testing"
 * import { Layer } from "effect"
 *
 * const layer = OpenCodeTest.layerExecutor({ defaults: { timeout: "10 minutes" } }).pipe(
 *   Layer.provide(Recording.replay("test/transcripts", { timing: "recorded" })),
 *   Layer.provide(NodeContext.layer)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const replay: {
  (
    directory: string,
    options?: ReplayOptions
  ): Layer.Layer<
    CommandExecutor.CommandExecutor | MockCommandExecutor.MockCommandExecutor,
    RecordingError | PlatformError.PlatformError,
    FileSystem.FileSystem | Path.Path
  >
  (
    recordings: ReadonlyArray<Recording>,
    options?: ReplayOptions
  ): Layer.Layer<CommandExecutor.CommandExecutor | MockCommandExecutor.MockCommandExecutor>
} = (source: string | ReadonlyArray<Recording>, options?: ReplayOptions): any =>
  typeof source === "string"
    ? Layer.unwrapEffect(Effect.map(load(source), (recordings) => player(recordings, options)))
    : player(source, options)

const player = (recordings: ReadonlyArray<Recording>, options: ReplayOptions | undefined) =>
  Layer.suspend(() => {
    const played = new Set<Recording>()
    const given = secretsIn(options?.redact)

    /** Takes the best matching recording. */
    const take = (fitting: ReadonlyArray<Recording>, args: ReadonlyArray<string>): Recording | undefined => {
      const same = fitting.filter((recording) => String(recording.args) === String(args))
      const best = same.find((recording) => !played.has(recording)) ??
        fitting.find((recording) => !played.has(recording)) ?? same.at(-1) ?? fitting.at(-1)
      if (best !== undefined) played.add(best)
      return best
    }

    const choose = (command: MockCommandExecutor.RecordedCommand): ReadonlyArray<MockCommandExecutor.Step> => {
      const cleaner = Redaction.make([...given, ...Redaction.secretsOf(command.env)])
      const args = command.args.map(cleaner.text)
      const isRun = args[0] === "run"
      const asked = promptOf(command.args, command.stdin)
      const clean = cleaner.text(asked)
      const found = take(
        isRun
          ? recordings.filter((recording) =>
            recording.args[0] === "run" && (prompt(recording) === asked || prompt(recording) === clean)
          )
          : recordings.filter((recording) => String(recording.args) === String(args)),
        args
      )
      if (found !== undefined) return stepsOf(found, options?.timing ?? "at-once")
      return unscripted.script(
        isRun
          ? `Recording.replay has no recording of the prompt ${Quote.beginning(clean)} (${args.join(" ")}). ${
            Quote.there("Recorded prompts", recordings.filter(({ args }) => args[0] === "run").map(prompt))
          }`
          : `Recording.replay has no recording of the command ${Quote.beginning(args.join(" "))}. ${
            Quote.there("Recorded commands", recordings.map((recording) => recording.args.join(" ")))
          }`
      ).steps
    }

    return MockCommandExecutor.layer((command) =>
      command.args[0] === "run"
        ? MockCommandExecutor.script(MockCommandExecutor.awaitStdin, MockCommandExecutor.decide(choose))
        : MockCommandExecutor.script(...choose(command))
    )
  })

const isOutput = Schema.is(Schema.typeSchema(Output))

const stepsOf = (
  { entries }: Recording,
  timing: "at-once" | "recorded"
): ReadonlyArray<MockCommandExecutor.Step> => {
  const steps: Array<MockCommandExecutor.Step> = []
  let time = 0
  const until = (at: number) => {
    if (timing === "recorded" && at > time) {
      steps.push(MockCommandExecutor.sleep(at - time))
      time = at
    }
  }
  const signaled = entries.find((entry) => entry.type === "signal")
  const exit = entries.find((entry) => entry.type === "exit")
  for (const { at, ended, line, type } of entries.filter(isOutput).sort((a, b) => a.at - b.at)) {
    until(at)
    steps.push(MockCommandExecutor[type](ended ? `${line}\n` : line))
  }
  // The recording does not show if it would have ended by itself, so it runs until it is ended.
  if (exit === undefined || (signaled !== undefined && signaled.at <= exit.at)) {
    return [...steps, MockCommandExecutor.never]
  }
  until(exit.at)
  return [
    ...steps,
    exit.signal === undefined
      ? MockCommandExecutor.exit(exit.code ?? 0)
      : MockCommandExecutor.signal(exit.signal as CommandExecutor.Signal)
  ]
}
