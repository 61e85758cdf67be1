/** Measures the cost of waiting runs: all are called at once, and the layer admits a few slow ones. */
import { NodeContext } from "@effect/platform-node"
import { Effect, Fiber, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { job, peak, report, start } from "../lib/meter.js"

const { at, binary, runs } = job<
  { readonly binary: string; readonly runs: number; readonly at: "gate" | "concurrency" }
>()

const layer = OpenCode.layer({
  binary,
  version: "1.18.33",
  forceKillAfter: "1 second",
  ...(at === "gate" ? { startup: { concurrency: 8, window: "1 hour" } } : { concurrency: 8 })
}).pipe(Layer.provide(NodeContext.layer))

const program = Effect.gen(function*() {
  const waiting = yield* Effect.fork(
    Effect.forEach(Array.from({ length: runs }, (_, index) => `prompt ${index}`), (prompt) => OpenCode.run(prompt), {
      concurrency: "unbounded"
    })
  )
  yield* Effect.sleep("3 seconds")
  const resident = process.memoryUsage.rss() / 1024 / 1024
  yield* Fiber.interrupt(waiting)
  return resident
}).pipe(Effect.provide(layer))

const stop = start()
Effect.runPromise(program).then((resident) => report({ ...stop(), resident, peak: peak() }))
