/**
 * A lock file that says which process has it, so that one of a process that was killed can be told from one that is
 * held, and taken over.
 */
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

const Owner = Schema.Struct({
  pid: Schema.Number,
  /** What another process that gets the same pid later will not have: the time of its start. */
  identity: Schema.String
})

type Owner = typeof Owner.Type

const OwnerJson = Schema.parseJson(Owner)

/** Somebody else has the lock; `pid` is `undefined` where it does not say who. */
export class Held extends Schema.TaggedError<Held>("effect-opencode-cli/Held")("Held", {
  file: Schema.String,
  pid: Schema.optional(Schema.Number)
}) {}

type Services = FileSystem.FileSystem | CommandExecutor.CommandExecutor

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
    if (yield* Effect.orElseSucceed(fileSystem.exists("/proc/self/stat"), () => false)) return undefined
    const executor = yield* CommandExecutor.CommandExecutor
    const started = yield* Effect.option(executor.string(Command.make("ps", "-o", "lstart=", "-p", String(pid))))
    return Option.getOrUndefined(Option.filter(Option.map(started, (text) => text.trim()), (text) => text !== ""))
  })

/** This process; `undefined` on platforms that cannot tell. */
const self: Effect.Effect<Owner | undefined, never, Services> = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  const executor = yield* CommandExecutor.CommandExecutor
  const pid = Number(
    yield* fileSystem.readLink("/proc/self").pipe(
      Effect.orElse(() => executor.string(Command.make("sh", "-c", "echo $PPID"))),
      Effect.orElseSucceed(() => "")
    )
  )
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  const identity = yield* identityOf(pid)
  return identity === undefined ? undefined : { pid, identity }
})

const isAlive = (owner: Owner): Effect.Effect<boolean, never, Services> =>
  Effect.map(identityOf(owner.pid), (identity) => identity === owner.identity)

/** Takes the lock until the scope closes. */
export const take = (file: string): Effect.Effect<void, Held | PlatformError.PlatformError, Services | Scope.Scope> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const me = yield* self
    const create = fileSystem.writeFileString(
      file,
      me === undefined ? "" : Schema.encodeSync(OwnerJson)(me),
      { flag: "wx" }
    )
    const takeOver = Effect.gen(function*() {
      const text = yield* Effect.orElseSucceed(fileSystem.readFileString(file), () => "")
      const owner = Schema.decodeOption(OwnerJson)(text)
      // A process that was killed while it wrote the file had not begun anything.
      const isDead = Option.isNone(owner) ? me !== undefined && text !== "" : !(yield* isAlive(owner.value))
      if (!isDead) return yield* new Held({ file, pid: Option.getOrUndefined(owner)?.pid })
      yield* fileSystem.remove(file, { force: true })
      yield* create
    })
    yield* Effect.acquireRelease(
      Effect.catchAll(
        create,
        (error) => error._tag === "SystemError" && error.reason === "AlreadyExists" ? takeOver : Effect.fail(error)
      ),
      () => Effect.ignore(fileSystem.remove(file, { force: true }))
    )
  })
