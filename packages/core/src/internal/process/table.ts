import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Function from "effect/Function"
import * as Option from "effect/Option"
import * as limitMark from "./limitMark.js"
import * as pidReuse from "./pidReuse.js"
import * as snapshot from "./snapshot.js"

/** One process of the machine, as far as the sweep needs it. */
export interface ProcessInfo {
  readonly pid: number
  readonly ppid: number
  readonly pgid: number
  readonly session: number
  readonly zombie: boolean
  /** Whether its environment, or its limit, names the run. */
  readonly marked: boolean
  /** What another process that gets the same pid later will not have: the time of its start, or its whole command. */
  readonly identity: string
}

/** A process that was seen, so that it can be told from a later one of the same pid. */
export type Seen = Pick<ProcessInfo, "pid" | "identity">

/** The variable by which the processes of a run are found again: ids of runs, separated by colons. */
export const variable = "EFFECT_OPENCODE_RUN"

/**
 * The value of a variable. `/proc` ends every variable with NUL; `ps` parts them by spaces, behind the command. The name
 * may be part of another one's name, and all of it stand in the value of another one.
 */
export const valueIn = (environment: string, name: string): string | undefined => {
  const start = `${name}=`
  if (!environment.includes(start)) return undefined
  return environment.split(environment.includes("\0") ? "\0" : /\s/).find((entry) => entry.startsWith(start))
    ?.slice(start.length)
}

/** Whether an environment names the run. The id alone may stand in the environment of anybody who looks for it. */
export const isMarked = (environment: string, runId: string): boolean =>
  valueIn(environment, variable)?.split(":").includes(runId) === true

/** `/proc/PID/stat` from field 3 on. The name in field 2 can hold spaces and brackets, and ends at the last of them. */
const fieldsOf = (stat: string): ReadonlyArray<string> | undefined => {
  const close = stat.lastIndexOf(")")
  return close === -1 ? undefined : stat.slice(close + 1).trim().split(/\s+/)
}

/** Fields 1, 3, 4, 5, 6 and 22 of `/proc/PID/stat` (proc_pid_stat(5)). */
export const parseStat = (text: string): Omit<ProcessInfo, "marked"> | undefined => {
  const fields = fieldsOf(text)
  if (fields === undefined) return undefined
  const [ppid, pgid, session] = [Number(fields[1]), Number(fields[2]), Number(fields[3])]
  const pid = Number.parseInt(text, 10)
  return [pid, ppid, pgid, session].every(Number.isInteger)
    ? { pid, ppid, pgid, session, zombie: fields[0] === "Z" || fields[0] === "X", identity: fields[19] ?? "" }
    : undefined
}

/**
 * Whether an environment belongs to the process of this `/proc/PID/stat`: the kernel's own threads have none, and one
 * that exits has it no more (`PF_KTHREAD` and `PF_EXITING` of field 9).
 */
export const hasEnvironment = (stat: string): boolean => (Number(fieldsOf(stat)?.[6]) & 0x200004) === 0

/** A process with what was made of its environment. */
export type Listed<A> = Omit<ProcessInfo, "marked"> & { readonly found: A }

const fromPsLines = <A>(text: string, look: (environment: string) => A): ReadonlyArray<Listed<A>> =>
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

const toInfo = ({ found, ...rest }: Listed<boolean>): ProcessInfo => ({ ...rest, marked: found })

/** Lines of `ps -A -E -ww -o pid=,ppid=,pgid=,sess=,stat=,command=`: the environment follows the command. */
export const parsePs = (text: string, marker: string): ReadonlyArray<ProcessInfo> =>
  fromPsLines(text, (environment) => isMarked(environment, marker)).map(toInfo)

/**
 * The processes of a run: those whose environment names it, those in the group of its first process, those that were
 * seen to be its own before, and whatever descends from any of them. The first process itself is left out, and so is
 * everything in `except`.
 */
export const members = (
  table: ReadonlyArray<ProcessInfo>,
  run: { readonly pid: number; readonly except: ReadonlySet<number>; readonly known?: ReadonlyArray<Seen> }
): ReadonlyArray<number> => {
  // Without a first process there is no tree to follow: 0 and 1 are the parents of everything.
  const rooted = run.pid > 1
  const wasSeen = (p: ProcessInfo) => run.known?.some(({ identity, pid }) => pid === p.pid && identity === p.identity)
  const isOurs = (p: ProcessInfo) =>
    p.marked || (rooted && (p.pgid === run.pid || p.session === run.pid)) || wasSeen(p) === true
  const found = new Set(table.filter(isOurs).map((p) => p.pid))
  if (rooted) found.add(run.pid)
  let size = 0
  while (size !== found.size) {
    size = found.size
    for (const p of table) {
      if (found.has(p.ppid)) found.add(p.pid)
    }
  }
  return table.filter((p) => found.has(p.pid) && !p.zombie && p.pid !== run.pid && !run.except.has(p.pid))
    .map((p) => p.pid)
}

/** Lists the processes of the machine and sends them signals. */
export interface ProcessTable {
  /** Processes that cannot be of a run that is started next, to be named in its `before`. */
  readonly standing: Effect.Effect<snapshot.Before>
  /** The processes of a run besides its first one; empty where the platform has no way to tell. */
  readonly members: (run: {
    readonly pid: number
    readonly marker: string
    /** The limit that stands for the run, see `limitMark`. */
    readonly limit?: string | undefined
    /** What was there before the run began: none of it is of the run, so none of it is read. */
    readonly before?: snapshot.Before | undefined
    /** What was found earlier: it is found again also where its parents have ended. */
    readonly known?: ReadonlyArray<Seen>
  }) => Effect.Effect<ReadonlyArray<Seen>>
  readonly kill: (processes: ReadonlyArray<Seen>, signal: "TERM" | "KILL") => Effect.Effect<void>
  /** The first process of a run need not be looked at until this is called with `false`: it is of no other run. */
  readonly leads: (pid: number, isLeader: boolean) => void
}

/** As many as Node's pool has threads. */
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

/** How often a process is looked at again that is becoming another program; the pauses add up to 63 ms. */
const patience = 6

/** The kernel does not go by the clock of a test. */
const kernelClock = Clock.make()

/** Waits a little for a program to have a command. With one it has arrived already, or is one without variables. */
const arrival = (services: Services, pid: string, attempt: number): Effect.Effect<void> =>
  Effect.flatMap(
    readOrElse(services, `/proc/${pid}/cmdline`, undefined),
    (command) => command === "" ? Effect.withClock(Effect.sleep(2 ** attempt), kernelClock) : Effect.void
  )

/**
 * A process that executes a program has neither a command nor an environment until the program is in its memory: for
 * that long it would be nobody's.
 */
const readProcess = <A>(
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
        // One that may not be read is not `""`.
        const isWhole = environment !== "" || parsed.zombie || !hasEnvironment(stat) || attempt === patience
        return isWhole
          ? Effect.succeed({ ...parsed, found: look(environment ?? "") })
          : Effect.zipRight(arrival(services, pid, attempt), readProcess(services, pid, look, attempt + 1))
      }
    )
  })

const pids = ({ fileSystem }: Services): Effect.Effect<ReadonlyArray<string>> =>
  fileSystem.readDirectory("/proc").pipe(
    Effect.map((names) => names.filter((name) => /^\d+$/.test(name))),
    Effect.orElseSucceed((): Array<string> => [])
  )

/** Does something for each process, in lanes: a fiber for each of them would cost more than what it does. */
const eachOf = <A>(pids: ReadonlyArray<string>, visit: (pid: string) => Effect.Effect<A>): Effect.Effect<Array<A>> =>
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
 * The directory of a process in `/proc` is made anew, with another number and time, for the next process of its pid. To
 * ask for them costs a seventh of reading the process.
 */
const identityOf = ({ fileSystem }: Services, pid: string): Effect.Effect<string | undefined> =>
  fileSystem.stat(`/proc/${pid}`).pipe(
    Effect.map(({ ino, mtime }) =>
      Option.isSome(ino) && Option.isSome(mtime) ? `${ino.value} ${mtime.value.getTime()}` : undefined
    ),
    Effect.orElseSucceed(() => undefined)
  )

/** What a process was started with. */
interface Origin {
  readonly environment: string
  readonly limit: string | undefined
}

type Environed = Listed<Origin>

interface Earlier {
  readonly count: pidReuse.Count
  readonly entries: ReadonlyMap<string, string>
}

const count = (services: Services): Effect.Effect<pidReuse.Count | undefined> =>
  Effect.zipWith(read(services, "/proc/loadavg"), read(services, "/proc/stat"), pidReuse.parse)

/**
 * A look at all processes that reads no more of them than somebody wants. Of those that the numbers show to be the same
 * as at the look before not even the identity is asked: there can be thousands that have nothing to do with a run.
 */
const survey = (services: Services, leaders: ReadonlySet<string>) => {
  let earlier: Earlier | undefined
  const identify = (pid: string, wanted: ReadonlySet<snapshot.Before>): Effect.Effect<snapshot.Entry<Environed>> =>
    Effect.flatMap(identityOf(services, pid), (identity) => {
      const entry = { pid, identity, info: undefined }
      return snapshot.isKnownToAll(entry, wanted)
        ? Effect.succeed(entry)
        : Effect.zipWith(
          readProcess(services, pid, Function.identity),
          limitMark.read(services, pid),
          (info, limit) => ({
            pid,
            identity,
            info: info === undefined ? undefined : { ...info, found: { environment: info.found, limit } }
          })
        )
    })
  return (wanted: ReadonlySet<snapshot.Before>): Effect.Effect<ReadonlyArray<snapshot.Entry<Environed>>> =>
    Effect.gen(function*() {
      // Before the names are: whoever comes up between has a later number.
      const now = yield* count(services)
      const settled: Array<snapshot.Entry<Environed>> = []
      const open: Array<string> = []
      for (const pid of yield* pids(services)) {
        if (leaders.has(pid)) continue
        const identity = now !== undefined && earlier !== undefined && pidReuse.isSame(Number(pid), earlier.count, now)
          ? earlier.entries.get(pid)
          : undefined
        const entry = { pid, identity, info: undefined }
        if (identity !== undefined && snapshot.isKnownToAll(entry, wanted)) settled.push(entry)
        else open.push(pid)
      }
      const entries = settled.concat(yield* eachOf(open, (pid) => identify(pid, wanted)))
      earlier = now === undefined ? undefined : { count: now, entries: snapshot.standing(entries) }
      return entries
    })
}

const fromPs = <A>(services: Services, look: (environment: string) => A): Effect.Effect<ReadonlyArray<Listed<A>>> =>
  services.executor.string(
    Command.make("ps", "-A", "-E", "-ww", "-o", "pid=,ppid=,pgid=,sess=,stat=,command=")
  ).pipe(
    Effect.map((text) => fromPsLines(text, look)),
    Effect.orElseSucceed((): ReadonlyArray<Listed<A>> => [])
  )

/** Whether processes are files here. */
export const hasProc = ({ fileSystem }: Pick<Services, "fileSystem">): Effect.Effect<boolean> =>
  Effect.orElseSucceed(fileSystem.exists("/proc/self/stat"), () => false)

/**
 * The processes of the machine: from `/proc` where there is one, from `ps` elsewhere. On Windows the process tree is
 * ended by the platform itself, and nothing is listed.
 */
export const list = <A>(
  services: Services,
  look: (environment: string) => A
): Effect.Effect<ReadonlyArray<Listed<A>>> =>
  services.path.sep === "\\"
    ? Effect.succeed([])
    : Effect.flatMap(hasProc(services), (hasProc) => hasProc ? fromProc(services, look) : fromPs(services, look))

/** Only the signals need a process of their own, and only where there is something to signal. */
export const make = (services: Services): Effect.Effect<ProcessTable> =>
  Effect.gen(function*() {
    const { executor, fileSystem } = services
    const self = yield* fileSystem.readLink("/proc/self").pipe(Effect.map(Number), Effect.orElseSucceed(() => 0))
    const toOrigin = (environment: string): Origin => ({ environment, limit: undefined })
    const all = Effect.map(list(services, toOrigin), (listed) =>
      listed.map((info): snapshot.Entry<Environed> => ({ pid: String(info.pid), identity: undefined, info })))
    const leaders = new Set<string>()
    const { since, standing } = snapshot.make(
      (yield* hasProc(services)) ? survey(services, leaders) : () =>
        all
    )

    return {
      leads: (pid, isLeader) => {
        if (isLeader) leaders.add(String(pid))
        else leaders.delete(String(pid))
      },
      standing,
      members: ({ before, known = [], limit, marker, pid }) =>
        Effect.map(since(before), (listed) => {
          const table = listed.map(({ found, ...info }) => ({
            ...info,
            marked: isMarked(found.environment, marker) || (limit !== undefined && found.limit === limit)
          }))
          const ours = new Set(members(table, { pid, except: new Set([self]), known }))
          return table.filter((p) => ours.has(p.pid)).map(({ identity, pid }) => ({ identity, pid }))
        }),
      kill: (processes, signal) =>
        processes.length === 0 ? Effect.void : executor.exitCode(
          // The shell's own `kill`: slim images have no such program.
          Command.make(
            "sh",
            "-c",
            "kill -s \"$0\" \"$@\" 2>/dev/null",
            signal,
            ...processes.map(({ pid }) => String(pid))
          )
        ).pipe(Effect.ignore)
    }
  })
