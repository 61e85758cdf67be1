import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Isolation } from "../../../Isolation.js"
import type { RunConfig } from "../../../RunConfig.js"
import type { RunOptions } from "../../../RunOptions.js"
import type { Server } from "../../opencode/dialect.js"
import * as dialects from "../../opencode/dialects.js"
import type { Problem } from "../../opencode/problem.js"
import { variableNames } from "../../opencode/variables.js"
import { isObject } from "../../util/object.js"
import type { Spec } from "./pool.js"

/** The settings with which a server must be started for a run. */
export interface Split {
  readonly config: RunConfig
  /** Further arguments of `opencode serve`. */
  readonly args: ReadonlyArray<string>
}

const inEnvironment = [
  "extraEnv",
  "configOverrides",
  "mcp",
  "tools",
  "instructions",
  "disableAutoupdate",
  "startupProfile"
] as const

/** Options that a server has for all its runs; a run's other options are sent with its session or prompt. */
const ofServer = [
  ...inEnvironment,
  "pure",
  "printLogs",
  "logLevel",
  "extraArgs",
  "isolation"
] as const satisfies ReadonlyArray<keyof RunOptions>

/** A profile that skips nothing needs no setting, and neither does a flag that is off. */
const optionOf = (options: RunOptions, name: keyof RunOptions): unknown =>
  (name === "startupProfile" && options[name] === "full") || (name === "pure" && options[name] === false)
    ? undefined
    : options[name]

/** Extracts what a server start needs from a run's options. */
export const split = (options: RunOptions, server: Server = dialects.unversioned.server): Split => ({
  config: Object.fromEntries([...inEnvironment, ...server.inVariables].flatMap((name) => {
    const value = optionOf(options, name)
    return value === undefined ? [] : [[name, value]]
  })),
  args: server.options(options)
})

/**
 * Reveals secrets, so that different ones differ. The order of keys is kept, because it matters in permission rules.
 */
const revealed = (value: unknown): unknown => {
  if (Redacted.isRedacted(value)) return { redacted: Redacted.value(value) }
  if (Array.isArray(value)) return value.map(revealed)
  return isObject(value) ? Object.entries(value).map(([name, item]) => [name, revealed(item)]) : value
}

/** Returns equal strings for settings that can share a server. They contain secrets and are only for comparing. */
export const make = (
  { binary, cwd }: Pick<Spec, "binary" | "cwd">,
  { args, config }: Split,
  isolation: Isolation
): string => JSON.stringify([binary, cwd, args, revealed(config), isolation])

const none = new Map<keyof RunOptions, string>([
  ["attach", "the layer uses its own servers; use `OpenCodeServer.layerAttach` for one that runs elsewhere"],
  ["password", "it belongs to the layer, not to a run"],
  ["username", "it belongs to the layer, not to a run"],
  ["port", "the layer's servers choose a free port; start a server yourself and use `OpenCodeServer.layerAttach`"],
  ["share", "a server cannot publish sessions"]
])

const isSet = (value: unknown): boolean => value !== undefined && value !== false

/** Variables that the layer itself sets. */
const ofLayer = [variableNames.serverPassword, variableNames.serverUsername, variableNames.password]

/** The first option that a server cannot support for a single run. */
export const refused = (options: RunOptions): Option.Option<Problem> => {
  for (const [path, reason] of none) {
    if (isSet(options[path])) return Option.some({ path, reason })
  }
  if (options.promptVia === "argv") {
    return Option.some({ path: "promptVia", reason: "a server receives the prompt over HTTP" })
  }
  return Option.map(
    Option.fromNullable(ofLayer.find((name) => options.extraEnv?.[name] !== undefined)),
    (name) => ({ path: `extraEnv.${name}`, reason: "the layer's servers have their own credentials" })
  )
}

/** Why OpenCode 1 has no commands over a server. */
export const noCommand: Problem = {
  path: "command",
  reason:
    "a server replies to a command only after it has ended, which exceeds HTTP time limits; write out the prompt instead"
}

/** The first option that a running server cannot take. */
export const refusedAttached = (options: RunOptions): Option.Option<Problem> =>
  Option.map(
    Option.fromNullable(ofServer.find((name) =>
      // These default to true.
      name === "printLogs" || name === "disableAutoupdate"
        ? options[name] !== undefined
        : isSet(optionOf(options, name))
    )),
    (path) => ({
      path,
      reason: "the server is already running; start it with this setting, or use `OpenCodeServer.layer`"
    })
  )

/** The first option for which two runs need different servers. */
export const difference = (self: RunOptions, that: RunOptions): keyof RunOptions | undefined =>
  ofServer.find((name) =>
    JSON.stringify(revealed(optionOf(self, name))) !== JSON.stringify(revealed(optionOf(that, name)))
  )
