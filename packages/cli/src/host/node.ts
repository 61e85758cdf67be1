/**
 * The surroundings of the program in Node: process, streams, signals, web server. Only this folder uses Node itself.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as HttpServer from "@effect/platform/HttpServer"
import * as StartupGate from "effect-opencode/StartupGate"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { availableParallelism, tmpdir } from "node:os"
import type { Writable } from "node:stream"
import * as ExitCode from "../ExitCode.js"
import { Host } from "./Host.js"
import * as Interrupt from "./Interrupt.js"

const stdin: Effect.Effect<Uint8Array> = Effect.async((resume) => {
  const stream = process.stdin
  const pieces: Array<Buffer> = []
  stream.on("data", (piece: Buffer) => pieces.push(piece))
  stream.once("end", () => resume(Effect.sync(() => Buffer.concat(pieces))))
  stream.once("error", (error) => resume(Effect.die(error)))
  return Effect.sync(() => stream.destroy())
})

const writeError = (text: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    process.stderr.write(text, () => resume(Effect.void))
  })

/** The environment of a Node process. */
export const host = Layer.sync(Host, () => ({
  args: process.argv.slice(2),
  stdinIsTerminal: process.stdin.isTTY === true,
  stdoutIsTerminal: process.stdout.isTTY === true,
  stderrIsTerminal: process.stderr.isTTY === true,
  columns: Effect.sync(() => process.stdout.columns ?? 80),
  stderrColumns: Effect.sync(() => process.stderr.columns ?? 80),
  stdin,
  writeError,
  environmentNames: Object.keys(process.env),
  temporaryDirectory: tmpdir(),
  platform: process.platform,
  nodeVersion: process.versions.node
}))

/** The number of processors. From version 21 on, the library can read it from Node itself. */
export const processors: Layer.Layer<never> = Layer.sync(StartupGate.Processors, availableParallelism)

const isPipe = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "code" in error && error.code === "EPIPE"

interface Emitter {
  on(event: string, listener: (value: unknown) => void): unknown
}

/** The part of a process that reports when to end. */
export interface Source extends Emitter {
  readonly stdout: Emitter
  readonly stderr: Emitter
}

/**
 * Listens until the process ends: without a listener, a further signal or an uncaught failure would kill the process
 * while it ends its agents.
 */
export const signals = (source: Source): Effect.Effect<Queue.Queue<Interrupt.Received>> =>
  Effect.gen(function*() {
    const queue = yield* Queue.unbounded<Interrupt.Received>()
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
      source.on(signal, () => queue.unsafeOffer(signal))
    }
    for (const event of ["uncaughtException", "unhandledRejection"] as const) {
      source.on(event, (cause) => queue.unsafeOffer(new Interrupt.CrashedError({ cause })))
    }
    source.stdout.on("error", (error) => {
      if (isPipe(error)) queue.unsafeOffer("SIGPIPE")
    })
    // A closed terminal accepts no output; the text is lost, but clean-up must still happen.
    source.stderr.on("error", () => undefined)
    return queue
  })

/** A web server on a free port of the loopback address. Loaded on use: it takes half of the program's start-up time. */
export const httpServer: Layer.Layer<HttpServer.HttpServer> = Layer.unwrapEffect(
  Effect.promise(async () => {
    const [{ createServer }, NodeHttpServer] = await Promise.all([
      import("node:http"),
      import("@effect/platform-node/NodeHttpServer")
    ])
    return Layer.orDie(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
  })
)

const flush = (stream: Writable): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (stream.writableLength === 0 || stream.destroyed) resume(Effect.void)
    else stream.write("", () => resume(Effect.void))
  })

/**
 * Waits until output to a pipe or a file has been read, or until a signal arrives: then the exit code is the signal's,
 * because output is missing.
 */
export const flushed = (
  streams: ReadonlyArray<Writable>,
  received: Queue.Dequeue<Interrupt.Received>,
  code: number
): Effect.Effect<number> =>
  Effect.raceFirst(
    Effect.as(Effect.forEach(streams, flush, { concurrency: "unbounded", discard: true }), code),
    Effect.map(
      Interrupt.next(received),
      (received) => typeof received === "string" ? ExitCode.ofSignal(received) : ExitCode.failure
    )
  )

/** Runs the program, and exits with its code after everything that it has started has ended. */
export const runMain = (
  program: Effect.Effect<number, never, NodeContext.NodeContext | Host | Interrupt.Interrupt>
) => {
  const keepAlive = setInterval(() => undefined, 2 ** 31 - 1)
  const fiber = Effect.runFork(Effect.gen(function*() {
    const received = yield* signals(process)
    const services = Layer.mergeAll(NodeContext.layer, host, processors, Interrupt.layer(received))
    const ended = yield* Effect.exit(Effect.provide(program, services))
    const code = Exit.getOrElse(ended, () => ExitCode.failure)
    return yield* flushed([process.stdout, process.stderr], received, code)
  }))
  fiber.addObserver((exit) => {
    clearInterval(keepAlive)
    process.exit(Exit.getOrElse(exit, () => ExitCode.failure))
  })
}
