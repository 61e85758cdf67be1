/** The contract's other party: the real binaries, offline, with a scripted provider on loopback. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { describe } from "@effect/vitest"
import { OpenCode } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import * as opencode2 from "../../../core/test/support/opencode2.js"
import { contract, Other, type World } from "../contract/contract.js"
import { sandbox, survivors, version } from "../support/sandbox.js"

const world = (options: OpenCode.Options): World["layer"] => (_, respond) =>
  Layer.unwrapScoped(Effect.gen(function*() {
    const { home, root, work } = yield* sandbox
    const arrived = yield* Deferred.make<void>()
    const provider = ModelProvider.layer({
      respond: (request) => {
        Deferred.unsafeDone(arrived, Effect.void)
        return respond(request)
      }
    }).pipe(Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
    const opencode = Layer.unwrapEffect(Effect.map(ModelProvider.ModelProvider, ({ runConfig }) =>
      OpenCode.layer({
        ...options,
        environment: { PATH: process.env["PATH"] ?? "", HOME: home },
        defaults: { ...runConfig, cwd: work, title: "Contract" }
      }))).pipe(Layer.provide(NodeContext.layer))
    const other = Layer.effect(
      Other,
      Effect.map(ModelProvider.ModelProvider, ({ requests }) => ({
        prompts: Effect.map(requests, (requests) =>
          requests.filter(({ isTitle }) => !isTitle).map(({ prompt }) => prompt)),
        arrived: Deferred.await(arrived),
        survivors: Effect.sync(() =>
          survivors(root).length
        )
      }))
    )
    return Layer.merge(opencode, other).pipe(Layer.provide(provider))
  }))

contract({ name: "OpenCode", layer: world({ version }) })

/** With `CONTRACT=all`, which starts OpenCode 2 a dozen times more. */
const isWanted = process.env["CONTRACT"] === "all" && opencode2.binary !== undefined

describe.skipIf(!isWanted)(`OpenCode 2${opencode2.why}`, () => {
  contract({
    name: "OpenCode 2",
    major: 2,
    isServer: true,
    announces: false,
    layer: world({ binary: opencode2.binary, version: opencode2.version })
  })
})
