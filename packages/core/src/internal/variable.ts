import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"

/** Reads the variables of this process; it is the one in force unless a program has another one. */
const ofProcess = Context.get(DefaultServices.liveServices, ConfigProvider.ConfigProvider)

interface WithProcess {
  readonly process?: { readonly env?: { readonly [name: string]: string | undefined } }
}

const notEmpty = (value: string | undefined): string | undefined => value === "" ? undefined : value

/** A variable of this process; one that is empty is none. */
export const variable = (name: string): Effect.Effect<string | undefined> =>
  Effect.configProviderWith((provider) =>
    provider === ofProcess
      // A `Config` takes thirty steps of the runtime and, where there is no such variable, an error. Every run asks for four.
      ? Effect.sync(() => notEmpty((globalThis as WithProcess).process?.env?.[name]))
      : provider.load(Config.option(Config.string(name))).pipe(
        Effect.map((value) => notEmpty(Option.getOrUndefined(value))),
        Effect.orElseSucceed(() => undefined)
      )
  )

type Variables = { readonly [name: string]: string | undefined }

const ofEnvironment: Effect.Effect<Variables> = Effect.sync(() => ({ ...(globalThis as WithProcess).process?.env }))

/** What another provider can list. A name that it has in parts is put together as `fromEnv` takes it apart. */
const listed = (provider: ConfigProvider.ConfigProvider): Effect.Effect<Variables> => {
  const below = (path: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<ReadonlyArray<string>>> =>
    provider.flattened.enumerateChildren(path).pipe(
      Effect.map((names) => [...HashSet.toValues(names)]),
      Effect.orElseSucceed((): ReadonlyArray<string> => []),
      Effect.flatMap(
        Effect.forEach((name) => Effect.map(below([...path, name]), (paths) => [[...path, name], ...paths]))
      ),
      Effect.map((lists) => lists.flat())
    )
  const load = (name: string) => Effect.option(provider.load(Config.string(name)))
  return below([]).pipe(
    Effect.flatMap(Effect.forEach((path) => {
      const name = path.join("_")
      return Effect.map(
        Effect.flatMap(load(name), (value) => Option.isSome(value) ? Effect.succeed(value) : load(name.toLowerCase())),
        (value) => Option.isSome(value) ? [[name, value.value] as const] : []
      )
    })),
    Effect.map((found) => Object.fromEntries(found.flat()))
  )
}

/** By provider, because listing one takes long and a program has one. */
const lists = new WeakMap<ConfigProvider.ConfigProvider, Variables>()

/** All variables of this process, which a child inherits, and what the program's own provider says besides. */
export const variables: Effect.Effect<Variables> = Effect.configProviderWith((provider) =>
  provider === ofProcess ? ofEnvironment : Effect.gen(function*() {
    const known = lists.get(provider) ?? (yield* listed(provider))
    lists.set(provider, known)
    return { ...(yield* ofEnvironment), ...known }
  })
)
