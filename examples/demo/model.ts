/**
 * OpenCode with one of two models: the scripted one, or one of the user's.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { createServer } from "node:http"
import { respond } from "./provider.js"

/** A start takes 4 to 5 seconds of processor time, so two at a time are enough for a small machine. */
const startup = { concurrency: 2, window: "20 seconds" } as const

const provider = ModelProvider.layer({ respond }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
)

/** The scripted model: no key, no network, no user plugins. */
export const layerScripted = Layer.unwrapEffect(
  Effect.map(
    ModelProvider.ModelProvider,
    ({ configOverrides, model }) => OpenCode.layer({ startup, defaults: { model, configOverrides, pure: true } })
  )
).pipe(Layer.provide(provider))

/** One of the user's models, with the credentials that OpenCode has stored or finds in the environment. */
export const layerModel = (model: string) => OpenCode.layer({ startup, defaults: { model } })
