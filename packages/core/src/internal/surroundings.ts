import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as HostEnvironment from "../HostEnvironment.js"
import type { Isolation } from "../Isolation.js"
import type { OpenCodeConfigError } from "../OpenCodeError.js"
import type { RunConfig } from "../RunConfig.js"
import type { Processes } from "./client.js"
import * as directories from "./directories.js"
import * as invocation from "./invocation.js"
import * as knownSecrets from "./knownSecrets.js"
import * as loopback from "./loopback.js"
import * as redact from "./redact.js"
import * as startupProfile from "./startupProfile.js"

/** What a process of a client finds around itself. */
export interface Surroundings {
  readonly env: { readonly [name: string]: string }
  /** The data directory; `undefined` where it is OpenCode's own. */
  readonly directory: string | undefined
  /** A temporary directory that goes with the scope. */
  readonly temporary: string
}

/**
 * The secret values among what a process is given: by us, by inheritance, and by the logins that it finds. Values that
 * are inherited are as secret as those that somebody has named.
 */
export const secrets = (
  client: Pick<Processes, "environment" | "fileSystem" | "path">,
  config: RunConfig,
  isolation: Isolation
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    const { extend, variables: given } = client.environment
    const inherited = extend ? (yield* HostEnvironment.facts).variables : {}
    const env = { ...invocation.revealed(given), ...invocation.revealed(config.extraEnv ?? {}) }
    return [
      ...redact.secretsOf({ config, variables: given }, { ...inherited, ...env }),
      ...redact.secretsOfVariables(inherited),
      ...(yield* knownSecrets.stored(client, env, typeof isolation === "object" ? isolation.directory : undefined))
    ]
  })

/** What the child is given of this name, by us or by inheritance. */
export const valueOf = (
  { environment }: Pick<Processes, "environment">,
  env: { readonly [name: string]: string },
  name: string
): Effect.Effect<string | undefined> =>
  env[name] !== undefined || !environment.extend ? Effect.succeed(env[name]) : HostEnvironment.variable(name)

/**
 * Prepares the directories of a process and gives all of its variables. Later ones win: a `TMPDIR` of the caller's is
 * used, a data directory of the caller's only says where the stored credentials are, and a `BUN_TMPDIR` in which directory the
 * private one is. What the start-up profile sets gives
 * way to all others.
 */
export const make = (
  client: Pick<Processes, "environment" | "isolation" | "fileSystem" | "path">,
  config: RunConfig,
  cwd: string
): Effect.Effect<Surroundings, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const own = invocation.env(config)
    const given = invocation.revealed(client.environment.variables)
    const isolated = yield* directories.make(client, client.isolation, { ...given, ...own }, cwd)
    const profile: Record<string, string> = {}
    for (const [name, value] of Object.entries(startupProfile.variables(config))) {
      if ((yield* valueOf(client, { ...given, ...own }, name)) === undefined) profile[name] = value
    }
    // OpenCode takes its directory from PWD before it asks the system.
    const env = {
      ...profile,
      ...given,
      ...isolated.temporary,
      PWD: cwd,
      ...own,
      ...isolated.unpacked,
      ...isolated.data
    }
    return {
      env: { ...env, ...(yield* loopback.unproxied((name) => valueOf(client, env, name))) },
      directory: isolated.data["XDG_DATA_HOME"],
      temporary: isolated.directory
    }
  })
