import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { OpenCode, OpenCodeError, Permission } from "effect-opencode"

// #region retry
/** Changes files, so it is repeated only while it had not begun to act. */
export const fix = OpenCode.run("Fix the failing test").pipe(
  Effect.tapError((error) => Effect.logWarning(`${error._tag}: retryable ${OpenCodeError.isRetryable(error)}`)),
  Effect.retry(OpenCodeError.retrySchedule)
)

/** Read-only, so it can begin again after any trouble that passes. */
export const explain = OpenCode.run("Explain the architecture", { permission: Permission.readOnly }).pipe(
  Effect.retry({
    times: 2,
    while: (error) =>
      OpenCodeError.isRetryable(error) ||
      error._tag === "OpenCodeIncompleteError" ||
      error._tag === "OpenCodeProcessError" ||
      (error._tag === "OpenCodeSessionError" && error.kind === "provider-unavailable")
  })
)
// #endregion

Effect.all([explain, fix]).pipe(
  Effect.flatMap(Effect.forEach(({ answer }) => Console.log(answer))),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
