import * as Redacted from "effect/Redacted"
import type { RunConfig } from "../../../RunConfig.js"
import * as Version from "../../../Version.js"
import * as configContent from "../configContent.js"
import * as dialect from "../dialect.js"
import type { Found, OptionEntry, Range, Run } from "../dialect.js"
import { revealed, variableNames } from "../variables.js"
import * as permissionOrder from "./permissionOrder.js"
import * as startupProfile from "./startupProfile.js"

/** In the order of the command line. */
export const options: ReadonlyArray<OptionEntry> = [
  { name: "printLogs", kind: "flag", word: "--print-logs" },
  { name: "logLevel", kind: "value", word: "--log-level" },
  { name: "command", kind: "value", word: "--command" },
  { name: "continueSession", kind: "flag", word: "--continue" },
  { name: "sessionId", kind: "value", word: "--session" },
  { name: "fork", kind: "flag", word: "--fork" },
  { name: "share", kind: "flag", word: "--share" },
  { name: "model", kind: "value", word: "--model" },
  { name: "agent", kind: "value", word: "--agent" },
  { name: "files", kind: "values", word: "--file" },
  { name: "title", kind: "value", word: "--title" },
  { name: "attach", kind: "value", word: "--attach" },
  { name: "dir", kind: "value", word: "--dir", since: Version.make(1, 2, 6) },
  // Not an argument: `ps` shows arguments.
  { name: "password", kind: "variable", word: variableNames.serverPassword, since: Version.make(1, 2, 27) },
  { name: "port", kind: "value", word: "--port" },
  { name: "variant", kind: "value", word: "--variant" },
  { name: "thinking", kind: "flag", word: "--thinking" },
  { name: "username", kind: "value", word: "--username", since: Version.make(1, 14, 0) },
  { name: "pure", kind: "flag", word: "--pure", since: Version.make(1, 14, 0) },
  {
    name: "auto",
    kind: "flag",
    word: "--dangerously-skip-permissions",
    since: Version.make(1, 14, 0),
    until: Version.make(1, 17, 0)
  },
  { name: "auto", kind: "flag", word: "--auto", since: Version.make(1, 17, 0) }
]

/**
 * One argument, because a separate value that begins with a dash would be read as an option. OpenCode's parser strips a
 * pair of quotes from a value (1.18.33), so a quoted value gets another pair.
 */
const assigned = (name: string, value: string | number): string =>
  `${name}=${/^(["'])[^]*\1$/.test(String(value)) ? `"${value}"` : value}`

const wordsOf = ({ kind, word }: OptionEntry, value: RunConfig[keyof RunConfig]): ReadonlyArray<string> => {
  switch (kind) {
    case "flag":
      return value === true ? [word] : []
    case "value":
      return typeof value === "string" || typeof value === "number" ? [assigned(word, value)] : []
    case "values":
      return Array.isArray(value) ? value.flatMap((one) => typeof one === "string" ? [assigned(word, one)] : []) : []
    case "variable":
      return []
  }
}

/**
 * The arguments of `opencode`. A prompt comes after `--`, because one that begins with a dash would be read as an
 * option, and `--file` takes every argument that follows it.
 */
export const args = (config: RunConfig, version: Version.Version, prompt?: string): ReadonlyArray<string> => {
  const told: RunConfig = { ...config, agent: permissionOrder.agentOf(config) }
  return [
    "run",
    "--format",
    "json",
    ...options.flatMap((entry) => dialect.has(entry, version) ? wordsOf(entry, told[entry.name]) : []),
    ...(config.extraArgs ?? []),
    ...(prompt === undefined || prompt === "" ? [] : ["--", prompt])
  ]
}

/** OpenCode always reads stdin to its end and would otherwise wait for ever. */
export const make = (
  { options, prompt, runId }: Run,
  version: Version.Version
): { readonly args: ReadonlyArray<string>; readonly stdin: string } => {
  const byArgument = options.promptVia === "argv"
  return {
    args: args(
      { ...withErrorLog(options), title: startupProfile.title(options, runId) },
      version,
      byArgument ? prompt : undefined
    ),
    stdin: byArgument ? "" : prompt
  }
}

/** The variables for a configuration, over those that the child inherits. */
export const env = (
  config: RunConfig,
  found: Found = { agents: dialect.noAgents }
): { readonly [name: string]: string } => {
  const content = configContent.withInstructions(configContent.ownContent(config), found)
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
 * Enables the error log unless the caller sets it, because OpenCode reports failing and retried providers only there.
 */
export const withErrorLog = <A extends RunConfig>(config: A): A => ({
  ...config,
  printLogs: config.printLogs ?? true,
  logLevel: config.logLevel ?? (config.printLogs === false ? undefined : "ERROR")
})

/** 1.15.13 exits before it has written its last events, in every run. */
export const losesEnd: ReadonlyArray<Range> = [{ from: Version.make(1, 15, 0), below: Version.make(1, 16, 0) }]

/** The oldest and the first unsupported version. */
export const supported: Range = { from: Version.make(1, 1, 65), below: Version.make(2, 0, 0) }
