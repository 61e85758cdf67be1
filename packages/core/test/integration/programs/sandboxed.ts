/** A program with one sandboxed run, and no watchdog, which is killed. What to run comes as JSON by environment. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as OpenCode from "effect-opencode/OpenCode"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const layer = OpenCode.layer({ version: "1.18.33", sandbox: {}, leash: false }).pipe(Layer.provide(NodeContext.layer))

await Effect.runPromise(
  OpenCode.run("go", JSON.parse(process.env["PLAN"] ?? "{}")).pipe(Effect.ignore, Effect.provide(layer))
)
