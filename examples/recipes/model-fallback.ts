import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, ExecutionPlan, Layer } from "effect"
import { OpenCode, OpenCodeError, Permission, RunConfig } from "effect-opencode"

// #region fallback
const withModel = (model: string) => Context.make(RunConfig.CurrentRunConfig, { model })

/** The provider is the trouble, so another one may do. */
const isProviders = (error: OpenCodeError.RunError): boolean =>
  error._tag === "OpenCodeSessionError" &&
  ["authentication", "quota", "rate-limit", "model-not-found", "provider-unavailable"].includes(error.kind)

/** Two attempts with the first model, then one with each of the others. */
const Models = ExecutionPlan.make(
  { provide: withModel("anthropic/claude-sonnet-4-5"), attempts: 2, while: OpenCodeError.isRetryable },
  { provide: withModel("openai/gpt-5"), attempts: 1, while: isProviders },
  { provide: withModel("local/qwen3"), attempts: 1, while: isProviders }
)

/** Read-only, so that it is harmless to begin again with another model. */
export const explain = (file: string) =>
  OpenCode.run(`Explain ${file} in three sentences`, { permission: Permission.readOnly }).pipe(
    Effect.withExecutionPlan(Models)
  )
// #endregion

explain("src/index.ts").pipe(
  Effect.flatMap(({ answer }) => Console.log(answer)),
  Effect.provide(OpenCode.layer().pipe(Layer.provide(NodeContext.layer))),
  NodeRuntime.runMain({ teardown: OpenCode.teardown })
)
