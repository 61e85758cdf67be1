import * as Redacted from "effect/Redacted"
import type { RunConfig } from "../../../RunConfig.js"
import * as Version from "../../../Version.js"
import type { WireObject } from "../../util/object.js"
import * as configContent from "../configContent.js"
import { variableNames } from "../variables.js"
import * as permissionOrder from "./permissionOrder.js"

/** Everything that the process is started with. */
export interface Invocation {
  readonly args: ReadonlyArray<string>
  readonly env: { readonly [name: string]: string }
  readonly stdin: string
}

const flag = (name: string, on: boolean | undefined): ReadonlyArray<string> => on === true ? [name] : []

/**
 * In one word: a value that begins with a dash would be an option as a word of its own. OpenCode's parser takes a pair of
 * quotes off a value (1.18.33), so one that stands in quotes gets another pair.
 */
const option = (name: string, value: string | number | undefined): ReadonlyArray<string> =>
  value === undefined ? [] : [`${name}=${/^(["'])[^]*\1$/.test(String(value)) ? `"${value}"` : value}`]

/** `--auto` carries its old name before 1.17. */
const autoFlag = (version: Version.Version): string =>
  Version.isAtLeast(version, Version.make(1, 17, 0)) ? "--auto" : "--dangerously-skip-permissions"

/**
 * The arguments of `opencode`. The password is not among them: `ps` shows arguments. A prompt goes behind `--`, because
 * one that begins with a dash would be an option, and `--file` takes every word that follows it.
 */
export const args = (config: RunConfig, version: Version.Version, prompt?: string): ReadonlyArray<string> => [
  "run",
  "--format",
  "json",
  ...flag("--print-logs", config.printLogs),
  ...option("--log-level", config.logLevel),
  ...option("--command", config.command),
  ...flag("--continue", config.continueSession),
  ...option("--session", config.sessionId),
  ...flag("--fork", config.fork),
  ...flag("--share", config.share),
  ...option("--model", config.model),
  ...option("--agent", permissionOrder.agentOf(config)),
  ...(config.files ?? []).flatMap((file) => option("--file", file)),
  ...option("--title", config.title),
  ...option("--attach", config.attach),
  ...option("--dir", config.dir),
  ...option("--port", config.port),
  ...option("--variant", config.variant),
  ...flag("--thinking", config.thinking),
  ...option("--username", config.username),
  ...flag("--pure", config.pure),
  ...flag(autoFlag(version), config.auto),
  ...(config.extraArgs ?? []),
  ...(prompt === undefined || prompt === "" ? [] : ["--", prompt])
]

const reveal = (value: string | Redacted.Redacted): string => typeof value === "string" ? value : Redacted.value(value)

/** The values of variables, for the child alone. */
export const revealed = (
  variables: { readonly [name: string]: string | Redacted.Redacted }
): { readonly [name: string]: string } =>
  Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, reveal(value)]))

/** What the child finds of OpenCode's configuration besides ours. */
export interface Found {
  readonly agents: permissionOrder.Agents
  /** The configuration under ours; ours alone is told if there is none. */
  readonly inherited?: WireObject | undefined
}

const nothing: Found = { agents: permissionOrder.noAgents }

/** The variables that a configuration asks for, over whatever the child inherits. */
export const env = (config: RunConfig, found: Found = nothing): { readonly [name: string]: string } => {
  const content = configContent.ownContent(config)
  const variables: Record<string, string> = {
    ...revealed(config.extraEnv ?? {}),
    ...permissionOrder.variables(config)
  }
  if (content !== undefined) {
    variables[variableNames.configContent] = JSON.stringify(
      configContent.deep(
        found.inherited ?? {},
        permissionOrder.asTold(content, permissionOrder.agentOf(config), found.agents)
      )
    )
  }
  if (config.disableAutoupdate !== false) variables[variableNames.disableAutoupdate] = "1"
  if (config.password !== undefined) variables[variableNames.serverPassword] = Redacted.value(config.password)
  return variables
}

/**
 * OpenCode tells of providers that fail and are asked again only in its error log, so the log is on unless the
 * caller decides about it.
 */
export const withErrorLog = <A extends RunConfig>(config: A): A => ({
  ...config,
  printLogs: config.printLogs ?? true,
  logLevel: config.logLevel ?? (config.printLogs === false ? undefined : "ERROR")
})

/** The oldest version that has an option, for the options that not every supported version has. */
const since: ReadonlyArray<readonly [keyof RunConfig, Version.Version]> = [
  ["dir", Version.make(1, 2, 6)],
  ["password", Version.make(1, 2, 27)],
  ["username", Version.make(1, 14, 0)],
  ["pure", Version.make(1, 14, 0)],
  ["auto", Version.make(1, 14, 0)]
]

/** The oldest and the first unsupported version. */
export const supported = { from: Version.make(1, 1, 65), below: Version.make(2, 0, 0) }

/** The first option in use that a version lacks, with the version that brought it. */
export const lacking = (
  config: RunConfig,
  version: Version.Version
): { readonly option: string; readonly since: Version.Version } | undefined => {
  const missing = since.find(([name, from]) =>
    config[name] !== undefined && config[name] !== false && !Version.isAtLeast(version, from)
  )
  return missing === undefined ? undefined : { option: missing[0], since: missing[1] }
}
