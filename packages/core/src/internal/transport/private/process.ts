import type * as HttpClient from "@effect/platform/HttpClient"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { OpenCodeServerError } from "../../../OpenCodeError.js"
import type { OpenCodeSpawnError } from "../../../OpenCodeError.js"
import type { Launcher } from "../../launch/launcher.js"
import type { Dialect } from "../../opencode/dialect.js"
import type { PrivateServer } from "../../opencode/privateServer.js"
import { variableNames } from "../../opencode/variables.js"
import type * as verdicts from "../../opencode/verdict.js"
import * as drain from "../../process/drain.js"
import type { Wrap } from "../../process/program.js"
import * as readLines from "../../process/readLines.js"
import * as spawn from "../../process/spawn.js"
import * as ansi from "../../util/ansi.js"
import * as inTime from "../../util/inTime.js"
import * as limits from "../../util/limits.js"
import type * as lineSplitter from "../../util/lines.js"
import * as connections from "./connection.js"
import type { Connection } from "./connection.js"
import type { Ended, Server } from "./lease.js"

/** OpenCode's code when a SIGINT or a SIGTERM has ended it (2.0.14). */
const signalled = 130

/** How long a server may take until it answers: eight at once took 47 s on two processors (2.0.14). */
const startPatience = Duration.minutes(3)

export interface Options {
  readonly client: Launcher
  readonly httpClient: HttpClient.HttpClient
  readonly dialect: Dialect
  readonly protocol: PrivateServer
  readonly binary: string
  readonly cwd: string
  /** The id in the environment of the process. */
  readonly marker: string
  /** This program, if another one can use the same marker. */
  readonly program?: string | undefined
  /** What the process is started by. */
  readonly wrap: Wrap
  /** Without the password. */
  readonly env: { readonly [name: string]: string }
  readonly password: Redacted.Redacted
  /** Masks secrets in the server's replies. */
  readonly redact: (text: string) => string
}

/** Receives the lines of stderr and a call for every chunk of output. */
export interface Output extends drain.Progress {
  readonly push: (line: string) => void
  readonly read: () => void
}

/** A server in a process of our own. */
export interface Process extends Server {
  readonly pid: number
  readonly isConnected: () => boolean
  readonly ownStderr: () => string
  /** Ends the process and what it has started, and reads its pipes to their ends. */
  readonly end: (options: { readonly force: boolean }) => Effect.Effect<Ended>
}

const toExit = (exit: spawn.ProcessExit): verdicts.Exit =>
  exit._tag === "Code" && exit.code === signalled ? { _tag: "Signal", signal: undefined } : exit

/** Starts a server that ends with its stdin, and so at the latest with us. */
export const start = (
  { client, dialect, httpClient, protocol, ...options }: Options,
  output: Output
): Effect.Effect<Process, OpenCodeSpawnError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const listening = yield* Deferred.make<string>()
    const connected = yield* Deferred.make<Connection>()
    const refused = yield* Deferred.make<string>()
    let dropped: string | undefined
    let isConnected = false
    let said: string | undefined
    const facts = dialect.stderr(limits.kept)
    const running = yield* spawn.start(client.executor, client.table, {
      binary: options.binary,
      cwd: options.cwd,
      invocation: {
        args: protocol.args,
        env: { ...options.env, [variableNames.password]: Redacted.value(options.password) },
        stdin: ""
      },
      wrap: options.wrap,
      holdStdin: true,
      extendEnv: client.environment.extend,
      marker: options.marker,
      program: options.program,
      limit: client.limitMark.next(),
      forceKillAfter: client.forceKillAfter
    })
    const onStdout = (line: lineSplitter.Line): void => {
      const url = typeof line === "string" ? protocol.address(line) : undefined
      if (url !== undefined) Deferred.unsafeDone(listening, Effect.succeed(url))
      else if (typeof line === "string") said ??= line
    }
    const onStderr = (line: lineSplitter.Line): void => {
      const text = typeof line === "string" ? ansi.strip(line) : `[a line of ${line.tooLong} bytes]`
      output.push(text)
      facts.lines([text], true)
      const path = protocol.dropped(text)
      if (path === undefined || dropped !== undefined) return
      dropped = path
      Deferred.unsafeDone(refused, Effect.succeed(path))
    }
    const pumps = [
      yield* Effect.forkIn(readLines.toEnd(running.stdout, onStdout, output.read), scope),
      yield* Effect.forkIn(readLines.toEnd(running.stderr, onStderr, output.read), scope)
    ]
    // What it has said last explains why it has ended.
    const exit = Effect.andThen(
      running.exit,
      Effect.andThen(Effect.timeoutOption(Fiber.joinAll(pumps), drain.patience), Effect.map(running.exit, toExit))
    )
    yield* Deferred.await(listening).pipe(
      Effect.flatMap((url) =>
        connections.open(protocol, {
          httpClient,
          url,
          password: options.password,
          redact: options.redact,
          gone: (lost) => Effect.as(exit, lost("the server has ended"))
        })
      ),
      Effect.flatMap((connection) => {
        isConnected = true
        return Deferred.succeed(connected, connection)
      }),
      Effect.forkIn(scope)
    )
    return {
      protocol,
      pid: running.pid,
      connection: inTime.orFail(startPatience, () =>
        said === undefined
          ? new OpenCodeServerError({ reason: "start-timeout", stderr: "" })
          : new OpenCodeServerError({
            reason: "unexpected-reply",
            detail: `instead of its address it printed ${options.redact(said).slice(0, 200)}`,
            stderr: ""
          }))(Deferred.await(connected)),
      isConnected: () => isConnected,
      exit,
      hasExited: running.hasExited,
      dropped: () => dropped,
      onDropped: Deferred.await(refused),
      ownStderr: facts.own,
      end: (how) =>
        Effect.gen(function*() {
          const survivors = yield* running.terminate(how)
          yield* drain.until(pumps, output)
          return { survivors, ownStderr: facts.own() }
        })
    }
  })
