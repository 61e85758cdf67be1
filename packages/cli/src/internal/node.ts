/**
 * Where the program touches Node: its process, its streams, its signals, its web server.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import type * as HttpServer from "@effect/platform/HttpServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { tmpdir } from "node:os"
import * as ExitCode from "../ExitCode.js"
import { Host } from "../Host.js"
import * as Interrupt from "../Interrupt.js"

const stdin: Effect.Effect<string> = Effect.async((resume) => {
  const stream = process.stdin
  const pieces: Array<string> = []
  stream.setEncoding("utf8")
  stream.on("data", (piece) => pieces.push(String(piece)))
  stream.once("end", () => resume(Effect.succeed(pieces.join(""))))
  stream.once("error", (error) => resume(Effect.die(error)))
  return Effect.sync(() => stream.destroy())
})

const writeError = (text: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    process.stderr.write(text, () => resume(Effect.void))
  })

const host = Layer.sync(Host, () => ({
  args: process.argv.slice(2),
  stdinIsTerminal: process.stdin.isTTY === true,
  stdoutIsTerminal: process.stdout.isTTY === true,
  stderrIsTerminal: process.stderr.isTTY === true,
  columns: Effect.sync(() => process.stderr.columns ?? 80),
  stdin,
  writeError,
  environmentNames: Object.keys(process.env),
  temporaryDirectory: tmpdir(),
  platform: process.platform,
  nodeVersion: process.versions.node
}))

const isPipe = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "code" in error && error.code === "EPIPE"

/** The listeners stay until the process ends: without one a further signal would kill it while it ends its agents. */
const signals = Effect.gen(function*() {
  const queue = yield* Queue.unbounded<Interrupt.Signal>()
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => queue.unsafeOffer(signal))
  }
  process.stdout.on("error", (error) => {
    if (isPipe(error)) queue.unsafeOffer("SIGPIPE")
  })
  // A terminal that is closed takes no more; what there is to say is lost, and no reason to leave anything behind.
  process.stderr.on("error", () => undefined)
  return queue
})

/** A web server on a free port of the loopback address. Loaded when it is used: it is half of the program's start. */
export const httpServer: Layer.Layer<HttpServer.HttpServer> = Layer.unwrapEffect(
  Effect.promise(async () => {
    const [{ createServer }, NodeHttpServer] = await Promise.all([
      import("node:http"),
      import("@effect/platform-node/NodeHttpServer")
    ])
    return Layer.orDie(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
  })
)

/** Output to a pipe or a file may still be on its way. */
const flush = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.writableLength === 0 || stream.destroyed) resolve()
    else stream.write("", () => resolve())
  })

/** Runs the program and exits with its code when everything that it has started has ended. */
export const runMain = (
  program: Effect.Effect<number, never, NodeContext.NodeContext | Host | Interrupt.Interrupt>
) => {
  const services = Layer.mergeAll(NodeContext.layer, host, Layer.unwrapEffect(Effect.map(signals, Interrupt.layer)))
  const keepAlive = setInterval(() => undefined, 2 ** 31 - 1)
  const fiber = Effect.runFork(Effect.provide(program, services))
  fiber.addObserver((exit) => {
    clearInterval(keepAlive)
    void Promise.all([flush(process.stdout), flush(process.stderr)]).then(() => {
      process.exit(Exit.match(exit, { onFailure: () => ExitCode.failure, onSuccess: (code) => code }))
    })
  })
}
