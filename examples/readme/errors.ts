import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Duration, Effect, Layer } from "effect"
import { OpenCode, OpenCodeError } from "effect-opencode"

// #region errors
const fix = OpenCode.run("Fix the failing test", { timeout: "10 minutes" }).pipe(
  Effect.map((result) => result.answer),
  Effect.catchTags({
    // too slow: keep the text so far
    OpenCodeTimeoutError: (error) => Effect.succeed(`${error.phase} timeout, but it said: ${error.partial.text}`),
    OpenCodeSessionError: (error) => {
      switch (error.kind) {
        case "rate-limit":
          return Effect.succeed(`try again in ${Duration.format(error.retryAfter ?? "1 minute")}`)
        case "context-overflow":
          return Effect.succeed("the task is too large")
        default:
          return Effect.fail(error)
      }
    }
  }),
  // all other errors: log what the run had done
  Effect.tapError((error) => {
    const partial = OpenCodeError.partialOf(error)
    return Effect.logError(error.message).pipe(
      Effect.annotateLogs({ error: error._tag, steps: partial?.steps ?? 0, cost: partial?.cost ?? 0 })
    )
  })
)
// #endregion

fix.pipe(
  Effect.flatMap(Effect.log),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
