/**
 * One run of the real OpenCode, answered by a scripted model on the loopback address.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Permission from "effect-opencode/Permission"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CliError } from "../CliError.js"
import type { ClientOptions } from "../commandLine/ConfigOptions.js"
import { duration } from "../display/format.js"
import * as ExitCode from "../ExitCode.js"
import * as node from "../host/node.js"

/** Settings that keep OpenCode off the internet. */
export const offline = {
  OPENCODE_DISABLE_MODELS_FETCH: "1",
  OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
  OPENCODE_DISABLE_DEFAULT_PLUGINS: "1"
}

const answer = "everything works"

/** Runs OpenCode and describes the outcome. */
export const run = (client: ClientOptions) =>
  Effect.gen(function*() {
    // Loaded on use: nothing else needs a server.
    const { ModelProvider, Reply, layer } = yield* Effect.promise(() => import("effect-opencode-testing/ModelProvider"))
    const fileSystem = yield* FileSystem.FileSystem
    const cwd = yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-opencode-doctor-" })
    const provider = Layer.provide(layer({ respond: () => Reply.text(answer) }), node.httpServer)
    return yield* Effect.gen(function*() {
      const { configOverrides, model } = yield* ModelProvider
      const result = yield* OpenCode.run("Say that everything works.", {
        cwd,
        model,
        configOverrides,
        permission: Permission.denyAll,
        pure: true,
        title: "effect-opencode doctor",
        timeout: "3 minutes",
        extraEnv: offline
      })
      if (result.answer.trim() !== answer) {
        return yield* new CliError({
          reason: "OpenCode's answer is not what the scripted model said.",
          hint: "one of your plugins or settings may change answers; try --isolation run",
          exitCode: ExitCode.failure
        })
      }
      return `a run with a scripted model took ${duration(Duration.toMillis(result.duration))}`
    }).pipe(
      Effect.provide(OpenCode.layer(client)),
      Effect.provide(provider)
    )
  }).pipe(Effect.scoped)
