import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as HostEnvironment from "../../HostEnvironment.js"
import type { Isolation } from "../../Isolation.js"
import { OpenCodeConfigError } from "../../OpenCodeError.js"
import type { RunConfig } from "../../RunConfig.js"
import * as configContent from "../opencode/configContent.js"
import { noAgents } from "../opencode/dialect.js"
import type { Dialect, Found } from "../opencode/dialect.js"
import * as secretSearch from "../opencode/secretSearch.js"
import { revealed, variableNames } from "../opencode/variables.js"
import * as orphans from "../process/orphans.js"
import * as owners from "../process/owner.js"
import * as configFiles from "./configFiles.js"
import * as directories from "./directories.js"
import * as knownSecrets from "./knownSecrets.js"
import type { Launcher } from "./launcher.js"
import * as loopback from "./loopback.js"

/** What a process of a client finds around itself. */
export interface ProcessEnvironment {
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
  client: Pick<Launcher, "environment" | "fileSystem" | "path">,
  config: RunConfig,
  isolation: Isolation
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    const { extend, variables: given } = client.environment
    const inherited = extend ? (yield* HostEnvironment.facts).variables : {}
    const env = { ...revealed(given), ...revealed(config.extraEnv ?? {}) }
    return [
      ...secretSearch.secretsOf({ config, variables: given }, { ...inherited, ...env }),
      ...secretSearch.secretsOfVariables(inherited),
      ...(yield* knownSecrets.stored(client, env, typeof isolation === "object" ? isolation.directory : undefined))
    ]
  })

/** What the child is given of this name, by us or by inheritance. */
export const valueOf = (
  { environment }: Pick<Launcher, "environment">,
  env: { readonly [name: string]: string },
  name: string
): Effect.Effect<string | undefined> =>
  env[name] !== undefined || !environment.extend ? Effect.succeed(env[name]) : HostEnvironment.variable(name)

/** The configuration that ours is laid over, and the agents that it defines. */
const found = (
  client: Pick<Launcher, "environment" | "fileSystem" | "path">,
  config: RunConfig,
  cwd: string
): Effect.Effect<Found | undefined, OpenCodeConfigError> =>
  Effect.gen(function*() {
    if (configContent.ownContent(config) === undefined) return undefined
    const variables = revealed({ ...client.environment.variables, ...config.extraEnv })
    const value = (name: string) => valueOf(client, variables, name)
    const text = yield* value(variableNames.configContent)
    const inherited = text === undefined || text === "" ? undefined : configFiles.parse(text)
    if (text !== undefined && text !== "" && inherited === undefined) {
      return yield* new OpenCodeConfigError({
        path: "extraEnv.OPENCODE_CONFIG_CONTENT",
        reason:
          "this variable, given or inherited, is not a JSON object, so the run's configuration cannot be merged over it"
      })
    }
    const home = (yield* value("HOME")) ?? (yield* value("USERPROFILE"))
    const configHome = (yield* value(variableNames.configHome)) ??
      (home === undefined ? undefined : client.path.join(home, ".config"))
    const agents = configContent.permissionOf(config) === undefined ? noAgents : configFiles.union([
      configFiles.agentsOf(inherited),
      yield* configFiles.agents(client, {
        directory: client.path.resolve(cwd, config.dir ?? "."),
        home,
        global: configHome === undefined ? undefined : client.path.join(configHome, "opencode"),
        file: yield* value(variableNames.configFile),
        extra: yield* value(variableNames.configDirectory)
      })
    ])
    return { inherited, agents }
  })

/** The programs that a process belongs to: this one, and those around it. */
const programMark = (client: Pick<Launcher, "leash">): Effect.Effect<{ readonly [name: string]: string }> =>
  Effect.gen(function*() {
    const program = yield* client.leash.program
    if (program === undefined) return {}
    const above = yield* HostEnvironment.variable(orphans.variable)
    return { [orphans.variable]: `${above ?? ""}:${owners.format(program)}` }
  })

/**
 * Prepares the directories of a process and gives all of its variables. Later ones win: a `TMPDIR` of the caller's is
 * used, a data directory of the caller's only says where the stored credentials are, and a `BUN_TMPDIR` in which directory the
 * private one is. What the start-up profile sets gives
 * way to all others.
 */
export const make = (
  client: Pick<Launcher, "environment" | "isolation" | "fileSystem" | "path" | "leash">,
  dialect: Dialect,
  config: RunConfig,
  cwd: string
): Effect.Effect<ProcessEnvironment, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const given = revealed(client.environment.variables)
    const own = dialect.variables(config, yield* found(client, config, cwd))
    const isolated = yield* directories.make(client, client.isolation, { ...given, ...own }, cwd)
    const profile: Record<string, string> = {}
    for (const [name, value] of Object.entries(dialect.startupVariables(config))) {
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
      ...isolated.data,
      ...(yield* programMark(client))
    }
    return {
      env: { ...env, ...(yield* loopback.unproxied((name) => valueOf(client, env, name))) },
      directory: isolated.data[variableNames.dataHome],
      temporary: isolated.directory
    }
  })
