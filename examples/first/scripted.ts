/** A scripted model on loopback: what runs inside of `scripted` needs no account and no internet. */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect } from "effect"
import { RunConfig } from "effect-opencode"
import { ModelProvider } from "effect-opencode-testing"
import { createServer } from "node:http"

/** Lets the script answer every run of a program. */
export const scripted = (respond: ModelProvider.Respond) => <A, E, R>(program: Effect.Effect<A, E, R>) =>
  ModelProvider.ModelProvider.pipe(
    Effect.flatMap(({ runConfig }) => RunConfig.withRunConfig(program, runConfig)),
    Effect.provide(ModelProvider.layer({ respond })),
    Effect.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
  )
