import * as Command from "@effect/platform/Command"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Processes } from "../client.js"
import * as processTable from "../processTable.js"
import type { Listed, Seen } from "../processTable.js"

/**
 * Nothing ties a server to the program that started it (1.18.33): when the program is killed, the server stays. So its
 * environment, which its tools inherit, names the program, and a note in its temporary directory says the same.
 */
export const variable = "EFFECT_OPENCODE_SERVER"

/** A program that has started servers, told from a later one with the same pid. */
export interface Owner {
  /** Pids mean something only inside it; empty where there are no namespaces. */
  readonly namespace: string
  readonly pid: number
  /** When it began, as `/proc` tells; empty elsewhere. */
  readonly started: string
}

export const format = ({ namespace, pid, started }: Owner): string => `${namespace}/${pid}/${started}`

export const parse = (text: string): Owner | undefined => {
  const match = /^(\d*)\/([1-9]\d*)\/(\d*)$/.exec(text)
  return match === null ? undefined : { namespace: match[1]!, pid: Number(match[2]), started: match[3]! }
}

/** The owner that an environment names. */
export const ownerIn = (environment: string): string | undefined => {
  const at = environment.indexOf(`${variable}=`)
  return at === -1 ? undefined : /^[^\0\s]*/.exec(environment.slice(at + variable.length + 1))?.[0]
}

type Table = ReadonlyArray<Listed<string | undefined>>

interface Reader {
  readonly self: Owner
  /** The owner that our own environment names: we are a tool of its server. */
  readonly above: string | undefined
}

/**
 * What a list of processes tells of an owner. In doubt it lives: of another namespace nothing is known, and without a
 * time a pid is enough. One that is not in the list can be one that could not be read.
 */
const stateOf = (table: Table, { above, self }: Reader, text: string): "alive" | "dead" | "missing" => {
  const owner = text === above ? undefined : parse(text)
  if (owner === undefined || owner.namespace !== self.namespace) return "alive"
  const found = table.find((p) => p.pid === owner.pid)
  if (found === undefined) return "missing"
  return !found.zombie && (owner.started === "" || found.identity === owner.started) ? "alive" : "dead"
}

/** What a note says; `pid` and `identity` are those of the server. */
const Note = Schema.parseJson(Schema.Struct({
  owner: Schema.String,
  pid: Schema.optional(Schema.Number),
  identity: Schema.optional(Schema.String)
}))
export type Note = typeof Note.Type

/** The processes of servers of these owners; never ours. */
const orphans = (
  table: Table,
  self: Owner,
  dead: ReadonlySet<string>,
  notes: ReadonlyArray<Note>
): ReadonlyArray<Seen> => {
  const noted = notes.filter((note) => dead.has(note.owner))
  return table.filter((p) =>
    p.pid !== self.pid && !p.zombie &&
    ((p.found !== undefined && dead.has(p.found)) ||
      noted.some((note) => note.pid === p.pid && note.identity === p.identity && note.identity !== undefined))
  ).map(({ identity, pid }) => ({ identity, pid }))
}

type Services = Pick<Processes, "executor" | "fileSystem" | "path" | "table" | "forceKillAfter">

/** Us; `undefined` where that cannot be found out, and nobody can be told from us. */
export const self = (services: Omit<Services, "table" | "forceKillAfter">): Effect.Effect<Owner | undefined> =>
  Effect.gen(function*() {
    const { executor, fileSystem, path } = services
    if (path.sep === "\\") return undefined
    if (yield* processTable.hasProc(services)) {
      const namespace = yield* Effect.orElseSucceed(fileSystem.readLink("/proc/self/ns/pid"), () => "")
      const text = yield* Effect.orElseSucceed(fileSystem.readFileString("/proc/self/stat"), () => "")
      const stat = processTable.parseStat(text)
      return stat === undefined
        ? undefined
        : { namespace: /\d+/.exec(namespace)?.[0] ?? "", pid: stat.pid, started: stat.identity }
    }
    const text = yield* Effect.orElseSucceed(executor.string(Command.make("sh", "-c", "echo $PPID")), () => "")
    const pid = Number.parseInt(text, 10)
    return pid > 0 ? { namespace: "", pid, started: "" } : undefined
  })

const file = ".server.json"

/** Says in a server's temporary directory whose it is; where that fails, its environment says it still. */
export const note = (services: Services, directory: string, content: Note): Effect.Effect<void> =>
  Schema.encode(Note)(content).pipe(
    Effect.flatMap((text) => services.fileSystem.writeFileString(services.path.join(directory, file), text)),
    Effect.ignore
  )

/** The process of this pid as a note can hold it. */
export const seen = (services: Services, pid: number): Effect.Effect<Seen | undefined> =>
  Effect.map(processTable.list(services, () => undefined), (table) => {
    const found = table.find((p) => p.pid === pid)
    return found === undefined ? undefined : { pid, identity: found.identity }
  })

interface Noted {
  readonly directory: string
  readonly note: Note
}

/** The notes in the temporary directories beside ours. */
const notes = ({ fileSystem, path }: Services, directory: string): Effect.Effect<ReadonlyArray<Noted>> => {
  const parent = path.dirname(directory)
  const read = (name: string) =>
    fileSystem.readFileString(path.join(parent, name, file)).pipe(
      Effect.flatMap(Schema.decode(Note)),
      Effect.map((note): Noted => ({ directory: path.join(parent, name), note })),
      Effect.option
    )
  return fileSystem.readDirectory(parent).pipe(
    Effect.orElseSucceed((): Array<string> => []),
    Effect.flatMap((names) =>
      Effect.forEach(names.filter((name) => name.startsWith("effect-opencode-")), read, { concurrency: 16 })
    ),
    Effect.map((found) => found.flatMap(Option.toArray))
  )
}

/** The owners that have died, of all that are named. */
const deadOf = (
  { fileSystem }: Services,
  table: Table,
  reader: Reader,
  notes: ReadonlyArray<Note>
): Effect.Effect<ReadonlySet<string>> => {
  const named = new Set([...notes.map(({ owner }) => owner), ...table.flatMap((p) => p.found ?? [])])
  const isDead = (text: string): Effect.Effect<boolean> => {
    const state = stateOf(table, reader, text)
    return state !== "missing" ? Effect.succeed(state === "dead") : fileSystem.exists(`/proc/${parse(text)!.pid}`).pipe(
      Effect.match({ onFailure: () => false, onSuccess: (exists) => !exists })
    )
  }
  return Effect.map(Effect.filter(named, isDead), (dead) => new Set(dead))
}

/** How long the kernel gets to carry out a SIGKILL. */
const killPatience = Duration.seconds(2)

/**
 * Ends the servers that programs which have died have left on this machine, with their tools, and removes their
 * temporary directories beside ours. A server whose program lives is left alone.
 */
export const end = (services: Services, owner: Owner, directory: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { fileSystem, table } = services
    const above = yield* Config.string(variable).pipe(Effect.option)
    const reader: Reader = { self: owner, above: Option.getOrUndefined(above) }
    const noted = yield* notes(services, directory)
    const all = noted.map(({ note }) => note)
    const list = processTable.list(services, ownerIn)
    const isWhole = (table: Table): boolean => table.some((p) => p.pid === owner.pid)
    const first = yield* list
    if (!isWhole(first)) {
      return yield* Effect.logDebug("the processes of this machine cannot be listed: what is left of others stays")
    }
    const dead = yield* deadOf(services, first, reader, all)
    const found = orphans(first, owner, dead, all)
    if (found.length > 0) {
      yield* Effect.logDebug(`ending what dead programs have left: pid ${found.map(({ pid }) => pid).join(", ")}`)
      const left = Effect.map(list, (table) => isWhole(table) ? orphans(table, owner, dead, all) : found)
      const waitGone = (patience: Duration.Duration) =>
        left.pipe(
          Effect.delay(Duration.millis(50)),
          Effect.repeat({ until: (left) => left.length === 0 }),
          Effect.timeoutOption(patience),
          Effect.map(Option.isSome)
        )
      yield* table.kill(found, "TERM")
      if (!(yield* waitGone(services.forceKillAfter))) {
        yield* table.kill(yield* left, "KILL")
        yield* waitGone(killPatience)
      }
    }
    yield* Effect.forEach(
      noted.filter(({ note }) => dead.has(note.owner)),
      ({ directory }) => Effect.ignore(fileSystem.remove(directory, { recursive: true, force: true })),
      { discard: true }
    )
  }).pipe(Effect.withSpan("OpenCode.server.leftovers"))
