import * as Redacted from "effect/Redacted"

/**
 * The environment variables of OpenCode 1.18.33 and 2.0.14 that this library sets, reads or passes on, each named once.
 */
export const variableNames = {
  /** The binary: read by this library only, not by OpenCode. */
  binary: "OPENCODE_BINARY",
  /** The configuration as JSON, merged over the files. */
  configContent: "OPENCODE_CONFIG_CONTENT",
  /** A configuration file. */
  configFile: "OPENCODE_CONFIG",
  /** A directory with a configuration file, agents and commands. */
  configDirectory: "OPENCODE_CONFIG_DIR",
  /** Permission rules as JSON, which come after those of the configuration. */
  permission: "OPENCODE_PERMISSION",
  /** The database file. */
  database: "OPENCODE_DB",
  /** The content of `auth.json`. */
  logins: "OPENCODE_AUTH_CONTENT",
  /** The password of a server. */
  serverPassword: "OPENCODE_SERVER_PASSWORD",
  /** The password of a server (2.x). */
  password: "OPENCODE_PASSWORD",
  /** The least important level of the log (2.x). */
  logLevel: "OPENCODE_LOG_LEVEL",
  /** The user name of a server. */
  serverUsername: "OPENCODE_SERVER_USERNAME",
  /** A file with the list of models. */
  modelsPath: "OPENCODE_MODELS_PATH",
  /** The address of the list of models. */
  modelsUrl: "OPENCODE_MODELS_URL",
  /** Keeps OpenCode from loading the list of models. */
  disableModelsFetch: "OPENCODE_DISABLE_MODELS_FETCH",
  /** Keeps OpenCode from updating itself. */
  disableAutoupdate: "OPENCODE_DISABLE_AUTOUPDATE",
  /** Where Bun unpacks its libraries; it wins over `TMPDIR`. */
  bunTemporary: "BUN_TMPDIR",
  /** Sessions, the database, logins. */
  dataHome: "XDG_DATA_HOME",
  /** The configuration of the user. */
  configHome: "XDG_CONFIG_HOME",
  /** The list of models, packages of providers. */
  cacheHome: "XDG_CACHE_HOME",
  /** Locks. */
  stateHome: "XDG_STATE_HOME",
  /** Sockets of the user. */
  runtimeDirectory: "XDG_RUNTIME_DIR"
} as const

/** Reveals the values of variables, for the child only. */
export const revealed = (
  variables: { readonly [name: string]: string | Redacted.Redacted }
): { readonly [name: string]: string } =>
  Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, typeof value === "string" ? value : Redacted.value(value)])
  )
