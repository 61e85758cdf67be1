import type { RunConfig } from "../../../RunConfig.js"
import * as Version from "../../../Version.js"
import * as json from "../../util/json.js"
import { isObject, omit, string } from "../../util/object.js"
import * as configContent from "../configContent.js"
import type { Found, OptionEntry, Range } from "../dialect.js"
import { revealed, variableNames } from "../variables.js"
import * as mcp from "./mcp.js"
import * as permissions from "./permissions.js"

/** The oldest and the first unsupported version. Previews have the version 0.0.0. */
export const supported: Range = { from: Version.make(2, 0, 0), below: Version.make(3, 0, 0) }

/** The only version that was run with this library. */
export const tested = Version.make(2, 0, 14)

const gone = Version.make(2, 0, 0)

/**
 * The options of a run. Most of them belong to the session or to the prompt, which are requests; the words are those of
 * the requests.
 */
export const options: ReadonlyArray<OptionEntry> = [
  { name: "model", kind: "value", word: "model" },
  { name: "variant", kind: "value", word: "variant" },
  { name: "agent", kind: "value", word: "agent" },
  { name: "title", kind: "value", word: "title" },
  { name: "files", kind: "values", word: "files" },
  { name: "dir", kind: "value", word: "directory" },
  { name: "share", kind: "flag", word: "--share", until: gone },
  { name: "pure", kind: "variable", word: variableNames.configContent },
  { name: "port", kind: "value", word: "--port", until: gone },
  { name: "username", kind: "value", word: "--username", until: gone },
  { name: "attach", kind: "value", word: "--server" },
  { name: "password", kind: "variable", word: variableNames.password },
  { name: "command", kind: "value", word: "command" },
  {
    name: "extraArgs",
    kind: "values",
    word: "",
    refused: "they are arguments of `opencode run`, which does not carry runs of OpenCode 2"
  }
]

/**
 * Switches off all plugins, and OpenCode's own on again. These words come after those of all other documents. OpenCode has
 * loaded the modules of the others by then, so that only what is outside of their functions runs (2.0.14).
 */
const builtIn = ["-*", "opencode.*"]

/** The configuration as OpenCode 2 reads it: rules are a list, because it would read ours as others than they are. */
const native = (content: { readonly [key: string]: unknown }, config: RunConfig) => {
  const rules = permissions.encode(configContent.permissionOf(config))
  const rest = config.pure === true
    ? { ...omit(omit(content, "permission"), "plugin"), plugins: builtIn }
    : omit(content, "permission")
  return mcp.withTools(rules.length === 0 ? rest : { ...rest, permissions: rules })
}

/** Levels at which the server reports a configuration that it drops. */
const verbose = new Set(["DEBUG", "INFO"])

/** The variables for a configuration, over those that the child inherits. */
export const env = (config: RunConfig, found?: Found): { readonly [name: string]: string } => {
  const content = configContent.ownContent(config) ?? (config.pure === true ? {} : undefined)
  const variables: Record<string, string> = { ...revealed(config.extraEnv ?? {}) }
  if (content !== undefined) {
    variables[variableNames.configContent] = JSON.stringify(
      configContent.deep(
        config.pure === true ? omit(found?.inherited ?? {}, "plugin") : found?.inherited ?? {},
        native(content, config)
      )
    )
  }
  if (config.disableAutoupdate !== false) variables[variableNames.disableAutoupdate] = "1"
  // Dropped configuration is reported at WARN and nowhere else.
  variables[variableNames.logLevel] = config.logLevel !== undefined && verbose.has(config.logLevel)
    ? config.logLevel
    : "WARN"
  return variables
}

/** The variables of the start-up profile, which yield to inherited ones. */
export const startupVariables = ({ startupProfile }: RunConfig): { readonly [name: string]: string } =>
  startupProfile === "fast" ? { [variableNames.disableModelsFetch]: "1" } : {}

/** The arguments of a run's private server, which ends with its standard input. */
export const args: ReadonlyArray<string> = [
  "serve",
  "--stdio",
  "--port",
  "0",
  "--hostname",
  "127.0.0.1",
  "--print-logs"
]

/**
 * The address in the line with which a server says that it listens. Only one of the host that it was started for: the
 * password and the prompts go there.
 */
export const address = (line: string): string | undefined => {
  const ready = json.parsed(line)
  const url = isObject(ready) ? string(ready["url"]) : undefined
  return url !== undefined && /^http:\/\/127\.0\.0\.1:\d+\/?$/.test(url) ? url : undefined
}
