/** The real service on scripted processes and a fake disk. */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type { PlatformError } from "@effect/platform/Error"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as MockCommandExecutor from "../../MockCommandExecutor.js"
import type * as OpenCodeTest from "../../OpenCodeTest.js"
import * as disk from "../disk.js"
import * as unscripted from "../unscripted.js"
import * as servers from "./servers.js"

export const make = (
  options: OpenCodeTest.Options | undefined,
  fetch: typeof globalThis.fetch = servers.nowhere
): Effect.Effect<OpenCode.Service, never, CommandExecutor.CommandExecutor | Scope.Scope> => {
  if (servers.isOpenCode2(options) && fetch === servers.nowhere) {
    return Effect.dieMessage(
      "OpenCodeTest.layerProcess and layerExecutor play processes of OpenCode 1; for OpenCode 2 use OpenCodeTest.layer or FaultyOpenCode"
    )
  }
  const { models: _, ...client } = options ?? {}
  return OpenCode.make({
    startup: { concurrency: "unbounded" },
    ...client,
    version: client.version ?? "1.18.33",
    binary: disk.binary,
    // OpenCode 2 refuses the data of OpenCode 1.
    isolation: servers.isOpenCode2(options) ? "run" : "none",
    environment: {},
    leash: false
  }).pipe(
    Effect.provideService(FetchHttpClient.Fetch, fetch),
    Effect.provideService(FileSystem.FileSystem, disk.disk),
    Effect.provide(Path.layer)
  )
}

export const isRun = (command: MockCommandExecutor.RecordedCommand): boolean =>
  command.command === disk.binary && command.args[0] === "run"

/** The output of the binary for commands other than `run`. */
export const other = (command: MockCommandExecutor.RecordedCommand, options: OpenCodeTest.Options | undefined) =>
  MockCommandExecutor.script(
    MockCommandExecutor.stdout(
      command.args[0] === "models" ? (options?.models ?? ["fake/m1"]).map((model) => `${model}\n`) : ""
    )
  )

export type Select = (
  command: MockCommandExecutor.RecordedCommand
) => MockCommandExecutor.Script | Effect.Effect<MockCommandExecutor.Script, PlatformError>

export const scriptsOf = (
  scripts: Parameters<typeof MockCommandExecutor.layer>[0],
  options: OpenCodeTest.Options | undefined
): Select => {
  let started = 0
  const select: Select = typeof scripts === "function" ? scripts : (command) => {
    const script = scripts[started++]
    return script ?? unscripted.script(
      `OpenCodeTest.layerProcess has ${scripts.length} scripts and none for start ${started}: ${command.args.join(" ")}`
    )
  }
  return (command) => isRun(command) ? select(command) : other(command, options)
}
