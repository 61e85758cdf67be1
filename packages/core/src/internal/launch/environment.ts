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
import * as marks from "../process/marks.js"
import * as orphans from "../process/orphans.js"
import * as owners from "../process/owner.js"
import * as configFiles from "./configFiles.js"
import * as directories from "./directories.js"
import * as knownSecrets from "./knownSecrets.js"
import type { Launcher } from "./launcher.js"
import * as loopback from "./loopback.js"

/** Environment and directories of one child process. */
export interface ProcessEnvironment {
  readonly env: { readonly [name: string]: string }
  /** The data directory; `undefined` if it is OpenCode's own. */
  readonly directory: string | undefined
  /** A temporary directory, removed when the scope closes. */
  readonly temporary: string
}

/**
 * Collects the secret values that a process receives: set by us, inherited, and from stored logins. Inherited secrets
 * are treated like explicit ones.
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

/** The value of a variable in the child, set by us or inherited. */
export const valueOf = (
  { environment }: Pick<Launcher, "environment">,
  env: { readonly [name: string]: string },
  name: string
): Effect.Effect<string | undefined> =>
  env[name] !== undefined || !environment.extend ? Effect.succeed(env[name]) : HostEnvironment.variable(name)

/** Finds the existing configuration, over which ours is merged, and the agents that it defines. */
const found = (
  client: Pick<Launcher, "environment" | "fileSystem" | "path">,
  dialect: Dialect,
  config: RunConfig,
  cwd: string,
  system: string | undefined
): Effect.Effect<Found | undefined, OpenCodeConfigError> =>
  Effect.gen(function*() {
    const isConfigured = configContent.ownContent(config) !== undefined || system !== undefined ||
      // There it is a part of the configuration.
      (config.pure === true && dialect.server?.inVariables.includes("pure") === true)
    if (!isConfigured) return undefined
    const variables = revealed({ ...client.environment.variables, ...config.extraEnv })
    const value = (name: string) => valueOf(client, variables, name)
    const text = yield* value(variableNames.configContent)
    const inherited = text === undefined || text === "" ? undefined : configFiles.parse(text)
    if (text !== undefined && text !== "" && inherited === undefined) {
      return yield* new OpenCodeConfigError({
        path: "extraEnv.OPENCODE_CONFIG_CONTENT",
        reason:
          "this variable, set or inherited, is not a JSON object, so the run's configuration cannot be merged over it"
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
    return { inherited, agents, system }
  })

/** The programs that a process belongs to: this one, and those around it. */
const programMark = (client: Pick<Launcher, "leash">): Effect.Effect<{ readonly [name: string]: string }> =>
  Effect.gen(function*() {
    const program = yield* client.leash.program
    return program === undefined ? {} : yield* marks.variables(orphans.variable, owners.format(program))
  })

/**
 * Prepares the directories of a process and returns all of its variables. Later ones win: the caller's `TMPDIR` is
 * used, the caller's data directory only locates the stored credentials, and `BUN_TMPDIR` is the parent of the private
 * directory. All other settings override those of the start-up profile. `system` is the file with the system prompt.
 */
export const make = (
  client: Pick<Launcher, "environment" | "isolation" | "fileSystem" | "path" | "leash" | "sandboxing">,
  dialect: Dialect,
  config: RunConfig,
  cwd: string,
  system?: string
): Effect.Effect<ProcessEnvironment, OpenCodeConfigError, Scope.Scope> =>
  Effect.gen(function*() {
    const given = revealed(client.environment.variables)
    const own = dialect.variables(config, yield* found(client, dialect, config, cwd, system))
    const isolated = yield* directories.make(client, client.isolation, { ...given, ...own }, cwd)
    const profile: Record<string, string> = {}
    for (const [name, value] of Object.entries(dialect.startupVariables(config))) {
      if ((yield* valueOf(client, { ...given, ...own }, name)) === undefined) profile[name] = value
    }
    const dataHome = isolated.data[variableNames.dataHome]
    const database = dialect.privateServer?.database
    // OpenCode prefers PWD over the system's working directory.
    const env = {
      ...profile,
      ...given,
      ...isolated.temporary,
      PWD: cwd,
      ...own,
      ...isolated.unpacked,
      ...isolated.data,
      // Majors must not share a database.
      ...(dataHome === undefined || database === undefined
        ? {}
        : { [variableNames.database]: client.path.join(dataHome, "opencode", database) }),
      ...(client.sandboxing === undefined
        ? {}
        : { [variableNames.stateHome]: client.path.join(isolated.directory, ".state") }),
      ...(yield* programMark(client))
    }
    return {
      env: { ...env, ...(yield* loopback.unproxied((name) => valueOf(client, env, name))) },
      directory: dataHome,
      temporary: isolated.directory
    }
  })
