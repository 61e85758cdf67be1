/**
 * OpenCode with one of two models: the scripted one, or one of the user's.
 */
import { FileSystem, Path } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Binary, OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { createServer } from "node:http"
import { respond } from "./provider.js"
import { crashVariable } from "./trouble.js"

/** A start takes seconds of processor time, so two at a time are enough for a small machine. */
const startup = { concurrency: 2, window: "20 seconds" } as const

const provider = ModelProvider.layer({ respond }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
)

/** A script that runs OpenCode's binary, and crashes once as OpenCode does if its database is locked. */
const crashingBinary = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "effect-opencode-demo-" })
  const file = path.join(directory, "opencode")
  const binary = yield* Binary.resolve()
  yield* fs.writeFileString(
    file,
    `#!/bin/sh
if [ -n "$${crashVariable}" ] && [ ! -e "$${crashVariable}" ]; then
  : > "$${crashVariable}"
  printf 'Error: Unexpected error\\n\\ndatabase is locked\\n' >&2
  exit 1
fi
exec '${binary.replaceAll("'", "'\\''")}' "$@"
`,
    { mode: 0o755 }
  )
  return file
})

/** The scripted model: no key, no network, no user plugins. */
export const layerScripted = Layer.unwrapScoped(
  Effect.gen(function*() {
    const { configOverrides, model } = yield* ModelProvider.ModelProvider
    return OpenCode.layer({
      startup,
      binary: yield* crashingBinary,
      defaults: { model, configOverrides, pure: true, startupProfile: "fast" }
    })
  })
).pipe(Layer.provide(provider))

/** One of the user's models, with the credentials that OpenCode has stored or finds in the environment. */
export const layerModel = (model: string) => OpenCode.layer({ startup, defaults: { model } })
