/** A program that starts many runs at once, for a test that kills it meanwhile. They come as JSON from the environment. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { OpenCode, RunConfig } from "effect-opencode"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"

const Plan = Schema.parseJson(Schema.Struct({
  binary: Schema.optional(Schema.String),
  cwd: Schema.String,
  /** Is created when the first run is about to start. */
  ready: Schema.String,
  options: RunConfig.RunConfig,
  runs: Schema.Array(Schema.Struct({ bytes: Schema.Number, command: Schema.optional(Schema.String) }))
}))

const program = Effect.gen(function*() {
  const { cwd, options, ready, runs } = yield* Schema.decode(Plan)(yield* Config.string("PLAN"))
  const prompts = runs.map(({ bytes }) => `${"x".repeat(bytes - 4)} end`)
  fs.writeFileSync(ready, "")
  yield* Effect.forEach(runs, ({ bytes, command }, index) =>
    OpenCode.run(prompts[index]!, {
      ...options,
      ...(command === undefined ? {} : { command }),
      cwd,
      extraEnv: { ...options.extraEnv, EXPECTED: String(bytes) }
    }).pipe(Effect.ignore), { concurrency: "unbounded" })
})

const layer = Layer.unwrapEffect(Effect.gen(function*() {
  const { binary } = yield* Schema.decode(Plan)(yield* Config.string("PLAN"))
  return OpenCode.layer({ binary, version: "1.18.33", startup: { concurrency: "unbounded" } })
}))

program.pipe(Effect.provide(Layer.provide(layer, NodeContext.layer)), NodeRuntime.runMain)
