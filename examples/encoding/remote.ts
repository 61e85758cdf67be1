// #region messages
import { Config, Effect, Schema } from "effect"
import { OpenCode, OpenCodeError, Permission, RunOptions, RunResult } from "effect-opencode"

/** A run as JSON. Secrets go by name; the worker has their values. */
export const Job = Schema.parseJson(Schema.Struct({
  prompt: Schema.String,
  options: RunOptions.Data,
  secrets: Schema.Array(Schema.String)
}))

/** How the run ended, as JSON, without its events. */
export const Outcome = Schema.parseJson(Schema.Exit({
  success: RunResult.Slim,
  failure: OpenCodeError.Slim(OpenCodeError.RunError),
  defect: Schema.Defect
}))
// #endregion

// #region worker
/** In the other process: takes a job, runs it, and returns its outcome. */
export const work = (message: string) =>
  Effect.gen(function*() {
    const { options, prompt, secrets } = yield* Schema.decode(Job)(message)
    const values = yield* Config.all(Object.fromEntries(secrets.map((name) => [name, Config.redacted(name)])))
    const exit = yield* Effect.exit(OpenCode.run(prompt, { ...options, extraEnv: { ...options.extraEnv, ...values } }))
    return yield* Schema.encode(Outcome)(exit)
  })
// #endregion

// #region sender
/** Sends a job by any means that carry a text, and continues as if the run had been here. */
export const review = (directory: string, send: (message: string) => Effect.Effect<string>) =>
  Effect.gen(function*() {
    const message = yield* Schema.encode(Job)({
      prompt: `Review ${directory}`,
      options: { permission: Permission.readOnly, timeout: "10 minutes", budget: { cost: 1, steps: Infinity } },
      secrets: ["ANTHROPIC_API_KEY"]
    })
    const result = yield* Effect.flatten(Schema.decode(Outcome)(yield* send(message)))
    return result.answer
  }).pipe(
    Effect.catchTags({
      OpenCodeBudgetError: (error) => Effect.succeed(`stopped at $${error.reached}: ${error.partial?.text ?? ""}`)
    })
  )
// #endregion
