import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import { assert } from "@effect/vitest"
import { HostEnvironment, OpenCode, StartupGate } from "effect-opencode"
import type { OpenCodeError } from "effect-opencode"
import { MockCommandExecutor as Mock } from "effect-opencode-testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as NodeFs from "node:fs"
import * as NodeOs from "node:os"
import * as NodePaths from "node:path"
import { counted, settle, turn } from "./settling.js"

export { settle, turn } from "./settling.js"

const envelope = { timestamp: 1_700_000_000_000, sessionID: "ses_1" }

export const stepStart = (messageID = "msg_1") => ({
  type: "step_start",
  ...envelope,
  part: { id: "prt_1", messageID, sessionID: "ses_1", type: "step-start" }
})

export const text = (text: string) => ({
  type: "text",
  ...envelope,
  part: { id: "prt_2", messageID: "msg_1", sessionID: "ses_1", type: "text", text, time: { start: 1, end: 2 } }
})

export const toolUse = (tool: string, state: { readonly [key: string]: unknown } = {}) => ({
  type: "tool_use",
  ...envelope,
  part: {
    id: "prt_3",
    callID: "call_1",
    messageID: "msg_1",
    sessionID: "ses_1",
    type: "tool",
    tool,
    state: { status: "completed", input: { path: "a.ts" }, output: "done", title: "a title", metadata: {}, ...state }
  }
})

export const stepFinish = (
  reason: string,
  spent: { readonly cost?: number; readonly input?: number; readonly output?: number } = {}
) => ({
  type: "step_finish",
  ...envelope,
  part: {
    id: "prt_4",
    messageID: "msg_1",
    sessionID: "ses_1",
    type: "step-finish",
    reason,
    cost: spent.cost ?? 0.25,
    tokens: {
      input: spent.input ?? 100,
      output: spent.output ?? 20,
      reasoning: 3,
      cache: { read: 5, write: 7 }
    }
  }
})

export const error = (name: string, data: { readonly [key: string]: unknown }) => ({
  type: "error",
  ...envelope,
  error: { name, data }
})

/** A conversation of one step. */
export const answer = (said: string) => [stepStart(), text(said), stepFinish("stop")]

/** A process that prints something and exits. */
export const answering = (said: string): Mock.Script => Mock.script(Mock.lines(answer(said)), Mock.exit(0))

/** A start-up crash of SQLite. */
export const locked = Mock.script(Mock.stderr("Error: Unexpected error\n\ndatabase is locked\n"), Mock.exit(1))

export interface FakeProcess {
  readonly ppid: number
  readonly pgid: number
  readonly environ?: (() => string) | undefined
  readonly cmdline?: (() => string) | undefined
  /** In ticks since the boot. */
  readonly started?: number | undefined
}

/** The first process of a mock executor has this pid; the next ones follow. */
export const firstPid = 2 ** 30

/** Real files below one directory that is removed with the test, and a process table that the test writes. */
export interface Machine {
  readonly root: string
  /** An executable file. */
  readonly binary: string
  /** The directory on `PATH`; `binary` is in it. */
  readonly bin: string
  readonly home: string
  /** The working directory. */
  readonly work: string
  /** Where temporary directories are made. */
  readonly tmp: string
  /** `/proc`, in addition to the processes of the mock. */
  readonly processes: Map<number, FakeProcess>
  /** How often each file was read. */
  readonly stats: Array<string>
  /** The temporary directories that were made. */
  readonly made: Array<string>
  /** The directories that were removed. */
  readonly removed: Array<string>
}

export const Machine = Context.GenericTag<Machine>("test/Machine")

const makeMachine = Effect.acquireRelease(
  Effect.sync((): Machine => {
    const root = NodeFs.realpathSync(NodeFs.mkdtempSync(NodePaths.join(NodeOs.tmpdir(), "effect-opencode-test-")))
    const directory = (name: string) => {
      NodeFs.mkdirSync(NodePaths.join(root, name), { recursive: true })
      return NodePaths.join(root, name)
    }
    const bin = directory("bin")
    const binary = NodePaths.join(bin, "opencode")
    NodeFs.writeFileSync(binary, "#!/bin/sh\nexit 1\n", { mode: 0o755 })
    return {
      root,
      bin,
      binary,
      home: directory("home"),
      work: directory("work"),
      tmp: directory("tmp"),
      processes: new Map(),
      stats: [],
      made: [],
      removed: []
    }
  }),
  ({ root }) => Effect.sync(() => NodeFs.rmSync(root, { recursive: true, force: true }))
)

const fileSystem = Layer.effect(
  FileSystem.FileSystem,
  Effect.gen(function*() {
    const machine = yield* Machine
    const base = yield* FileSystem.FileSystem
    const inProc = /^\/proc\/(\d+)\/(stat|environ|cmdline)$/
    return counted(FileSystem.FileSystem.of({
      ...base,
      makeTempDirectory: (options) =>
        Effect.tap(base.makeTempDirectory({ directory: machine.tmp, ...options }), (directory) => {
          machine.made.push(directory)
        }),
      makeTempDirectoryScoped: (options) => base.makeTempDirectoryScoped({ directory: machine.tmp, ...options }),
      stat: (file) => {
        machine.stats.push(file)
        return base.stat(file)
      },
      remove: (file, options) =>
        Effect.tap(base.remove(file, options), () => {
          machine.removed.push(file)
        }),
      exists: (file) => file === "/proc/self/stat" ? Effect.succeed(true) : base.exists(file),
      readLink: (file) => file === "/proc/self" ? Effect.succeed("4242") : base.readLink(file),
      readDirectory: (directory, options) =>
        directory === "/proc"
          ? Effect.sync(() => ["self", "meminfo", ...[...machine.processes.keys()].map(String)])
          : base.readDirectory(directory, options),
      readFile: (file) => {
        const match = inProc.exec(file)
        if (match === null) return base.readFile(file)
        return Effect.sync(() => {
          const found = machine.processes.get(Number(match[1]))
          if (found === undefined) return new Uint8Array()
          const files = {
            environ: () => found.environ?.() ?? "",
            cmdline: () => found.cmdline?.() ?? "a\0command\0",
            stat: () =>
              `${match[1]} (a (strange) name) S ${found.ppid} ${found.pgid} ${found.pgid} 0 -1 ${"0 ".repeat(13)}${
                found.started ?? 100
              }`
          }
          return new TextEncoder().encode(files[match[2] as keyof typeof files]())
        })
      }
    }))
  })
).pipe(Layer.provide(NodeFileSystem.layer))

const path = Layer.effect(
  Path.Path,
  Effect.gen(function*() {
    const { work } = yield* Machine
    const base = yield* Path.Path
    return Path.Path.of({ ...base, resolve: (...segments) => base.resolve(work, ...segments) })
  })
).pipe(Layer.provide(NodePath.layer))

type Scripts = Parameters<typeof Mock.layer>[0]

export type Platform = CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path

/** Replacements for functions of a file system, given the original. */
export type Files = Partial<FileSystem.FileSystem> | ((base: FileSystem.FileSystem) => Partial<FileSystem.FileSystem>)

/** Everything except the service: the mock, the machine and its environment variables. */
export const platform = (
  scripts: Scripts,
  env: (machine: Machine) => { readonly [name: string]: string } = () => ({}),
  files: Files = {}
): Layer.Layer<Platform | Mock.MockCommandExecutor | Machine> => {
  const environment = Layer.effect(
    HostEnvironment.HostEnvironment,
    Effect.map(Machine, (machine) =>
      Effect.succeed({
        variables: { HOME: machine.home, PATH: machine.bin, ...env(machine) },
        mainFile: `${machine.work}/main.js`
      }))
  )
  const changed = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(
      FileSystem.FileSystem,
      (base) => FileSystem.FileSystem.of({ ...base, ...(typeof files === "function" ? files(base) : files) })
    )
  ).pipe(Layer.provide(fileSystem))
  return Layer.mergeAll(Mock.layer(scripts), changed, path, environment).pipe(
    Layer.provideMerge(Layer.scoped(Machine, makeMachine))
  )
}

/** The service over scripted processes: its binary exists, and its version is known. */
export const layer = (
  scripts: Scripts,
  options: OpenCode.Options | ((machine: Machine) => OpenCode.Options) = {},
  env?: (machine: Machine) => { readonly [name: string]: string },
  // Unknown: a test must not depend on the machine's number of processors.
  processors?: number,
  files?: Files
): Layer.Layer<OpenCode.OpenCode | Platform | Mock.MockCommandExecutor | Machine> =>
  Layer.unwrapEffect(
    Effect.map(Machine, (machine) =>
      OpenCode.layer({
        binary: machine.binary,
        version: "1.18.33",
        ...(typeof options === "function" ? options(machine) : options)
      }))
  ).pipe(
    Layer.provide(Layer.succeed(StartupGate.Processors, processors)),
    Layer.provideMerge(platform(scripts, env, files))
  )

/** The same over a file system with replaced functions. */
export const layerOf = (files: Files, scripts: Scripts, options?: Parameters<typeof layer>[1]) =>
  layer(scripts, options, undefined, undefined, files)

export const commands = Effect.flatMap(Mock.MockCommandExecutor, (mock) => mock.commands)

export const command = (index: number) =>
  Effect.map(commands, (all) => {
    const found = all[index]
    if (found === undefined) throw new Error(`there is no command ${index}, only ${all.length}`)
    return found
  })

/** The only command that was started. */
export const only = Effect.flatMap(commands, (all) => {
  assert.strictEqual(all.length, 1, "the number of commands")
  return command(0)
})

/** Waits for a state that the program reaches by itself; gives up a minute before the test would. */
export const until = <R>(what: string, reached: Effect.Effect<boolean, never, R>): Effect.Effect<void, never, R> =>
  Effect.suspend(() => {
    const deadline = performance.now() + 120_000
    const again: Effect.Effect<void, never, R> = Effect.flatMap(reached, (isReached) =>
      isReached
        ? Effect.void
        : performance.now() > deadline
        ? Effect.dieMessage(`never reached: ${what}`)
        : Effect.andThen(turn, again))
    return again
  })

export const untilStarted = (count: number) =>
  until(`${count} commands`, Effect.map(commands, (all) => all.length >= count))

/** Waits until this many attempts have their directories: only the gate is left before their start. */
export const untilMade = (count: number) =>
  Effect.andThen(
    Effect.flatMap(Machine, ({ made }) => until(`${count} directories`, Effect.sync(() => made.length >= count))),
    settle
  )

export const untilSignals = (index: number, ...signals: ReadonlyArray<string>) =>
  until(
    `signals ${signals.join(", ")} to command ${index}`,
    Effect.map(commands, (all) => all[index] !== undefined && all[index].signals.join() === signals.join())
  )

/**
 * Goes on to a time of the TestClock. Everything happens until then that happens, in its order: what the test starts, and
 * whatever the program sleeps for meanwhile.
 */
export const advanceTo = (at: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* settle
    const next = Math.min(at, ...yield* TestClock.sleeps())
    yield* TestClock.setTime(next)
    if (next < at) return yield* advanceTo(at)
    yield* settle
  })

/** Goes on by a duration. */
export const advance = (duration: Duration.DurationInput): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => advanceTo(now + Duration.toMillis(duration)))

/** The outcome of a fiber: goes on from sleep to sleep until it is there. */
export const advanceUntil = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<A, E> => {
  const deadline = performance.now() + 120_000
  const step: Effect.Effect<A, E> = Effect.gen(function*() {
    yield* settle
    if (yield* isDone(fiber)) return yield* Fiber.join(fiber)
    if (performance.now() > deadline) return yield* Effect.dieMessage("the fiber never ends")
    const next = Math.min(...yield* TestClock.sleeps())
    if (next < Infinity) yield* TestClock.setTime(next)
    return yield* step
  })
  return step
}

/** Waits until this many processes were started and have ended, and their directories are gone. */
export const untilOver = (count: number) =>
  Effect.flatMap(Machine, ({ removed }) =>
    until(
      `${count} attempts that are over`,
      Effect.map(commands, (all) => all.length === count && removed.length === count)
    )).pipe(Effect.andThen(settle))

export const isDone = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) => Effect.map(fiber.poll, (exit) => exit._tag === "Some")

/** No process runs, and no directory is left. */
export const expectClean = Effect.gen(function*() {
  const { tmp } = yield* Machine
  const mock = yield* Mock.MockCommandExecutor
  assert.strictEqual(yield* mock.running, 0, "processes that still run")
  assert.deepStrictEqual(NodeFs.readdirSync(tmp), [], "directories that are left")
})

type Tagged<Tag extends OpenCodeError.OpenCodeError["_tag"]> = Extract<
  OpenCodeError.OpenCodeError,
  { readonly _tag: Tag }
>

/** The error of an effect that must fail with this tag. */
export const failsWith =
  <Tag extends OpenCodeError.OpenCodeError["_tag"]>(tag: Tag) =>
  <A, R>(effect: Effect.Effect<A, OpenCodeError.OpenCodeError, R>): Effect.Effect<Tagged<Tag>, never, R> =>
    Effect.matchEffect(effect, {
      onSuccess: (value) => Effect.dieMessage(`${tag} was expected, but it succeeded with ${JSON.stringify(value)}`),
      onFailure: (error) =>
        error._tag === tag
          ? Effect.succeed(error as Tagged<Tag>)
          : Effect.dieMessage(`${tag} was expected, but it failed with ${error._tag}: ${error.message}`)
    })
