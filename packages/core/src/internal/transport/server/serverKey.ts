import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Isolation } from "../../../Isolation.js"
import type { RunConfig } from "../../../RunConfig.js"
import type { RunOptions } from "../../../RunOptions.js"
import * as dialects from "../../opencode/dialects.js"
import type { Problem } from "../../opencode/problem.js"
import { variableNames } from "../../opencode/variables.js"
import { isObject } from "../../util/object.js"
import type { Spec } from "./pool.js"

/** What a server must be started with for a run. */
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

/** What one server has for all its runs; the rest of a run's options travels with its session or its prompt. */
const ofServer = [
  ...inEnvironment,
  "pure",
  "printLogs",
  "logLevel",
  "extraArgs"
] as const satisfies ReadonlyArray<keyof RunConfig>

/** A profile that leaves nothing out asks for nothing. */
const optionOf = (options: RunOptions, name: keyof RunConfig): unknown =>
  name === "startupProfile" && options[name] === "full" ? undefined : options[name]

/** Parts a run's options: what is left to the server's start is here. */
export const split = (options: RunOptions): Split => ({
  config: Object.fromEntries(inEnvironment.flatMap((name) => {
    const value = optionOf(options, name)
    return value === undefined ? [] : [[name, value]]
  })),
  args: dialects.unversioned.server.options(options)
})

/** Secrets as what they are. The order of keys stays: that of permission rules has a meaning. */
const revealed = (value: unknown): unknown => {
  if (Redacted.isRedacted(value)) return { redacted: Redacted.value(value) }
  if (Array.isArray(value)) return value.map(revealed)
  return isObject(value) ? Object.entries(value).map(([name, item]) => [name, revealed(item)]) : value
}

/** Equal texts for what can be the same server. It holds secrets: for comparing alone. */
export const make = (
  { binary, cwd }: Pick<Spec, "binary" | "cwd">,
  { args, config }: Split,
  isolation: Isolation
): string => JSON.stringify([binary, cwd, args, revealed(config), isolation])

const none = new Map<keyof RunOptions, string>([
  ["attach", "the layer has its server already; use `OpenCodeServer.layerAttach` for one that runs elsewhere"],
  ["password", "it belongs to the layer, not to a run"],
  ["username", "it belongs to the layer, not to a run"],
  ["port", "a server of the layer's takes a free one; start one by hand and use `OpenCodeServer.layerAttach`"],
  ["command", "a server answers it only when it has ended, which no HTTP client waits for; write the prompt out"],
  ["share", "through a server nothing is published"]
])

const isSet = (value: unknown): boolean => value !== undefined && value !== false

/** Variables that the layer itself sets. */
const ofLayer = [variableNames.serverPassword, variableNames.serverUsername]

/** The first option that no server can do for a single run. */
export const refused = (options: RunOptions): Option.Option<Problem> => {
  for (const [path, reason] of none) {
    if (isSet(options[path])) return Option.some({ path, reason })
  }
  if (options.promptVia === "argv") {
    return Option.some({ path: "promptVia", reason: "through a server the prompt travels by HTTP, as it is" })
  }
  return Option.map(
    Option.fromNullable(ofLayer.find((name) => options.extraEnv?.[name] !== undefined)),
    (name) => ({ path: `extraEnv.${name}`, reason: "a server of the layer's has credentials of its own" })
  )
}

/** The first option that a server which is running already cannot be given. */
export const refusedAttached = (options: RunOptions): Option.Option<Problem> =>
  Option.map(
    Option.fromNullable(ofServer.find((name) =>
      // These are on unless they are turned off.
      name === "printLogs" || name === "disableAutoupdate"
        ? options[name] !== undefined
        : isSet(optionOf(options, name))
    )),
    (path) => ({
      path,
      reason: "the server has been started already; start it with this, or use `OpenCodeServer.layer`"
    })
  )

/** The first option in which two runs need servers of different kinds. */
export const difference = (self: RunOptions, that: RunOptions): keyof RunConfig | undefined =>
  ofServer.find((name) =>
    JSON.stringify(revealed(optionOf(self, name))) !== JSON.stringify(revealed(optionOf(that, name)))
  )
