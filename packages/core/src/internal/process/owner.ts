import * as Command from "@effect/platform/Command"
import * as Effect from "effect/Effect"
import * as processTable from "./table.js"
import type { Listed } from "./table.js"

/** A program that has started processes, told from a later one with the same pid. */
export interface Owner {
  /** Pids mean something only inside it; empty where there are no namespaces. */
  readonly namespace: string
  readonly pid: number
  /** When it began, as `/proc` tells; empty elsewhere. */
  readonly started: string
  /** The start of the machine, of which pids and times are counted; empty if the system does not name it. */
  readonly boot: string
}

export const format = ({ boot, namespace, pid, started }: Owner): string =>
  [namespace, pid, started, ...(boot === "" ? [] : [boot])].join("/")

export const parse = (text: string): Owner | undefined => {
  const match = /^(\d*)\/([1-9]\d*)\/(\d*)(?:\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?$/.exec(text)
  return match === null
    ? undefined
    : { namespace: match[1]!, pid: Number(match[2]), started: match[3]!, boot: match[4] ?? "" }
}

/** The last of the owners that a variable names: the others are around it. */
export const innermost = (value: string | undefined): string | undefined => value?.split(":").at(-1)

export interface Reader {
  readonly self: Owner
  /** The owner that our own environment names: we are a tool of what it has started. */
  readonly above: string | undefined
}

/** Us; `undefined` where that cannot be found out, and nobody can be told from us. */
export const self = (services: processTable.Services): Effect.Effect<Owner | undefined> =>
  Effect.gen(function*() {
    const { executor, fileSystem, path } = services
    if (path.sep === "\\") return undefined
    if (yield* processTable.hasProc(services)) {
      const namespace = yield* Effect.orElseSucceed(fileSystem.readLink("/proc/self/ns/pid"), () => "")
      const text = yield* Effect.orElseSucceed(fileSystem.readFileString("/proc/self/stat"), () => "")
      const stat = processTable.parseStat(text)
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

/**
 * What a list of processes tells of an owner. In doubt it lives: of another namespace or machine nothing is known, and
 * without a time a pid is enough. One that is not in the list can be one that could not be read.
 */
const stateOf = (
  table: ReadonlyArray<Listed<unknown>>,
  { above, self }: Reader,
  text: string
): "alive" | "dead" | "missing" => {
  const owner = text === above ? undefined : parse(text)
  if (owner === undefined || owner.namespace !== self.namespace) return "alive"
  if (owner.boot !== "" && self.boot !== "" && owner.boot !== self.boot) return "alive"
  const found = table.find((p) => p.pid === owner.pid)
  if (found === undefined) return "missing"
  return !found.zombie && (owner.started === "" || found.identity === owner.started) ? "alive" : "dead"
}

/** Whether the owner that a text names is certain to be gone. */
export const isDead = (
  { fileSystem }: Pick<processTable.Services, "fileSystem">,
  table: ReadonlyArray<Listed<unknown>>,
  reader: Reader,
  text: string
): Effect.Effect<boolean> => {
  const state = stateOf(table, reader, text)
  return state !== "missing" ? Effect.succeed(state === "dead") : fileSystem.exists(`/proc/${parse(text)!.pid}`).pipe(
    Effect.match({ onFailure: () => false, onSuccess: (exists) => !exists })
  )
}
