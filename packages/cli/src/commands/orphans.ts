/**
 * Finds the machine's processes that belong to runs, and those orphaned by their program.
 */
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Leftovers from "effect-opencode/Leftovers"
import * as Effect from "effect/Effect"

export interface Process {
  readonly pid: number
  readonly ppid: number
  readonly name: string
  /** What can be read of the environment. */
  readonly environment: string
}

/** The ids of the runs that a process belongs to, the innermost last. */
export const runIds = (environment: string): ReadonlyArray<string> => {
  const at = environment.search(new RegExp(`(?:^|[\\0\\s])${Leftovers.variable}=`))
  if (at === -1) return []
  const value = environment.slice(environment.indexOf("=", at) + 1)
  return (/^[^\0\s]*/.exec(value)?.[0] ?? "").split(":").filter((id) => /^[0-9a-z]{15}$/.test(id))
}

/** The process that adopts processes whose parents have ended. */
const takesOrphans = (process: Process | undefined): boolean =>
  process === undefined || process.pid <= 1 ||
  /^(init|systemd|launchd|tini|dumb-init|docker-init|catatonit|s6-svscan)$/.test(process.name)

/**
 * A run is in progress as long as the program that started it, which is outside of the run, is the parent of one of its
 * processes.
 */
export const leftovers = (table: ReadonlyArray<Process>): {
  readonly runs: ReadonlyArray<{ readonly runId: string; readonly pids: ReadonlyArray<number> }>
  readonly underWay: number
} => {
  const byPid = new Map(table.map((process) => [process.pid, process]))
  const members = new Map<string, Array<Process>>()
  for (const process of table) {
    const id = runIds(process.environment).at(-1)
    if (id !== undefined) members.set(id, [...(members.get(id) ?? []), process])
  }
  const isAlive = (id: string, process: Process): boolean => {
    const parent = byPid.get(process.ppid)
    return parent !== undefined && !takesOrphans(parent) && !runIds(parent.environment).includes(id)
  }
  const dead = [...members].filter(([id, processes]) => !processes.some((process) => isAlive(id, process)))
  return {
    runs: dead.map(([runId, processes]) => ({ runId, pids: processes.map(({ pid }) => pid) })),
    underWay: members.size - dead.length
  }
}

/** `pid (name) state ppid …`; the name can hold anything. */
export const parseStat = (text: string): Omit<Process, "environment"> | undefined => {
  const open = text.indexOf("(")
  const close = text.lastIndexOf(")")
  const fields = text.slice(close + 1).trim().split(/\s+/)
  const pid = Number.parseInt(text, 10)
  const ppid = Number(fields[1])
  // A zombie has ended, but its parent has not collected it yet.
  return open === -1 || close === -1 || !Number.isInteger(pid) || !Number.isInteger(ppid) || fields[0] === "Z"
    ? undefined
    : { pid, ppid, name: text.slice(open + 1, close) }
}

/** Lines of `ps -A -E -ww -o pid=,ppid=,stat=,command=`: the environment follows the command. */
export const parsePs = (text: string): ReadonlyArray<Process> =>
  text.split("\n").flatMap((line) => {
    const [, pid, ppid, stat, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? []
    if (command === undefined || stat?.startsWith("Z") === true) return []
    const name = /^\S+/.exec(command)?.[0].split("/").at(-1) ?? ""
    return [{ pid: Number(pid), ppid: Number(ppid), name, environment: command }]
  })

const decoder = new TextDecoder("latin1")

const fromProc = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const read = (file: string) =>
    Effect.orElseSucceed(Effect.map(fileSystem.readFile(file), (bytes) => decoder.decode(bytes)), () => "")
  const names = yield* Effect.orElseSucceed(fileSystem.readDirectory("/proc"), (): Array<string> => [])
  const found = yield* Effect.forEach(names.filter((name) => /^\d+$/.test(name)), (pid) =>
    Effect.gen(function*() {
      const stat = parseStat(yield* read(`/proc/${pid}/stat`))
      return stat === undefined ? [] : [{ ...stat, environment: yield* read(`/proc/${pid}/environ`) }]
    }), { concurrency: 16 })
  return found.flat()
})

const fromPs = Effect.gen(function*() {
  const executor = yield* CommandExecutor.CommandExecutor
  const text = yield* executor.string(Command.make("ps", "-A", "-E", "-ww", "-o", "pid=,ppid=,stat=,command="))
  return parsePs(text)
}).pipe(Effect.orElseSucceed((): ReadonlyArray<Process> => []))

/** Every process of the machine; empty if there is neither `/proc` nor `ps`. */
export const list: Effect.Effect<
  ReadonlyArray<Process>,
  never,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem
> = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const hasProc = yield* Effect.orElseSucceed(fileSystem.exists("/proc/self/stat"), () => false)
  return hasProc ? yield* fromProc : yield* fromPs
})
