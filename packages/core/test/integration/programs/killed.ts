/** A program that is killed while its agent works. Only its transcript remains. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { OpenCode, RunConfig } from "effect-opencode"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const program = Effect.gen(function*() {
  const options = yield* Schema.decode(Schema.parseJson(RunConfig.RunConfig))(yield* Config.string("RUN_OPTIONS"))
  const cwd = yield* Config.string("RUN_CWD")
  const directory = yield* Config.string("RUN_DATA")
  const binary = Option.getOrUndefined(yield* Config.option(Config.string("RUN_BINARY")))
  yield* OpenCode.run("the task", { ...options, cwd, transcript: "../run.jsonl" }).pipe(
    Effect.provide(
      OpenCode.layer({ binary, version: binary === undefined ? "1.18.33" : undefined, isolation: { directory } })
    )
  )
})

program.pipe(Effect.provide(NodeContext.layer), NodeRuntime.runMain)
