/** The secrets that a child process has implicitly: inherited variables and stored logins. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as HostEnvironment from "../../HostEnvironment.js"
import * as secretSearch from "../opencode/secretSearch.js"
import * as directories from "./directories.js"
import * as logins from "./logins.js"

/** The secret values among the variables of this process. */
export const inherited: Effect.Effect<ReadonlyArray<string>> = Effect.map(
  HostEnvironment.facts,
  ({ variables }) => secretSearch.secretsOfVariables(variables)
)

/** One reader at a time, in order of arrival, so that runs waiting for the same session keep their order. */
const queues = new WeakMap<FileSystem.FileSystem, Effect.Semaphore>()

const inTurn = (fileSystem: FileSystem.FileSystem) => {
  const queue = queues.get(fileSystem) ?? Effect.unsafeMakeSemaphore(1)
  queues.set(fileSystem, queue)
  return queue.withPermits(1)
}

/**
 * The keys and tokens of the logins that a child with these variables finds, and of those in its own data directory.
 */
export const stored = (
  services: { readonly fileSystem: FileSystem.FileSystem; readonly path: Path.Path },
  env: { readonly [name: string]: string },
  own?: string
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    const { fileSystem, path } = services
    const source = yield* directories.dataHome(path, env)
    const homes = new Set([source, own].flatMap((home) => home === undefined ? [] : [path.resolve(home)]))
    const texts = yield* Effect.forEach(homes, (home) => {
      const directory = path.join(home, "opencode")
      return Effect.flatMap(
        logins.stored(services, directory),
        Effect.forEach((name) => Effect.orElseSucceed(fileSystem.readFileString(path.join(directory, name)), () => ""))
      )
    }).pipe(Effect.map((lists) => lists.flat()))
    return texts.flatMap(secretSearch.secretsOfLogins)
  }).pipe(inTurn(services.fileSystem))
