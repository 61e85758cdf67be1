/** Many short runs by hand, in a program with the library in memory, because a spawn copies its page tables. */
import { NodeContext } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { OpenCode } from "effect-opencode"
import * as byHand from "../lib/byHand.js"
import { job, report, start } from "../lib/meter.js"

const asked = job<byHand.Job>()
const layer = OpenCode.layer({ binary: asked.binary, version: "1.18.33" }).pipe(Layer.provide(NodeContext.layer))
await Effect.runPromise(Effect.provide(Effect.forEach(Array.from({ length: 50 }), () => OpenCode.run("warm")), layer))
const stop = start()
const whole = await byHand.runAll(asked)
report({ ...stop(), whole })
