import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { makeDirectories } from "../util/makeDirectories.js"
import { isObject } from "../util/object.js"

interface Services {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
}

/**
 * True if a file of the data directory is a login: OpenCode itself has `auth.json` (providers) and `mcp-auth.json` (MCP
 * servers) there (1.18.33); plugins use similar names.
 */
export const isLogin = (name: string): boolean => /(^|[-_.])(auth|accounts?|credentials?|tokens?)\.json$/i.test(name)

const own = ["auth.json", "mcp-auth.json"]

/**
 * Reads the logins in a directory. Lists names first, because most machines have none and each failed read costs an
 * error.
 */
export const stored = ({ fileSystem, path }: Services, directory: string): Effect.Effect<ReadonlyArray<string>> =>
  fileSystem.readDirectory(directory).pipe(
    Effect.map((names) => names.filter(isLogin)),
    // A directory that cannot be listed may still contain logins.
    Effect.catchAll((error) => Effect.succeed(error._tag === "SystemError" && error.reason === "NotFound" ? [] : own)),
    Effect.flatMap(
      Effect.filter((name) => Effect.orElseSucceed(fileSystem.exists(path.join(directory, name)), () => false))
    )
  )

const Logins = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))

type Logins = typeof Logins.Type

const decode = Schema.decodeEither(Logins)

const isSame = (self: unknown, that: unknown): boolean => JSON.stringify(self) === JSON.stringify(that)

/**
 * Merges the changes of a copy into the current logins, which may have changed meanwhile; `undefined` without changes.
 */
export const merge = (before: Logins, copy: Logins, now: Logins): Logins | undefined => {
  const names = new Set([...Object.keys(before), ...Object.keys(copy)])
  const changed = [...names].filter((name) => !isSame(before[name], copy[name]) && !isSame(copy[name], now[name]))
  if (changed.length === 0) return undefined
  const removed = changed.filter((name) => copy[name] === undefined)
  return Object.fromEntries([
    ...Object.entries(now).filter(([name]) => !removed.includes(name)),
    ...changed.filter((name) => copy[name] !== undefined).map((name) => [name, copy[name]] as const)
  ])
}

/** The fields of a login that OpenCode renews by itself: those of a provider, and of an MCP server (1.18.33). */
const renewable = new Set(["access", "refresh", "expires", "tokens"])

/**
 * The copy with nothing changed but renewed tokens of logins that were there before. An agent can write to the copy, and
 * a login of its own could make a later OpenCode load a configuration from anywhere (`wellknown`, 1.18.33).
 */
export const renewed = (before: Logins, copy: Logins): Logins =>
  Object.fromEntries(
    Object.entries(before).map(([name, old]) => {
      const fresh = copy[name]
      if (!isObject(old) || !isObject(fresh) || old["type"] === "api" || old["type"] === "wellknown") return [name, old]
      return [
        name,
        Object.fromEntries(
          Object.entries(old).map(([key, value]) => [key, renewable.has(key) && key in fresh ? fresh[key] : value])
        )
      ]
    })
  )

/** Replaces a file atomically: a concurrent reader sees the old or the new content. */
const replace = ({ fileSystem }: Services, file: string, content: Logins): Effect.Effect<void, PlatformError> =>
  Effect.gen(function*() {
    const target = yield* fileSystem.realPath(file)
    const fresh = `${target}.${yield* Random.nextIntBetween(0, 2 ** 31)}`
    yield* fileSystem.writeFileString(fresh, JSON.stringify(content, null, 2), { mode: 0o600 }).pipe(
      Effect.andThen(fileSystem.rename(fresh, target)),
      Effect.onError(() => Effect.ignore(fileSystem.remove(fresh, { force: true })))
    )
  })

/** What is taken of a copy. */
type Accept = (before: Logins, copy: Logins) => Logins

/**
 * OpenCode writes a refreshed token through the link (1.18.33). If there is a copy, or a file that replaced the link,
 * only that has the token, so it is merged back.
 */
const bringBack = (
  services: Services,
  source: string,
  target: string,
  before: Logins | undefined,
  accept: Accept = (_, copy) => copy
) =>
  Effect.gen(function*() {
    const { fileSystem } = services
    if (before === undefined || (yield* Effect.isSuccess(fileSystem.readLink(target)))) return
    // Reading a pipe would never end.
    if ((yield* fileSystem.stat(target)).type !== "File") return
    const copy = Effect.map(
      Effect.option(fileSystem.readFileString(target)),
      (text) => text._tag === "Some" ? Either.getOrUndefined(decode(text.value)) : undefined
    )
    const current = yield* copy
    if (current === undefined) return
    const now = Either.getOrElse(decode(yield* fileSystem.readFileString(source)), (): Logins => ({}))
    const merged = merge(before, accept(before, current), now)
    if (merged !== undefined) yield* replace(services, source, merged)
  }).pipe(
    Effect.catchAll(() => Effect.logWarning(`A renewed login could not be copied from ${target} back to ${source}`))
  )

/**
 * Links the logins of one data directory into another, which keeps its own. A link keeps refreshed tokens; it is a copy
 * if links are not allowed.
 */
export const link = (
  services: Services,
  source: string,
  target: string,
  accept?: Accept
): Effect.Effect<void, PlatformError, Scope.Scope> =>
  Effect.gen(function*() {
    const { fileSystem, path } = services
    const names = yield* stored(services, source)
    if (names.length === 0) return
    yield* makeDirectories(services, target)
    yield* Effect.forEach(names, (name) =>
      Effect.gen(function*() {
        const [from, to] = [path.join(source, name), path.join(target, name)]
        const linked = yield* Effect.option(fileSystem.readLink(to))
        if (linked._tag === "Some" ? linked.value !== from : yield* fileSystem.exists(to)) return
        const before = Either.getOrUndefined(
          decode(yield* Effect.orElseSucceed(fileSystem.readFileString(from), () => ""))
        )
        if (linked._tag === "None") {
          yield* fileSystem.symlink(from, to).pipe(
            Effect.catchAll((error) =>
              // Another run in the same directory created it first.
              error._tag === "SystemError" && error.reason === "AlreadyExists"
                ? Effect.void
                : fileSystem.copyFile(from, to)
            )
          )
        }
        yield* Effect.addFinalizer(() => bringBack(services, from, to, before, accept))
      }), { discard: true })
  })

/**
 * Copies the logins of one data directory to which another one has links, for a sandbox in which the copies replace them.
 * Renewed tokens are brought back when the scope closes. An agent can have made the links to something else.
 */
export const copied = (
  services: Services,
  source: string,
  target: string,
  directory: string
): Effect.Effect<ReadonlyArray<{ readonly path: string; readonly source: string }>, PlatformError, Scope.Scope> =>
  Effect.gen(function*() {
    const { fileSystem, path } = services
    const names = yield* Effect.filter(
      yield* stored(services, source),
      (name) =>
        Effect.match(fileSystem.readLink(path.join(target, name)), {
          onFailure: () => false,
          onSuccess: (link) => link === path.join(source, name)
        })
    )
    if (names.length === 0) return []
    yield* fileSystem.makeDirectory(directory, { mode: 0o700 })
    return yield* Effect.forEach(names, (name) =>
      Effect.gen(function*() {
        const real = yield* fileSystem.realPath(path.join(source, name))
        const copy = path.join(directory, name)
        const text = yield* fileSystem.readFileString(real)
        yield* fileSystem.writeFileString(copy, text, { mode: 0o600 })
        yield* Effect.addFinalizer(() => bringBack(services, real, copy, Either.getOrUndefined(decode(text)), renewed))
        return { path: real, source: copy }
      }))
  })
