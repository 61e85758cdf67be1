/** The layer that carries out the runs of a command: a process for each, or servers. */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as OpenCode from "effect-opencode/OpenCode"
import * as OpenCodeServer from "effect-opencode/OpenCodeServer"
import type { RunOptions } from "effect-opencode/RunOptions"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CliError } from "../CliError.js"
import type * as ConfigOptions from "../commandLine/ConfigOptions.js"
import { given } from "../commandLine/given.js"

export interface Options extends ConfigOptions.ClientOptions, ConfigOptions.FleetOptions {}

/** Options of a layer of processes that mean nothing without a process for each run. */
const ofProcesses: ReadonlyArray<readonly [field: keyof Options, option: string, reason: string]> = [
  ["version", "--opencode-version", "a server is asked for its version"],
  ["retry", "--retries", "runs do not start OpenCode, so none crashes at its start"],
  ["startup", "--startup-concurrency and --startup-window", "runs do not start OpenCode"]
]

/** What a server has for all its runs. */
const ofServer = [
  "extraEnv",
  "configOverrides",
  "mcp",
  "tools",
  "instructions",
  "disableAutoupdate",
  "startupProfile",
  "pure",
  "printLogs",
  "logLevel",
  "extraArgs"
] as const satisfies ReadonlyArray<keyof RunOptions>

/** With these as defaults of the layer, the server that is asked for its version is the one that the runs use. */
const serverDefaults = (run: RunOptions): RunOptions =>
  Object.fromEntries(ofServer.flatMap((name) => run[name] === undefined ? [] : [[name, run[name]]]))

/**
 * Makes the layer. `concurrency` is the number of runs at the same time, which the caller limits; `run` has the options of
 * all runs.
 */
export const make = (
  options: Options,
  server: { readonly concurrency: number; readonly run: RunOptions } | undefined
): Effect.Effect<
  Layer.Layer<
    OpenCode.OpenCode,
    never,
    CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path
  >,
  CliError
> => {
  if (server === undefined) return Effect.succeed(OpenCode.layer(options))
  const refused = ofProcesses.find(([field]) => options[field] !== undefined)
  if (refused !== undefined) {
    const [, option, reason] = refused
    return new CliError({
      reason: `${option} cannot be combined with --server: ${reason}.`,
      hint: "leave one of them out"
    })
  }
  const { retry: _, startup: __, version: ___, ...own } = options
  return Effect.succeed(
    Layer.provide(
      OpenCodeServer.layer({
        ...given(own),
        concurrency: server.concurrency,
        defaults: serverDefaults(server.run)
      }),
      FetchHttpClient.layer
    )
  )
}
