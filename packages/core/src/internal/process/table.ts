import * as Command from "@effect/platform/Command"
import * as Effect from "effect/Effect"
import * as Function from "effect/Function"
import * as limitMark from "./limitMark.js"
import * as processList from "./list.js"
import * as owners from "./owner.js"
import * as snapshot from "./snapshot.js"

/** A process of the machine, with what ending a run needs. */
export interface ProcessInfo extends processList.ProcessInfo {
  /** Whether its environment, or its limit, names the run. */
  readonly marked: boolean
}

/** A process that was seen, distinct from a later one with the same pid. */
export type Seen = Pick<ProcessInfo, "pid" | "identity">

/** The variable by which the processes of a run are found: ids of runs, separated by colons. */
export const variable = "EFFECT_OPENCODE_RUN"

/**
 * True if an environment names the run in our variable. The id alone also occurs in the environment of programs that
 * search for it.
 */
export const isMarked = (environment: string, runId: string): boolean =>
  processList.valueIn(environment, variable)?.split(":").includes(runId) === true

/**
 * The processes of a run: those whose environment names it, those in the group of its first process, those that were
 * found earlier, and all their descendants. The first process itself and everything in `except` are left out.
 */
export const members = (
  table: ReadonlyArray<ProcessInfo>,
  run: { readonly pid: number; readonly except: ReadonlySet<number>; readonly known?: ReadonlyArray<Seen> }
): ReadonlyArray<number> => {
  // Pids 0 and 1 are ancestors of everything, so without a first process there is no tree to follow.
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
  /** Processes that cannot belong to a run started afterwards; its `before`. */
  readonly baseline: Effect.Effect<snapshot.Baseline>
  /** The processes of a run except its first one; empty if the platform cannot tell. */
  readonly members: (run: {
    readonly pid: number
    readonly marker: string
    /** The program that the processes must name, too, if another one can use the same marker. */
    readonly program?: string | undefined
    /** The limit that stands for the run, see `limitMark`. */
    readonly limit?: string | undefined
    /** What was there before the run began: none of it is of the run, so none of it is read. */
    readonly before?: snapshot.Baseline | undefined
    /** Processes found earlier; they are found again even if their parents have ended. */
    readonly known?: ReadonlyArray<Seen>
  }) => Effect.Effect<ReadonlyArray<Seen>>
  readonly kill: (processes: ReadonlyArray<Seen>, signal: "TERM" | "KILL") => Effect.Effect<void>
  /** Leaves out the first process of a run, which no other run can own, until the returned function is called. */
  readonly trackLeader: (pid: number) => () => void
}

/** What a process was started with. */
interface Origin {
  readonly environment: string
  readonly limit: string | undefined
}

type Environed = processList.Listed<Origin>

/** Makes the snapshots of the table, which read only the processes that a caller needs. */
const survey =
  (services: processList.Services, leaders: ReadonlySet<string>) =>
  (wanted: ReadonlySet<snapshot.Baseline>): Effect.Effect<ReadonlyArray<snapshot.Entry<Environed>>> => {
    const identify = (pid: string): Effect.Effect<snapshot.Entry<Environed>> =>
      Effect.flatMap(processList.identityOf(services, pid), (identity) => {
        const entry = { pid, identity, info: undefined }
        return snapshot.isKnownToAll(entry, wanted)
          ? Effect.succeed(entry)
          : Effect.zipWith(
            processList.readProcess(services, pid, Function.identity),
            limitMark.read(services, pid),
            (info, limit) => ({
              pid,
              identity,
              info: info === undefined ? undefined : { ...info, found: { environment: info.found, limit } }
            })
          )
      })
    return Effect.flatMap(
      processList.pids(services),
      (all) => processList.eachOf(all.filter((pid) => !leaders.has(pid)), identify)
    )
  }

/** Only sending signals spawns a process, and only if there is something to signal. */
export const make = (services: processList.Services): Effect.Effect<ProcessTable> =>
  Effect.gen(function*() {
    const { executor } = services
    const self = yield* processList.selfPid(services)
    const toOrigin = (environment: string): Origin => ({ environment, limit: undefined })
    const all = Effect.map(processList.list(services, toOrigin), (listed) =>
      listed.map((info): snapshot.Entry<Environed> => ({ pid: String(info.pid), identity: undefined, info })))
    const leaders = new Set<string>()
    const { changedSince, baseline } = snapshot.make(
      (yield* processList.hasProc(services)) ? survey(services, leaders) : () =>
        all
    )

    return {
      trackLeader: (pid) => {
        leaders.add(String(pid))
        return () => leaders.delete(String(pid))
      },
      baseline,
      members: ({ before, known = [], limit, marker, pid, program }) =>
        Effect.map(changedSince(before), (listed) => {
          const table = listed.map(({ found, ...info }) => ({
            ...info,
            marked: (isMarked(found.environment, marker) &&
              (program === undefined || owners.isNamed(found.environment, program))) ||
              (limit !== undefined && found.limit === limit)
          }))
          const ours = new Set(members(table, { pid, except: new Set([self]), known }))
          return table.filter((p) => ours.has(p.pid)).map(({ identity, pid }) => ({ identity, pid }))
        }),
      kill: (processes, signal) =>
        processes.length === 0 ? Effect.void : executor.exitCode(
          // The shell's builtin `kill`, because slim images lack the program.
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
