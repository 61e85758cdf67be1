/** The real binary by the library: all runs at once, the layer's own gate. */
import { NodeContext } from "@effect/platform-node"
import { Effect, Either, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { job, report, start } from "../lib/meter.js"
import * as real from "../lib/real.js"
import type { Job } from "../lib/real.js"

const asked = job<Job & { readonly client: Pick<OpenCode.Options, "startup" | "concurrency"> }>()

const layer = OpenCode.layer({
  ...asked.client,
  binary: asked.binary,
  version: "1.18.33",
  isolation: asked.data === "own" ? "run" : "none",
  defaults: {
    configOverrides: asked.config,
    model: asked.config.model,
    title: "benchmark",
    cwd: asked.work,
    extraEnv: asked.env
  }
}).pipe(Layer.provide(NodeContext.layer))

const program = Effect.forEach(asked.prompts, (prompt) => Effect.either(OpenCode.run(prompt)), {
  concurrency: "unbounded"
}).pipe(Effect.provide(layer))

const stop = start()
Effect.runPromise(program).then((results) =>
  report(real.withChildren(
    stop(),
    results.map(Either.match({ onLeft: () => undefined, onRight: ({ text }) => text })),
    asked
  ))
)
