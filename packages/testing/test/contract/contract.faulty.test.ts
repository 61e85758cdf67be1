import { NodeContext } from "@effect/platform-node"
import { Deferred, Effect, Layer } from "effect"
import { FaultyOpenCode } from "effect-opencode-testing"
import { readdirSync, watch } from "node:fs"
import { join } from "node:path"
import { isAlive } from "../support/processes.js"
import { contract, Other } from "./contract.js"

/** Returns when a run has read its input: it has begun its log. Watches from the beginning. */
const firstCall = (directory: string) =>
  Effect.gen(function*() {
    const log = join(directory, "log")
    const seen = yield* Deferred.make<void>()
    const look = () => {
      if (readdirSync(log).some((name) => name.startsWith("process-"))) Deferred.unsafeDone(seen, Effect.void)
    }
    const watcher = watch(log, look)
    yield* Effect.addFinalizer(() => Effect.sync(() => watcher.close()))
    return Deferred.await(seen)
  })

contract({
  name: "FaultyOpenCode",
  layer: ({ events, exitCode = 0, hangs = false, stderr = "" }) => {
    const script = FaultyOpenCode.script(
      FaultyOpenCode.stderr(stderr),
      FaultyOpenCode.lines(events),
      hangs ? FaultyOpenCode.never : FaultyOpenCode.exit(exitCode)
    )
    const other = Layer.scoped(
      Other,
      Effect.gen(function*() {
        const { calls, directory } = yield* FaultyOpenCode.FaultyOpenCode
        const all = Effect.orDie(calls)
        return {
          prompts: Effect.map(all, (calls) => calls.map(({ stdin }) => stdin)),
          arrived: yield* firstCall(directory),
          survivors: Effect.map(all, (calls) => calls.filter(({ pid }) => isAlive(pid)).length)
        }
      })
    )
    return other.pipe(
      Layer.provideMerge(FaultyOpenCode.layerOpenCode([script], { forceKillAfter: "100 millis" })),
      Layer.provide(NodeContext.layer)
    )
  }
})
