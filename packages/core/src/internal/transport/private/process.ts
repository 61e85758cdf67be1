import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { OpenCodeSpawnError } from "../../../OpenCodeError.js"
import type { Launcher } from "../../launch/launcher.js"
import type { Dialect } from "../../opencode/dialect.js"
import type { PrivateServer } from "../../opencode/privateServer.js"
import type * as verdicts from "../../opencode/verdict.js"
import * as drain from "../../process/drain.js"
import * as readLines from "../../process/readLines.js"
import * as spawn from "../../process/spawn.js"
import type { Sink } from "../../run/transport.js"
import * as ansi from "../../util/ansi.js"
import * as limits from "../../util/limits.js"
import type * as lineSplitter from "../../util/lines.js"

/** OpenCode's code when a SIGINT or a SIGTERM has ended it (2.0.14). */
const signalled = 130

export interface Options {
  readonly binary: string
  readonly cwd: string
  readonly runId: string
  /** This program, if another one can use the run's id. */
  readonly program?: string | undefined
  readonly env: { readonly [name: string]: string }
}

/** The server of one attempt. */
export interface Process {
  readonly pid: number
  /** Returns the address when the server listens. */
  readonly url: Effect.Effect<string>
  /** Returns when the process has ended. */
  readonly exit: Effect.Effect<verdicts.Exit>
  readonly hasExited: Effect.Effect<boolean>
  /** The path of a part of our configuration that the server has dropped. */
  readonly dropped: () => string | undefined
  /** Returns that path when the server drops one. */
  readonly onDropped: Effect.Effect<string>
  /** Ends the process and what it has started, and reads its pipes to their ends. */
  readonly end: (options: { readonly force: boolean }) => Effect.Effect<{
    readonly survivors: ReadonlyArray<number>
    readonly ownStderr: string
  }>
}

const toExit = (exit: spawn.ProcessExit): verdicts.Exit =>
  exit._tag === "Code" && exit.code === signalled ? { _tag: "Signal", signal: undefined } : exit

/** Starts a server that ends with its stdin, and so at the latest with us. */
export const start = (
  client: Launcher,
  dialect: Dialect,
  server: PrivateServer,
  options: Options,
  sink: Pick<Sink, "stderr"> & { readonly watchdog: Pick<Sink["watchdog"], "read" | "reads" | "isReading"> }
): Effect.Effect<Process, OpenCodeSpawnError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const ready = yield* Deferred.make<string>()
    const refused = yield* Deferred.make<string>()
    let dropped: string | undefined
    const facts = dialect.stderr(limits.kept)
    const running = yield* spawn.start(client.executor, client.table, {
      binary: options.binary,
      cwd: options.cwd,
      invocation: { args: server.args, env: options.env, stdin: "" },
      holdStdin: true,
      extendEnv: client.environment.extend,
      marker: options.runId,
      program: options.program,
      limit: client.limitMark.next(),
      forceKillAfter: client.forceKillAfter
    })
    const onStdout = (line: lineSplitter.Line): void => {
      const url = typeof line === "string" ? server.address(line) : undefined
      if (url !== undefined) Deferred.unsafeDone(ready, Effect.succeed(url))
    }
    const onStderr = (line: lineSplitter.Line): void => {
      const text = typeof line === "string" ? ansi.strip(line) : `[a line of ${line.tooLong} bytes]`
      sink.stderr.push(text)
      facts.lines([text], true)
      const path = server.dropped(text)
      if (path === undefined || dropped !== undefined) return
      dropped = path
      Deferred.unsafeDone(refused, Effect.succeed(path))
    }
    const pumps = [
      yield* Effect.forkIn(readLines.toEnd(running.stdout, onStdout, sink.watchdog.read), scope),
      yield* Effect.forkIn(readLines.toEnd(running.stderr, onStderr, sink.watchdog.read), scope)
    ]
    return {
      pid: running.pid,
      url: Deferred.await(ready),
      // What it has said last explains why it has ended.
      exit: Effect.andThen(
        running.exit,
        Effect.andThen(Effect.timeoutOption(Fiber.joinAll(pumps), drain.patience), Effect.map(running.exit, toExit))
      ),
      hasExited: running.hasExited,
      dropped: () => dropped,
      onDropped: Deferred.await(refused),
      end: (how) =>
        Effect.gen(function*() {
          const survivors = yield* running.terminate(how)
          yield* drain.until(pumps, sink.watchdog)
          return { survivors, ownStderr: facts.own() }
        })
    }
  })
