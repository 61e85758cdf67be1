import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
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
