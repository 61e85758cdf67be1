import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as HostEnvironment from "../../HostEnvironment.js"
import * as inTime from "../util/inTime.js"
import * as systemError from "../util/systemError.js"
import * as leashScript from "./leashScript.js"
import * as orphans from "./orphans.js"
import type { Owner } from "./owner.js"
import * as owners from "./owner.js"
import * as table from "./table.js"

/** Ties processes and temporary directories to the life of this program. */
export interface Leash {
  /** The first characters of the names of temporary directories, by which they are found after the program's death. */
  readonly prefix: string
  /**
   * Makes sure that the watchdog runs. Called before anything is started or made that must end with the program. Never
   * fails: without a watchdog a run still works, and a warning says what is missing.
   */
  readonly fasten: Effect.Effect<void>
  /** This program, for those who find its processes after it has died; `undefined` if it cannot be told from others. */
  readonly program: Effect.Effect<Owner | undefined>
  /** Names a further directory in which temporary directories are going to be made. */
  readonly watch: (parent: string) => Effect.Effect<void>
}

interface Services {
  readonly executor: CommandExecutor.CommandExecutor
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
}

/** The first characters of the names of all temporary directories. */
const prefix = "effect-opencode-"

/** A leash that ties nothing. */
export const none = (program: Effect.Effect<Owner | undefined>): Leash => ({
  prefix,
  program,
  fasten: Effect.void,
  watch: () => Effect.void
})

/** How long the watchdog's start may take; usual are 5 milliseconds. */
const patience = Duration.seconds(10)

/** The start of a process does not go by the clock of a test. */
const kernelClock = Clock.make()

/** Not `Random`: two programs with the same seed would remove each other's directories. */
const token = Effect.sync(() => Encoding.encodeHex(globalThis.crypto.getRandomValues(new Uint8Array(6))))

const encoder = new TextEncoder()

/** Where temporary directories are made, as Node finds it. */
const temporary = Effect.map(
  HostEnvironment.facts,
  ({ variables }) => (variables["TMPDIR"] || variables["TMP"] || variables["TEMP"] || "/tmp").replace(/(.)\/+$/, "$1")
)

/**
 * A watchdog inside a run carries the marks of the run around it, which ends it if need be, and nothing else of our
 * environment: no secrets.
 */
const environment = Effect.map(HostEnvironment.facts, ({ variables }) =>
  Object.fromEntries(
    ["PATH", table.variable, orphans.variable].flatMap((name) => {
      const value = variables[name]
      return value === undefined ? [] : [[name, value]]
    })
  ))

/** The open end of the pipe, and whether it still has a reader. */
interface Watchdog {
  /** The parent of its first process: this program. */
  readonly pid: number
  readonly tell: (line: string) => Effect.Effect<boolean>
}

/**
 * Starts the watchdog and opens the pipe to it. The pipe is a named one, so that this program holds a file descriptor
 * and nothing that keeps its event loop alive: a program whose work is done exits, even if it never closes its layers.
 * The descriptor is closed in every child (`O_CLOEXEC`). Once both ends are open the name is removed.
 */
const start = (
  { executor, fileSystem }: Services,
  arguments_: ReadonlyArray<string>,
  parent: string
): Effect.Effect<Watchdog, string, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const opened = yield* Deferred.make<void>()
    const command = Command.make("/bin/sh", "-c", leashScript.script, leashScript.name, ...arguments_).pipe(
      Command.env(yield* environment, { extendEnv: false }),
      Command.stdin(Stream.concat(
        Stream.succeed(encoder.encode(`${parent}\n`)),
        Stream.execute(Deferred.await(opened))
      ))
    )
    return yield* Effect.scoped(
      Effect.gen(function*() {
        const process = yield* executor.start(command)
        const line = yield* Stream.runHead(Stream.splitLines(Stream.decodeText(process.stdout)))
        if (Option.isNone(line)) return yield* Effect.fail(`no pipe could be made in ${parent}`)
        // A scripted executor has nothing to watch.
        if (line.value === leashScript.nothingToWatch) return { pid: 0, tell: () => Effect.succeed(true) }
        const [pid, name] = [Number.parseInt(line.value, 10), line.value.slice(line.value.indexOf(" ") + 1)]
        // `w` would write at a position, which a pipe does not have.
        const pipe = yield* Scope.extend(fileSystem.open(name, { flag: "a" }), scope)
        yield* fileSystem.remove(name)
        yield* Deferred.succeed(opened, undefined)
        yield* process.exitCode
        return { pid, tell: (line: string) => Effect.isSuccess(pipe.writeAll(encoder.encode(`${line}\n`))) }
      }).pipe(Effect.ensuring(Deferred.succeed(opened, undefined)))
    )
  }).pipe(Effect.mapError((error) => typeof error === "string" ? error : systemError.describe(error)))

/** The watchdog of a program, which is started when it is first needed. It ends with the scope. */
export const make = (
  services: Services,
  program: Effect.Effect<Owner | undefined>,
  /** The first digits of the limits of our processes; empty if they have none. */
  limit: string
): Effect.Effect<Leash, never, Scope.Scope> =>
  Effect.gen(function*() {
    // Windows has neither signals nor such a shell.
    if (services.path.sep === "\\") return none(program)
    const scope = yield* Effect.scope
    const own = `${prefix}${yield* token}-`
    const parents = new Set<string>()
    let current: { readonly scope: Scope.CloseableScope; readonly watchdog: Watchdog } | undefined
    let isGivenUp = false

    const begin = Effect.gen(function*() {
      const self = yield* program
      const parent = services.path.resolve(yield* temporary)
      const lifetime = yield* Scope.make()
      const names = [orphans.variable, self === undefined ? "" : owners.format(self), own, limit]
      yield* Effect.gen(function*() {
        const watchdog = yield* Scope.extend(start(services, ["/proc", ...names], parent), lifetime)
        yield* Effect.forEach(parents, (parent) => watchdog.tell(`d${parent}`), { discard: true })
        current = { scope: lifetime, watchdog }
      }).pipe(Effect.onError(() => Scope.close(lifetime, Exit.void)))
    }).pipe(
      inTime.orFail(patience, () => `not within ${Duration.format(patience)}`),
      Effect.withClock(kernelClock),
      Effect.catchAll((reason) => {
        isGivenUp = true
        return Effect.logWarning(
          `No watchdog could be started (${reason}): if this program is killed, its runs go on without it`
        )
      })
    )

    const end = Effect.suspend(() => {
      if (current === undefined) return Effect.void
      const { scope, watchdog } = current
      current = undefined
      return Effect.andThen(watchdog.tell("q"), Scope.close(scope, Exit.void))
    })
    yield* Scope.addFinalizer(
      scope,
      Effect.suspend(() => {
        isGivenUp = true
        return end
      })
    )

    const lock = yield* Effect.makeSemaphore(1)
    // One that was killed is replaced.
    const look = Effect.suspend(() =>
      current === undefined
        ? Effect.succeed(false)
        : Effect.tap(current.watchdog.tell(""), (isThere) => isThere ? Effect.void : end)
    )
    const fasten = lock.withPermits(1)(
      Effect.suspend(() => isGivenUp ? Effect.void : Effect.flatMap(look, (isThere) => isThere ? Effect.void : begin))
    ).pipe(
      // Only the waiting ends with an interruption: others wait for the start, too.
      Effect.interruptible,
      Effect.forkIn(scope),
      Effect.flatMap(Fiber.join)
    )

    return {
      prefix: own,
      // Without `/proc` only the watchdog knows our pid.
      program: Effect.map(program, (self) =>
        self === undefined && current !== undefined && current.watchdog.pid > 0
          ? { namespace: "", pid: current.watchdog.pid, started: "", boot: "" }
          : self),
      fasten,
      watch: (parent) =>
        Effect.suspend(() => {
          // The watchdog reads lines.
          if (parents.has(parent) || parent.includes("\n")) return Effect.void
          parents.add(parent)
          return Effect.asVoid(current?.watchdog.tell(`d${parent}`) ?? Effect.void)
        })
    }
  })
