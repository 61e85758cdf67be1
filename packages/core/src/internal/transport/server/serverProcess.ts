import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Isolation } from "../../../Isolation.js"
import { OpenCodeConfigError, OpenCodeServerError } from "../../../OpenCodeError.js"
import type { OpenCodeSpawnError } from "../../../OpenCodeError.js"
import type { RunConfig } from "../../../RunConfig.js"
import * as environment from "../../launch/environment.js"
import type { Launcher } from "../../launch/launcher.js"
import * as sandbox from "../../launch/sandbox.js"
import * as check from "../../opencode/check.js"
import type { Dialect, Server } from "../../opencode/dialect.js"
import * as redact from "../../opencode/redact.js"
import * as drain from "../../process/drain.js"
import * as processList from "../../process/list.js"
import * as marks from "../../process/marks.js"
import * as owners from "../../process/owner.js"
import * as readLines from "../../process/readLines.js"
import * as spawn from "../../process/spawn.js"
import * as table from "../../process/table.js"
import * as ansi from "../../util/ansi.js"
import * as inTime from "../../util/inTime.js"
import * as limits from "../../util/limits.js"
import type * as lineSplitter from "../../util/lines.js"
import * as tail from "../../util/tail.js"
import * as credentials from "./credentials.js"
import * as orphanedServers from "./orphanedServers.js"

export interface Services extends
  Pick<
    Launcher,
    | "executor"
    | "fileSystem"
    | "path"
    | "table"
    | "environment"
    | "forceKillAfter"
    | "leash"
    | "limitMark"
    | "sandboxing"
    | "wrap"
  >
{
  /** The password of all servers, which is masked in the output of their tools. */
  readonly password: Redacted.Redacted
}

/** The settings that are fixed while a server runs. */
export interface Spec {
  /** A hash of all other settings: equal keys share a server. */
  readonly key: string
  readonly binary: string
  /** The directory of the process, and the default for requests. */
  readonly cwd: string
  /** Further arguments of `opencode serve`. */
  readonly args: ReadonlyArray<string>
  /** The source of the environment: configuration content, variables, credentials. */
  readonly config: RunConfig
  readonly isolation: Isolation
  readonly dialect: ServerDialect
}

/** The dialect of a binary that has a server. */
export interface ServerDialect extends Dialect {
  readonly server: Server
}

/** A server process that listens. */
export interface Started {
  readonly pid: number
  readonly url: string
  /** Masks the server's secrets in a text. */
  readonly redact: (text: string) => string
  readonly isRunning: Effect.Effect<boolean>
  /** Returns the error for the process when it has ended. */
  readonly exited: Effect.Effect<OpenCodeServerError>
  /** The path of a part of our configuration that the server has dropped. */
  readonly dropped: () => string | undefined
  /** Returns that path when the server drops one. */
  readonly onDropped: Effect.Effect<string>
}

/**
 * Chooses a random port below those that systems use for outgoing connections. By default OpenCode uses 4096 whenever
 * it is free (1.18.33), so successive servers would share an address, and requests for the earlier one would reach the
 * later one: Node's `fetch` sends the first requests over connections that died with the earlier one.
 */
const port: Effect.Effect<number> = Random.nextIntBetween(16_384, 32_768)

const exitOf = (exit: spawn.ProcessExit) => ({
  exitCode: exit._tag === "Code" ? exit.code : undefined,
  signal: exit._tag === "Signal" ? exit.signal : undefined
})

/**
 * Starts `opencode serve` and waits until it listens. When the scope closes it is ended, with its descendants,
 * gracefully, then by force. The password is only in its environment, where its tools can read it.
 */
export const start = (
  services: Services,
  spec: Spec,
  around: environment.ProcessEnvironment,
  options: { readonly startTimeout: Duration.Duration }
): Effect.Effect<Started, OpenCodeConfigError | OpenCodeServerError | OpenCodeSpawnError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const { password } = services
    const { privateServer, server } = spec.dialect
    const id = yield* credentials.id
    const owner = yield* processList.self(services)
    if (owner !== undefined) {
      yield* orphanedServers.end(services, owner, around.temporary)
      yield* orphanedServers.note(services, around.temporary, { owner: owners.format(owner) })
    }
    const invocation = {
      args: server.args({ port: yield* port, more: spec.args }),
      env: {
        ...around.env,
        ...(yield* marks.variables(table.variable, id)),
        ...(owner === undefined ? {} : { [orphanedServers.variable]: owners.format(owner) }),
        ...server.credentials(credentials.username, Redacted.value(password))
      },
      stdin: ""
    }
    const problem = check.invocation(invocation)
    if (Option.isSome(problem)) return yield* new OpenCodeConfigError(problem.value)

    const wrap = yield* sandbox.wrap(services, {
      binary: spec.binary,
      cwd: spec.cwd,
      env: invocation.env,
      work: spec.cwd,
      files: [],
      config: spec.config,
      isolation: spec.isolation
    })
    const secrets = yield* environment.secrets(services, spec.config, spec.isolation)
    const redactor = redact.make([...secrets, Redacted.value(password)])
    const clean = redactor.text
    const printed = tail.ofLines(limits.kept, redactor.lines())
    const ready = yield* Deferred.make<string>()
    let url: string | undefined

    const failure = (reason: OpenCodeServerError["reason"], more: Partial<OpenCodeServerError> = {}) =>
      new OpenCodeServerError({
        reason,
        url,
        detail: more.detail,
        exitCode: more.exitCode,
        signal: more.signal,
        stderr: clean(printed.read())
      })

    const running = yield* spawn.start(services.executor, services.table, {
      binary: spec.binary,
      cwd: spec.cwd,
      invocation,
      wrap,
      holdStdin: server.endsWithInput,
      extendEnv: services.environment.extend,
      marker: id,
      limit: services.limitMark.next(),
      forceKillAfter: services.forceKillAfter
    })
    const refused = yield* Deferred.make<string>()
    let dropped: string | undefined
    const keep = (line: lineSplitter.Line): void => {
      const text = typeof line === "string" ? ansi.strip(line) : `[a line of ${line.tooLong} bytes]`
      printed.push(text)
      const path = privateServer?.dropped(text)
      if (path === undefined || dropped !== undefined) return
      dropped = path
      Deferred.unsafeDone(refused, Effect.succeed(path))
    }
    const stdout = yield* readLines.toEnd(running.stdout, (line) => {
      // Its later output there does not matter.
      if (url !== undefined) return
      url = typeof line === "string" ? server.address(line) : undefined
      if (url === undefined) return keep(line)
      Deferred.unsafeDone(ready, Effect.succeed(url))
    }).pipe(Effect.forkIn(scope))
    const stderr = yield* Effect.forkIn(readLines.toEnd(running.stderr, keep), scope)

    const ended = Effect.gen(function*() {
      const exit = yield* running.exit
      yield* Effect.timeoutOption(Fiber.joinAll([stdout, stderr]), drain.patience)
      return exitOf(exit)
    })
    const address = yield* Deferred.await(ready).pipe(
      Effect.raceFirst(Effect.flatMap(ended, (exit) => failure("start-failed", exit))),
      inTime.orFail(
        options.startTimeout,
        () => failure("start-timeout", { detail: `not within ${Duration.format(options.startTimeout)}` })
      ),
      Effect.withSpan("OpenCode.server.start")
    )
    return {
      pid: running.pid,
      url: address,
      redact: clean,
      // Finalizers use this, too, where a timeout waits for what cannot be interrupted.
      isRunning: Effect.map(Effect.timeoutOption(Effect.interruptible(running.exit), Duration.zero), Option.isNone),
      exited: Effect.map(ended, (exit) => failure("exited", exit)),
      dropped: () => dropped,
      onDropped: Deferred.await(refused)
    }
  })
