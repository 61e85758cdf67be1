import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** One process of the machine. */
export interface ProcessInfo {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly session: number
  readonly zombie: boolean
  /** Distinguishes it from a later process with the same pid: its start time, or its whole command. */
  readonly identity: string
}

/**
 * Finds the value of a variable in an environment. `/proc` ends every variable with NUL; `ps` separates them by spaces,
 * after the command. The name can be part of another name, and the whole text can occur in another value.
 */
export const valueIn = (environment: string, name: string): string | undefined => {
  const start = `${name}=`
  if (!environment.includes(start)) return undefined
  return environment.split(environment.includes("\0") ? "\0" : /\s/).find((entry) => entry.startsWith(start))
    ?.slice(start.length)
}

/**
 * `/proc/PID/stat` from field 3 on. The name in field 2 can contain spaces and parentheses, so it ends at the last
 * parenthesis.
 */
const fieldsOf = (stat: string): ReadonlyArray<string> | undefined => {
  const close = stat.lastIndexOf(")")
  return close === -1 ? undefined : stat.slice(close + 1).trim().split(/\s+/)
}

/** Fields 1, 3, 4, 5, 6 and 22 of `/proc/PID/stat` (proc_pid_stat(5)). */
export const parseStat = (text: string): ProcessInfo | undefined => {
  const fields = fieldsOf(text)
  if (fields === undefined) return undefined
  const [ppid, pgid, session] = [Number(fields[1]), Number(fields[2]), Number(fields[3])]
  const pid = Number.parseInt(text, 10)
  return [pid, ppid, pgid, session].every(Number.isInteger)
    ? { pid, ppid, pgid, session, zombie: fields[0] === "Z" || fields[0] === "X", identity: fields[19] ?? "" }
    : undefined
}

/**
 * True if the process of this `/proc/PID/stat` has an environment: kernel threads have none, and an exiting process has
 * lost it (`PF_KTHREAD` and `PF_EXITING` of field 9).
 */
export const hasEnvironment = (stat: string): boolean => (Number(fieldsOf(stat)?.[6]) & 0x200004) === 0

/** A process with what was found in its environment. */
export type Listed<A> = ProcessInfo & { readonly found: A }

/**
 * Parses the output of `ps -A -E -ww -o pid=,ppid=,pgid=,sess=,stat=,command=`: the environment follows the command.
 */
export const parsePs = <A>(text: string, look: (environment: string) => A): ReadonlyArray<Listed<A>> =>
  text.split("\n").flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\S+)\s+(.*)$/.exec(line)
    if (match === null) return []
    return [{
      pid: Number(match[1]),
      ppid: Number(match[2]),
      pgid: Number(match[3]),
      // macOS prints an address or 0 here.
      session: /^\d+$/.test(match[4]!) ? Number(match[4]) : 0,
      zombie: match[5]!.startsWith("Z"),
      identity: match[6]!,
      found: look(match[6]!)
    }]
  })

/** The number of threads in Node's pool. */
const concurrency = 4

export interface Services {
  readonly executor: CommandExecutor.CommandExecutor
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
}

const latin1 = new TextDecoder("latin1")

const readOrElse = <A>({ fileSystem }: Services, file: string, orElse: A): Effect.Effect<string | A> =>
  fileSystem.readFile(file).pipe(Effect.map((bytes) => latin1.decode(bytes)), Effect.orElseSucceed(() => orElse))

const read = (services: Services, file: string): Effect.Effect<string> => readOrElse(services, file, "")

/** How often a process that is executing another program is read again; the pauses add up to 63 ms. */
const patience = 6

/** The kernel does not follow a `TestClock`. */
const kernelClock = Clock.make()

/** Waits briefly until a new program has a command. One that has a command is loaded, or has no variables. */
const arrival = (services: Services, pid: string, attempt: number): Effect.Effect<void> =>
  Effect.flatMap(
    readOrElse(services, `/proc/${pid}/cmdline`, undefined),
    (command) => command === "" ? Effect.withClock(Effect.sleep(2 ** attempt), kernelClock) : Effect.void
  )

/**
 * During `exec` a process has neither a command nor an environment until the program is loaded, and would not be
 * recognized as part of a run.
 */
export const readProcess = <A>(
  services: Services,
  pid: string,
  look: (environment: string) => A,
  attempt = 0
): Effect.Effect<Listed<A> | undefined> =>
  Effect.flatMap(read(services, `/proc/${pid}/stat`), (stat) => {
    const parsed = parseStat(stat)
    return parsed === undefined ? Effect.succeed(undefined) : Effect.flatMap(
      readOrElse(services, `/proc/${pid}/environ`, undefined),
      (environment) => {
        // An unreadable environment is `undefined`, not `""`.
        const isWhole = environment !== "" || parsed.zombie || !hasEnvironment(stat) || attempt === patience
        return isWhole
          ? Effect.succeed({ ...parsed, found: look(environment ?? "") })
          : Effect.andThen(arrival(services, pid, attempt), readProcess(services, pid, look, attempt + 1))
      }
    )
  })

export const pids = ({ fileSystem }: Services): Effect.Effect<ReadonlyArray<string>> =>
  fileSystem.readDirectory("/proc").pipe(
    Effect.map((names) => names.filter((name) => /^\d+$/.test(name))),
    Effect.orElseSucceed((): Array<string> => [])
  )

/** Runs an effect for each process, on a few fibers: one fiber per process would cost more than the work. */
export const eachOf = <A>(
  pids: ReadonlyArray<string>,
  visit: (pid: string) => Effect.Effect<A>
): Effect.Effect<Array<A>> =>
  pids.length <= concurrency ? Effect.forEach(pids, visit) : Effect.map(
    Effect.forEach(
      Arr.chunksOf(pids, Math.ceil(pids.length / concurrency)),
      (lane) => Effect.forEach(lane, visit),
      { concurrency: "unbounded" }
    ),
    Arr.flatten
  )

const fromProc = <A>(services: Services, look: (environment: string) => A): Effect.Effect<ReadonlyArray<Listed<A>>> =>
  Effect.flatMap(pids(services), (all) => eachOf(all, (pid) => readProcess(services, pid, look))).pipe(
    Effect.map((infos) => infos.filter((info) => info !== undefined))
  )

/**
 * The `/proc` directory of a process is recreated, with another inode and time, for the next process with its pid.
 * Checking these costs a seventh of reading the process.
 */
export const identityOf = ({ fileSystem }: Services, pid: string): Effect.Effect<string | undefined> =>
  fileSystem.stat(`/proc/${pid}`).pipe(
    Effect.map(({ ino, mtime }) =>
      Option.isSome(ino) && Option.isSome(mtime) ? `${ino.value} ${mtime.value.getTime()}` : undefined
    ),
    Effect.orElseSucceed(() => undefined)
  )

const fromPs = <A>(services: Services, look: (environment: string) => A): Effect.Effect<ReadonlyArray<Listed<A>>> =>
  services.executor.string(
    Command.make("ps", "-A", "-E", "-ww", "-o", "pid=,ppid=,pgid=,sess=,stat=,command=")
  ).pipe(
    Effect.map((text) => parsePs(text, look)),
    Effect.orElseSucceed((): ReadonlyArray<Listed<A>> => [])
  )

/** True if the system has `/proc`. */
export const hasProc = ({ fileSystem }: Pick<Services, "fileSystem">): Effect.Effect<boolean> =>
  Effect.orElseSucceed(fileSystem.exists("/proc/self/stat"), () => false)

/**
 * Lists the processes of the machine, from `/proc` if it exists, else from `ps`. On Windows the platform itself ends
 * the process tree, and nothing is listed.
 */
export const list = <A>(
  services: Services,
  look: (environment: string) => A
): Effect.Effect<ReadonlyArray<Listed<A>>> =>
  services.path.sep === "\\"
    ? Effect.succeed([])
    : Effect.flatMap(hasProc(services), (hasProc) => hasProc ? fromProc(services, look) : fromPs(services, look))

/** The identity of this process, distinct from a later one with the same pid. */
export interface Self {
  /** The namespace in which the pid is valid; empty without namespaces. */
  readonly namespace: string
  readonly pid: number
  /** The start time in `/proc`; empty without `/proc`. */
  readonly started: string
  /** The boot of the machine, to which pids and times belong; empty if the system does not name it. */
  readonly boot: string
}

/** Identifies this process; `undefined` if that is not possible. */
export const self = (services: Services): Effect.Effect<Self | undefined> =>
  Effect.gen(function*() {
    const { executor, fileSystem, path } = services
    if (path.sep === "\\") return undefined
    if (yield* hasProc(services)) {
      const namespace = yield* Effect.orElseSucceed(fileSystem.readLink("/proc/self/ns/pid"), () => "")
      const text = yield* Effect.orElseSucceed(fileSystem.readFileString("/proc/self/stat"), () => "")
      const stat = parseStat(text)
      const boot = yield* Effect.orElseSucceed(fileSystem.readFileString("/proc/sys/kernel/random/boot_id"), () => "")
      return stat === undefined ? undefined : {
        namespace: /\d+/.exec(namespace)?.[0] ?? "",
        pid: stat.pid,
        started: stat.identity,
        boot: /^[0-9a-f-]{36}$/.exec(boot.trim())?.[0] ?? ""
      }
    }
    const text = yield* Effect.orElseSucceed(executor.string(Command.make("sh", "-c", "echo $PPID")), () => "")
    const pid = Number.parseInt(text, 10)
    return pid > 0 ? { namespace: "", pid, started: "", boot: "" } : undefined
  })

/** The pid of this process in the namespace of `/proc`; 0 without `/proc`. */
export const selfPid = ({ fileSystem }: Pick<Services, "fileSystem">): Effect.Effect<number> =>
  fileSystem.readLink("/proc/self").pipe(Effect.map(Number), Effect.orElseSucceed(() => 0))

/** True if certainly no process has this pid. */
export const isGone = ({ fileSystem }: Pick<Services, "fileSystem">, pid: number): Effect.Effect<boolean> =>
  Effect.match(fileSystem.exists(`/proc/${pid}`), { onFailure: () => false, onSuccess: (exists) => !exists })

/** A process and the program that has started it, for those who must find them again. */
export const introduce = <E>(
  services: Services,
  pid: number,
  program: Effect.Effect<Self | undefined, E>
): Effect.Effect<{
  readonly process: { readonly pid: number; readonly started: string }
  readonly program: { readonly pid: number; readonly started: string; readonly boot: string } | undefined
}, E> =>
  Effect.zipWith(read(services, `/proc/${pid}/stat`), program, (stat, self) => ({
    process: { pid, started: parseStat(stat)?.identity ?? "" },
    program: self === undefined ? undefined : { pid: self.pid, started: self.started, boot: self.boot }
  }))
