/** A program as users write them, which ends as `ENDING` says. It prints a line when its program has begun. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { OpenCode } from "effect-opencode"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const endings = {
  success: Effect.void,
  failure: OpenCode.run("go", { timeout: "no duration" as never }),
  defect: Effect.dieMessage("a mistake"),
  signal: Effect.never,
  signalAndDefect: Effect.onInterrupt(Effect.never, () => Effect.dieMessage("a mistake in a finalizer"))
}

Config.literal(...(Object.keys(endings) as Array<keyof typeof endings>))("ENDING").pipe(
  Effect.tap(Console.log("begun")),
  Effect.flatMap((ending): Effect.Effect<unknown, unknown, OpenCode.OpenCode> => endings[ending]),
  Effect.provide(OpenCode.layer({ version: "1.18.33" }).pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
