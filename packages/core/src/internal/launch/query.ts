import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { OpenCodeProcessError } from "../../OpenCodeError.js"
import type { QueryError } from "../../OpenCodeError.js"
import * as dialects from "../opencode/dialects.js"
import * as redact from "../opencode/redact.js"
import * as runSnapshot from "../opencode/runSnapshot.js"
import * as drain from "../process/drain.js"
import type { Wrap } from "../process/program.js"
import * as spawn from "../process/spawn.js"
import * as wholeStdin from "../process/wholeStdin.js"
import * as ansi from "../util/ansi.js"
import * as limits from "../util/limits.js"
import * as lineSplitter from "../util/lines.js"
import * as tail from "../util/tail.js"
import * as environment from "./environment.js"
import type { Launcher } from "./launcher.js"
import * as sandbox from "./sandbox.js"

/** The time limit of a query to the binary. */
const patience = Duration.minutes(1)

/** In bytes. OpenCode does not print longer lines. */
const maxLine = 1024 * 1024

/** In bytes. The largest answers are exports of long sessions, which go through a file. */
const limitOf = (throughFile: boolean): number => (throughFile ? 256 : 16) * 1024 * 1024

export type Services = Omit<Launcher, "release">

export interface Options {
  readonly cwd?: string | undefined
  /** The variables of the child. Default: those of an isolated run with the client's defaults. */
  readonly env?: { readonly [name: string]: string } | undefined
  /** Lets the shell write the output to a file, because OpenCode's `export` can be cut off at 64 KiB in a pipe. */
  readonly throughFile?: boolean | undefined
}

/** Runs `opencode` for its output: no prompt, no events. Fails unless it exits with code 0. */
export const make = (
  client: Services,
  args: ReadonlyArray<string>,
  options?: Options
): Effect.Effect<string, QueryError> =>
  Effect.scoped(Effect.gen(function*() {
    const clock = yield* Effect.clock
    const before = clock.unsafeCurrentTimeMillis()
    const binary = yield* client.binary
    const cwd = options?.cwd ?? client.path.resolve(".")
    const env = options?.env ?? (yield* environment.make(client, dialects.unversioned, client.defaults, cwd)).env
    const file = options?.throughFile === true && client.path.sep === "/"
      ? yield* Effect.option(client.fileSystem.makeTempFileScoped({ prefix: client.leash.prefix }))
      : Option.none<string>()
    const maxOutput = limitOf(Option.isSome(file))
    const id = `query-${args[0]}`
    const contain = yield* sandbox.wrap(client, {
      binary,
      cwd,
      env,
      work: undefined,
      files: [],
      config: client.defaults,
      isolation: client.isolation
    })
    // The file is opened outside, because a sandbox may hide it.
    const wrap: Wrap = (program, cwd) => {
      const wrapped = contain(program, cwd)
      return Option.match(file, {
        onNone: () => wrapped,
        onSome: (file) => ({
          ...wrapped,
          binary: wholeStdin.shell,
          invocation: {
            ...wrapped.invocation,
            args: ["-c", "exec \"$@\" > \"$0\"", file, wrapped.binary, ...wrapped.invocation.args]
          }
        })
      })
    }
    const redactor = redact.make(yield* environment.secrets(client, client.defaults, client.isolation))
    const running = yield* spawn.start(client.executor, client.table, {
      binary,
      invocation: { args, env: { ...env, PWD: cwd }, stdin: "" },
      wrap,
      cwd,
      extendEnv: client.environment.extend,
      // Nothing that this starts outlives it, so the mark is never searched for.
      marker: `effect-opencode ${id}`,
      forceKillAfter: client.forceKillAfter
    })
    const stderr = tail.ofLines(limits.kept, redactor.lines())
    const lines = lineSplitter.make(maxLine)
    const keep = (found: ReadonlyArray<lineSplitter.Line>): void => {
      for (const line of found) {
        stderr.push(typeof line === "string" ? ansi.strip(line) : `[a line of ${line.tooLong} bytes]`)
      }
    }
    const stdout: Array<string> = []
    let size = 0
    let reads = 0
    let isBroken = false
    const fork = <E>(reader: Effect.Effect<void, E>) =>
      Effect.fork(Effect.onError(reader, (cause) =>
        Effect.sync(() => {
          isBroken ||= !Cause.isInterrupted(cause)
        })))
    const readers = yield* Effect.all([
      fork(Stream.runForEach(
        Stream.decodeText(Stream.tap(running.stdout, (bytes) => {
          reads++
          size += bytes.length
          return size > maxOutput ? Effect.fail("too much") : Effect.void
        })),
        (text) => Effect.sync(() => stdout.push(text))
      )),
      fork(Stream.runForEach(running.stderr, (bytes) =>
        Effect.sync(() => {
          reads++
          keep(lines.push(bytes))
        })))
    ])
    const isInTime = Option.isSome(
      yield* Effect.raceFirst(
        // A process closes its pipes before it exits: a signal in between would replace its exit code.
        Effect.andThen(Fiber.joinAll(readers), running.exit),
        running.exit
      ).pipe(
        // Something else can hold the pipes of a process that has exited.
        Effect.andThen(drain.until(readers, { reads: () => reads, isReading: () => true })),
        Effect.ignore,
        Effect.timeoutOption(patience)
      )
    )
    keep(lines.flush())
    const survivors = yield* running.terminate()
    const exit = yield* Effect.map(
      Effect.timeoutOption(running.exit, survivors.length > 0 ? Duration.zero : patience),
      Option.getOrElse((): spawn.ProcessExit => ({ _tag: "Lost" }))
    )
    if (Option.isSome(file) && size <= maxOutput) {
      size = yield* client.fileSystem.stat(file.value).pipe(
        Effect.map((info) => Number(info.size)),
        Effect.orElseSucceed(() => 0)
      )
    }
    if (isInTime && !isBroken && size <= maxOutput && exit._tag === "Code" && exit.code === 0) {
      return Option.isNone(file)
        ? stdout.join("")
        : yield* Effect.orElseSucceed(client.fileSystem.readFileString(file.value), () => "")
    }
    const partial = runSnapshot.make({
      runId: id,
      cwd,
      stderr: redactor.text(stderr.read()),
      duration: Duration.millis(clock.unsafeCurrentTimeMillis() - before),
      survivors
    })
    return yield* new OpenCodeProcessError({
      exitCode: exit._tag === "Code" ? exit.code : undefined,
      signal: exit._tag === "Signal" ? exit.signal : undefined,
      hint: !isInTime
        ? `\`opencode ${args.join(" ")}\` did not answer within ${Duration.format(patience)}`
        : size > maxOutput
        ? `\`opencode ${args.join(" ")}\` printed more than ${maxOutput / 1024 / 1024} MiB`
        : isBroken
        ? `the output of \`opencode ${args.join(" ")}\` could not be read to its end`
        : undefined,
      partial
    })
  }))
