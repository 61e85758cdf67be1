/** Measures how long it takes to end a run whose child keeps working, from the interruption on. */
import { NodeContext } from "@effect/platform-node"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { OpenCode } from "effect-opencode"
import { job, report, start } from "../lib/meter.js"

interface Job {
  readonly binary: string
  readonly grace: number
  readonly times: number
  readonly containment?: OpenCode.Options["containment"]
}

const { binary, containment, grace, times } = job<Job>()

const layer = OpenCode.layer({ binary, version: "1.18.33", forceKillAfter: grace, containment }).pipe(
  Layer.provide(NodeContext.layer)
)

const once = Effect.gen(function*() {
  const begun = yield* Deferred.make<void>()
  const running = yield* Effect.fork(
    Stream.runForEach(OpenCode.stream("x"), () => Deferred.succeed(begun, undefined))
  )
  yield* Deferred.await(begun)
  // Work right after the first event is not part of the end.
  yield* Effect.sleep("20 millis")
  const before = performance.now()
  yield* Fiber.interrupt(running)
  return performance.now() - before
})

const stop = start()
Effect.runPromise(Effect.provide(Effect.replicateEffect(once, times), layer)).then((all) => {
  const sorted = [...all].sort((a, b) => a - b)
  report({ ...stop(), median: sorted[Math.floor(sorted.length / 2)]!, max: sorted.at(-1)! })
})
