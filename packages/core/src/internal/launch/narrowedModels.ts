import * as Effect from "effect/Effect"
import type { RunOptions } from "../../RunOptions.js"
import { variableNames } from "../opencode/variables.js"
import * as directories from "./directories.js"
import * as environment from "./environment.js"
import type { Launcher } from "./launcher.js"
import * as modelList from "./modelList.js"

/** The providers with a stored login; `undefined` if unknown. */
const storedLogins = (
  client: Launcher,
  { directory, env }: environment.ProcessEnvironment,
  home: string | undefined
): Effect.Effect<ReadonlyArray<string> | undefined> =>
  Effect.gen(function*() {
    const data = directory ?? (yield* environment.valueOf(client, env, variableNames.dataHome)) ??
      (home === undefined ? undefined : client.path.join(home, ".local", "share"))
    if (data === undefined) return undefined
    const file = client.path.join(data, "opencode", "auth.json")
    const there = yield* Effect.orElseSucceed(client.fileSystem.exists(file), () => true)
    const texts = [
      yield* environment.valueOf(client, env, variableNames.logins),
      there ? yield* Effect.orElseSucceed(client.fileSystem.readFileString(file), () => "") : undefined
    ].filter((text) => text !== undefined)
    const logins = texts.map(modelList.decode)
    return logins.every((one) => one !== undefined) ? logins.flatMap((one) => Object.keys(one)) : undefined
  })

/**
 * Returns the variables by which a run with the fast profile reads only the part of OpenCode's model list that it can
 * need: reading the whole list takes a third of the start (1.18.33). If that part is unknown, or cannot be written, the
 * run uses the whole list.
 */
export const variables = (
  client: Launcher,
  options: RunOptions,
  around: environment.ProcessEnvironment
): Effect.Effect<{ readonly [name: string]: string }> =>
  Effect.gen(function*() {
    const { env } = around
    const wanted = modelList.wanted(options)
    if (wanted === undefined) return {}
    const valueOf = (name: string) => environment.valueOf(client, env, name)
    for (const name of [variableNames.modelsPath, variableNames.modelsUrl]) {
      if ((yield* valueOf(name)) !== undefined) return {}
    }
    const home = env["HOME"] ?? (yield* directories.home)
    const cache = (yield* valueOf(variableNames.cacheHome)) ??
      (home === undefined ? undefined : client.path.join(home, ".cache"))
    const stored = yield* storedLogins(client, around, home)
    if (cache === undefined || stored === undefined) return {}
    const list = yield* client.modelList.read(client.path.join(cache, "opencode", "models.json"), wanted, {
      stored,
      given: env,
      inherits: (name) => Effect.map(valueOf(name), (value) => value !== undefined)
    })
    if (list === undefined) return {}
    const file = client.path.join(around.temporary, ".models.json")
    return yield* client.fileSystem.writeFileString(file, list).pipe(
      Effect.as({ [variableNames.modelsPath]: file }),
      Effect.orElseSucceed(() => ({}))
    )
  })
