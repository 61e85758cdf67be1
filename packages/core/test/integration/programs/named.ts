/** A program with one run whose id is given. It waits for a file, starts the run and writes down how it ended. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { OpenCode } from "effect-opencode"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"

const { client, go, hold, options, outcome, prompt, ready } = JSON.parse(process.env["PLAN"]!)

const run = OpenCode.run(prompt, {
  ...options,
  ...(hold === true
    ? { onStart: () => Effect.andThen(Effect.sync(() => fs.writeFileSync(ready, "")), Effect.never) }
    : {})
}).pipe(Effect.match({
  onFailure: (error) => error._tag === "OpenCodeConfigError" ? error.path : error.message,
  onSuccess: ({ runId }) => `success ${runId}`
}))

const waiting = Effect.delay(Effect.void, "1 millis").pipe(Effect.repeat({ until: () => fs.existsSync(go) }))

const program = Effect.gen(function*() {
  if (go !== undefined) {
    fs.writeFileSync(ready, "")
    yield* waiting
  }
  const ended = yield* run
  // In one step, for a reader that waits for the file.
  fs.writeFileSync(`${outcome}.new`, ended)
  fs.renameSync(`${outcome}.new`, outcome)
})

program.pipe(
  Effect.provide(OpenCode.layer({ version: "1.18.33", ...client }).pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain
)
