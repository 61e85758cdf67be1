/**
 * A lock file that names its process, so that the lock of a killed process can be recognised and taken over.
 */
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/** The namespace of a pid: equal pids in equal namespaces are the same process. */
const Place = Schema.Struct({
  host: Schema.String,
  /** The machine's boot id, because host names are not unique. */
  boot: Schema.String,
  /** The pid namespace, because containers have their own pids; empty on platforms without namespaces. */
  namespace: Schema.String
})

type Place = typeof Place.Type

const Owner = Schema.Struct({
  pid: Schema.Number,
  /** The start time, which a later process with the same pid does not share. */
  identity: Schema.String,
  ...Place.fields
})

type Owner = typeof Owner.Type

const OwnerJson = Schema.parseJson(Owner)

/** Another process holds the lock; `pid` is `undefined` if the lock does not name it. */
export class Held extends Schema.TaggedError<Held>("effect-opencode-cli/Held")("Held", {
  file: Schema.String,
  pid: Schema.optional(Schema.Number),
  /** The host of the process, if it is not visible from here. */
  host: Schema.optional(Schema.String)
}) {}

type Services = FileSystem.FileSystem | CommandExecutor.CommandExecutor

/** The content of a file, or else the output of a command, if not empty. */
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

/** The start time of a process that exists but cannot be inspected. */
const hidden = "hidden"

/**
 * Whether a process has this pid. If we may not signal it, it exists: `/proc` can be mounted so that users see only
 * their own processes.
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

/** `undefined` if there is no such process, or no way to find out. */
const identityOf = (pid: number): Effect.Effect<string | undefined, never, Services> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const stat = yield* Effect.option(fileSystem.readFileString(`/proc/${pid}/stat`))
    if (Option.isSome(stat)) {
      // The name in the second field can hold spaces and brackets; the start time is the 20th field after it.
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

/** This process; `undefined` on platforms that cannot identify it. */
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

const isMissing = (error: PlatformError.PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "NotFound"

/** Takes the lock until the scope closes. */
export const take = (file: string): Effect.Effect<void, Held | PlatformError.PlatformError, Services | Scope.Scope> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const me = yield* self
    const mine = me === undefined ? "" : Schema.encodeSync(OwnerJson)(me)
    const create = (file: string) => fileSystem.writeFileString(file, mine, { flag: "wx" })

    /** Fails if the lock is held; `false` if it no longer exists. */
    const isDead = (file: string): Effect.Effect<boolean, Held | PlatformError.PlatformError, Services> =>
      Effect.gen(function*() {
        const text = yield* Effect.catchIf(fileSystem.readFileString(file), isMissing, () => Effect.succeed(undefined))
        if (text === undefined) return false
        // A file that names no owner may be a lock about to be written, or not a lock at all.
        const owner = Option.getOrUndefined(Schema.decodeOption(OwnerJson)(text))
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

    /** The lock existed and is gone. The fastest process takes it now. */
    const createAgain = (file: string) => Effect.catchIf(create(file), isExisting, () => new Held({ file }))

    // Several processes can find the same dead holder. The one that takes a second lock replaces the first with it in
    // one step: there is never a moment without a lock, and later processes find the new one.
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
