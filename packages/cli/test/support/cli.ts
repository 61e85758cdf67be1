import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import { HostEnvironment } from "effect-opencode"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { counted } from "../../../core/test/support/settling.js"
import * as Cli from "../../src/Cli.js"
import { Host } from "../../src/host/Host.js"
import * as Interrupt from "../../src/host/Interrupt.js"

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Surroundings {
  /** Piped in; a terminal if missing. */
  readonly stdin?: string | Uint8Array | undefined
  readonly stdoutIsTerminal?: boolean | undefined
  readonly stderrIsTerminal?: boolean | undefined
  readonly env?: { readonly [name: string]: string } | undefined
  readonly temporaryDirectory?: string | undefined
  readonly executor?: Layer.Layer<CommandExecutor.CommandExecutor> | undefined
  /** Lists processes with `ps`, which a test can script, so that other processes of the machine do not matter. */
  readonly withoutProc?: boolean | undefined
  readonly signals?: Queue.Dequeue<Interrupt.Received> | undefined
}

/** The files of the machine, without its processes, which belong to no scripted run. */
const fileSystem = ({ executor, withoutProc }: Surroundings) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (base) =>
      counted({
        ...base,
        exists: (path) => withoutProc === true && path.startsWith("/proc/") ? Effect.succeed(false) : base.exists(path),
        readDirectory: (directory, options) =>
          executor !== undefined && directory === "/proc" ? Effect.succeed([]) : base.readDirectory(directory, options)
      }))
  )

/** Runs the program inside this process, with the arguments and the surroundings of a test. */
export const runCli = (args: ReadonlyArray<string>, surroundings: Surroundings = {}): Effect.Effect<Outcome> =>
  Effect.gen(function*() {
    const stdout: Array<string> = []
    const stderr: Array<string> = []
    const env = surroundings.env ?? {}
    const host = Layer.succeed(Host, {
      args,
      stdinIsTerminal: surroundings.stdin === undefined,
      stdoutIsTerminal: surroundings.stdoutIsTerminal ?? false,
      stderrIsTerminal: surroundings.stderrIsTerminal ?? false,
      columns: Effect.succeed(80),
      stderrColumns: Effect.succeed(80),
      stdin: Effect.sync(() => {
        const { stdin = "" } = surroundings
        return typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin
      }),
      writeError: (text) => Effect.sync(() => stderr.push(text)),
      environmentNames: Object.keys(env),
      temporaryDirectory: surroundings.temporaryDirectory ?? "/nowhere",
      platform: "linux",
      nodeVersion: "20.19.0"
    })
    const signals = surroundings.signals ?? (yield* Queue.unbounded<Interrupt.Received>())
    const machine = Layer.mergeAll(NodeContext.layer, host, Interrupt.layer(signals))
    const services = Layer.provideMerge(fileSystem(surroundings), machine)
    const code = yield* Console.consoleWith((console) =>
      Effect.withConsole(Cli.run, {
        ...console,
        log: (...values) => Effect.sync(() => stdout.push(`${values.join(" ")}\n`)),
        error: (...values) => Effect.sync(() => stderr.push(`${values.join(" ")}\n`)),
        // for loggers
        unsafe: { ...console.unsafe, error: (...values) => stderr.push(`${values.join(" ")}\n`) }
      })
    ).pipe(
      Effect.provide(
        surroundings.executor === undefined ? services : Layer.provideMerge(surroundings.executor, services)
      ),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))),
      Effect.provideService(HostEnvironment.HostEnvironment, HostEnvironment.fromVariables(env))
    )
    return { code, stdout: stdout.join(""), stderr: stderr.join("") }
  })
