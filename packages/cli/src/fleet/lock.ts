/**
 * A lock file that says which process has it, so that one of a process that was killed can be told from one that is
 * held, and taken over.
 */
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/** Where a pid means a process: the same three, the same process. */
const Place = Schema.Struct({
  host: Schema.String,
  /** Of this start of the machine; host names are not unique. */
  boot: Schema.String,
  /** Containers have pids of their own; empty on platforms that have none. */
  namespace: Schema.String
})

type Place = typeof Place.Type

const Owner = Schema.Struct({
  pid: Schema.Number,
  /** What another process that gets the same pid later will not have: the time of its start. */
  identity: Schema.String,
  ...Place.fields
})

type Owner = typeof Owner.Type

const OwnerJson = Schema.parseJson(Owner)

/** Somebody else has the lock; `pid` is `undefined` where it does not say who. */
export class Held extends Schema.TaggedError<Held>("effect-opencode-cli/Held")("Held", {
  file: Schema.String,
  pid: Schema.optional(Schema.Number),
  /** Where the process is, if that is somewhere from which it cannot be seen. */
  host: Schema.optional(Schema.String)
}) {}

type Services = FileSystem.FileSystem | CommandExecutor.CommandExecutor

/** What a file or else a command says, if it says anything. */
const said = (
  file: (fileSystem: FileSystem.FileSystem) => Effect.Effect<string, PlatformError.PlatformError>,
  command: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<string | undefined, never, Services> =>
  Effect.gen(function*() {
    const executor = yield* CommandExecutor.CommandExecutor
    const text = yield* Effect.flatMap(FileSystem.FileSystem, file).pipe(
      Effect.orElse(() => executor.string(Command.make(command, ...args))),
      Effect.orElseSucceed(() => "")
    )
    return text.trim() === "" ? undefined : text.trim()
  })

/** Of a process that is there and cannot be looked at. */
const hidden = "hidden"

/**
 * Whether a process has this pid. Without permission to signal it there is one: `/proc` can be mounted so that it shows
 * everybody their own processes only.
 */
const isThere = (pid: number): Effect.Effect<boolean, never, Services> =>
  Effect.flatMap(
    CommandExecutor.CommandExecutor,
    (executor) =>
      Command.make("sh", "-c", "kill -0 \"$1\" 2>&1 || true", "sh", String(pid)).pipe(
        Command.env({ LC_ALL: "C" }),
        executor.string
      )
  ).pipe(
    Effect.map((said) => !/no such process/i.test(said)),
    Effect.orElseSucceed(() => true)
  )

/** `undefined` where there is no such process, or no way to tell. */
const identityOf = (pid: number): Effect.Effect<string | undefined, never, Services> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const stat = yield* Effect.option(fileSystem.readFileString(`/proc/${pid}/stat`))
    if (Option.isSome(stat)) {
      // The name in the second field can hold spaces and brackets; the time of the start is the 20th behind it.
      const fields = stat.value.slice(stat.value.lastIndexOf(")") + 1).trim().split(/\s+/)
      return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19]
    }
    if (yield* Effect.orElseSucceed(fileSystem.exists("/proc/self/stat"), () => false)) {
      return (yield* isThere(pid)) ? hidden : undefined
    }
    const executor = yield* CommandExecutor.CommandExecutor
    const started = yield* Effect.option(executor.string(Command.make("ps", "-o", "lstart=", "-p", String(pid))))
    return Option.getOrUndefined(Option.filter(Option.map(started, (text) => text.trim()), (text) => text !== ""))
  })

const here: Effect.Effect<Place | undefined, never, Services> = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const host = yield* said((files) => files.readFileString("/proc/sys/kernel/hostname"), "uname", "-n")
  const boot = yield* said(
    (files) => files.readFileString("/proc/sys/kernel/random/boot_id"),
    "sysctl",
    "-n",
    "kern.bootsessionuuid"
  )
  const namespace = yield* Effect.orElseSucceed(fileSystem.readLink("/proc/self/ns/pid"), () => "")
  return host === undefined || boot === undefined ? undefined : { host, boot, namespace }
})

/** This process; `undefined` on platforms that cannot tell. */
const self: Effect.Effect<Owner | undefined, never, Services> = Effect.gen(function*() {
  const pid = Number(yield* said((files) => files.readLink("/proc/self"), "sh", "-c", "echo $PPID"))
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  const identity = yield* identityOf(pid)
  const place = yield* here
  return identity === undefined || place === undefined ? undefined : { pid, identity, ...place }
})

const isVisible = (owner: Owner, me: Owner): boolean =>
  owner.host === me.host && owner.boot === me.boot && owner.namespace === me.namespace

const isExisting = (error: PlatformError.PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "AlreadyExists"

/** Takes the lock until the scope closes. */
export const take = (file: string): Effect.Effect<void, Held | PlatformError.PlatformError, Services | Scope.Scope> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const me = yield* self
    const mine = me === undefined ? "" : Schema.encodeSync(OwnerJson)(me)
    const create = (file: string) => fileSystem.writeFileString(file, mine, { flag: "wx" })

    /** Fails where somebody holds it: `false` where there is no lock any more. */
    const isDead = (file: string): Effect.Effect<boolean, Held | PlatformError.PlatformError, Services> =>
      Effect.gen(function*() {
        const text = yield* Effect.either(fileSystem.readFileString(file))
        if (Either.isLeft(text)) {
          const { left: error } = text
          return error._tag === "SystemError" && error.reason === "NotFound" ? false : yield* error
        }
        // What says nothing may be about to be written, or be no lock at all.
        const owner = Option.getOrUndefined(Schema.decodeOption(OwnerJson)(text.right))
        if (owner === undefined) return yield* new Held({ file })
        const { host, identity, pid } = owner
        if (me === undefined || !isVisible(owner, me)) return yield* new Held({ file, pid, host })
        const found = yield* identityOf(pid)
        return found === identity || found === hidden ? yield* new Held({ file, pid }) : true
      })

    const release = (file: string) =>
      fileSystem.readFileString(file).pipe(
        Effect.flatMap((text) => text === mine ? fileSystem.remove(file, { force: true }) : Effect.void),
        Effect.ignore
      )

    const acquire = (file: string): Effect.Effect<void, Held | PlatformError.PlatformError, Services> =>
      Effect.catchIf(
        create(file),
        isExisting,
        () => Effect.if(isDead(file), { onTrue: () => takeOver(file), onFalse: () => createAgain(file) })
      )

    /** It was there and is gone. Who is quicker this time has it. */
    const createAgain = (file: string) => Effect.catchIf(create(file), isExisting, () => new Held({ file }))

    // Several can find the same dead process. The lock is replaced by who holds a second one, which becomes the first in
    // one step: at no time is there none, and who comes later finds the new one.
    const takeOver = (file: string): Effect.Effect<void, Held | PlatformError.PlatformError, Services> => {
      const next = `${file}.next`
      return Effect.andThen(
        acquire(next),
        isDead(file).pipe(
          Effect.flatMap((isDead) =>
            isDead ? fileSystem.rename(next, file) : Effect.andThen(release(next), createAgain(file))
          ),
          Effect.onError(() => release(next))
        )
      )
    }

    yield* Effect.acquireRelease(acquire(file), () => release(file))
  })
