/** Many short runs by the library, each isolated and through the gate. */
import { NodeContext } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import { childrenCpu, job, report, start } from "../lib/meter.js"

interface Job {
  readonly binary: string
  readonly runs: number
  readonly concurrency: number
  /** What limits the concurrency: the program, or the layer's `concurrency`. */
  readonly crowd: "program" | "layer"
  readonly startup: OpenCode.Options["startup"]
  readonly containment?: OpenCode.Options["containment"]
}

const { binary, concurrency, containment, crowd, runs, startup } = job<Job>()

const layer = OpenCode.layer({
  binary,
  version: "1.18.33",
  startup,
  containment,
  concurrency: crowd === "layer" ? concurrency : "unbounded"
}).pipe(Layer.provide(NodeContext.layer))

const program = Effect.forEach(
  Array.from({ length: runs }, (_, index) => `prompt ${index}`),
  (prompt) => OpenCode.run(prompt),
  { concurrency: crowd === "layer" ? "unbounded" : concurrency }
).pipe(
  Effect.map((results) => results.filter(({ events, text }) => events.length === 3 && text.length === 40).length),
  Effect.provide(layer)
)

const stop = start()
const before = childrenCpu()
Effect.runPromise(program).then((whole) => report({ ...stop(), whole, children: (childrenCpu() - before) * 1000 }))
