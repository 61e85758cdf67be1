/** The real binary, started by the library: all runs at once, with the layer's own gate. */
import { NodeContext } from "@effect/platform-node"
import { Effect, Either, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { job, report, start } from "../lib/meter.js"
import * as real from "../lib/real.js"
import type { Job } from "../lib/real.js"
import * as tree from "../lib/tree.js"

const asked = job<
  Job & { readonly watch: boolean; readonly client: Pick<OpenCode.Options, "startup" | "concurrency" | "defaults"> }
>()

const layer = OpenCode.layer({
  ...asked.client,
  binary: asked.binary,
  version: asked.major === 2 ? "2.0.14" : "1.18.33",
  isolation: asked.data === "own" ? "run" : "none",
  defaults: {
    configOverrides: asked.config,
    model: asked.config.model,
    title: asked.titled ? "benchmark" : undefined,
    cwd: asked.work,
    extraEnv: asked.env,
    ...(asked.args.length === 0 ? {} : { extraArgs: asked.args }),
    ...asked.client.defaults
  }
}).pipe(Layer.provide(NodeContext.layer))

const began = performance.now()
const ends: Array<number> = []

const program = Effect.forEach(asked.prompts, (prompt) =>
  OpenCode.run(prompt).pipe(
    Effect.either,
    Effect.tap(() => Effect.sync(() => ends.push(performance.now() - began)))
  ), { concurrency: "unbounded" }).pipe(Effect.provide(layer))

let together = 0
const watch = asked.watch
  ? setInterval(() => {
    together = Math.max(together, tree.resident("now"))
  }, 500)
  : undefined

const stop = start()
Effect.runPromise(program).then((results) => {
  clearInterval(watch)
  const mean = ends.reduce((sum, end) => sum + end, 0) / ends.length
  report({
    ...real.withChildren(
      stop(),
      results.map(Either.match({ onLeft: () => undefined, onRight: ({ text }) => text })),
      asked
    ),
    mean,
    together
  })
})
