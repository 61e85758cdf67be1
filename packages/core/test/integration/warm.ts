/** Tests over one warm server of the real binary, in one sandbox, which must be empty when the server has gone. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { afterAll, expect, layer } from "@effect/vitest"
import { OpenCodeServer } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import * as support from "./support.js"

export class Sandbox extends Context.Tag("test/Sandbox")<Sandbox, support.Sandbox>() {}

let remains: ReturnType<typeof support.left> | undefined

const box = Layer.scoped(
  Sandbox,
  // Below the servers: they must be gone when it looks.
  Effect.tap(support.sandbox, (box) => Effect.addFinalizer(() => Effect.sync(() => (remains = support.left(box)))))
)

const provider = ModelProvider.layer({ respond: support.steps([support.Reply.text("done")]) }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)

const opencode = (options: OpenCodeServer.Options) =>
  Layer.unwrapEffect(Effect.gen(function*() {
    const { work } = yield* Sandbox
    const { configOverrides, model } = yield* ModelProvider.ModelProvider
    return OpenCodeServer.layer({
      version: support.version,
      startTimeout: "10 minutes",
      forceKillAfter: "15 seconds",
      ...options,
      defaults: { configOverrides, model, cwd: work, ...options.defaults }
    })
  })).pipe(Layer.provide([NodeContext.layer, FetchHttpClient.layer]))

/** The server for all tests of a file. */
export const warm = (options: OpenCodeServer.Options = {}) => {
  afterAll(() => expect(remains).toEqual(support.nothing))
  return layer(opencode(options).pipe(Layer.provideMerge(provider), Layer.provideMerge(box)), {
    excludeTestServices: true,
    timeout: 600_000
  })
}
