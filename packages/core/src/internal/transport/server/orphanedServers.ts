import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as HostEnvironment from "../../../HostEnvironment.js"
import * as directories from "../../launch/directories.js"
import * as processList from "../../process/list.js"
import type { Listed } from "../../process/list.js"
import * as owners from "../../process/owner.js"
import type { Owner, Reader } from "../../process/owner.js"
import * as ownership from "../../process/ownership.js"
import type { ProcessTable, Seen } from "../../process/table.js"

/**
 * The variable by which a server and its tools name the program that started them, as does a note in the server's
 * temporary directory. A server outlives a killed program (1.18.33).
 */
export const variable = "EFFECT_OPENCODE_SERVER"

/** Finds the owner that an environment names. */
export const ownerIn = (environment: string): string | undefined => processList.valueIn(environment, variable)

type Table = ReadonlyArray<Listed<string | undefined>>

/** The content of the note in a server's directory: its owner. */
const Note = Schema.parseJson(Schema.Struct({ owner: Schema.String }))
export type Note = typeof Note.Type

/**
 * The server processes of these owners, never our own. Only a process that carries the owner in its environment counts,
 * because a file can name anything.
 */
const orphans = (table: Table, self: Owner, dead: ReadonlySet<string>): ReadonlyArray<Seen> =>
  table.filter((p) => p.pid > 1 && p.pid !== self.pid && !p.zombie && p.found !== undefined && dead.has(p.found))
    .map(({ identity, pid }) => ({ identity, pid }))

type Services = processList.Services

const file = ".server.json"

/** Writes the owner into a server's temporary directory; if that fails, its environment still names the owner. */
export const note = (services: Services, directory: string, content: Note): Effect.Effect<void> =>
  Schema.encode(Note)(content).pipe(
    Effect.flatMap((text) =>
      // Tools can have left a link there before a restart, which must not be followed. A note that is there is ours.
      services.fileSystem.writeFileString(services.path.join(directory, file), text, { flag: "wx" })
    ),
    Effect.ignore
  )

interface Noted {
  readonly directory: string
  readonly note: Note
}

/**
 * Reads the notes in the temporary directories next to ours that belong to the same user, because anybody can write
 * there.
 */
const notes = ({ fileSystem, path }: Services, directory: string): Effect.Effect<ReadonlyArray<Noted>> =>
  Effect.gen(function*() {
    const parent = path.dirname(directory)
    const user = yield* Effect.map(fileSystem.stat(directory), ({ uid }) => uid)
    const read = (name: string) =>
      Effect.gen(function*() {
        const own = path.join(parent, name)
        const isOurs = (yield* ownership.isOwn(fileSystem, own, "Directory", user)) &&
          (yield* ownership.isOwn(fileSystem, path.join(own, file), "File", user))
        if (!isOurs) return Option.none<Noted>()
        const text = yield* fileSystem.readFileString(path.join(own, file))
        return Option.some({ directory: own, note: yield* Schema.decode(Note)(text) })
      }).pipe(Effect.orElseSucceed(() => Option.none<Noted>()))
    const names = yield* fileSystem.readDirectory(parent)
    const found = yield* Effect.forEach(names.filter((name) => name.startsWith("effect-opencode-")), read, {
      concurrency: 16
    })
    return found.flatMap(Option.toArray)
  }).pipe(Effect.orElseSucceed((): ReadonlyArray<Noted> => []))

/** Selects the dead ones of all named owners. */
const deadOf = (
  services: Services,
  table: Table,
  reader: Reader,
  notes: ReadonlyArray<Note>
): Effect.Effect<ReadonlySet<string>> => {
  const named = new Set([...notes.map(({ owner }) => owner), ...table.flatMap((p) => p.found ?? [])])
  return Effect.map(
    Effect.filter(named, (text) => owners.isDead(services, table, reader, text)),
    (dead) => new Set(dead)
  )
}

const remove = (
  { fileSystem }: Services,
  noted: ReadonlyArray<Noted>,
  dead: ReadonlySet<string>
): Effect.Effect<void> =>
  Effect.forEach(
    noted.filter(({ note }) => dead.has(note.owner)),
    ({ directory }) => directories.remove(fileSystem, directory),
    { discard: true }
  )

/** How long the kernel may take for a SIGKILL. */
const killPatience = Duration.seconds(2)

/**
 * Ends the servers that dead programs left on this machine, with their tools, and removes their temporary directories
 * next to ours. Servers of living programs are left running.
 */
export const end = (
  services: Services & { readonly table: ProcessTable; readonly forceKillAfter: Duration.Duration },
  owner: Owner,
  directory: string
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { table } = services
    const reader: Reader = { self: owner, above: yield* HostEnvironment.variable(variable) }
    const noted = yield* notes(services, directory)
    const all = noted.map(({ note }) => note)
    const list = processList.list(services, ownerIn)
    const isWhole = (table: Table): boolean => table.some((p) => p.pid === owner.pid)
    const first = yield* list
    if (!isWhole(first)) {
      return yield* Effect.logDebug("cannot list the processes of this machine: orphaned servers are not ended")
    }
    const dead = yield* deadOf(services, first, reader, all)
    const found = orphans(first, owner, dead)
    if (found.length > 0) {
      yield* Effect.logDebug(
        `ending servers orphaned by crashed programs: pid ${found.map(({ pid }) => pid).join(", ")}`
      )
      const left = Effect.map(list, (table) => isWhole(table) ? orphans(table, owner, dead) : found)
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
    yield* remove(services, noted, dead)
  }).pipe(Effect.withSpan("OpenCode.server.leftovers"))

/** Removes the temporary directories next to this one of servers that have ended, and whose programs are dead. */
export const removeDirectories = (services: Services, directory: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    const self = yield* processList.self(services)
    const noted = yield* notes(services, directory)
    if (self === undefined || noted.length === 0) return
    const reader: Reader = { self, above: yield* HostEnvironment.variable(variable) }
    const table = yield* processList.list(services, ownerIn)
    if (!table.some((p) => p.pid === self.pid)) return
    const dead = yield* deadOf(services, table, reader, noted.map(({ note }) => note))
    const owning = new Set(table.flatMap(({ found, zombie }) => zombie ? [] : found ?? []))
    yield* remove(services, noted.filter(({ note }) => !owning.has(note.owner)), dead)
  })
