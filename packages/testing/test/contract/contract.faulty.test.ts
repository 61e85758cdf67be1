import * as NodeContext from "@effect/platform-node/NodeContext"
import { FaultyOpenCode } from "effect-opencode-testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { isAlive } from "../support/processes.js"
import { contract, Other } from "./contract.js"

/** Returns when a run has read its input, which is when it begins its log. */
const firstCall = (directory: string) =>
  Effect.sync(() => readdirSync(join(directory, "log")).some((name) => name.startsWith("process-"))).pipe(
    Effect.delay("10 millis"),
    Effect.repeat({ until: (begun) => begun }),
    Effect.asVoid
  )

contract({
  name: "FaultyOpenCode",
  layer: ({ events, exitCode = 0, hangs = false, stderr = "" }) => {
    const script = FaultyOpenCode.script(
      FaultyOpenCode.stderr(stderr),
      FaultyOpenCode.lines(events),
      hangs ? FaultyOpenCode.never : FaultyOpenCode.exit(exitCode)
    )
    const other = Layer.effect(
      Other,
      Effect.gen(function*() {
        const { calls, directory } = yield* FaultyOpenCode.FaultyOpenCode
        const all = Effect.orDie(calls)
        return {
          prompts: Effect.map(all, (calls) => calls.map(({ stdin }) => stdin)),
          arrived: firstCall(directory),
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
